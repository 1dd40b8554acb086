// Package admission decides who may take what of a site's capacity: which job may have its resources now, and which of those
// that wait are told to come.
//
// Everything here is a pure function over plain values. Three rules make a queue of it. Jobs are served by priority,
// then age. A job that does not fit now lets smaller ones pass. One that has waited for [Rules].Patience comes before
// all that have not, by age alone. The first such job that still does not fit gets what becomes free until it does. So
// nobody waits for ever.
//
// Age is the job's ID, which begins with the time of the submission: all sites put two jobs in the same order, so they
// cannot keep two jobs waiting for each other.
package admission

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"openflow"
)

// Claim is what a job wants of the capacity, with what is known of its wait.
type Claim struct {
	Job      openflow.JobKey
	Need     openflow.Resources
	Priority int       // higher first
	Since    time.Time // first refused; zero: never
	Asked    time.Time // last refused
	Woken    time.Time // told, since it last asked, that it can have what it needs; zero: not told
}

// Rules are a site's own.
type Rules struct {
	Patience time.Duration // after which a job is not passed any more
}

const (
	// hold is how long what a job was told of is kept for it: it is on its way.
	hold = 2 * time.Second
	// lost is after what time a job that was told and has not come is told again: who was to call it may have died
	// before. Then it is told after as long as it had waited by then: it may also wait for another site, and each call
	// costs it a round there. So a job in its third week is not called every half minute.
	lost = 30 * time.Second
	// silence is how long a job is believed to want what it does not ask for any more. Schedulers ask every ten minutes.
	silence = 30 * time.Minute
)

// Horizon is what a reader of the queue needs to find the claims that matter at a time. Claims told after Told hold
// something; those told before Lost may not know it. Claims that were refused first no later than Overdue, and last
// after Silent, cannot be passed.
type Horizon struct{ Now, Told, Lost, Overdue, Silent time.Time }

// Horizon of these rules at a time.
func (r Rules) Horizon(now time.Time) Horizon {
	return Horizon{Now: now, Told: now.Add(-hold), Lost: now.Add(-lost), Overdue: now.Add(-r.Patience), Silent: now.Add(-silence)}
}

func (h Horizon) held(c Claim) bool { return c.Woken.After(h.Told) }

// knows tells whether the job has been told, as far as can be expected.
func (h Horizon) knows(c Claim) bool {
	return !c.Woken.IsZero() && (c.Woken.After(h.Lost) || h.Now.Sub(c.Woken) < c.Woken.Sub(c.Since))
}

func (h Horizon) overdue(c Claim) bool {
	return !c.Since.IsZero() && !c.Since.After(h.Overdue) && c.Asked.After(h.Silent)
}

// compare puts who is served first first.
func (h Horizon) compare(a, b Claim) int {
	late, lateB := h.overdue(a), h.overdue(b)
	switch {
	case late && !lateB:
		return -1
	case lateB && !late:
		return 1
	case !late && a.Priority != b.Priority:
		return cmp.Compare(b.Priority, a.Priority)
	}
	return cmp.Or(
		cmp.Compare(a.Job.Job, b.Job.Job), cmp.Compare(a.Job.Scheduler, b.Job.Scheduler),
		cmp.Compare(a.Job.Party.Role, b.Job.Party.Role), cmp.Compare(a.Job.Party.ID, b.Job.Party.ID),
	)
}

// Left is how much of free the claim may take beside the others that wait. What has been promised to jobs before it is
// not for it. Nor is what those need that are not to be passed, up to the first that does not fit.
func (r Rules) Left(free openflow.Resources, c Claim, waiting []Claim, now time.Time) openflow.Resources {
	h := r.Horizon(now)
	reserved := false
	for _, w := range h.sorted(waiting) {
		if w.Job == c.Job || h.compare(w, c) > 0 {
			continue
		}
		kept, last := h.keeps(w, free, reserved)
		if kept || h.held(w) {
			free = free.Minus(w.Need)
		}
		reserved = reserved || last
	}
	return free
}

// Next chooses which of the jobs that wait are told that they can have what they need, in the order of their turns. A job
// that does not come waits for another site, which will tell it, or the call was lost: it is told again, ever more rarely.
// What those need that were told a moment ago is not offered to others.
func (r Rules) Next(free openflow.Resources, waiting []Claim, now time.Time) []Claim {
	h := r.Horizon(now)
	var told []Claim
	reserved := false
	for _, w := range h.sorted(waiting) {
		turn := !h.knows(w) && w.Need.Within(free)
		if turn {
			told = append(told, w)
		}
		kept, last := h.keeps(w, free, reserved)
		if turn || kept || h.held(w) {
			free = free.Minus(w.Need)
		}
		reserved = reserved || last
	}
	return told
}

// keeps tells whether what w needs is kept for it because it is not to be passed: while it fits, or as the first that does
// not (last).
func (h Horizon) keeps(w Claim, free openflow.Resources, reserved bool) (kept, last bool) {
	if !h.overdue(w) || reserved {
		return false, false
	}
	return true, !w.Need.Within(free)
}

func (h Horizon) sorted(waiting []Claim) []Claim {
	return slices.SortedFunc(slices.Values(waiting), h.compare)
}

// Devices chooses n of a site's GPUs, numbered from 0, that are not taken. ok is false when there are not as many.
func Devices(total int, taken []string, n int) (ids []string, ok bool) {
	for i := 0; i < total && len(ids) < n; i++ {
		if id := strconv.Itoa(i); !slices.Contains(taken, id) {
			ids = append(ids, id)
		}
	}
	return ids, len(ids) == n
}
