// Package admission decides who may take what of a site's capacity: which job may have its resources now, and which of those
// that wait are told to come.
//
// Everything here is a pure function over plain values. Three rules make a queue of it. Jobs are served by priority,
// then age. A job that does not fit now lets smaller ones pass. One that has waited for [Rules].Patience comes before
// all that have not, by age alone. The first such job that still does not fit gets what becomes free until it does. So
// nobody waits for ever.
//
// Age is the order in which the site has first seen the jobs. Nothing that a peer says makes its job older. Two sites may so
// put two jobs in different orders. They cannot keep them waiting for each other all the same. Whoever was told to come
// and does not come waits for another site. What is kept for it is soon there for all again.
package admission

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"openflow"
)

// Claim is what a job wants of the capacity, with what is known of its wait.
type Claim struct {
	Job      openflow.JobKey
	Peer     openflow.PartyID // whose quota it counts to; empty: nobody's
	Need     openflow.Resources
	Priority int       // higher first
	Age      int64     // its number in the order in which the site has seen jobs, so no two have the same; lower first
	Since    time.Time // first refused; zero: never
	Asked    time.Time // last refused
	Woken    time.Time // told, since it last asked, that it can have what it needs; zero: not told
}

// Rules are a site's own.
type Rules struct {
	Patience time.Duration  // after which a job is not passed any more
	Quota    openflow.Quota // of each peer of which nothing else is said
}

const (
	// hold is how long what a job was told of is kept for it: it is on its way.
	hold = 2 * time.Second
	// lapse is after what time nothing is kept any more for an overdue job that was told and has not come. It is longer than
	// hold, since such a job asks other sites before. It is bounded, since the other site may keep what it has for a job that
	// waits here. And a scheduler that never comes would keep everybody waiting.
	lapse = time.Minute
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
	return cmp.Compare(a.Age, b.Age)
}

// Left is how much of free the claim may take beside the others that wait. What has been promised to jobs before it is
// not for it, nor what they are about to be told of: who asks again and again passes nobody. Nor is what those need that are
// not to be passed, up to the first that does not fit.
func (r Rules) Left(free openflow.Resources, c Claim, waiting []Claim, now time.Time) openflow.Resources {
	h := r.Horizon(now)
	reserved := false
	for _, w := range h.sorted(waiting) {
		if w.Job == c.Job || h.compare(w, c) > 0 {
			continue
		}
		turn := !h.knows(w) && w.Need.Within(free)
		kept, last := h.keeps(w, free, reserved)
		if turn || kept || h.held(w) {
			free = free.Minus(w.Need)
		}
		reserved = reserved || last
	}
	return free
}

// Next chooses which of the jobs that wait are told that they can have what they need, in the order of their turns. A job
// that does not come waits for another site, which will tell it, or the call was lost: it is told again, ever more rarely.
// What those need that were told a moment ago is not offered to others. quota is what each peer may still take; one that it
// does not name is not bounded.
func (r Rules) Next(free openflow.Resources, quota map[openflow.PartyID]openflow.Resources, waiting []Claim, now time.Time) []Claim {
	h := r.Horizon(now)
	quota = maps.Clone(quota)
	var told []Claim
	reserved := false
	for _, w := range h.sorted(waiting) {
		own, bounded := quota[w.Peer]
		if bounded && !w.Need.Within(own) {
			continue // it waits for jobs of its own peer, and for nothing that others could take
		}
		turn := !h.knows(w) && w.Need.Within(free)
		if turn {
			told = append(told, w)
		}
		if bounded && (turn || h.held(w)) {
			quota[w.Peer] = own.Minus(w.Need)
		}
		kept, last := h.keeps(w, free, reserved)
		if turn || kept || h.held(w) {
			free = free.Minus(w.Need)
		}
		reserved = reserved || last
	}
	return told
}

// keeps tells whether what w needs is kept for it because it is not to be passed: while it fits and may be on its way, or as
// the first that does not fit (last).
func (h Horizon) keeps(w Claim, free openflow.Resources, reserved bool) (kept, last bool) {
	if !h.overdue(w) || reserved {
		return false, false
	}
	if w.Need.Within(free) {
		return w.Woken.IsZero() || h.Now.Sub(w.Woken) < lapse, false
	}
	return true, true
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

// Version is a version of a task at one party, as far as it decides whether another one may run.
type Version struct {
	Number      int
	Status      openflow.TaskStatus // over all parties, as the scheduler says
	PartyStatus openflow.TaskStatus // here
	Open        bool                // it was accepted, and has not ended
}

// Follows tells whether a run may be started beside the other versions of its task here. A version runs alone, is the last, and none
// that has succeeded is before it: only a task that has failed, here or elsewhere, is run again. Errors: CodeExhausted (another
// version has to end first), CodeConflict.
func Follows(k openflow.TaskKey, others []Version) error {
	for _, v := range others {
		failed := v.Status.Terminal() && !v.Status.Succeeded()
		switch {
		case v.Number > k.Version:
			return openflow.Errorf(openflow.CodeConflict, "%s cannot start: version %d of the task is here already", k, v.Number)
		case v.PartyStatus.Succeeded() && !failed || v.Status.Succeeded():
			return openflow.Errorf(openflow.CodeConflict, "%s cannot start: version %d of the task has succeeded", k, v.Number)
		}
	}
	for _, v := range others {
		if v.Open {
			return openflow.About(openflow.AboutResource,
				openflow.Errorf(openflow.CodeExhausted, "%s cannot start yet: version %d of the task is under way", k, v.Number).
					WithHint("it goes on when that version has ended"))
		}
	}
	return nil
}
