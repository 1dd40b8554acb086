package upkeep

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/admission"
)

// engine is Temporal as the reconciler sees it. What is in no map was never started.
type engine struct {
	openflow.Engine
	listed    []openflow.Workflow
	fates     map[openflow.Workflow]openflow.Fate
	ending    map[openflow.JobID]bool
	unknown   openflow.Workflow // cannot be asked for
	meanwhile func()            // happens between two looks at a workflow
	stopped   []openflow.Workflow
}

func (e *engine) OpenWorkflows(_ context.Context, page string) ([]openflow.Workflow, string, error) {
	if page == "" {
		return nil, "2", nil // pages may be empty
	}
	return e.listed, "", nil
}

func (e *engine) Fate(_ context.Context, w openflow.Workflow) (openflow.Fate, error) {
	if w == e.unknown {
		return openflow.Fate{}, errStuck
	}
	f, ok := e.fates[w]
	if !ok {
		f.How = "it was deleted, or never started"
	}
	if e.meanwhile != nil {
		e.meanwhile()
	}
	return f, nil
}

func (e *engine) Stopped(_ context.Context, id openflow.JobID) (openflow.Stopped, error) {
	if e.ending[id] {
		return openflow.Stopped{Status: openflow.JobFailed}, nil
	}
	return openflow.Stopped{}, nil
}

func (e *engine) StopJob(_ context.Context, id openflow.JobID, _ openflow.JobStatus, _ string) (openflow.Stopped, error) {
	e.stopped = append(e.stopped, openflow.Workflow{Job: id})
	return openflow.Stopped{}, nil
}

func (e *engine) StopTask(_ context.Context, k openflow.TaskKey, _ openflow.TaskStatus, _ string) error {
	e.stopped = append(e.stopped, openflow.Workflow{Run: k.RunID()})
	return nil
}

// jobs and runs end what the reconciler finds.
type (
	jobs map[openflow.JobID]openflow.Lost
	runs map[openflow.RunID]string
)

// stuck is a job that cannot be ended now.
const stuck = "cannot-be-ended"

var errStuck = openflow.Errorf(openflow.CodeUnavailable, "not now")

func (j jobs) EndLost(_ context.Context, id openflow.JobID, end openflow.Lost) error {
	if id == stuck {
		return errStuck
	}
	j[id] = end
	return nil
}

func (r runs) EndLost(_ context.Context, id openflow.RunID, why string) error {
	r[id] = why
	return nil
}

func (r runs) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	if k.Job == stuck {
		return errStuck
	}
	r[openflow.RunID(k.Job)] = string(end.Status) + ": " + end.Reason
	return nil
}

type reconciled struct {
	*site
	*Reconciler
	engine *engine
	jobs   jobs
	runs   runs
}

func reconciling(t *testing.T) *reconciled {
	t.Helper()
	s := kept(t)
	r := &reconciled{site: s, engine: &engine{fates: map[openflow.Workflow]openflow.Fate{}, ending: map[openflow.JobID]bool{}}, jobs: jobs{}, runs: runs{}}
	r.Reconciler = &Reconciler{
		Self: "9999", Rows: s.Rows.Catalogue, Engine: r.engine, Jobs: r.jobs, Runs: r.runs, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.now },
	}
	return r
}

// schedule makes a job that this node schedules, which has that status.
func (r *reconciled) schedule(t *testing.T, id openflow.JobID, status openflow.JobStatus) openflow.Workflow {
	t.Helper()
	dag := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{{Role: openflow.RoleGuest, ID: "9999"}}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	_, err := r.site.Rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: id, Initiator: "9999", DAG: dag, SubmitHash: string(id)})
	require.NoError(t, err)
	if status != openflow.JobReady {
		_, err = r.site.Rows.UpdateScheduledJob(t.Context(), id, status, "")
		require.NoError(t, err)
	}
	return openflow.Workflow{Job: id}
}

// accept makes a run that this party has accepted.
func (r *reconciled) accept(t *testing.T, id openflow.JobID) openflow.Workflow {
	t.Helper()
	_, k := r.addJob(t, id, "10000")
	require.NoError(t, r.site.Rows.ApplyJobResources(t.Context(), k.JobKey(), openflow.Resources{Cores: 8}, admission.Rules{}))
	require.NoError(t, r.site.Rows.ApplyTaskResources(t.Context(), k, 0, openflow.Quota{}))
	return openflow.Workflow{Run: k.RunID()}
}

