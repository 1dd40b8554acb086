package workflows

import (
	"hash/fnv"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// pauseAfter is the pause between two applications for resources, which a wake-up cuts short. It grows with the wait,
// because every round is written to the job's history, and Temporal bounds that: weeks of waiting must fit.
func pauseAfter(waited time.Duration) time.Duration {
	return min(max(waited/20, 250*time.Millisecond), longestPause)
}

const longestPause = 10 * time.Minute

// acquire reserves the job's resources at every party, all or nothing, and waits as long as that takes. It reports
// false when the job has ended instead.
func (j *jobRun) acquire(ctx workflow.Context) bool {
	began := workflow.Now(ctx)
	for {
		grants, err := j.apply(ctx)
		if err != nil {
			j.giveUp(ctx, err)
			return false
		}
		verdict := plan.Admit(grants)
		if verdict.Granted {
			return true
		}
		if verdict.Fail != "" {
			j.end(ctx, openflow.JobFailed, verdict.Fail, openflow.CodeRejected)
			return false
		}
		pause := pauseAfter(workflow.Now(ctx).Sub(began))
		if verdict.Called {
			pause = j.calledPause()
		}
		if !j.wait(ctx, verdict, pause) {
			return false
		}
	}
}

// apply asks the parties for the job's resources. The first time it asks all at once, along with the creation where
// that can be. After a refusal it asks one after the other, in the order of their IDs and no further than the first
// that refuses. Two jobs that want the same parties meet at the first of them, so that neither can hold what the other
// one lacks.
func (j *jobRun) apply(ctx workflow.Context) ([]plan.ReserveAnswer, error) {
	if answers := j.answers; answers != nil {
		j.answers = nil
		return answers, nil
	}
	ask := func(ctx workflow.Context, p openflow.Party, g *plan.ReserveAnswer) error {
		var said activities.ReserveAnswer
		err := call(ctx, j.plan.Timing.Partner, "apply at "+p.String(), scheduling.ApplyResources, j.at(p), &said)
		*g = said.Decode()
		return err
	}
	if j.refusals == 0 {
		answers := make([]plan.ReserveAnswer, len(j.plan.Parties))
		return answers, first(each(ctx, j.plan.Parties, func(ctx workflow.Context, p openflow.Party) error {
			return ask(ctx, p, &answers[slices.Index(j.plan.Parties, p)])
		}))
	}
	var answers []plan.ReserveAnswer
	for _, p := range plan.InOrder(j.plan.Parties) {
		var g plan.ReserveAnswer
		if err := ask(ctx, p, &g); err != nil {
			return nil, err
		}
		if answers = append(answers, g); g.Code != "" {
			break
		}
	}
	return answers, nil
}

// calledPause is the pause when the party that is busy will call: its call cuts the pause short, and only a call that is
// lost for good makes it matter. Jobs that began together do not ask together.
func (j *jobRun) calledPause() time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(j.plan.ID)) // never fails
	return longestPause + time.Duration(h.Sum32()%120)*time.Second
}

// wait returns what was granted, tells everybody why the job waits, and pauses. It reports false when the job has been
// ended meanwhile.
func (j *jobRun) wait(ctx workflow.Context, v plan.Verdict, pause time.Duration) bool {
	if err := first(each(ctx, v.Return, func(ctx workflow.Context, p openflow.Party) error {
		return call(ctx, j.plan.Timing.Partner, "return at "+p.String(), scheduling.ReturnResources, j.at(p), nil)
	})); err != nil {
		workflow.GetLogger(ctx).Warn("resources not returned", "job", j.plan.ID, "err", err)
	}
	j.tellWait(ctx, v)
	called := false
	if j.refusals == 1 && v.Called {
		if called = j.pause(ctx, lasting); !called {
			j.tellParties(ctx, v.Wait)
		}
	}
	if !called {
		j.pause(ctx, pause)
	}
	if j.stop != nil {
		j.end(ctx, j.stop.Status, j.stop.Reason, "")
		return false
	}
	return true
}

// lasting is when a wait is long enough to tell the parties of it. Most are not.
const lasting = time.Second

// pause waits that long, or until a party calls or somebody stops the job; only then it reports true.
func (j *jobRun) pause(ctx workflow.Context, d time.Duration) bool {
	timer, cancel := workflow.WithCancel(ctx)
	defer cancel()
	elapsed := workflow.NewTimer(timer, d)
	called := false
	_ = workflow.Await(ctx, func() bool {
		for j.wake.ReceiveAsync(nil) { // several parties may call at once
			called = true
		}
		return called || elapsed.IsReady() || j.stop != nil
	})
	return called || j.stop != nil
}

// tellWait makes the reason visible: at once to the scheduler, and to the parties once the wait lasts. Many jobs may
// wait, so news is rare: at the first, second, fourth, eighth … refusal, and before a party could think that it is
// forgotten.
func (j *jobRun) tellWait(ctx workflow.Context, v plan.Verdict) {
	j.refusals++
	j.reason = v.Wait
	detail(ctx, v.Wait)
	if j.refusals&(j.refusals-1) != 0 {
		if workflow.Now(ctx).Sub(j.told) > newsEvery {
			j.tellParties(ctx, v.Wait)
		}
		return
	}
	j.record(ctx, openflow.JobWaiting, v.Wait, 0)
	if j.refusals > 1 {
		j.tellParties(ctx, v.Wait)
	}
}

// newsEvery is how often the parties hear of a job that waits at least. Those that are not asked while another one is
// busy drop a job of which they have not heard for an hour.
const newsEvery = 30 * time.Minute

func (j *jobRun) tellParties(ctx workflow.Context, why string) {
	j.told = workflow.Now(ctx)
	_ = each(ctx, j.plan.Parties, func(ctx workflow.Context, p openflow.Party) error {
		u := activities.JobUpdate{Call: j.at(p), Status: openflow.JobWaiting, Reason: why}
		return call(ctx, 0, "tell "+p.String(), scheduling.UpdateJob, u, nil) // news only: a party that misses it sees the next
	})
}
