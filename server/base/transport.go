package base

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/peer"
	"openflow/sdk/wire/ptp"
	"openflow/server/reply"
	"openflow/store/messages"
)

// Peers hands messages to other nodes.
type Peers interface {
	PushTo(ctx context.Context, to openflow.PartyID, m peer.Outgoing) error
}

// Transport is the container side of the message channels.
type Transport struct {
	Site  *Site // whose containers may call
	Self  openflow.PartyID
	Store messages.Store
	Peers Peers
	// Called lists what a session is called in the dialects of this node, beside its own name; nil: nothing else.
	Called  func(own openflow.SessionID) []string
	MaxBody int64
	Space   func() error // nil, or what it answers: there is room for new messages
	Log     *slog.Logger
}

// Routes mounts the container side of interop-transport §6. Messages are not traced: they would fill the collector.
func (t *Transport) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(t.Site.known(t.refuse, false))
		r.Post("/v1/interconn/chan/push", t.push)
		r.Post("/v1/interconn/chan/pop", t.pop)
		r.Post("/v1/interconn/chan/peek", t.peek)
		r.Post("/v1/interconn/chan/release", t.release)
	})
	t.grpcRoutes(r)
}

// refuse answers a container that nobody has listened to.
func (t *Transport) refuse(w http.ResponseWriter, r *http.Request, err error) {
	reply.Note(r, err)
	t.answer(w, r, ptp.FormJSON, ptp.Reply(err))
}

// pushWait bounds how long a push waits for room or for a peer before the container is told to come again.
const pushWait = 20 * time.Second

// TopicPrefix begins every topic of the kit from one party to another: "<role>-<party>~<role>-<party>~". It carries
// both, so that roles on one node never mix.
func TopicPrefix(from, to openflow.Party) string {
	return side(from) + "~" + side(to) + "~"
}

// push enqueues a message here or at the node of the party that it is for, and answers when it is in the queue there.
//
// Spec: interop-transport §6.1.
func (t *Transport) push(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(r, t.MaxBody)
	var p ptp.PushInbound
	form := ptp.FormJSON
	if err == nil {
		p, form, err = ptp.DecodePush(r.Header.Get("Content-Type"), "", r.Header.Get(ptp.HeaderTopic), r.URL.Path, body)
	}
	if err == nil {
		err = t.enqueue(r, p)
	}
	t.answer(w, r, form, ptp.Reply(err))
}

func (t *Transport) enqueue(r *http.Request, p ptp.PushInbound) error {
	run := Run(r)
	session, err := t.ownSession(r, run)
	if err != nil {
		return err
	}
	to := openflow.PartyID(r.Header.Get(ptp.HeaderTargetNodeID))
	if to == "" {
		to = t.Self
	}
	if !slices.ContainsFunc(run.Spec.Parties, func(q openflow.Party) bool { return q.ID == to }) {
		return ptp.Fail(ptp.ResultForbidden, openflow.Errorf(openflow.CodePermission, "party %s takes no part in %s", to, run.Key))
	}
	if err := fromSelf(p.Topic, run); err != nil {
		return err
	}
	id := p.Metadata[ptp.MetadataMessageID]
	ctx, cancel := context.WithTimeout(r.Context(), pushWait)
	defer cancel()
	if to != t.Self {
		err := t.Peers.PushTo(ctx, to, peer.Outgoing{Session: session, Topic: p.Topic, ID: id, Payload: p.Payload})
		t.Site.noteHindered(run, openflow.ToParty(to), err)
		if onTheWay(err) {
			return ptp.Fail(ptp.ResultUnreachable, err)
		}
		return err
	}
	err = t.store(ctx, session, p, id)
	t.Site.noteHindered(run, openflow.ToParty(to), err)
	if errors.Is(err, messages.ErrTooLarge) || errors.Is(err, messages.ErrSpent) { // which no repeat changes
		return ptp.Fail(ptp.ResultTooLarge, err)
	}
	return err
}

// store puts a message into a queue of this node.
func (t *Transport) store(ctx context.Context, session string, p ptp.PushInbound, id string) error {
	if t.Space != nil {
		if err := t.Space(); err != nil {
			return err
		}
	}
	return t.Store.Push(ctx, messages.Channel{Session: session, Topic: p.Topic},
		messages.Message{ID: id, Source: string(t.Self), Payload: p.Payload}, pushWait/2)
}

// onTheWay reports whether a message has failed for what is between two nodes, and not for what it is. Their keys may not fit, the
// record of one may be wrong, or a machine broken. A node restored from a backup does not know the session. An operator mends
// that, or the scheduler ends the job and names the party. So the sender is told to come again, as for a node that does not
// answer.
func onTheWay(err error) bool {
	switch openflow.CodeOf(err) {
	case openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeRejected, openflow.CodeInternal:
		return true
	case openflow.CodeInvalid: // of this site's record of the peer
		var e *openflow.Error
		return errors.As(err, &e) && e.Subject == openflow.AboutSite
	case openflow.CodeNotFound, openflow.CodeConflict, openflow.CodeExhausted, openflow.CodeSpent, openflow.CodeUnavailable,
		openflow.CodeCanceled, openflow.CodeDeadline, openflow.CodeUnimplemented:
	}
	return false
}