func TestReconcile(t *testing.T) {
	r := reconciling(t)
	begun := r.now
	r.now = begun.Add(-2 * unseen)
	open := openflow.Fate{Known: true, Open: true, Instance: "1", Since: r.now}
	gone := openflow.Fate{Known: true, Instance: "1", Since: r.now, How: "terminated by ann"}

	listed, laggard := r.schedule(t, "listed", openflow.JobRunning), r.schedule(t, "laggard", openflow.JobRunning)
	r.engine.listed, r.engine.fates[laggard] = append(r.engine.listed, listed), open
	terminated, deleted := r.schedule(t, "terminated", openflow.JobRunning), r.schedule(t, "deleted", openflow.JobWaiting)
	r.engine.fates[terminated] = gone
	r.schedule(t, "ended", openflow.JobFailed)
	run, lost, never := r.accept(t, "of-a-run"), r.accept(t, "of-a-lost-run"), r.accept(t, "of-a-run-never-started")
	r.engine.fates[run], r.engine.fates[lost] = open, gone
	_, waits := r.addJob(t, "of-a-run-not-accepted", "10000")

	r.now = begun
	r.schedule(t, "young", openflow.JobReady)
	r.accept(t, "of-a-young-run")
	youngest := r.schedule(t, "young-and-gone", openflow.JobReady)
	r.engine.fates[youngest] = gone

	require.NoError(t, r.Sweep(t.Context()))
	failed := func(how string) openflow.Lost {
		return openflow.Lost{Status: openflow.JobFailed, Reason: "the workflow of the job was ended from outside (" + how + ")"}
	}
	require.Equal(t, jobs{
		"terminated": failed("terminated by ann"), "deleted": failed("it was deleted, or never started"), "young-and-gone": failed("terminated by ann"),
	}, r.jobs)
	require.Equal(t, runs{
		lost.Run: "the workflow of the run was ended from outside (terminated by ann)", never.Run: "the workflow of the run was ended from outside (it was deleted, or never started)",
	}, r.runs)
	require.NotContains(t, r.runs, waits.RunID())
	require.Len(t, r.Ended(), 5)
	_ = deleted
}

// A workflow that has no row is told to end, once. One whose row has ended tells others of that, unless it does not.
func TestReconcileWorkflowsWithoutRows(t *testing.T) {
	r := reconciling(t)
	begun := r.now
	r.now = begun.Add(-2 * unseen)
	open := openflow.Fate{Known: true, Open: true, Instance: "1", Since: r.now}
	stray := openflow.Workflow{Job: "stray"}
	strayRun := openflow.Workflow{Run: openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}.RunID()}
	telling, misled, again := r.schedule(t, "telling", openflow.JobFailed), r.schedule(t, "misled", openflow.JobFailed), r.schedule(t, "again", openflow.JobFailed)
	r.engine.ending["telling"] = true
	r.now = begun
	recent := r.schedule(t, "recent", openflow.JobFailed)
	late := openflow.Workflow{Job: "closed-meanwhile"}
	r.engine.listed = []openflow.Workflow{stray, strayRun, telling, misled, again, recent, late}
	for _, w := range r.engine.listed {
		r.engine.fates[w] = open
	}
	r.engine.fates[late] = openflow.Fate{Known: true, How: "it closed"}
	r.engine.fates[again] = openflow.Fate{Known: true, Open: true, Instance: "2", Since: r.now}
	for range 3 {
		require.NoError(t, r.Sweep(t.Context()))
		r.now = r.now.Add(time.Second)
	}
	require.ElementsMatch(t, []openflow.Workflow{stray, strayRun, misled}, r.engine.stopped)
	require.Empty(t, r.jobs)
}

