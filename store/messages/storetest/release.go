package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

func testReleaseTopic(t *testing.T, s *subject) {
	s.open(t, tight)
	c := newChannel()
	other := messages.Channel{Session: c.Session, Topic: "other"}
	s.push(t, other, text("kept"))
	fill(t, s, c, 100<<10)
	for range 2 {
		require.NoError(t, s.Release(t.Context(), c.Session, c.Topic))
	}
	s.requireEmpty(t, c)
	s.push(t, c, text("after"))
	require.Equal(t, []string{"after"}, s.drain(t, c))
	require.Equal(t, []string{"kept"}, s.drain(t, other))
	require.Equal(t, 10, fill(t, s, messages.Channel{Session: c.Session, Topic: "again"}, 100<<10))
}

func testReleaseSession(t *testing.T, s *subject) {
	s.open(t, tight)
	c, elsewhere := newChannel(), newChannel()
	other := messages.Channel{Session: c.Session, Topic: "other"}
	s.push(t, elsewhere, text("kept"))
	s.push(t, other, text("gone"))
	s.push(t, c, text("gone"))
	last := s.next(t, c, "", 0).Sequence
	for range 2 {
		require.NoError(t, s.Release(t.Context(), c.Session, ""))
	}
	require.NoError(t, s.Release(t.Context(), newChannel().Session, ""), "unknown session")
	s.requireEmpty(t, c)
	s.requireEmpty(t, other)
	s.crash(t)
	s.requireEmpty(t, c)
	s.push(t, c, text("after"))
	require.Greater(t, s.next(t, c, "", 0).Sequence, last, "sequences are not used again")
	require.Equal(t, []string{"kept"}, s.drain(t, elsewhere))
}

func testReleaseWakesReaders(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	for _, scope := range []string{"topic", ""} {
		c := messages.Channel{Session: newChannel().Session, Topic: "topic"}
		other := s.goPop(t.Context(), messages.Channel{Session: c.Session + "x", Topic: "topic"}, patience)
		o := awaitWhile(t, s.goPop(t.Context(), c, time.Hour), func() error {
			return s.Release(t.Context(), c.Session, scope)
		})
		requireVerdict(t, o.err, messages.ErrReleased)
		require.False(t, o.ok)
		s.push(t, messages.Channel{Session: c.Session + "x", Topic: "topic"}, text("a"))
		require.True(t, await(t, other).ok, "a reader of another session stays")
	}
}

func testReleaseWakesWriters(t *testing.T, s *subject) {
	s.open(t, tight)
	full := newChannel()
	fill(t, s, full, 100<<10)
	c := messages.Channel{Session: full.Session, Topic: "topic"}
	late := messages.Message{ID: "late", Payload: random(50 << 10)}
	out := s.goPush(t.Context(), c, late, time.Hour)
	o := awaitWhile(t, out, func() error { return s.Release(t.Context(), c.Session, c.Topic) })
	requireVerdict(t, o.err, messages.ErrReleased)

	// Release of the session makes room as well, so a push that comes too late to wait succeeds: try again.
	require.Eventually(t, func() bool {
		full := newChannel()
		fill(t, s, full, 100<<10)
		out := s.goPush(t.Context(), full, late, time.Hour)
		s.letBlock(t)
		require.NoError(t, s.Release(t.Context(), full.Session, ""))
		return errors.Is(await(t, out).err, messages.ErrReleased)
	}, patience, time.Millisecond)
}

// requireQuarantined checks that c's session answers released to everything.
func requireQuarantined(t *testing.T, s *subject, c messages.Channel, popped messages.Message) {
	t.Helper()
	requireVerdict(t, s.Push(t.Context(), c, text("late"), patience), messages.ErrReleased)
	_, _, err := s.Pop(t.Context(), c, "", patience)
	requireVerdict(t, err, messages.ErrReleased)
	_, _, err = s.Next(t.Context(), c, "", 0, patience)
	requireVerdict(t, err, messages.ErrReleased)
	requireVerdict(t, s.Unpop(t.Context(), c, popped), messages.ErrReleased)
	require.NoError(t, s.Release(t.Context(), c.Session, ""))
}