// ownSession refuses a session other than the task's own. One that is not named is the task's own.
func (t *Transport) ownSession(r *http.Request, run openflow.TaskRecord) (string, error) {
	own := run.Key.SessionID()
	s := r.Header.Get(ptp.HeaderSessionID)
	if s == "" || s == string(own) || t.Called != nil && slices.Contains(t.Called(own), s) {
		return string(own), nil
	}
	return "", ptp.Fail(ptp.ResultForbidden, openflow.Errorf(openflow.CodePermission, "the credential is for session %s, not %s", own, s))
}

// fromSelf refuses a topic of our form that claims another sender. Other topics are the image's own affair.
func fromSelf(topic string, run openflow.TaskRecord) error {
	from, to, ok := ParseTopic(topic, run.Spec.Parties)
	if ok && from != run.Key.Party {
		return ptp.Fail(ptp.ResultForbidden, openflow.Errorf(openflow.CodePermission, "%s may not send as %s to %s", run.Key.Party, from, to))
	}
	return nil
}

// ParseTopic finds the two parties that a topic of our form is between, or one of the form of FATE's components; ok is false
// for any other topic.
func ParseTopic(topic string, parties []openflow.Party) (from, to openflow.Party, ok bool) {
	sender, rest, _ := strings.Cut(topic, "~")
	receiver, _, whole := strings.Cut(rest, "~")
	from, known := among(parties, sender)
	to, known2 := among(parties, receiver)
	if !whole || !known || !known2 {
		return parseFATE(topic, parties)
	}
	return from, to, true
}

// parseFATE reads "<session>-<role>-<party>-<role>-<party>-<name>", as FATE's components name what one sends to another. Where
// the names of parties allow several readings, the one that begins first counts, at every node.
//
// Spec: interop-transport §6.3.
func parseFATE(topic string, parties []openflow.Party) (from, to openflow.Party, ok bool) {
	first := len(topic)
	for _, sender := range parties {
		for _, receiver := range parties {
			between := "-" + side(sender) + "-" + side(receiver) + "-"
			if i := strings.Index(topic, between); i > 0 && (i < first || i == first && len(between) > len(side(from)+side(to))+3) {
				first, from, to, ok = i, sender, receiver, true
			}
		}
	}
	return from, to, ok
}

// side names a party as topics do.
func side(p openflow.Party) string { return string(p.Role) + "-" + string(p.ID) }

// among finds the party that a part of a topic names as "<role>-<party>".
func among(parties []openflow.Party, name string) (openflow.Party, bool) {
	role, id, _ := strings.Cut(name, "-")
	p := openflow.Party{Role: openflow.Role(role), ID: openflow.PartyID(id)}
	return p, slices.Contains(parties, p)
}

// pop reads one message. With an acknowledgement in the header the message stays until the next one confirms it, so a
// reader of our kit loses nothing and sees nothing twice. Without one it is removed, as the standard has it.
//
// Spec: interop-transport §6.2, §6.3.
func (t *Transport) pop(w http.ResponseWriter, r *http.Request) {
	t.read(w, r, func(p ptp.PopInbound) time.Duration {
		return ptp.Wait(r.URL.Query().Get("timeout"), r.Header.Get(ptp.HeaderTimeout), p.Timeout)
	})
}

// peek reads without waiting. It removes what it reads, as all known servers do (interop-transport §6.4).
func (t *Transport) peek(w http.ResponseWriter, r *http.Request) {
	t.read(w, r, func(ptp.PopInbound) time.Duration { return 0 })
}

func (t *Transport) read(w http.ResponseWriter, r *http.Request, wait func(ptp.PopInbound) time.Duration) {
	body, err := reply.Body(r, maxRead)
	form, out := ptp.FormJSON, ptp.TransportOutbound{}
	var p ptp.PopInbound
	if err == nil {
		p, form, err = ptp.DecodePop(r.Header.Get("Content-Type"), r.Header.Get(ptp.HeaderTopic), body)
	}
	if r.Header.Get("Accept") == ptp.TypeProtobuf { // our kit reads large messages without base64
		form = ptp.FormProtobuf
	}
	var c stream
	var m messages.Message
	found, acknowledged := false, r.Header.Get(ptp.HeaderOpenflowAck) != ""
	if err == nil {
		c, err = t.channel(r, p.Topic)
	}
	if err == nil {
		if acknowledged {
			m, found, err = t.next(r, c, wait(p))
		} else {
			m, found, err = t.Store.Pop(r.Context(), c.Channel, c.source, wait(p))
		}
	}
	switch {
	case err != nil:
		out = ptp.Reply(err)
	case !found:
		out = ptp.EmptyPop(r.Header.Get(ptp.HeaderProvider))
	default:
		out = ptp.Reply(nil)
		out.Payload = m.Payload
		if out.Payload == nil {
			out.Payload = []byte{}
		}
		w.Header().Set(ptp.HeaderOpenflowSequence, strconv.FormatInt(m.Sequence, 10))
		w.Header().Set(ptp.HeaderOpenflowSource, c.from(m))
	}
	written := t.answer(w, r, form, out)
	if found && !written && !acknowledged {
		t.putBack(r, c.Channel, m)
	}
}

