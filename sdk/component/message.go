package component

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"openflow"
)

const (
	chunkBytes   = 16 << 20
	maxMessage   = 2 << 30
	popWait      = 30 * time.Second
	lastChunk    = 0
	moreFollow   = 1
	providerCode = "openflow" // who has made this side of the transport, whoever provides the component
)

// topics is the state of the message streams of a task: per topic, one sender and one receiver at a time.
type topics struct {
	mu    sync.Mutex
	state map[string]*topic
}

type topic struct {
	mu      sync.Mutex
	ack     int64  // sequence number of the last message received
	partial []byte // chunks of a message whose end has not come yet
}

func (t *topics) get(name string) *topic {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == nil {
		t.state = map[string]*topic{}
	}
	if t.state[name] == nil {
		t.state[name] = &topic{}
	}
	return t.state[name]
}

// Send gives payload to another party of the task and returns once that party's node has it. Messages of one tag
// arrive once each and in the order sent; there is no order between tags. payload may be empty, up to 2 GiB, and
// should stay below 64 MiB where the algorithm can choose. Send repeats over restarts of both nodes.
//
// Errors: CodeInvalid (no such party, payload too large), CodeUnavailable (own node or partner silent for the kit's
// patience, 30 minutes), CodeCanceled (ctx ended, or the session has been released).
func (t *Task) Send(ctx context.Context, to openflow.Party, tag string, payload []byte) error {
	name, err := t.topicName(t.Party(), to, to, tag)
	if err != nil {
		return err
	}
	if len(payload) > maxMessage {
		return openflow.Errorf(openflow.CodeInvalid, "message %q to %s has %d bytes, more than %d", tag, to, len(payload), maxMessage).
			WithPublic("message %q to %s is too large", tag, to)
	}
	topic := t.topics.get(name)
	topic.mu.Lock()
	defer topic.mu.Unlock()
	for first := true; first || len(payload) > 0; first = false {
		n := min(len(payload), chunkBytes)
		flag := byte(lastChunk)
		if n < len(payload) {
			flag = moreFollow
		}
		chunk := append([]byte{flag}, payload[:n]...)
		if err := t.push(ctx, name, to.ID, chunk); err != nil {
			return exchangeError(ctx, openflow.Errorf(openflow.CodeOf(err), "message %q to %s: %w", tag, to, err))
		}
		payload = payload[n:]
	}
	return nil
}

// Receive waits for the next message that from has sent under tag. It waits as long as ctx does: only the algorithm
// knows how long the other side computes.
//
// Errors: CodeInvalid (no such party), CodePermission (the message is of somebody else), CodeUnavailable (own node silent for
// the kit's patience), CodeCanceled (ctx ended, or the session has been released because the task ends elsewhere). A message
// of somebody else is dropped, and a further call goes on with the next.
func (t *Task) Receive(ctx context.Context, from openflow.Party, tag string) ([]byte, error) {
	return t.ReceiveUpTo(ctx, from, tag, maxMessage)
}

// ReceiveUpTo is Receive of a message that is not larger than limit, in bytes. A larger one is CodeInvalid, and no more
// of it is kept than one chunk of 16 MiB. An algorithm that knows how long a message is should not hold what a peer
// makes of it.
func (t *Task) ReceiveUpTo(ctx context.Context, from openflow.Party, tag string, limit int) ([]byte, error) {
	name, err := t.topicName(from, t.Party(), from, tag)
	if err != nil {
		return nil, err
	}
	topic := t.topics.get(name)
	topic.mu.Lock()
	defer topic.mu.Unlock()
	for {
		flag, chunk, err := t.nextChunk(ctx, name, from, topic)
		if err != nil {
			return nil, exchangeError(ctx, openflow.Errorf(openflow.CodeOf(err), "message %q from %s: %w", tag, from, err))
		}
		if len(topic.partial)+len(chunk) > limit {
			return nil, public(openflow.CodeInvalid, "message %q from %s has more than %d bytes", tag, from, limit)
		}
		if flag == lastChunk && topic.partial == nil {
			return chunk, nil
		}
		topic.partial = append(topic.partial, chunk...)
		if flag == lastChunk {
			whole := topic.partial
			topic.partial = nil
			return whole, nil
		}
	}
}

