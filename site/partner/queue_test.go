package partner_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/admission"
	"openflow/site/partner"
)

// waiting is a queue with a list of turns, one for each look at it.
type waiting struct {
	mu    sync.Mutex
	turns [][]openflow.JobKey
	looks int
	err   error
	again []openflow.JobID // told in vain
	begun int
}

func (w *waiting) NobodyWoken(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun++
	return nil
}

func (w *waiting) NotWoken(_ context.Context, k openflow.JobKey) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again = append(w.again, k.Job)
	return nil
}

func (w *waiting) NextToWake(_ context.Context, capacity openflow.Resources, _ admission.Rules) ([]openflow.JobKey, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	if capacity.Cores == 0 {
		return nil, openflow.Errorf(openflow.CodeInternal, "no capacity")
	}
	if len(w.turns) == 0 {
		return nil, w.err
	}
	keys := w.turns[0]
	w.turns = w.turns[1:]
	return keys, w.err
}

// schedulers are those of all parties; the one of party 666 does not answer.
type schedulers struct {
	mu     sync.Mutex
	called []string
}

func (s *schedulers) Partner(context.Context, openflow.PartyID) (openflow.PartnerService, error) {
	return nil, openflow.Errorf(openflow.CodeInternal, "not asked")
}

func (s *schedulers) Scheduler(_ context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	return schedulerOf{s, id, nil}, nil
}

func (s *schedulers) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.called...)
}

type schedulerOf struct {
	*schedulers
	id openflow.PartyID
	openflow.SchedulerService
}

func (s schedulerOf) WakeJob(ctx context.Context, caller openflow.PartyID, id openflow.JobID) error {
	s.mu.Lock()
	s.called = append(s.called, string(s.id)+" "+string(id))
	s.mu.Unlock()
	if caller != "10000" {
		return openflow.Errorf(openflow.CodePermission, "who is %s?", caller)
	}
	if s.id == "666" {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func waits(scheduler openflow.PartyID, id openflow.JobID, p openflow.Party) openflow.JobKey {
	return openflow.JobKey{Scheduler: scheduler, Job: id, Party: p}
}

func newQueue(w *waiting) (*partner.Queue, *schedulers) {
	s := &schedulers{}
	limits := partner.DefaultLimits()
	limits.Cores = 32
	return partner.NewQueue("10000", w, s, limits, slog.New(slog.DiscardHandler)), s
}

func TestQueueCallsWhoseTurnItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{turns: [][]openflow.JobKey{
			{waits("10000", "1", host), waits("10000", "2", host), waits("10000", "1", arbiter), waits("666", "3", host), waits("9999", "4", host)},
		}}
		q, s := newQueue(w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); q.Run(ctx) }()
		for range 100 {
			q.Freed()
		}
		time.Sleep(time.Second)
		w.mu.Lock()
		require.LessOrEqual(t, w.looks, 2, "many at once make one look, and what comes during it another")
		w.mu.Unlock()
		require.Equal(t, []string{"10000 1", "10000 2"}, s.all()[:2], "own jobs in the order of their turns")
		require.ElementsMatch(t, []string{"10000 1", "10000 2", "666 3", "9999 4"}, s.all(), "each job once, and nobody waits for one that is silent")
		time.Sleep(10 * time.Second)
		w.mu.Lock()
		require.Equal(t, []openflow.JobID{"3"}, w.again, "it will be called again")
		require.Equal(t, 1, w.begun, "an earlier process may have died before it told anybody")
		w.mu.Unlock()
		cancel()
		<-done
	})
}

// Nobody gives anything back, or the word of it is lost: the queue is looked at now and then, whoever waits.
func TestQueueIsLookedAtNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{err: openflow.Errorf(openflow.CodeInternal, "disk")}
		q, s := newQueue(w)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); q.Run(ctx) }()
		time.Sleep(time.Minute)
		w.mu.Lock()
		require.InDelta(t, 12, w.looks, 1)
		w.err, w.turns = nil, [][]openflow.JobKey{{waits("9999", "1", host)}}
		w.mu.Unlock()
		time.Sleep(6 * time.Second)
		require.Equal(t, []string{"9999 1"}, s.all())
		cancel()
		<-done
	})
}

// Whatever gives resources back at this site is told to the queue, once each time.
func TestWhatIsGivenBackIsTold(t *testing.T) {
	s := newSite(t)
	freed := 0
	s.Freed = func() { freed++ }
	ctx := t.Context()
	for i, end := range []func(openflow.JobKey) error{
		func(k openflow.JobKey) error { return s.Release(ctx, k) },
		func(k openflow.JobKey) error {
			return s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why"})
		},
		func(k openflow.JobKey) error { return s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobSuccess}) },
		func(k openflow.JobKey) error {
			return s.Tell(ctx, k, openflow.News{Status: openflow.JobFailed, Reason: "why"})
		},
	} {
		id := openflow.JobID(rune('1' + i))
		s.running(id, dag())
		before := freed
		require.NoError(t, end(jobKey(id, host)))
		require.Equal(t, before+1, freed)
		if i == 0 {
			require.NoError(t, s.StopJob(ctx, jobKey(id, host), openflow.JobEnd{Status: openflow.JobFailed, Reason: "why"}))
		}
	}
}