// maxRead bounds the body of a read, which holds a topic and a timeout.
const maxRead = 64 << 10

func (t *Transport) next(r *http.Request, c stream, wait time.Duration) (messages.Message, bool, error) {
	ack, err := strconv.ParseInt(r.Header.Get(ptp.HeaderOpenflowAck), 10, 64)
	if err != nil || ack < 0 {
		return messages.Message{}, false, openflow.Errorf(openflow.CodeInvalid, "%s: %q is not a sequence",
			ptp.HeaderOpenflowAck, r.Header.Get(ptp.HeaderOpenflowAck))
	}
	return t.Store.Next(r.Context(), c.Channel, c.source, ack, wait)
}

// putBack returns a message whose reader has gone, so that its next read finds it.
func (t *Transport) putBack(r *http.Request, c messages.Channel, m messages.Message) {
	if err := t.Store.Unpop(context.WithoutCancel(r.Context()), c, m); err != nil {
		t.Log.WarnContext(r.Context(), "message could not be put back", "session", c.Session, "topic", c.Topic, "err", err)
	}
}

// stream is what a container reads: a channel, and whose messages of it.
type stream struct {
	messages.Channel
	source string         // the node that they come from; empty: any
	sender openflow.Party // as a topic of our form says; the zero value: the topic has another form
}

// from names who has sent a message: the party in its role, or without a topic of our form the party. The node of a sender has
// signed for its party, and lets a container send as its own role only.
func (s stream) from(m messages.Message) string {
	if s.sender != (openflow.Party{}) && string(s.sender.ID) == m.Source {
		return s.sender.String()
	}
	return m.Source
}

// channel is what a container may read under a topic: what is for it. Of a topic of our form it is what the party that the
// topic names has sent, and of others, the node that the request names: a target that is not this node (interop-transport §6.3).
func (t *Transport) channel(r *http.Request, topic string) (stream, error) {
	run := Run(r)
	session, err := t.ownSession(r, run)
	if err != nil {
		return stream{}, err
	}
	s := stream{Channel: messages.Channel{Session: session, Topic: topic}}
	if target := r.Header.Get(ptp.HeaderTargetNodeID); target != string(t.Self) {
		s.source = target
	}
	from, to, ok := ParseTopic(topic, run.Spec.Parties)
	if !ok {
		return s, nil
	}
	if to != run.Key.Party {
		return stream{}, ptp.Fail(ptp.ResultForbidden,
			openflow.Errorf(openflow.CodePermission, "%s may not read what %s sends to %s", run.Key.Party, from, to))
	}
	s.source, s.sender = string(from.ID), from
	return s, nil
}

// release drops what is unread of the task's own session; it takes messages again at once (interop-transport §6.5). Where the
// site plays another role in the task too, the session is not the run's alone, and it names the topic.
func (t *Transport) release(w http.ResponseWriter, r *http.Request) {
	body, err := reply.Body(r, maxRead)
	var p ptp.ReleaseInbound
	form := ptp.FormJSON
	if err == nil {
		p, form, err = ptp.DecodePop(r.Header.Get("Content-Type"), r.Header.Get(ptp.HeaderTopic), body)
	}
	var c stream
	if err == nil {
		c, err = t.channel(r, p.Topic)
	}
	if run := Run(r); err == nil && c.Topic == "" && slices.ContainsFunc(run.Spec.Parties, func(q openflow.Party) bool {
		return q.ID == t.Self && q != run.Key.Party
	}) {
		err = ptp.Fail(ptp.ResultForbidden, openflow.Errorf(openflow.CodePermission, "%s shares its session with another role of this site", run.Key).
			WithHint("release topics by their names"))
	}
	if err == nil {
		err = t.Store.Release(r.Context(), c.Session, c.Topic)
	}
	t.answer(w, r, form, ptp.Reply(err))
}

func (t *Transport) answer(w http.ResponseWriter, r *http.Request, d ptp.Form, out ptp.TransportOutbound) bool {
	contentType, body := ptp.EncodeReply(d, out)
	w.Header().Set("Content-Type", contentType)
	if r.Context().Err() != nil {
		return false
	}
	if _, err := w.Write(body); err != nil {
		t.Log.DebugContext(r.Context(), "answer not written", "err", err)
		return false
	}
	return http.NewResponseController(w).Flush() == nil
}
