package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

// Harness says how the implementation under test is reached.
type Harness struct {
	// New makes an empty place for one store, such as a folder or a key prefix.
	New func(t *testing.T) string
	// Open opens the store at a place. It also runs in the victim process of the kill tests.
	Open func(ctx context.Context, place string, o messages.Options) (messages.Store, error)
	// Crash returns where a new process finds what the owner of place would leave if it were killed now, while the
	// store at place stays open and is not used again. Nil: at place itself.
	Crash func(t *testing.T, place string) string
}

// patience is how long a call may take that should return at once, on a busy machine. Nothing takes that long when all
// is well.
const patience = 30 * time.Second

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, *subject){
		"FIFO over 1000 messages": testFIFO,
		"10000 queued messages":   testDepth,
		"64 MiB":                  testLarge,
		"payload sizes":           testSizes,
		"model":                   testModel,
		"concurrent push and pop": testConcurrent,
		"order per source under concurrent pushes":      testOrderPerSource,
		"a blocked pop gets what is pushed":             testBlockedPop,
		"a blocked pop gives up in time":                testPopTimeout,
		"a canceled pop loses nothing":                  testCancel,
		"unpop puts back at the head":                   testUnpop,
		"duplicate before and after consumption":        testDuplicate,
		"messages without ID are never duplicates":      testNoID,
		"source filter":                                 testSource,
		"acknowledged read repeats":                     testNextRepeats,
		"acknowledged read across gaps":                 testNextGap,
		"acknowledgement of one source":                 testNextSource,
		"acknowledgement beyond the end":                testNextBeyond,
		"acknowledged reads of neighbours":              testNextNeighbours,
		"back-pressure":                                 testBackPressure,
		"back-pressure ends by acknowledgement":         testBackPressureAck,
		"back-pressure survives a crash":                testBackPressureCrash,
		"limits":                                        testLimits,
		"keys are bounded":                              testKeys,
		"what jobs, sources and all share is bounded":   testShared,
		"what is shared holds for concurrent pushes":    testSharedRace,
		"what is shared survives a crash":               testSharedCrash,
		"room of another session wakes a writer":        testSharedWakes,
		"what a session remembers is bounded":           testRemembered,
		"a reader without room leaves the message":      testReaderWithoutRoom,
		"release of a topic":                            testReleaseTopic,
		"release of a session":                          testReleaseSession,
		"release wakes readers":                         testReleaseWakesReaders,
		"release wakes writers":                         testReleaseWakesWriters,
		"quarantine":                                    testQuarantine,
		"quarantine survives a crash":                   testQuarantineCrash,
		"close of a session wakes its callers":          testCloseWakes,
		"close of a session forgets it":                 testCloseForgets,
		"nonces":                                        testNonce,
		"a nonce is claimed once by concurrent callers": testNonceRace,
		"nonces survive a crash":                        testNonceCrash,
		"queues survive a crash":                        testQueueCrash,
		"sequences survive a crash":                     testSequenceCrash,
		"sweep of idle sessions":                        testSweepIdle,
		"sweep spares blocked callers":                  testSweepBlocked,
		"close of the store":                            testClose,
		"kill -9":                                       testKill,
	} {
		t.Run(name, func(t *testing.T) { test(t, &subject{Harness: h}) })
	}
}

// subject is the store of one test.
type subject struct {
	Harness
	messages.Store
	place string
	opts  messages.Options
}

func (s *subject) open(t *testing.T, o messages.Options) {
	t.Helper()
	s.place, s.opts = s.New(t), o
	s.openPlace(t)
}

func (s *subject) openPlace(t *testing.T) {
	t.Helper()
	store, err := s.Harness.Open(t.Context(), s.place, s.opts)
	require.NoError(t, err)
	s.Store = store
	t.Cleanup(func() { require.NoError(t, store.Close()) })
}

// crash goes on as a new process after the end of the old one.
func (s *subject) crash(t *testing.T) {
	t.Helper()
	if s.Crash != nil {
		s.place = s.Crash(t, s.place)
	}
	s.openPlace(t)
}

