package plan

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"openflow"
)

// ReserveAnswer is one party's answer to the application for a job's resources.
type ReserveAnswer struct {
	Party openflow.Party
	Code  openflow.Code // empty: granted
	Text  string

	Spoken []openflow.Spoken // that came with the answer to the creation
}

// Verdict is what follows from all answers together: all or nothing.
type Verdict struct {
	Granted bool
	Return  []openflow.Party // who must take back what it gave
	Wait    string           // why the job waits, for people
	Called  bool             // whoever is busy will call when that has changed
	Fail    string           // why it can never run; empty when it can
}

// InOrder puts parties into the one order in which all jobs ask for resources.
func InOrder(parties []openflow.Party) []openflow.Party {
	return slices.SortedFunc(slices.Values(parties), func(a, b openflow.Party) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Role, b.Role))
	})
}

// Admit decides from the parties' answers. A busy party, or one that cannot be reached now, means waiting; one that is
// busy calls when its turn comes, one that cannot be reached does not. A party that can never grant it, or refuses, means
// failure.
//
// Spec: fate-flow-api §2.4 W.
func Admit(answers []ReserveAnswer) Verdict {
	var a Verdict
	refused := false
	for _, g := range answers {
		switch {
		case g.Code == "":
			a.Return = append(a.Return, g.Party)
		case g.Code.Retryable():
			refused = true
			a.Called = g.Code == openflow.CodeExhausted && (a.Called || a.Wait == "")
			if a.Wait == "" {
				a.Wait = fmt.Sprintf("waiting for party %s (%s): %s", g.Party.ID, g.Party.Role, g.Text)
			}
		default:
			refused = true
			if a.Fail == "" {
				a.Fail = fmt.Sprintf("refused by party %s (%s): %s", g.Party.ID, g.Party.Role, cmp.Or(g.Text, string(g.Code)))
			}
		}
	}
	if !refused {
		return Verdict{Granted: true}
	}
	return a
}

// Lasting is when a wait is long enough to tell the parties of it. Most are not.
const Lasting = time.Second

// newsEvery is how often the parties hear of a job that waits at least. Those that are not asked while another one is
// busy drop a job of which they have not heard for an hour.
const newsEvery = 30 * time.Minute

// Queue is a job's wait for its resources: how long it waits, and what people know of it. Many jobs may wait, so news is
// rare: at the first, second, fourth, eighth … refusal, and before a party could think that it is forgotten.
type Queue struct {
	job      openflow.JobID
	began    time.Time
	told     time.Time // when the parties last heard why it waits
	refusals int       // how often a party has refused its resources
}

// NewQueue is the wait of a job that asks for its resources from now on.
func NewQueue(job openflow.JobID, now time.Time) *Queue { return &Queue{job: job, began: now} }

// InOrder tells how the parties are asked: the first time all at once; after a refusal one after the other, in the order
// of [InOrder] and no further than the first that refuses. Two jobs that want the same parties meet at the first of
// them, so that neither can hold what the other one lacks.
func (q *Queue) InOrder() bool { return q.refusals > 0 }

// Wait is what follows from a refusal.
type Wait struct {
	Record  bool // the scheduler's record is told why
	Tell    bool // so are the parties, at once
	Lasting bool // so are the parties, if nobody calls within [Lasting]
	Pause   time.Duration
}

// Refused takes that the parties have not granted the resources, and tells how the job waits.
func (q *Queue) Refused(a Verdict, now time.Time) Wait {
	q.refusals++
	rare := q.refusals&(q.refusals-1) == 0
	w := Wait{
		Record:  rare,
		Tell:    rare && q.refusals > 1 || !rare && now.Sub(q.told) > newsEvery,
		Lasting: q.refusals == 1 && a.Called,
		Pause:   Pause(now.Sub(q.began)),
	}
	if a.Called {
		w.Pause = q.called()
	}
	return w
}

// Told takes that the parties have heard why the job waits.
func (q *Queue) Told(now time.Time) { q.told = now }

// called is the pause when the party that is busy will call: its call cuts the pause short, and only a call that is lost
// for good makes it matter. Jobs that began together do not ask together.
func (q *Queue) called() time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(q.job)) // never fails
	return longestPause + time.Duration(h.Sum32()%120)*time.Second
}
