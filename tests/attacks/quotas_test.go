package attacks_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/site/partner"
	"openflow/tests/env"
)

// bounded has the site's usual rule for peers, or a changed one.
func bounded(change func(*openflow.Quota)) env.Option {
	return env.Limits(func(l *partner.Limits) {
		l.Quota = openflow.DefaultQuota()
		if change != nil {
			change(&l.Quota)
		}
	})
}

// A hundred jobs of one peer leave no room for a job of another.
func TestManyJobsOfOnePeer(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Cores(16), bounded(nil))
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	held := 0
	for i := range 100 {
		_, r, err := a.asks(openflow.JobID(fmt.Sprintf("2026010215040500%05d", i)), 1, 0)
		require.NoError(t, err)
		if r.Held {
			held++
		}
	}
	require.Equal(t, 12, held, "three quarters of what the site has")
	user := e.As(t, "10001")
	job := user.Submit(env.DAG(env.Parties("guest 10001", "host 10000"), env.Noop("a", nil)))
	user.WaitFor(job, openflow.JobSuccess)

	_, r, err := a.asks("202601021504050000100", 13, 0)
	if err == nil {
		err = r.Err()
	}
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "a job that never fits is refused for good: %v", err)
	require.ErrorContains(t, err, "13 cores, and may have 12")
}

// A peer opens jobs without end.
func TestOpenJobsOfOnePeer(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Cores(4), bounded(func(q *openflow.Quota) { q.Jobs, q.Waiting, q.Cores = 5, 1, 3 }))
	e.Stop(t, "9999", "10001")
	a, other := attack(t, e, "9999", "10000"), attack(t, e, "10001", "10000")
	var waits, refused int
	for i := range 5 {
		_, r, err := a.asks(openflow.JobID(fmt.Sprintf("2026010215040500%05d", i)), 1, 0)
		require.NoError(t, err)
		if !r.Held {
			waits++
			if openflow.CodeOf(r.Err()) == openflow.CodeUnavailable {
				refused++
			}
		}
	}
	require.Equal(t, []int{2, 1}, []int{waits, refused}, "one has a place in the queue, and nobody calls the other one")
	_, _, err := a.asks("202601021504050000006", 1, 0)
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "has 5 jobs under way at this site, which is as many as it may have")
	_, r, err := other.asks("202601021504050000007", 1, 0)
	require.NoError(t, err)
	require.True(t, r.Held, "another peer has its own quota")
}

// A job gets older by its ID, or goes first by its priority, or by asking all the time.
func TestJobThatIsOlderByItsName(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Cores(4), bounded(func(q *openflow.Quota) { q.Cores = 4 }))
	e.Stop(t, "9999", "10001")
	a, honest := attack(t, e, "9999", "10000"), attack(t, e, "10001", "10000")
	holder := honest.takes("202601021504050000000", 4)
	waiting, r, err := honest.asks("202601021504050000001", 4, 0)
	require.NoError(t, err)
	require.False(t, r.Held)
	liar, r, err := a.asks("0000000000000000000000000", 4, math.MaxInt32)
	require.NoError(t, err)
	require.False(t, r.Held)

	require.NoError(t, honest.calls().Partner().StopJob(t.Context(), holder, openflow.JobEnd{Status: openflow.JobCanceled}))
	for range 20 {
		r, err = a.calls().Partner().Reserve(t.Context(), liar)
		require.NoError(t, err)
		require.False(t, r.Held, "it passes the one that was there before")
	}
	r, err = honest.calls().Partner().Reserve(t.Context(), waiting)
	require.NoError(t, err)
	require.True(t, r.Held, "%v", r.Err())
}

// A peer that calls without end keeps this site from answering others.
func TestCallsWithoutEnd(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), bounded(func(q *openflow.Quota) { q.Calls = 1 }))
	e.Stop(t, "9999", "10001")
	a, other := attack(t, e, "9999", "10000"), attack(t, e, "10001", "10000")
	ask := func(a *attacker) error {
		_, err := a.calls().Partner().Reserve(t.Context(), openflow.JobKey{
			Scheduler: a.Party, Job: "none", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"},
		})
		return err
	}
	refused := 0
	for range 60 {
		if err := ask(a); openflow.CodeOf(err) == openflow.CodeExhausted {
			require.ErrorContains(t, err, "calls this site more often than its 1 calls a second")
			refused++
		}
	}
	require.NotZero(t, refused)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(ask(other)), "another peer is served")
	page, err := (&sdk.Client{URL: e.URL("10000")}).Audit(t.Context(), sdk.AuditFilter{Party: "9999", Outcome: openflow.OutcomeRefused, Action: "call"})
	require.NoError(t, err)
	require.Len(t, page.Events, 1, "the operator sees it, once")
	require.Contains(t, page.Events[0].Detail, "more often than its 1 calls a second")
}
