package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/store/messages"
)

func testNextRepeats(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	s.push(t, c, text("a"), text("b"))
	first := s.next(t, c, "", 0)
	require.Equal(t, first, s.next(t, c, "", 0))
	s.crash(t)
	require.Equal(t, first, s.next(t, c, "", 0))
	second := s.next(t, c, "", first.Sequence)
	require.Equal(t, "b", second.ID)
	require.Equal(t, second, s.next(t, c, "", 0), "the first is gone")
	require.Equal(t, []string{"b"}, s.drain(t, c))
}

func testNextGap(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	gone := text("gone")
	gone.Source = "10000"
	s.push(t, c, text("a"), gone, text("b"))
	_, ok, err := s.Pop(t.Context(), c, "10000", 0)
	require.NoError(t, err)
	require.True(t, ok)
	a := s.next(t, c, "", 0)
	require.Equal(t, "a", a.ID)
	require.Equal(t, "b", s.next(t, c, "", a.Sequence).ID)
	require.Equal(t, "b", s.next(t, c, "", a.Sequence+1).ID, "acknowledges the missing one")
}

func testNextSource(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	other := text("other")
	other.Source = "10000"
	s.push(t, c, other, text("a"), text("b"))
	a := s.next(t, c, "9999", 0)
	require.Equal(t, "a", a.ID)
	require.Equal(t, "b", s.next(t, c, "9999", a.Sequence).ID)
	require.Equal(t, "other", s.next(t, c, "", 0).ID, "is not acknowledged with those of 9999")
}

func testNextBeyond(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	s.push(t, c, text("a"))
	_, ok, err := s.Next(t.Context(), c, "", 1<<40, 0)
	require.NoError(t, err)
	require.False(t, ok)
	s.push(t, c, text("b"))
	require.Equal(t, "b", s.next(t, c, "", 0).ID)
	_, _, err = s.Next(t.Context(), c, "", -1<<40, 0)
	require.NoError(t, err)
	require.Equal(t, "b", s.next(t, c, "", 0).ID)
}

// An acknowledgement on one channel must not reach the messages of another.
func testNextNeighbours(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	channels := []messages.Channel{c, {Session: c.Session, Topic: "other"}, {Session: c.Session}, newChannel()}
	for _, c := range channels {
		s.push(t, c, text("a"), text("b"), text("c"))
	}
	ack := s.next(t, channels[1], "", s.next(t, channels[1], "", 0).Sequence).Sequence
	require.Equal(t, "c", s.next(t, channels[1], "", ack).ID)
	_, _, err := s.Next(t.Context(), channels[1], "", 1<<62, 0)
	require.NoError(t, err)
	for i, want := range [][]string{{"a", "b", "c"}, nil, {"a", "b", "c"}, {"a", "b", "c"}} {
		require.Equal(t, want, s.drain(t, channels[i]))
	}
}