// exchangeError marks what follows from the end of another party: the session is closed once a party's run has ended, and
// a partner that is silent for the whole patience has troubles of its own.
func exchangeError(ctx context.Context, e *openflow.Error) error {
	switch {
	case ctx.Err() != nil:
		return e
	case e.Code == openflow.CodeCanceled:
		return e.WithPublic("the exchange of messages was ended elsewhere").AsConsequence()
	case e.Code == openflow.CodeUnavailable:
		return e.WithPublic("no message gets through to the other parties").AsConsequence()
	}
	return e
}

// SendJSON is Send with value as JSON.
func (t *Task) SendJSON(ctx context.Context, to openflow.Party, tag string, value any) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "message %q to %s: %w", tag, to, err)
	}
	return t.Send(ctx, to, tag, payload)
}

// ReceiveJSON is Receive into a value that SendJSON sent. CodeInvalid when the message is not of that form.
func (t *Task) ReceiveJSON(ctx context.Context, from openflow.Party, tag string, into any) error {
	payload, err := t.Receive(ctx, from, tag)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(payload, into); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "message %q from %s is not readable: %w", tag, from, err).
			WithPublic("message %q from %s is not readable", tag, from)
	}
	return nil
}

// topicName is the name of a stream; peer must be somebody else in the task.
func (t *Task) topicName(from, to, peer openflow.Party, tag string) (string, error) {
	if peer == t.Party() || !t.hasParty(peer) {
		return "", public(openflow.CodeInvalid, "%s is not another party of %s", peer, t.Key())
	}
	return side(from) + "~" + side(to) + "~" + tag, nil
}

func side(p openflow.Party) string { return string(p.Role) + "-" + string(p.ID) }

func (t *Task) hasParty(p openflow.Party) bool {
	for _, q := range t.Parties() {
		if q == p {
			return true
		}
	}
	return false
}

// nextChunk is the next part of a message that from has sent. One that somebody else has sent is refused, as CodePermission,
// and is read by that: the one after it comes to the next call.
func (t *Task) nextChunk(ctx context.Context, name string, from openflow.Party, topic *topic) (flag byte, chunk []byte, err error) {
	for {
		reply, err := t.pop(ctx, name, topic.ack)
		if err != nil {
			return 0, nil, err
		}
		if reply.content == nil {
			if err := ctx.Err(); err != nil {
				return 0, nil, err
			}
			continue
		}
		if reply.sequence != 0 {
			if reply.sequence <= topic.ack {
				return 0, nil, openflow.Errorf(openflow.CodeInternal, "node gave message %d of topic %s after %d", reply.sequence, name, topic.ack)
			}
			topic.ack = reply.sequence
		}
		if reply.source != "" && reply.source != from.String() {
			return 0, nil, public(openflow.CodePermission, "it is from %s, and that of %s is awaited", openflow.Heard(reply.source), from).
				WithHint("somebody sends under another name, or the node mixes up the messages of its tasks: tell who operates it")
		}
		if len(reply.content) == 0 || reply.content[0] > moreFollow {
			return 0, nil, public(openflow.CodeInvalid, "not a message of this kit").
				WithHint("all parties of a task must run the same implementation of the component")
		}
		return reply.content[0], reply.content[1:], nil
	}
}

func (t *Task) pop(ctx context.Context, name string, ack int64) (transportReply, error) {
	header := t.transportHeader(name)
	header.Set("x-ptp-timeout", strconv.FormatInt(popWait.Milliseconds(), 10))
	header.Set("x-openflow-ack", strconv.FormatInt(ack, 10))
	header.Set("Accept", contentProtobuf+", "+contentJSON)
	return t.node.transport(ctx, request{
		method: http.MethodPost, path: "/v1/interconn/chan/pop", header: header, json: map[string]string{"topic": name},
	})
}

func (t *Task) push(ctx context.Context, name string, to openflow.PartyID, payload []byte) error {
	header := t.transportHeader(name)
	header.Set("x-ptp-target-node-id", string(to))
	header.Set("Accept", contentJSON)
	r := request{method: http.MethodPost, path: "/v1/interconn/chan/push", header: header}
	pushBody(&r, name, payload)
	_, err := t.node.transport(ctx, r)
	return err
}

func (t *Task) transportHeader(name string) http.Header {
	h := http.Header{}
	h.Set("x-ptp-session-id", string(t.config.session()))
	h.Set("x-ptp-topic", name)
	h.Set("x-ptp-tech-provider-code", providerCode)
	return h
}
