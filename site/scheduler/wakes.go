package scheduler

import (
	"math"
	"sync"
	"time"

	"openflow"
)

// wakes counts how often waiting jobs were called. Each call is written to the history of a job's workflow, with what follows
// from it, and a party may call as often as it likes.
type wakes struct {
	mu    sync.Mutex
	taken map[openflow.JobID]int
}

const (
	// atOnce is how many calls a job takes in a burst: several parties free what it needs at about the same time.
	atOnce = 50
	// often is how long it takes one a second; after that, the longer it waits the rarer. A week of calls comes to a thousand.
	often = 100 * time.Second
	// maxWaiting bounds how many jobs are counted; all are forgotten when there are more.
	maxWaiting = 10_000
)

// allowance is how many calls a job takes that has waited for so long.
func allowance(waited time.Duration) int {
	if waited <= often {
		return atOnce + int(waited/time.Second)
	}
	return atOnce + int(often.Seconds()*(1+math.Log(float64(waited)/float64(often))))
}

// allow counts a call, and tells whether the job takes it.
func (w *wakes) allow(id openflow.JobID, waited time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taken == nil || len(w.taken) >= maxWaiting {
		w.taken = map[openflow.JobID]int{}
	}
	if w.taken[id] >= allowance(waited) {
		return false
	}
	w.taken[id]++
	return true
}

// forget forgets a job that does not wait any more.
func (w *wakes) forget(id openflow.JobID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.taken, id)
}