// newChannel is a channel that no other test uses.
func newChannel() messages.Channel {
	return messages.Channel{Session: uuid.NewString(), Topic: "guest-9999~host-10000~x"}
}

func text(format string, args ...any) messages.Message {
	s := fmt.Sprintf(format, args...)
	return messages.Message{ID: s, Source: "9999", Payload: []byte(s)}
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b) // never fails
	return b
}

func (s *subject) push(t *testing.T, c messages.Channel, ms ...messages.Message) {
	t.Helper()
	for _, m := range ms {
		require.NoError(t, s.Push(t.Context(), c, m, 0))
	}
}

// pop takes a message that must be there.
func (s *subject) pop(t *testing.T, c messages.Channel) messages.Message {
	t.Helper()
	m, ok, err := s.Pop(t.Context(), c, "", patience)
	require.NoError(t, err)
	require.True(t, ok, "no message")
	return m
}

// next reads the message after ack, which must be there.
func (s *subject) next(t *testing.T, c messages.Channel, source string, ack int64) messages.Message {
	t.Helper()
	m, ok, err := s.Next(t.Context(), c, source, ack, patience)
	require.NoError(t, err)
	require.True(t, ok, "no message after %d", ack)
	require.Greater(t, m.Sequence, ack)
	return m
}

func (s *subject) requireEmpty(t *testing.T, c messages.Channel) {
	t.Helper()
	m, ok, err := s.Pop(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.False(t, ok, "unexpected message %q", m.ID)
}

// drain pops all that is there and returns the IDs.
func (s *subject) drain(t *testing.T, c messages.Channel) (ids []string) {
	t.Helper()
	for _, m := range popAll(t, s, c) {
		ids = append(ids, m.ID)
	}
	return ids
}

func popAll(t *testing.T, s messages.Store, c messages.Channel) (all []messages.Message) {
	t.Helper()
	for {
		m, ok, err := s.Pop(t.Context(), c, "", 0)
		require.NoError(t, err)
		if !ok {
			return all
		}
		require.True(t, len(all) == 0 || all[len(all)-1].Sequence < m.Sequence)
		all = append(all, m)
	}
}

func requireVerdict(t *testing.T, err error, want *openflow.Error) {
	t.Helper()
	require.ErrorIs(t, err, want)
	require.Equal(t, want.Code, openflow.CodeOf(err))
}

// outcome is what a call on another goroutine came to.
type outcome struct {
	m   messages.Message
	ok  bool
	err error
}

// goPop pops on another goroutine.
func (s *subject) goPop(ctx context.Context, c messages.Channel, wait time.Duration) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		m, ok, err := s.Pop(ctx, c, "", wait)
		out <- outcome{m, ok, err}
	}()
	return out
}

// goPush pushes on another goroutine.
func (s *subject) goPush(ctx context.Context, c messages.Channel, m messages.Message, wait time.Duration) <-chan outcome {
	out := make(chan outcome, 1)
	go func() { out <- outcome{err: s.Push(ctx, c, m, wait)} }()
	return out
}

// letBlock gives calls on other goroutines a moment to block. A test must not need it to pass, only to be able to fail.
func (s *subject) letBlock(t *testing.T) {
	t.Helper()
	_, _, err := s.Pop(t.Context(), newChannel(), "", time.Millisecond)
	require.NoError(t, err)
}

func await(t *testing.T, out <-chan outcome) outcome {
	t.Helper()
	select {
	case o := <-out:
		return o
	case <-time.After(patience):
		require.FailNow(t, "call does not return")
		return outcome{}
	}
}

// awaitWhile repeats act until the call behind out returns. That a call is blocked already cannot be seen from
// outside, so what is to wake it has to happen more than once.
func awaitWhile(t *testing.T, out <-chan outcome, act func() error) outcome {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		require.NoError(t, act())
		select {
		case o := <-out:
			return o
		case <-limit:
			require.FailNow(t, "call does not return")
		case <-tick.C:
		}
	}
}

// joined is all that is in errs, which is closed.
func joined(errs <-chan error) error {
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}
