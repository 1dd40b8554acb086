package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

// jobOf is the job of a session of these tests: what is before the slash.
func jobOf(session string) string {
	job, _, _ := strings.Cut(session, "/")
	return job
}

// in is a channel of a new session of a job.
func in(job string) messages.Channel {
	c := newChannel()
	c.Session = job + "/" + c.Session
	return c
}

// fillFrom pushes messages of a source until there is no room, and returns how many there was room for, and the refusal.
func fillFrom(t *testing.T, s *subject, c messages.Channel, source string, size int) (n int, full error) {
	t.Helper()
	for ; ; n++ {
		err := s.Push(t.Context(), c, messages.Message{ID: fmt.Sprint("fill", n), Source: source, Payload: random(size)}, 0)
		if err != nil {
			requireVerdict(t, err, messages.ErrFull)
			return n, err
		}
	}
}

// Long keys are refused before anything is written, and those that are not are paid for.
func testKeys(t *testing.T, s *subject) {
	s.open(t, tight)
	long := func(n int) string { return strings.Repeat("x", n) }
	c := newChannel()
	for name, call := range map[string]func() error{
		"id": func() error { return s.Push(t.Context(), c, messages.Message{ID: long(messages.MaxID + 1)}, 0) },
		"source": func() error {
			return s.Push(t.Context(), c, messages.Message{Source: long(messages.MaxSource + 1)}, 0)
		},
		"topic": func() error {
			return s.Push(t.Context(), messages.Channel{Session: c.Session, Topic: long(messages.MaxTopic + 1)}, text("a"), 0)
		},
		"session": func() error {
			return s.Push(t.Context(), messages.Channel{Session: long(messages.MaxSession + 1)}, text("a"), 0)
		},
	} {
		err := call()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "the "+name+" of a message has")
	}
	empty := 0
	for err := error(nil); err == nil; empty++ {
		id := fmt.Sprintf("%0*d", messages.MaxID, empty)
		err = s.Push(t.Context(), c, messages.Message{ID: id, Source: long(messages.MaxSource)}, 0)
	}
	require.LessOrEqual(t, empty, 1+int(tight.SessionBytes)/(messages.MaxID+messages.MaxSource), "keys are counted")
}

// Each account stops its own, names itself, lets others go on, and takes again once something of it has ended.
func testShared(t *testing.T, s *subject) {
	const size = 100 << 10
	for name, test := range map[string]struct {
		limit  func(*messages.Options)
		second messages.Channel // shares the account that is full
		source string
		other  messages.Channel // does not, unless everything does
		from   string
		what   string
	}{
		"job":    {func(o *messages.Options) { o.JobBytes = 3 << 19 }, in("a"), "9999", in("b"), "9999", "messages of job a"},
		"source": {func(o *messages.Options) { o.PeerBytes = 3 << 19 }, in("b"), "9999", in("b"), "10000", "messages from party 9999"},
		"all":    {func(o *messages.Options) { o.TotalBytes = 3 << 19 }, in("b"), "10000", messages.Channel{}, "", "all messages"},
	} {
		o := tight
		o.Job = jobOf
		test.limit(&o)
		s.open(t, o)
		first := in("a")
		n, _ := fillFrom(t, s, first, "9999", size)
		require.Equal(t, 10, n, name)
		more, err := fillFrom(t, s, test.second, test.source, size)
		require.Equal(t, 5, more, name)
		require.ErrorContains(t, err, test.what, name)
		require.ErrorContains(t, err, fmt.Sprint(3<<19), name)
		if test.other.Session != "" {
			require.NoError(t, s.Push(t.Context(), test.other, messages.Message{ID: "other", Source: test.from, Payload: random(size)}, 0), name)
		}
		require.NoError(t, s.CloseSession(t.Context(), first.Session, time.Minute))
		again, err := fillFrom(t, s, messages.Channel{Session: test.second.Session, Topic: "again"}, test.source, size)
		require.Equal(t, 5, again, "the session itself is full: %v", err)
		require.NoError(t, s.CloseSession(t.Context(), test.second.Session, time.Minute))
		third := in(jobOf(test.second.Session))
		n, _ = fillFrom(t, s, third, test.source, size)
		require.Equal(t, 10, n, "%s: all room is back", name)
	}
}

// Pushes at the same time do not get more room than there is.
func testSharedRace(t *testing.T, s *subject) {
	const size, writers, room = 10 << 10, 8, 40
	o := tight
	o.Job = func(string) string { return "job" }
	o.JobBytes = room * (size + 1<<10)
	s.open(t, o)
	var stored atomic.Int64
	var writing sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		writing.Go(func() {
			c := newChannel()
			for i := range room {
				err := s.Push(t.Context(), c, messages.Message{ID: fmt.Sprint(w, i), Source: fmt.Sprint(w), Payload: random(size)}, 0)
				switch openflow.CodeOf(err) {
				case "":
					stored.Add(1)
				case openflow.CodeExhausted:
				default:
					errs <- err
				}
			}
		})
	}
	writing.Wait()
	close(errs)
	require.NoError(t, joined(errs))
	require.LessOrEqual(t, stored.Load()*size, o.JobBytes)
	require.GreaterOrEqual(t, stored.Load(), int64(room*3/4), "refused pushes hold no room")
}

