package partner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// exchange is what two parties have to tell each other of a run: its end, to its scheduler, or how it stands, to the scheduler
// that asks.
type exchange struct {
	run    openflow.TaskKey
	report bool
}

// job is that of the run, whatever party it is of.
func (x exchange) job() openflow.JobKey {
	return openflow.JobKey{Scheduler: x.run.Scheduler, Job: x.run.Job}
}

// with is the party whose node is called.
func (x exchange) with() openflow.PartyID {
	if x.report {
		return x.run.Scheduler
	}
	return x.run.Party.ID
}

// unheard is that such an exchange does not come about.
type unheard struct {
	since, last time.Time
	times       int
	err         error // the last; nil: the party says that its run has not begun
	final       bool  // it is not tried again
}

const (
	// untold is when a report counts as over that nobody tries any more: it is repeated after 15 s, in calls of 30 s at most.
	untold = 2 * time.Minute
	// unanswered is the same of a question. The longer a run goes on the less it is asked for, but every ten minutes.
	unanswered = 12 * time.Minute
	// manyUnheard bounds how many are remembered.
	manyUnheard = 10_000
	// unheardNamed is how many of them a reason names.
	unheardNamed = 3
)

// Reported is told each time how it went that a scheduler was told of the end of a run here. again: it will be told once more.
func (w *Watch) Reported(k openflow.TaskKey, err error, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.heard(exchange{k, true})
		return
	}
	w.miss(exchange{k, true}, err, !again)
}

// Asked is told each time how it went that a party was asked how its run stands. That a party knows nothing of the run is an answer. A run
// that waits may have no cores or no machine yet, or is lost: if that lasts, people read it. Of a run of this site its own row says more.
func (w *Watch) Asked(k openflow.TaskKey, status openflow.TaskStatus, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if openflow.CodeOf(err) == openflow.CodeNotFound || err == nil && (status != openflow.TaskWaiting || k.Party.ID == w.self) {
		w.heard(exchange{run: k})
		return
	}
	w.miss(exchange{run: k}, err, false)
}

// Heard is told of a report that has come for a run of another party: nobody has to ask for what it says.
func (w *Watch) Heard(k openflow.TaskKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard(exchange{run: k})
}

func (w *Watch) heard(x exchange) {
	u, was := w.unheard.get(x.job(), x)
	w.unheard.drop(x.job(), x)
	if was && u.counts() {
		w.log.Info("a party and this node have told each other of a run again", "party", x.with(), "run", x.run.RunID())
	}
}

func (w *Watch) miss(x exchange, err error, final bool) {
	u, was := w.unheard.get(x.job(), x)
	if openflow.CodeOf(err) == openflow.CodeCanceled || !was && w.unheard.many >= manyUnheard { // this node has given up, as when it stops
		return
	}
	before := u.counts()
	if !was || (u.err == nil) != (err == nil) {
		u = unheard{since: time.Now()}
	}
	u.last, u.err, u.final = time.Now(), err, final
	u.times++
	w.unheard.put(x.job(), x, u)
	if before || !u.counts() {
		return
	}
	switch {
	case x.report:
		w.log.Warn("a scheduler does not take the report of a run's end", "party", x.with(), "run", x.run.RunID(), "again", !final, "err", openflow.Heard(err.Error()))
	case err == nil:
		w.log.Info("a party says that its run has not begun", "party", x.with(), "run", x.run.RunID())
	default:
		w.log.Warn("a party does not say how a run stands", "party", x.with(), "run", x.run.RunID(), "err", openflow.Heard(err.Error()))
	}
}

// counts tells whether people should read of it: not of one answer that is lost on its way, nor of a run that begins just now.
func (u unheard) counts() bool {
	switch {
	case u.times == 0:
		return false
	case u.err == nil:
		return u.last.Sub(u.since) >= hinderedAfter
	}
	return true
}

// answering drops the questions to a party that were lost while it was silent: it answers again, and is asked in its turn.
func (w *Watch) answering(id openflow.PartyID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unheard.dropWhere(func(x exchange, u unheard) bool {
		return !x.report && x.with() == id && troubling(u.err) && !errors.Is(u.err, openflow.ErrUnusable)
	})
}

// forgetUnheard drops what nobody tries any more, and what was given up of jobs that do not run.
func (w *Watch) forgetUnheard(jobs []openflow.JobRecord) {
	runs := map[openflow.JobKey]bool{}
	for _, j := range jobs {
		runs[j.Key()] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unheard.dropWhere(func(x exchange, u unheard) bool {
		patience := unanswered
		if x.report {
			patience = untold
		}
		return time.Since(u.last) > patience && !(u.final && runs[x.run.JobKey()])
	})
}

// unheardOf says what of a job's runs is not told, with the words of others where own is set. Of its exchanges the chosen
// ones count, and of a silent party no more is said than that.
func (w *Watch) unheardOf(
	scheduler openflow.PartyID, job openflow.JobID, d *openflow.DAG, troubles map[openflow.PartyID]trouble, own bool, chosen func(exchange) bool,
) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var said []string
	for x, u := range w.unheard.groups[openflow.JobKey{Scheduler: scheduler, Job: job}] {
		if t, named := troubles[x.with()]; named && !t.answers || !u.counts() || !chosen(x) {
			continue
		}
		since, text := u.since.UTC().Format(time.RFC3339), ""
		switch {
		case x.report:
			text = fmt.Sprintf("since %s it does not take the report that task %s has ended here (%s)", since, x.run.Task, openflow.CodeOf(u.err))
		case u.err == nil:
			text = fmt.Sprintf("since %s it says that its run of task %s has not begun", since, x.run.Task)
		default:
			text = fmt.Sprintf("since %s it does not say in a form that can be used how task %s stands (%s)", since, x.run.Task, openflow.CodeOf(u.err))
		}
		if words := w.said(u.err); own && words != "" {
			text += ": " + words
		}
		said = append(said, fmt.Sprintf("party %s (%s): %s", x.with(), roles(d, x.with()), text))
	}
	slices.Sort(said)
	if more := len(said) - unheardNamed; more > 0 {
		said = append(said[:unheardNamed], fmt.Sprintf("%d more such", more))
	}
	return said
}

// waitingFor joins what a job waits for; empty: nothing.
func waitingFor(said []string) string {
	if len(said) == 0 {
		return ""
	}
	return "waiting for " + strings.Join(said, "; ")
}