func testQuarantine(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c, other := newChannel(), newChannel()
	s.push(t, other, text("kept"))
	s.push(t, c, text("a"), text("b"), messages.Message{Payload: random(100 << 10)})
	popped := s.pop(t, c)
	for range 2 {
		require.NoError(t, s.CloseSession(t.Context(), c.Session, time.Minute))
		requireQuarantined(t, s, c, popped)
	}
	removed, err := s.Sweep(t.Context(), time.Now().Add(59*time.Second), time.Hour)
	require.NoError(t, err)
	require.Zero(t, removed)
	requireQuarantined(t, s, c, popped)

	removed, err = s.Sweep(t.Context(), time.Now().Add(2*time.Minute), time.Hour)
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	s.push(t, c, text("a"))
	require.Equal(t, []string{"a"}, s.drain(t, c))
	require.Equal(t, []string{"kept"}, s.drain(t, other))
}

func testQuarantineCrash(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c, unknown := newChannel(), newChannel()
	s.push(t, c, text("a"), text("b"))
	popped := s.pop(t, c)
	require.NoError(t, s.CloseSession(t.Context(), c.Session, time.Minute))
	require.NoError(t, s.CloseSession(t.Context(), unknown.Session, time.Minute))
	s.crash(t)
	requireQuarantined(t, s, c, popped)
	requireQuarantined(t, s, unknown, popped)
}

func testCloseWakes(t *testing.T, s *subject) {
	s.open(t, tight)
	for range 20 {
		c := newChannel()
		fill(t, s, c, 100<<10)
		late := messages.Message{ID: "late", Payload: random(50 << 10)}
		calls := []<-chan outcome{
			s.goPop(t.Context(), messages.Channel{Session: c.Session, Topic: "other"}, time.Hour),
			s.goPush(t.Context(), c, late, time.Hour),
		}
		s.letBlock(t)
		require.NoError(t, s.CloseSession(t.Context(), c.Session, time.Minute))
		for _, out := range calls {
			requireVerdict(t, await(t, out).err, messages.ErrReleased)
		}
	}
}

func testCloseForgets(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	s.push(t, c, text("a"), text("b"))
	s.pop(t, c)
	require.NoError(t, s.CloseSession(t.Context(), c.Session, 0))
	require.Eventually(t, func() bool { return s.Push(t.Context(), c, text("a"), 0) == nil }, patience, time.Millisecond)
	require.Equal(t, []string{"a"}, s.drain(t, c), "the tombstone is gone")
}

func testClose(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	s.push(t, c, text("kept"))
	out := s.goPop(t.Context(), newChannel(), time.Hour)
	require.NoError(t, s.Close())
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(await(t, out).err))
	require.NoError(t, s.Close(), "a repeat")
	for name, call := range map[string]func() error{
		"push":    func() error { return s.Push(t.Context(), c, text("a"), 0) },
		"pop":     func() error { _, _, err := s.Pop(t.Context(), c, "", 0); return err },
		"next":    func() error { _, _, err := s.Next(t.Context(), c, "", 0, 0); return err },
		"unpop":   func() error { return s.Unpop(t.Context(), c, messages.Message{Sequence: 1}) },
		"release": func() error { return s.Release(t.Context(), c.Session, "") },
		"close":   func() error { return s.CloseSession(t.Context(), c.Session, 0) },
		"nonce":   func() error { _, err := s.UseNonce(t.Context(), "9999", "n", time.Now()); return err },
		"sweep":   func() error { _, err := s.Sweep(t.Context(), time.Now(), 0); return err },
	} {
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(call()), name)
	}
	s.openPlace(t)
	require.Equal(t, []string{"kept"}, s.drain(t, c))
}
