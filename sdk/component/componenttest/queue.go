package componenttest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"openflow"
	"openflow/sdk/wire"
)

// base64Limit is the size in bytes up to which the node answers a pop in JSON, so that tests see both codecs.
const base64Limit = 1 << 10

// Message is one message that passed the node.
type Message struct {
	Topic   string
	Payload []byte // with the kit's first byte
}

// Stray is a message that the node gives to the wrong task: it comes where To waits for one of From under Tag, and Source has
// sent it. A component never gets to see it.
type Stray struct {
	From, To, Source openflow.Party
	Tag              string
	Payload          []byte
}

func (n *Node) stray(s Stray) {
	topic := fmt.Sprintf("%s-%s~%s-%s~%s", s.From.Role, s.From.ID, s.To.Role, s.To.ID, s.Tag)
	n.queues.put(wire.FederationID(key(s.To)), topic, rand.Text(), s.Source, append([]byte{0}, s.Payload...)) // one whole message
}

// queues holds the messages of all sessions, numbered per topic and kept until they are acknowledged.
type queues struct {
	mu    sync.Mutex
	byKey map[string]*queue
	seen  map[string]bool // message ids
	all   []Message
}

type queue struct {
	next     int64
	messages []numbered
	arrived  chan struct{} // closed and replaced at every arrival
}

type numbered struct {
	sequence int64
	source   openflow.Party
	payload  []byte
}

func newQueues() *queues { return &queues{byKey: map[string]*queue{}, seen: map[string]bool{}} }

// Messages lists every message so far, in the order of arrival, without repeats.
func (n *Node) Messages() []Message {
	n.queues.mu.Lock()
	defer n.queues.mu.Unlock()
	return append([]Message(nil), n.queues.all...)
}

func (q *queues) get(key string) *queue {
	if q.byKey[key] == nil {
		q.byKey[key] = &queue{arrived: make(chan struct{})}
	}
	return q.byKey[key]
}

func (q *queues) put(session, topic, id string, source openflow.Party, payload []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.seen[session+id] {
		return
	}
	q.seen[session+id] = true
	q.all = append(q.all, Message{Topic: topic, Payload: payload})
	to := q.get(session + "/" + topic)
	to.next++
	to.messages = append(to.messages, numbered{to.next, source, payload})
	close(to.arrived)
	to.arrived = make(chan struct{})
}

func (q *queues) first(session, topic string, ack int64) (found *numbered, arrived <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := q.get(session + "/" + topic)
	for len(from.messages) > 0 && from.messages[0].sequence <= ack {
		from.messages = from.messages[1:]
	}
	if len(from.messages) > 0 {
		return &from.messages[0], nil
	}
	return nil, from.arrived
}

func (n *Node) push(w http.ResponseWriter, r *http.Request, caller openflow.RunID) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the request broke off: nothing is delivered
	}
	var in struct {
		Topic    string            `json:"topic"`
		Payload  []byte            `json:"payload"`
		Metadata map[string]string `json:"metadata"`
	}
	if r.Header.Get("Content-Type") == "application/x-protobuf" {
		in.Topic, in.Payload, in.Metadata, err = parsePush(body)
	} else {
		err = json.Unmarshal(body, &in)
	}
	p := n.party(caller)
	_, rest, _ := strings.Cut(in.Topic, "~")
	target, _, _ := strings.Cut(rest, "~")
	_, targetID, _ := strings.Cut(target, "-")
	switch {
	case err != nil:
		transport(w, "E0000000616", err.Error(), nil)
	case !strings.HasPrefix(in.Topic, string(p.Role)+"-"+string(p.ID)+"~") || in.Topic != r.Header.Get("x-ptp-topic"):
		transport(w, "E0000000400", "topic "+in.Topic+" is not one of the sender", nil)
	case targetID != r.Header.Get("x-ptp-target-node-id") || in.Metadata["x-ptp-message-id"] == "":
		transport(w, "E0000000400", "target or message id is wrong", nil)
	default:
		n.queues.put(r.Header.Get("x-ptp-session-id"), in.Topic, in.Metadata["x-ptp-message-id"], p, in.Payload)
		transport(w, "E0000000000", "OK", nil)
	}
}

func (n *Node) pop(w http.ResponseWriter, r *http.Request, _ openflow.RunID) {
	session, topic := r.Header.Get("x-ptp-session-id"), r.Header.Get("x-ptp-topic")
	ack, err := strconv.ParseInt(r.Header.Get("x-openflow-ack"), 10, 64)
	wait, errWait := strconv.Atoi(r.Header.Get("x-ptp-timeout"))
	if err != nil || errWait != nil {
		transport(w, "E0000000400", "x-openflow-ack or x-ptp-timeout is wrong", nil)
		return
	}
	deadline := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer deadline.Stop()
	for {
		found, arrived := n.queues.first(session, topic, ack)
		if found != nil {
			w.Header().Set("x-openflow-sequence", strconv.FormatInt(found.sequence, 10))
			w.Header().Set("x-openflow-source", found.source.String())
			if len(found.payload) > base64Limit && strings.HasPrefix(r.Header.Get("Accept"), "application/x-protobuf") {
				transportProtobuf(w, found.payload)
				return
			}
			transport(w, "E0000000000", "OK", found.payload)
			return
		}
		select {
		case <-arrived:
		case <-deadline.C:
			transport(w, "E0000000000", "OK", nil)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func transport(w http.ResponseWriter, code, message string, content []byte) {
	reply := map[string]any{"code": code, "message": message}
	if content != nil {
		reply["content"] = content
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(reply) // the caller may be gone
}

func transportProtobuf(w http.ResponseWriter, content []byte) {
	reply := protowire.AppendTag(nil, 2, protowire.BytesType)
	reply = protowire.AppendBytes(reply, content)
	reply = protowire.AppendTag(reply, 3, protowire.BytesType)
	reply = protowire.AppendString(reply, "E0000000000")
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(reply) // the caller may be gone
}

// parsePush reads PushInbound: 1 topic, 2 payload, 3 metadata.
func parsePush(body []byte) (topic string, payload []byte, metadata map[string]string, err error) {
	metadata = map[string]string{}
	err = eachField(body, func(number protowire.Number, value []byte) error {
		switch number {
		case 1:
			topic = string(value)
		case 2:
			payload = value
		case 3:
			var k, v string
			if err := eachField(value, func(number protowire.Number, value []byte) error {
				if number == 1 {
					k = string(value)
				} else {
					v = string(value)
				}
				return nil
			}); err != nil {
				return err
			}
			metadata[k] = v
		}
		return nil
	})
	return topic, payload, metadata, err
}

func eachField(body []byte, f func(protowire.Number, []byte) error) error {
	for len(body) > 0 {
		number, _, n := protowire.ConsumeTag(body)
		if n < 0 {
			return protowire.ParseError(n)
		}
		value, m := protowire.ConsumeBytes(body[n:])
		if m < 0 {
			return protowire.ParseError(m)
		}
		if err := f(number, value); err != nil {
			return err
		}
		body = body[n+m:]
	}
	return nil
}