func testSharedCrash(t *testing.T, s *subject) {
	o := tight
	o.Job, o.JobBytes = jobOf, 3<<19
	s.open(t, o)
	first, second := in("a"), in("a")
	fillFrom(t, s, first, "9999", 100<<10)
	n, _ := fillFrom(t, s, second, "10000", 100<<10)
	s.pop(t, second)
	s.crash(t)
	require.NoError(t, s.Push(t.Context(), second, messages.Message{ID: "room", Payload: random(100 << 10)}, 0), "of what was read")
	requireVerdict(t, s.Push(t.Context(), second, messages.Message{ID: "full", Payload: random(100 << 10)}, 0), messages.ErrFull)
	require.Len(t, s.drain(t, second), n)
	require.NoError(t, s.CloseSession(t.Context(), first.Session, time.Minute))
	require.NoError(t, s.CloseSession(t.Context(), second.Session, time.Minute))
	again, _ := fillFrom(t, s, in("a"), "9999", 100<<10)
	require.Equal(t, 10, again)
	more, _ := fillFrom(t, s, in("a"), "9999", 100<<10)
	require.Equal(t, n, more, "nothing is lost or held twice")
}

func testSharedWakes(t *testing.T, s *subject) {
	o := tight
	o.Job, o.JobBytes = jobOf, 3<<19
	s.open(t, o)
	first, second := in("a"), in("a")
	fillFrom(t, s, first, "9999", 100<<10)
	fillFrom(t, s, second, "9999", 100<<10)
	out := s.goPush(t.Context(), second, messages.Message{ID: "late", Payload: random(100 << 10)}, patience)
	s.letBlock(t)
	s.pop(t, first)
	require.NoError(t, await(t, out).err)
}

// What was read is forgotten but for its ID, and a session remembers so many. No repeat helps, so the sender is told at
// once; other sessions go on, and the end of the session gives all of it back.
func testRemembered(t *testing.T, s *subject) {
	o := messages.Options{SessionBytes: 64 << 10, MessageBytes: 1 << 10, JobBytes: 100 << 10, Job: jobOf}
	s.open(t, o)
	c := in("a")
	var err error
	n := 0
	for ; err == nil && n < 1000; n++ {
		if err = s.Push(t.Context(), c, text("%d", n), patience); err == nil {
			s.pop(t, c)
		}
	}
	requireVerdict(t, err, messages.ErrSpent)
	require.NoError(t, s.Push(t.Context(), c, text("0"), 0), "a repeat is none")
	s.requireEmpty(t, c)
	require.NoError(t, s.Push(t.Context(), c, messages.Message{Payload: []byte("without ID")}, 0))
	s.pop(t, c)
	s.crash(t)
	requireVerdict(t, s.Push(t.Context(), c, text("more"), 0), messages.ErrSpent)
	topic := messages.Channel{Session: c.Session, Topic: "another"}
	requireVerdict(t, s.Push(t.Context(), topic, messages.Message{}, 0), messages.ErrSpent)
	other := in("a")
	_, err = fillFrom(t, s, other, "9999", 1<<10)
	require.ErrorContains(t, err, "messages of job a", "what is remembered counts for the job too")
	require.NoError(t, s.CloseSession(t.Context(), c.Session, time.Minute))
	require.NoError(t, s.Push(t.Context(), other, text("room"), 0))
}

// A large payload comes into memory only if its reader has room for it. Otherwise it stays, for every kind of reader.
func testReaderWithoutRoom(t *testing.T, s *subject) {
	const size = 2 << 20
	full := openflow.Errorf(openflow.CodeUnavailable, "no room")
	var asked atomic.Int64
	var has atomic.Bool
	s.open(t, messages.Options{Room: func(_ context.Context, bytes int64) error {
		asked.Store(bytes)
		if has.Load() {
			return nil
		}
		return full
	}})
	c := newChannel()
	require.NoError(t, s.Push(t.Context(), c, text("small"), 0))
	s.pop(t, c)
	require.Zero(t, asked.Load())
	require.NoError(t, s.Push(t.Context(), c, messages.Message{ID: "large", Payload: random(size)}, 0))
	for range 2 {
		_, _, err := s.Pop(t.Context(), c, "", patience)
		require.ErrorIs(t, err, full)
		_, _, err = s.Next(t.Context(), c, "", 0, patience)
		require.ErrorIs(t, err, full)
	}
	require.Equal(t, int64(size), asked.Load())
	has.Store(true)
	m, ok, err := s.Next(t.Context(), c, "", 0, 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, m.Payload, size)
	s.pop(t, c)
	s.requireEmpty(t, c)
}
