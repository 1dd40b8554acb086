package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow/store/messages"
)

// testModel runs random calls against the store and against a list in memory.
func testModel(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	rapid.Check(t, func(rt *rapid.T) {
		m := model{t: rt, store: s, tt: t, session: newChannel().Session, topics: map[string]*modelTopic{}}
		rt.Repeat(map[string]func(*rapid.T){
			"push": m.push, "pop": m.pop, "next": m.next, "unpop": m.unpop, "release": m.release, "close": m.close,
		})
	})
}

type modelTopic struct {
	queue  []messages.Message
	seen   map[string]bool
	popped *messages.Message // the last one, while it may come back
}

type model struct {
	t       *rapid.T
	tt      *testing.T
	store   messages.Store
	session string
	topics  map[string]*modelTopic
}

func (m *model) draw(t *rapid.T) (messages.Channel, *modelTopic, string) {
	topic := rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "topic")
	source := rapid.SampledFrom([]string{"", "9999", "10000"}).Draw(t, "source")
	mt := m.topics[topic]
	if mt == nil {
		mt = &modelTopic{seen: map[string]bool{}}
		m.topics[topic] = mt
	}
	return messages.Channel{Session: m.session, Topic: topic}, mt, source
}

func (m *model) push(t *rapid.T) {
	c, topic, source := m.draw(t)
	id := rapid.SampledFrom([]string{"", "1", "2", "3", "4"}).Draw(t, "id")
	msg := messages.Message{ID: id, Source: source, Payload: []byte(fmt.Sprint(source, "/", id))}
	require.NoError(t, m.store.Push(m.tt.Context(), c, msg, 0))
	if key := source + "/" + id; id == "" || !topic.seen[key] {
		topic.seen[key] = true
		topic.queue = append(topic.queue, msg)
	}
}

func visible(source string) func(messages.Message) bool {
	return func(m messages.Message) bool { return source == "" || m.Source == source || m.Source == "" }
}

// settle compares what was read with the model's message at i, and takes over its sequence.
func (m *model) settle(t *rapid.T, topic *modelTopic, i int, got messages.Message, ok bool, err error) bool {
	require.NoError(t, err)
	require.Equal(t, i >= 0, ok)
	if !ok {
		return false
	}
	want := &topic.queue[i]
	if want.Sequence == 0 {
		want.Sequence = got.Sequence
	}
	require.Equal(t, *want, got)
	return true
}

func (m *model) pop(t *rapid.T) {
	c, topic, source := m.draw(t)
	i := slices.IndexFunc(topic.queue, visible(source))
	got, ok, err := m.store.Pop(m.tt.Context(), c, source, 0)
	if m.settle(t, topic, i, got, ok, err) {
		topic.popped = nil
		if i == 0 { // only a head can be put back to where the model knows it
			topic.popped = &got
		}
		topic.queue = slices.Delete(topic.queue, i, i+1)
	}
}

func (m *model) unpop(t *rapid.T) {
	c, topic, _ := m.draw(t)
	if topic.popped == nil {
		t.Skip("nothing was popped")
	}
	require.NoError(t, m.store.Unpop(m.tt.Context(), c, *topic.popped))
	topic.queue = slices.Insert(topic.queue, 0, *topic.popped)
	topic.popped = nil
}

func (m *model) next(t *rapid.T) {
	c, topic, source := m.draw(t)
	ack := int64(0)
	if len(topic.queue) > 0 {
		ack = topic.queue[0].Sequence // zero when it was never read
	}
	topic.queue = slices.DeleteFunc(topic.queue, func(msg messages.Message) bool {
		return msg.Sequence != 0 && msg.Sequence <= ack && visible(source)(msg)
	})
	i := slices.IndexFunc(topic.queue, func(msg messages.Message) bool {
		return visible(source)(msg) && (msg.Sequence == 0 || msg.Sequence > ack)
	})
	got, ok, err := m.store.Next(m.tt.Context(), c, source, ack, 0)
	m.settle(t, topic, i, got, ok, err)
}

func (m *model) release(t *rapid.T) {
	c, topic, _ := m.draw(t)
	require.NoError(t, m.store.Release(m.tt.Context(), c.Session, c.Topic))
	topic.queue, topic.popped = nil, nil
	if c.Topic == "" {
		for _, topic := range m.topics {
			topic.queue, topic.popped = nil, nil
		}
	}
}

func (m *model) close(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		t.Skip("too often closed, nothing happens in a session")
	}
	require.NoError(t, m.store.CloseSession(m.tt.Context(), m.session, 0))
	m.session, m.topics = newChannel().Session, map[string]*modelTopic{}
}
