package interconnection

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/sdk/wire/ptp"
	"openflow/server/reply"
	"openflow/store/messages"
)

// Sessions tells which parties may send to a session of this node, and what the session is called here: a peer may leave
// its scheduler out. CodePermission: the sender takes no part in it, or no task here has it, which is one answer.
// messages.ErrReleased, and the session: it has ended.
type Sessions interface {
	Admit(ctx context.Context, from openflow.PartyID, session, topic string) (own openflow.SessionID, err error)
}

// Names tells what we call the sessions and topics of a peer, whose dialect its record says.
type Names interface {
	Own(ctx context.Context, from openflow.PartyID, session, topic string) (ownSession, ownTopic string, err error)
}

// Transport takes messages of other nodes into this node's queues.
type Transport struct {
	Self     openflow.PartyID
	Names    Names
	Store    messages.Store
	Sessions Sessions
	MaxBody  int64
	Intake   *reply.Intake // of messages; nil: they are not bounded
	Space    func() error  // nil, or what it answers: there is room for new messages
	// Hindered is told how it went each time that a message for a session was taken or refused; nil: nobody is.
	Hindered func(session openflow.SessionID, what openflow.Passage, err error)
	Log      *slog.Logger

	taken repeats
}

// fullWait is how long a message waits for room before its sender is told to come again. Short, because the sender's
// container repeats it and other messages use the connection.
const fullWait = 5 * time.Second

// invoke takes one message. Remote reads and purges of queues are refused, whatever the x-ptp-uri says.
//
// Spec: interop-transport §7.1; §7.2: transport is an alias.
func (t *Transport) invoke(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(r, t.MaxBody)
	var p ptp.PushInbound
	form := ptp.FormJSON
	if err == nil {
		p, form, err = ptp.DecodePush(r.Header.Get("Content-Type"), r.Header.Get(ptp.HeaderVersion),
			r.Header.Get(ptp.HeaderTopic), r.URL.Path, body)
	}
	if err == nil {
		err = t.accept(r, p)
	}
	t.answer(w, r, form, err)
}

// refuse answers a message that nobody has looked at.
func (t *Transport) refuse(w http.ResponseWriter, r *http.Request, err error) {
	// No body, so there is an error, but the headers alone tell the form.
	_, form, _ := ptp.DecodePush(r.Header.Get("Content-Type"), "", r.Header.Get(ptp.HeaderTopic), r.URL.Path, nil)
	t.answer(w, r, form, err)
}

func (t *Transport) answer(w http.ResponseWriter, r *http.Request, form ptp.Form, err error) {
	if err != nil {
		reply.Note(r, err)
		t.Log.DebugContext(r.Context(), "message refused", "caller", dialect.Caller(r), "session", r.Header.Get(ptp.HeaderSessionID), "err", err)
	}
	answer := ptp.Reply(err)
	var known *ptp.Failure
	if err != nil && !errors.As(err, &known) {
		answer.Message = openflow.ForPartners(err).Error()
	}
	contentType, out := ptp.EncodeReply(form, answer)
	w.Header().Set("Content-Type", contentType)
	if _, err := w.Write(out); err != nil {
		t.Log.DebugContext(r.Context(), "answer not written", "err", err)
	}
}

// scheduled is a session with its scheduler, where only the sender has named that beside it.
func scheduled(session, scheduler string) string {
	k, err := openflow.ParseSessionID(openflow.SessionID(session))
	if err != nil || k.Scheduler != "" || scheduler == "" {
		return session
	}
	k.Scheduler = openflow.PartyID(scheduler)
	return string(k.SessionID())
}

func (t *Transport) accept(r *http.Request, p ptp.PushInbound) error {
	op, _, err := ptp.ParseURI(r.Header.Get(ptp.HeaderURI))
	if err != nil {
		return err
	}
	switch op {
	case ptp.OperationPush:
	case ptp.OperationOther:
		return ptp.Fail(ptp.ResultNotFound, openflow.Errorf(openflow.CodeNotFound, "no service at %q", r.Header.Get(ptp.HeaderURI)))
	default:
		return ptp.Fail(ptp.ResultNotPermitted, openflow.Errorf(openflow.CodePermission, "queues of this node are read and purged by its own containers only"))
	}
	if target := openflow.PartyID(r.Header.Get(ptp.HeaderTargetNodeID)); target != "" && target != t.Self {
		return ptp.Fail(ptp.ResultNotNetworked, openflow.Errorf(openflow.CodeNotFound, "this is party %s, not %s", t.Self, target))
	}
	session := r.Header.Get(ptp.HeaderSessionID)
	if session == "" {
		return openflow.Errorf(openflow.CodeInvalid, "%s is missing", ptp.HeaderSessionID)
	}
	caller := dialect.Caller(r)
	session, topic, err := t.Names.Own(r.Context(), caller, session, p.Topic)
	if err != nil {
		return err
	}
	id := p.Metadata[ptp.MetadataMessageID]
	own, err := t.Sessions.Admit(r.Context(), caller, scheduled(session, r.Header.Get(ptp.HeaderOpenflowScheduler)), topic)
	if err == nil {
		err = t.push(r.Context(), caller, messages.Channel{Session: string(own), Topic: topic}, id, p.Payload)
	}
	switch {
	case err == nil:
		t.taken.note(string(own), string(caller), id)
	case errors.Is(err, messages.ErrReleased) && t.taken.has(string(own), string(caller), id):
		return nil // it was taken while the task needed it
	}
	return err
}

// push puts a message into its queue.
func (t *Transport) push(ctx context.Context, caller openflow.PartyID, c messages.Channel, id string, payload []byte) error {
	err := t.store(ctx, c, messages.Message{ID: id, Source: string(caller), Payload: payload})
	if t.Hindered != nil {
		t.Hindered(openflow.SessionID(c.Session), openflow.FromParty(caller), err)
	}
	if errors.Is(err, messages.ErrTooLarge) || errors.Is(err, messages.ErrSpent) { // which no repeat changes
		return ptp.Fail(ptp.ResultTooLarge, err)
	}
	return err
}

// store puts a message into its queue, unless there is no room for what is new.
func (t *Transport) store(ctx context.Context, c messages.Channel, m messages.Message) error {
	if t.Space != nil {
		if err := t.Space(); err != nil {
			return err
		}
	}
	return t.Store.Push(ctx, c, m, fullWait)
}