// A job that ends, or is run again, between two looks is left alone.
func TestReconcileDoesNotMeetARerun(t *testing.T) {
	for name, meanwhile := range map[string]func(*reconciled, openflow.Workflow, int){
		"it ends": func(r *reconciled, w openflow.Workflow, look int) {
			if look == 1 {
				_, err := r.site.Rows.UpdateScheduledJob(context.Background(), w.Job, openflow.JobFailed, "")
				require.NoError(t, err)
			}
		},
		"it runs again": func(r *reconciled, w openflow.Workflow, look int) {
			if look == 1 {
				r.engine.fates[w] = openflow.Fate{Known: true, Open: true, Instance: "2"}
			}
		},
		"it has run again": func(r *reconciled, w openflow.Workflow, look int) {
			if look == 1 {
				r.engine.fates[w] = openflow.Fate{Known: true, Instance: "2", How: "it closed"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := reconciling(t)
			w := r.schedule(t, "1", openflow.JobRunning)
			r.engine.fates[w] = openflow.Fate{Known: true, Instance: "1", How: "it closed"}
			look := 0
			r.engine.meanwhile = func() { look++; meanwhile(r, w, look) }
			require.NoError(t, r.Sweep(t.Context()))
			require.Empty(t, r.jobs)
		})
	}
}

// This site's own part of a job that is over ends as the job has, and no other part.
func TestPartsOfJobsThatAreOver(t *testing.T) {
	r := reconciling(t)
	w := r.schedule(t, "goes-on", openflow.JobRunning)
	r.engine.listed = append(r.engine.listed, w)
	r.schedule(t, "over", openflow.JobCanceled)
	for id, scheduler := range map[openflow.JobID]openflow.PartyID{"goes-on": "9999", "over": "9999", "forgotten": "9999", "of-another": "10000"} {
		k, _ := r.addJob(t, id, scheduler)
		require.NoError(t, r.site.Rows.ApplyJobResources(t.Context(), k, openflow.Resources{}, admission.Rules{}))
	}
	require.NoError(t, r.Sweep(t.Context()))
	require.Equal(t, runs{"over": "canceled: ", "forgotten": "failed: " + openflow.UnknownToScheduler("9999")}, r.runs)
}

// What cannot be ended now keeps nothing else from ending, before or behind it.
func TestReconcileWhatCannotBeEnded(t *testing.T) {
	r := reconciling(t)
	begun := r.now
	r.now = begun.Add(-2 * unseen)
	for _, id := range []openflow.JobID{"before", stuck, "later"} {
		r.schedule(t, id, openflow.JobRunning)
	}
	over := []openflow.JobID{"an-end", "the-end"}
	for _, id := range over {
		r.schedule(t, id, openflow.JobCanceled)
	}
	for _, id := range append(over, stuck) {
		k, _ := r.addJob(t, id, "9999")
		require.NoError(t, r.site.Rows.ApplyJobResources(t.Context(), k, openflow.Resources{}, admission.Rules{}))
	}
	r.now = begun
	require.ErrorIs(t, r.Sweep(t.Context()), errStuck)
	require.Len(t, r.jobs, 2)
	require.Len(t, r.runs, 2)
}

// What cannot be looked at now hides nothing else, before or behind it, with a row or without.
func TestReconcileWhatCannotBeLookedAt(t *testing.T) {
	r := reconciling(t)
	begun := r.now
	r.now = begun.Add(-2 * unseen)
	for _, id := range []openflow.JobID{"before", "blind", "later"} {
		r.schedule(t, id, openflow.JobRunning)
	}
	run := r.accept(t, "of-a-run")
	stray := openflow.Workflow{Job: "stray"}
	r.now = begun
	r.engine.unknown = openflow.Workflow{Job: "blind"}
	r.engine.listed = []openflow.Workflow{stray}
	r.engine.fates[stray] = openflow.Fate{Known: true, Open: true, Instance: "1", Since: begun.Add(-2 * unseen)}
	require.ErrorIs(t, r.Sweep(t.Context()), errStuck)
	require.Len(t, r.jobs, 2)
	require.Contains(t, r.runs, run.Run)
	require.Equal(t, []openflow.Workflow{stray}, r.engine.stopped)

	blind := openflow.Workflow{Job: "blind-and-rowless"}
	r.engine.unknown, r.engine.stopped = blind, nil
	r.engine.listed = []openflow.Workflow{blind, {Job: "stray-2"}, {Job: "stray-3"}}
	for _, w := range r.engine.listed {
		r.engine.fates[w] = r.engine.fates[stray]
	}
	r.now = r.now.Add(longestRest)
	require.ErrorIs(t, r.Sweep(t.Context()), errStuck)
	require.Len(t, r.engine.stopped, 2)
}

// Every open row is looked at, however many there are.
func TestReconcileManyRows(t *testing.T) {
	r := reconciling(t)
	for i := range reconcileBatch + 3 {
		w := r.schedule(t, openflow.JobID(fmt.Sprintf("%04d", i)), openflow.JobReady)
		r.engine.fates[w] = openflow.Fate{Known: true, How: "it timed out"}
	}
	require.NoError(t, r.Sweep(t.Context()))
	require.Len(t, r.jobs, reconcileBatch+3)
	require.Len(t, r.Ended(), keptStrays)
}
