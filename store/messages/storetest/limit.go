package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

// fill pushes equal messages to c until there is no room, and returns how many there was room for.
func fill(t *testing.T, s *subject, c messages.Channel, size int) (n int) {
	t.Helper()
	for ; ; n++ {
		err := s.Push(t.Context(), c, messages.Message{ID: fmt.Sprint("fill", n), Payload: random(size)}, 0)
		if err != nil {
			requireVerdict(t, err, messages.ErrFull)
			return n
		}
	}
}

var tight = messages.Options{SessionBytes: 1 << 20, MessageBytes: 128 << 10}

func testBackPressure(t *testing.T, s *subject) {
	s.open(t, tight)
	c := newChannel()
	n := fill(t, s, c, 100<<10)
	require.Equal(t, 10, n)
	s.push(t, c, messages.Message{ID: "fill0", Payload: random(100 << 10)}) // a repeat needs no room
	s.push(t, newChannel(), text("other session"))
	requireVerdict(t, s.Push(t.Context(), messages.Channel{Session: c.Session, Topic: "other"},
		messages.Message{Payload: random(100 << 10)}, 0), messages.ErrFull)

	out := s.goPush(t.Context(), c, messages.Message{ID: "late", Payload: random(100 << 10)}, patience)
	s.letBlock(t)
	require.Equal(t, "fill0", s.pop(t, c).ID)
	require.NoError(t, await(t, out).err)
	want := []string{}
	for i := 1; i < n; i++ {
		want = append(want, fmt.Sprint("fill", i))
	}
	require.Equal(t, append(want, "late"), s.drain(t, c))
	require.Equal(t, n, fill(t, s, messages.Channel{Session: c.Session, Topic: "again"}, 100<<10),
		"all room is back")
}

func testBackPressureAck(t *testing.T, s *subject) {
	s.open(t, tight)
	c := newChannel()
	fill(t, s, c, 1<<10)
	out := s.goPush(t.Context(), c, messages.Message{ID: "late", Payload: random(1 << 10)}, patience)
	s.letBlock(t)
	second := s.next(t, c, "", s.next(t, c, "", 0).Sequence)
	require.Equal(t, "fill1", second.ID)
	require.NoError(t, await(t, out).err)
}

func testBackPressureCrash(t *testing.T, s *subject) {
	s.open(t, tight)
	c := newChannel()
	n := fill(t, s, c, 100<<10)
	s.pop(t, c)
	s.crash(t)
	s.push(t, c, messages.Message{ID: "one", Payload: random(100 << 10)})
	requireVerdict(t, s.Push(t.Context(), c, messages.Message{ID: "two", Payload: random(100 << 10)}, 0),
		messages.ErrFull)
	require.Len(t, s.drain(t, c), n)
	require.Equal(t, n, fill(t, s, messages.Channel{Session: c.Session, Topic: "again"}, 100<<10))
}

func testLimits(t *testing.T, s *subject) {
	s.open(t, tight)
	c := newChannel()
	s.push(t, c, messages.Message{Payload: random(int(tight.MessageBytes))})
	err := s.Push(t.Context(), c, messages.Message{Payload: random(int(tight.MessageBytes) + 1)}, 0)
	requireVerdict(t, err, messages.ErrTooLarge)
	s.pop(t, c)

	// No room may be lost by what was refused.
	require.Equal(t, 10, fill(t, s, c, 100<<10))

	for name, call := range map[string]func(messages.Channel) error{
		"push": func(c messages.Channel) error { return s.Push(t.Context(), c, text("a"), 0) },
		"pop":  func(c messages.Channel) error { _, _, err := s.Pop(t.Context(), c, "", 0); return err },
		"next": func(c messages.Channel) error { _, _, err := s.Next(t.Context(), c, "", 0, 0); return err },
		"unpop": func(c messages.Channel) error {
			return s.Unpop(t.Context(), c, messages.Message{Sequence: 1})
		},
		"release": func(c messages.Channel) error { return s.Release(t.Context(), c.Session, c.Topic) },
		"close":   func(c messages.Channel) error { return s.CloseSession(t.Context(), c.Session, 0) },
	} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(call(messages.Channel{Topic: "x"})), name)
	}
}
