package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"openflow"
	"openflow/store/catalogue"
)

// OpenRows are the rows of what has not ended.
type OpenRows interface {
	OpenScheduledJobs(ctx context.Context, after openflow.JobID, limit int) ([]catalogue.Unended, error)
	OpenRuns(ctx context.Context, after openflow.RunID, limit int) ([]catalogue.Unended, error)
	OpenAlone(ctx context.Context, self openflow.PartyID, limit int) ([]openflow.JobKey, error)
	ScheduledJob(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error)
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
}

// JobEnder and RunEnder end what has lost its workflow; to do it twice is to do it once.
type (
	JobEnder interface {
		EndLost(ctx context.Context, id openflow.JobID, end openflow.Lost) error
	}
	RunEnder interface {
		EndLost(ctx context.Context, id openflow.RunID, why string) error
		StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error
	}
)

// Reconciler compares what is open here with the workflows that keep it going. A job or run without a workflow would stay open
// for ever and hold what it has. Its workflow was terminated or deleted, or has outgrown Temporal's limits. Or it was never
// started, because the node died in between. The job or run is ended with that as its reason. A workflow without a row ends
// as well.
//
// Several replicas may do it at once, and need not know of each other. What ends a job or run is a workflow in the place of the
// one that is gone, whose name is a lock.
type Reconciler struct {
	Self   openflow.PartyID
	Rows   OpenRows
	Engine openflow.Engine
	Jobs   JobEnder
	Runs   RunEnder
	Log    *slog.Logger
	Now    func() time.Time

	mu    sync.Mutex
	ended []Stray                    // the last that were ended
	told  map[openflow.Workflow]bool // workflows without a row that were told to end
	rest  time.Time                  // no round before
}

// Stray is a job, a run or a workflow of which a half is missing.
type Stray struct {
	openflow.Workflow
	Why     string // what has become of its workflow; empty: its row is missing
	Found   time.Time
	rowless bool
}

const (
	// ReconcileEvery is the time between two rounds. A round costs two looks into indices and one list of workflows.
	ReconcileEvery = 5 * time.Second
	// restAfter is how many times as long as it took to look there is no round, up to longestRest: a site with very many jobs does
	// other things too.
	restAfter   = 5
	longestRest = 30 * time.Second
	// unseen is how long a row may be without a workflow that nobody has seen: it is written first.
	unseen = time.Minute
	// reconcileBatch bounds one page of rows.
	reconcileBatch = 500
	// keptStrays bounds what is remembered of what was ended.
	keptStrays = 20
)

// Sweep makes a round.
func (r *Reconciler) Sweep(ctx context.Context) error {
	begin := r.Now()
	if begin.Before(r.rest) {
		return nil
	}
	strays, err := r.find(ctx)
	r.rest = r.Now().Add(min(restAfter*r.Now().Sub(begin), longestRest))
	for _, s := range strays { // one that cannot be ended now keeps no other
		err = errors.Join(err, r.end(ctx, s))
	}
	return errors.Join(err, r.endAlone(ctx))
}

// Ended lists what was ended since the start of the node, the latest last, and no more than a few.
func (r *Reconciler) Ended() []Stray {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Stray(nil), r.ended...)
}

// find lists strays. What cannot be looked at now hides no other: the rest comes with the errors.
func (r *Reconciler) find(ctx context.Context) ([]Stray, error) {
	workflows, err := r.workflows(ctx)
	if err != nil {
		return nil, err
	}
	open := map[openflow.Workflow]bool{}
	strays, err := r.rows(ctx, workflows, open)
	for w := range workflows {
		if open[w] {
			continue
		}
		without, wrong := r.withoutRow(ctx, w)
		if err = errors.Join(err, wrong); without {
			strays = append(strays, Stray{Workflow: w, Found: r.Now(), rowless: true})
		}
		if ctx.Err() != nil {
			break
		}
	}
	return strays, err
}

