package storetest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/store/messages"
)

func (s *subject) claim(t *testing.T, peer, nonce string, until time.Time) bool {
	t.Helper()
	fresh, err := s.UseNonce(t.Context(), peer, nonce, until)
	require.NoError(t, err)
	return fresh
}

func testNonce(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	until := time.Now().Add(time.Minute)
	require.True(t, s.claim(t, "9999", "n", until))
	require.False(t, s.claim(t, "9999", "n", until))
	require.False(t, s.claim(t, "9999", "n", until.Add(time.Hour)))
	require.True(t, s.claim(t, "10000", "n", until), "of another peer")
	require.True(t, s.claim(t, "9999", "m", until.Add(time.Hour)))

	removed, err := s.Sweep(t.Context(), until.Add(-time.Second), time.Hour)
	require.NoError(t, err)
	require.Zero(t, removed)
	require.False(t, s.claim(t, "9999", "n", until))
	removed, err = s.Sweep(t.Context(), until.Add(time.Second), time.Hour)
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	require.True(t, s.claim(t, "9999", "n", until))
	require.False(t, s.claim(t, "9999", "m", until))
}

func testNonceRace(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	var fresh atomic.Int32
	var wg sync.WaitGroup
	errs := make(chan error, 20)
	for range 20 {
		wg.Go(func() {
			ok, err := s.UseNonce(t.Context(), "9999", "n", time.Now().Add(time.Minute))
			if ok {
				fresh.Add(1)
			}
			errs <- err
		})
	}
	wg.Wait()
	close(errs)
	require.NoError(t, joined(errs))
	require.EqualValues(t, 1, fresh.Load())
}

func testNonceCrash(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	until := time.Now().Add(time.Minute)
	require.True(t, s.claim(t, "9999", "n", until))
	s.crash(t)
	require.False(t, s.claim(t, "9999", "n", until))
}

func testQueueCrash(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	large := messages.Message{ID: "large", Source: "9999", Payload: random(2 << 20)}
	s.push(t, c, text("a"), text("b"), text("c"), large)
	s.pop(t, c)
	b := s.next(t, c, "", 0)
	s.next(t, c, "", b.Sequence)
	s.crash(t)
	require.Equal(t, "c", s.pop(t, c).ID)
	require.Equal(t, large.Payload, s.pop(t, c).Payload)
	s.requireEmpty(t, c)
}

func testSequenceCrash(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	last := int64(0)
	for i := range 5 {
		s.push(t, c, text("%d", i))
		m := s.next(t, c, "", last)
		last = m.Sequence
		s.pop(t, c) // nothing of it is left
		s.crash(t)
	}
}

func testSweepIdle(t *testing.T, s *subject) {
	live := newChannel()
	s.open(t, messages.Options{Live: func(session string) bool { return session == live.Session }})
	c := newChannel()
	s.push(t, c, text("a"), messages.Message{ID: "b", Payload: random(100 << 10)})
	s.pop(t, c)
	s.push(t, live, text("a"))
	const idle = 30 * time.Minute
	removed, err := s.Sweep(t.Context(), time.Now().Add(idle-time.Minute), idle)
	require.NoError(t, err)
	require.Zero(t, removed)
	removed, err = s.Sweep(t.Context(), time.Now().Add(idle+time.Minute), idle)
	require.NoError(t, err)
	require.Equal(t, 1, removed)
	s.requireEmpty(t, c)
	s.push(t, c, text("a"))
	require.Equal(t, []string{"a"}, s.drain(t, c), "the tombstone is gone")
	require.Equal(t, []string{"a"}, s.drain(t, live))
}

func testSweepBlocked(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	for range 20 {
		c := newChannel()
		out := s.goPop(t.Context(), c, time.Hour)
		s.letBlock(t)
		_, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute)
		require.NoError(t, err)
		s.push(t, c, text("a"))
		o := await(t, out)
		require.NoError(t, o.err)
		require.Equal(t, "a", o.m.ID)
	}
}
