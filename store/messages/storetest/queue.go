package storetest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

func testFIFO(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	for i := range 1000 {
		s.push(t, c, text("%d", i))
	}
	last := int64(0)
	for i := range 1000 {
		m := s.pop(t, c)
		require.Equal(t, fmt.Sprint(i), string(m.Payload))
		require.Greater(t, m.Sequence, last)
		last = m.Sequence
	}
	s.requireEmpty(t, c)
}

func testDepth(t *testing.T, s *subject) {
	const depth = 10_000
	s.open(t, messages.Options{})
	c := newChannel()
	for i := range depth {
		s.push(t, c, text("%d", i))
	}
	ack := int64(0)
	for i := range depth {
		m := s.next(t, c, "", ack)
		require.Equal(t, fmt.Sprint(i), m.ID)
		ack = m.Sequence
	}
}

func testLarge(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	payload := random(64 << 20)
	s.push(t, c, messages.Message{ID: "a", Payload: payload}, messages.Message{ID: "b", Payload: payload})
	require.True(t, bytes.Equal(payload, s.pop(t, c).Payload))
	b := s.next(t, c, "", 0)
	require.True(t, bytes.Equal(payload, b.Payload))
	require.True(t, bytes.Equal(payload, s.next(t, c, "", 0).Payload), "a repeat is the same")
	_, ok, err := s.Next(t.Context(), c, "", b.Sequence, 0)
	require.NoError(t, err)
	require.False(t, ok)
}

// Implementations keep small and large payloads differently; the limits between them must not show.
func testSizes(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	for _, size := range []int{0, 1, 1023, 4096, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1} {
		payload := random(size)
		s.push(t, c, messages.Message{Source: "9999", Payload: payload})
		m := s.next(t, c, "", 0)
		require.True(t, bytes.Equal(payload, m.Payload), "next of %d bytes", size)
		m = s.pop(t, c)
		require.True(t, bytes.Equal(payload, m.Payload), "pop of %d bytes", size)
		require.NoError(t, s.Unpop(t.Context(), c, m))
		again := s.pop(t, c)
		require.True(t, bytes.Equal(payload, again.Payload), "pop of %d bytes after unpop", size)
		require.Equal(t, m.Sequence, again.Sequence)
		require.Equal(t, "9999", again.Source)
	}
}

func testConcurrent(t *testing.T, s *subject) {
	const writers, readers, each = 4, 4, 250
	s.open(t, messages.Options{})
	c := newChannel()
	var mu sync.Mutex
	seen := map[string]int{}
	total := make(chan struct{}, writers*each)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	errs := make(chan error, writers+readers)
	var reading, writing sync.WaitGroup
	for range readers {
		reading.Go(func() {
			for {
				m, ok, err := s.Pop(ctx, c, "", patience)
				if ctx.Err() != nil {
					return
				}
				if err != nil || !ok {
					errs <- fmt.Errorf("pop: ok %v: %w", ok, err)
					return
				}
				mu.Lock()
				seen[string(m.Payload)]++
				mu.Unlock()
				total <- struct{}{}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				m := text("%d/%d", w, i)
				// Twice: a retry at any time is the same push.
				for range 2 {
					if err := s.Push(ctx, c, m, patience); err != nil {
						errs <- err
						return
					}
				}
			}
		})
	}
	writing.Wait()
	for range writers * each {
		select {
		case <-total:
		case err := <-errs:
			require.NoError(t, err)
		case <-time.After(patience):
			require.FailNow(t, "messages are missing")
		}
	}
	stop()
	reading.Wait()
	close(errs)
	require.NoError(t, joined(errs))
	require.Len(t, seen, writers*each)
	for id, n := range seen {
		require.Equal(t, 1, n, "message %s", id)
	}
	s.requireEmpty(t, c)
}