// workflows lists those that go on, as far as is known.
func (r *Reconciler) workflows(ctx context.Context) (map[openflow.Workflow]bool, error) {
	all := map[openflow.Workflow]bool{}
	for page := ""; ; {
		list, next, err := r.Engine.OpenWorkflows(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, w := range list {
			all[w] = true
		}
		if page = next; next == "" {
			return all, nil
		}
	}
}

// rows notes what is open, and lists what of it has lost its workflow.
func (r *Reconciler) rows(ctx context.Context, workflows, open map[openflow.Workflow]bool) (strays []Stray, err error) {
	jobs := func(last openflow.Workflow) ([]catalogue.Unended, error) {
		return r.Rows.OpenScheduledJobs(ctx, last.Job, reconcileBatch)
	}
	runs := func(last openflow.Workflow) ([]catalogue.Unended, error) {
		return r.Rows.OpenRuns(ctx, last.Run, reconcileBatch)
	}
	for _, page := range []func(openflow.Workflow) ([]catalogue.Unended, error){jobs, runs} {
		for last := (openflow.Workflow{}); ; {
			list, wrong := page(last)
			err = errors.Join(err, wrong)
			for _, o := range list {
				open[o.Workflow], last = true, o.Workflow
				if workflows[o.Workflow] || ctx.Err() != nil {
					continue
				}
				fate, lost, wrong := r.lost(ctx, o)
				if err = errors.Join(err, wrong); lost {
					strays = append(strays, Stray{Workflow: o.Workflow, Why: why(o.Workflow, fate), Found: r.Now()})
				}
			}
			if len(list) < reconcileBatch {
				break
			}
		}
	}
	return strays, err
}

func why(w openflow.Workflow, f openflow.Fate) string {
	if w.Run != "" {
		return openflow.LostRun(f)
	}
	return openflow.LostJob(f)
}

// lost tells that a row is open while its workflow is not. The list of workflows lags behind, so it is asked for by name, and
// the row is read once more. A job that was run again meanwhile has another workflow.
func (r *Reconciler) lost(ctx context.Context, o catalogue.Unended) (openflow.Fate, bool, error) {
	fate, err := r.Engine.Fate(ctx, o.Workflow)
	if err != nil || fate.Open || !fate.Known && r.Now().Sub(o.Updated) < unseen {
		return fate, false, err
	}
	goesOn, err := r.goesOn(ctx, o.Workflow)
	if err != nil || !goesOn {
		return fate, false, err
	}
	again, err := r.Engine.Fate(ctx, o.Workflow)
	return fate, err == nil && again == fate, err
}

// goesOn tells whether a row says that its job or run has not ended.
func (r *Reconciler) goesOn(ctx context.Context, w openflow.Workflow) (bool, error) {
	var ended bool
	var err error
	if w.Run != "" {
		var t openflow.TaskRecord
		t, err = r.Rows.TaskByRunID(ctx, w.Run)
		ended = t.PartyStatus.Terminal()
	} else {
		var j openflow.ScheduledJob
		j, err = r.Rows.ScheduledJob(ctx, w.Job)
		ended = j.Status.Terminal()
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, nil
	}
	return !ended, err
}

// withoutRow tells that a workflow goes on that has no row. It was written before the workflow began, so it is gone. One whose
// row has ended tells others of that. If it does not, although that was long ago, something else has written the row.
func (r *Reconciler) withoutRow(ctx context.Context, w openflow.Workflow) (bool, error) {
	var err error
	var ended time.Time
	if w.Run != "" {
		_, err = r.Rows.TaskByRunID(ctx, w.Run)
	} else {
		var j openflow.ScheduledJob
		j, err = r.Rows.ScheduledJob(ctx, w.Job)
		ended = j.EndTime
	}
	missing := openflow.CodeOf(err) == openflow.CodeNotFound || openflow.CodeOf(err) == openflow.CodeInvalid
	if err != nil && !missing {
		return false, err
	}
	long := !ended.IsZero() && r.Now().Sub(ended) >= unseen
	if !missing && !long {
		return false, nil
	}
	fate, err := r.Engine.Fate(ctx, w)
	if err != nil || !fate.Open || missing {
		return missing && fate.Open, err
	}
	if r.Now().Sub(fate.Since) < unseen {
		return false, nil // it runs once more, and has not said so yet
	}
	at, err := r.Engine.Stopped(ctx, w.Job)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, nil
	}
	return err == nil && at.Status == "", err
}

// endAlone ends this site's part of jobs that it schedules and that are over: a workflow was ended while it told that.
func (r *Reconciler) endAlone(ctx context.Context) error {
	keys, err := r.Rows.OpenAlone(ctx, r.Self, reconcileBatch)
	for _, k := range keys {
		end := openflow.JobEnd{Status: openflow.JobFailed, Reason: openflow.UnknownToScheduler(r.Self)}
		if j, err := r.Rows.ScheduledJob(ctx, k.Job); err == nil && j.Status.Terminal() {
			end.Status, end.Reason = j.Status, j.Reason
		}
		r.Log.WarnContext(ctx, "ending this site's part of a job that is over", "job", k.Job, "role", k.Party.Role, "status", end.Status)
		err = errors.Join(err, r.Runs.StopJob(ctx, k, end))
	}
	return err
}

// noRow is why a workflow ends whose row is gone.
const noRow = "its row in the catalogue is gone, or has ended without it"

// ending bounds how long one stray is waited for.
const ending = 10 * time.Second

// end ends a stray. What can be told is told by a workflow.
func (r *Reconciler) end(ctx context.Context, s Stray) error {
	if s.rowless && r.told[s.Workflow] {
		return nil // it may have others to tell
	}
	limited, cancel := context.WithTimeout(ctx, ending)
	defer cancel()
	var err error
	switch {
	case s.rowless && s.Run != "":
		var k openflow.TaskKey
		if k, err = openflow.ParseRunID(s.Run); err == nil {
			err = r.Engine.StopTask(limited, k, openflow.TaskFailed, noRow)
		}
	case s.rowless:
		_, err = r.Engine.StopJob(limited, s.Job, openflow.JobFailed, openflow.UnknownToScheduler(r.Self))
	case s.Run != "":
		err = r.Runs.EndLost(limited, s.Run, s.Why)
	default:
		err = r.Jobs.EndLost(limited, s.Job, openflow.Lost{Status: openflow.JobFailed, Reason: s.Why})
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = nil // it has ended meanwhile
	}
	if err != nil {
		return err
	}
	r.Log.WarnContext(ctx, "ending what has lost its other half", "what", s.String(), "why", s.Text())
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.rowless {
		if r.told == nil || len(r.told) >= reconcileBatch {
			r.told = map[openflow.Workflow]bool{}
		}
		r.told[s.Workflow] = true
	}
	if r.ended = append(r.ended, s); len(r.ended) > keptStrays {
		r.ended = r.ended[1:]
	}
	return nil
}

// Text says what was found.
func (s Stray) Text() string {
	if s.rowless {
		return noRow
	}
	return s.Why
}
