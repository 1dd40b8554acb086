// Package storetest is the conformance suite of events.Store: what its comments promise, as tests that every
// implementation runs.
package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/events"
)

// Keep is how many events the stores under test keep at least.
const Keep = 100

// patience is how long a call may take that should return at once, on a busy machine.
const patience = 30 * time.Second

// Harness says how the implementation under test is reached.
type Harness struct {
	// New makes an empty place.
	New func(t *testing.T) string
	// Open opens the store at a place, keeping Keep events. A second one at the same place is another replica's, if
	// Shared, and otherwise a later process's.
	Open   func(t *testing.T, place string) events.Store
	Shared bool
}

// Run runs the suite.
func Run(t *testing.T, h Harness) {
	for name, test := range map[string]func(*testing.T, Harness){
		"order and content":                 testOrder,
		"a subscriber sees what comes":      testFromNow,
		"a subscriber comes back":           testResume,
		"a gap is told once":                testMissed,
		"a slow subscriber is told":         testSlow,
		"IDs of another life":               testOtherLife,
		"a context ends a wait":             testContext,
		"not an ID":                         testBadID,
		"many publishers, many subscribers": testConcurrent,
		"close":                             testClose,
	} {
		t.Run(name, func(t *testing.T) { test(t, h) })
	}
}

func event(n int) openflow.Event {
	return openflow.Event{Job: openflow.JobID(fmt.Sprint("j", n)), At: time.UnixMilli(int64(n) + 1).UTC(), Status: "running"}
}

func publish(t *testing.T, s events.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, s.Publish(t.Context(), event(n)))
	}
}

func subscribe(t *testing.T, s events.Store, after string) *events.Subscription {
	t.Helper()
	sub, err := s.Subscribe(t.Context(), after)
	require.NoError(t, err)
	return sub
}

func next(t *testing.T, sub *events.Subscription) openflow.Event {
	t.Helper()
	e, err := await(t, sub)
	require.NoError(t, err)
	return e
}

func await(t *testing.T, sub *events.Subscription) (openflow.Event, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return sub.Next(ctx)
}

func requireNext(t *testing.T, sub *events.Subscription, from, to int) (last string) {
	t.Helper()
	for n := from; n < to; n++ {
		e := next(t, sub)
		require.Equal(t, event(n).Job, e.Job)
		last = e.ID
	}
	return last
}

func requireNothing(t *testing.T, sub *events.Subscription) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	e, err := sub.Next(ctx)
	require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err), "%v", e)
}

func testOrder(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	percent := 40
	whole := openflow.Event{
		Scheduler: "10000",
		At:        time.UnixMilli(1700000000123).UTC(), Job: "202601021504050000000", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"},
		Task: "psi_0", Version: 2, Status: "failed", Reason: "exit code 1:\n\"größer\"", Progress: &percent,
		Component: "psi", Provider: "acme:1",
	}
	require.NoError(t, s.Publish(t.Context(), whole))
	publish(t, s, 0, 50)
	got := next(t, sub)
	require.NotEmpty(t, got.ID)
	whole.ID = got.ID
	require.Equal(t, whole, got)
	requireNext(t, sub, 0, 50)
	requireNothing(t, sub)

	whole.Reason = strings.Repeat("x", 7<<20)
	require.NoError(t, s.Publish(t.Context(), whole))
	require.LessOrEqual(t, len(next(t, sub).Reason), 1<<10, "whoever reports chooses the reason, and thousands are kept")
}

func testFromNow(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	publish(t, s, 0, 3)
	sub := subscribe(t, s, "")
	requireNothing(t, sub)
	for n := 3; n < 20; n++ {
		got := make(chan openflow.Event, 1)
		go func() {
			e, err := sub.Next(t.Context())
			if err == nil {
				got <- e
			}
		}()
		publish(t, s, n, n+1)
		select {
		case e := <-got:
			require.Equal(t, event(n).Job, e.Job)
		case <-time.After(patience):
			require.FailNow(t, "not woken")
		}
	}
}