func testOrderPerSource(t *testing.T, s *subject) {
	const writers, each = 4, 100
	s.open(t, messages.Options{})
	c := newChannel()
	errs := make(chan error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				m := messages.Message{ID: fmt.Sprint(i), Source: fmt.Sprint(w)}
				if err := s.Push(t.Context(), c, m, 0); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	next, ack := map[string]int{}, int64(0)
	for range writers * each {
		m := s.next(t, c, "", ack)
		require.Equal(t, fmt.Sprint(next[m.Source]), m.ID, "source %s", m.Source)
		next[m.Source]++
		ack = m.Sequence
	}
	wg.Wait()
	close(errs)
	require.NoError(t, joined(errs))
}

func testBlockedPop(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	for i := range 50 {
		c := newChannel()
		out := s.goPop(t.Context(), c, patience)
		s.push(t, messages.Channel{Session: c.Session, Topic: "other"}, text("other"))
		s.push(t, c, text("%d", i))
		o := await(t, out)
		require.NoError(t, o.err)
		require.True(t, o.ok)
		require.Equal(t, fmt.Sprint(i), o.m.ID)
	}
}

func testPopTimeout(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	s.push(t, c, text("from 9999"))
	const wait = 20 * time.Millisecond
	start := time.Now()
	_, ok, err := s.Pop(t.Context(), c, "10000", wait)
	require.NoError(t, err)
	require.False(t, ok)
	require.GreaterOrEqual(t, time.Since(start), wait)
	_, ok, err = s.Next(t.Context(), newChannel(), "", 0, wait)
	require.NoError(t, err)
	require.False(t, ok)
}

func testCancel(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	var received []string
	const rounds = 200
	for i := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		out := s.goPop(ctx, c, patience)
		pushed := s.goPush(t.Context(), c, text("%d", i), 0)
		cancel() // at any moment of the two
		require.NoError(t, await(t, pushed).err)
		switch o := await(t, out); {
		case o.ok:
			require.NoError(t, o.err)
			received = append(received, o.m.ID)
		default:
			require.ErrorIs(t, o.err, context.Canceled)
			require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(o.err))
		}
	}
	received = append(received, s.drain(t, c)...)
	require.Len(t, received, rounds)
	for i, id := range received {
		require.Equal(t, fmt.Sprint(i), id)
	}
}

func testUnpop(t *testing.T, s *subject) {
	s.open(t, messages.Options{SessionBytes: 3 * messages.Cost(text("1"))})
	c := newChannel()
	s.push(t, c, text("1"), text("2"), text("3"))
	first := s.pop(t, c)
	s.push(t, c, text("4")) // takes the room of the first
	require.NoError(t, s.Unpop(t.Context(), c, first))
	require.NoError(t, s.Unpop(t.Context(), c, first), "a repeat is no second message")
	require.Equal(t, "1", s.pop(t, c).ID)
	requireVerdict(t, s.Push(t.Context(), c, text("5"), 0), messages.ErrFull)
	require.Equal(t, []string{"2", "3", "4"}, s.drain(t, c))

	s.push(t, c, text("5"))
	fifth := s.pop(t, c)
	require.NoError(t, s.Release(t.Context(), c.Session, c.Topic))
	for range 2 {
		requireVerdict(t, s.Unpop(t.Context(), c, fifth), messages.ErrReleased)
		s.requireEmpty(t, c)
		s.crash(t)
	}

	s.push(t, c, text("6"))
	sixth := s.pop(t, c)
	out := s.goPop(t.Context(), c, patience)
	s.letBlock(t)
	require.NoError(t, s.Unpop(t.Context(), c, sixth), "wakes a reader")
	require.Equal(t, "6", await(t, out).m.ID)

	sixth.Sequence = 1000
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.Unpop(t.Context(), c, sixth)))
}

func testDuplicate(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	other := messages.Channel{Session: c.Session, Topic: "other"}
	large := messages.Message{ID: "large", Source: "9999", Payload: random(100 << 10)}
	s.push(t, c, text("a"), text("a"), large, large)
	s.push(t, other, text("a"))
	elsewhere := text("a")
	elsewhere.Source = "10000"
	s.push(t, c, elsewhere)
	require.Equal(t, []string{"a", "large", "a"}, s.drain(t, c))
	require.Equal(t, []string{"a"}, s.drain(t, other))

	s.push(t, c, text("a"), large)
	s.requireEmpty(t, c)
	s.crash(t)
	s.push(t, c, text("a"), large)
	s.requireEmpty(t, c)
	require.NoError(t, s.Release(t.Context(), c.Session, ""))
	s.push(t, c, text("a"))
	s.requireEmpty(t, c)
}

func testNoID(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	m := messages.Message{Source: "9999", Payload: []byte("x")}
	s.push(t, c, m, m)
	require.Less(t, s.pop(t, c).Sequence, s.pop(t, c).Sequence)
	s.requireEmpty(t, c)
}

func testSource(t *testing.T, s *subject) {
	s.open(t, messages.Options{})
	c := newChannel()
	for i, source := range []string{"9999", "10000", "", "9999"} {
		s.push(t, c, messages.Message{ID: fmt.Sprint(i), Source: source})
	}
	for _, want := range []string{"1", "2", ""} {
		m, _, err := s.Pop(t.Context(), c, "10000", 0)
		require.NoError(t, err)
		require.Equal(t, want, m.ID)
	}
	require.Equal(t, []string{"0", "3"}, s.drain(t, c))
}