func testResume(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	publish(t, s, 0, 5)
	last := requireNext(t, sub, 0, 3)
	again := subscribe(t, s, last)
	requireNext(t, again, 3, 5)
	last = requireNext(t, sub, 3, 5)
	up := subscribe(t, s, last)
	requireNothing(t, up)
	publish(t, s, 5, 7)
	requireNext(t, up, 5, 7)
	requireNext(t, sub, 5, 7)
}

func requireMissed(t *testing.T, sub *events.Subscription) {
	t.Helper()
	_, err := await(t, sub)
	require.ErrorIs(t, err, events.ErrMissed)
}

// A store may keep more than it must, so what is gone is made plenty.
const many = 50 * Keep

func testMissed(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	publish(t, s, 0, 1)
	first := requireNext(t, sub, 0, 1)
	publish(t, s, 1, many)
	late := subscribe(t, s, first)
	requireMissed(t, late)
	seen := 0
	for e := next(t, late); ; e = next(t, late) {
		seen++
		if e.Job == event(many-1).Job {
			break
		}
	}
	require.GreaterOrEqual(t, seen, Keep)
	require.Less(t, seen, many)
	requireNothing(t, late)
}

func testSlow(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	publish(t, s, 0, 1)
	sub := subscribe(t, s, "")
	publish(t, s, 1, 3)
	requireNext(t, sub, 1, 3)
	publish(t, s, 3, many)
	requireMissed(t, sub)
	next(t, sub)
}

// An ID of events that are gone with an earlier process, or an earlier server, is a gap, whatever its number.
func testOtherLife(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	publish(t, s, 0, 5)
	old := requireNext(t, sub, 0, 5)

	later := h.Open(t, h.New(t))
	requireMissed(t, subscribe(t, later, old))
	publish(t, later, 0, 3)
	earlier := subscribe(t, later, old)
	requireMissed(t, earlier)
	publish(t, later, 3, 9)
	late := subscribe(t, later, old)
	requireMissed(t, late)
	requireNext(t, late, 0, 9)
	for _, id := range []string{"1-1", "9000000000000000000-1"} {
		requireMissed(t, subscribe(t, later, id))
	}
}

func testContext(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sub.Next(ctx)
	require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(err))
	publish(t, s, 0, 1)
	requireNext(t, sub, 0, 1)
}

func testBadID(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	for _, id := range []string{"x", "1", "1-", "-1", "1-2-3", "01-1", "1-99999999999999999999", "$", "+", "1-1 "} {
		_, err := s.Subscribe(t.Context(), id)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), id)
	}
}

// Replicas, where there are some, publish and read together: every subscriber sees all, in one order.
func testConcurrent(t *testing.T, h Harness) {
	const publishers, each, subscribers = 4, 20, 4
	place := h.New(t)
	stores := []events.Store{h.Open(t, place)}
	if h.Shared {
		stores = append(stores, h.Open(t, place))
	}
	subs := make([]*events.Subscription, subscribers)
	for i := range subs {
		subs[i] = subscribe(t, stores[i%len(stores)], "")
	}
	var wg sync.WaitGroup
	errs := make(chan error, publishers*each)
	for p := range publishers {
		wg.Go(func() {
			for n := range each {
				errs <- stores[p%len(stores)].Publish(t.Context(), event(p*each+n))
			}
		})
	}
	var order [subscribers][]openflow.JobID
	for i, sub := range subs {
		for range publishers * each {
			order[i] = append(order[i], next(t, sub).Job)
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	for i := range order {
		require.Equal(t, order[0], order[i])
	}
}

func testClose(t *testing.T, h Harness) {
	s := h.Open(t, h.New(t))
	sub := subscribe(t, s, "")
	out := make(chan error, 1)
	go func() {
		_, err := sub.Next(t.Context())
		out <- err
	}()
	require.NoError(t, s.Close())
	select {
	case err := <-out:
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	case <-time.After(patience):
		require.FailNow(t, "a subscription outlives its store")
	}
	require.NoError(t, s.Close(), "a repeat")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(s.Publish(t.Context(), event(0))))
	_, err := s.Subscribe(t.Context(), "")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}
