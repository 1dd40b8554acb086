package interconnection

import (
	"hash/maphash"
	"slices"
	"sync"
)

// How many messages are remembered of one session, and of how many sessions: what may be under way when a sender dies.
const (
	mostRepeats  = 64
	mostSessions = 4096
)

// repeats remembers the latest messages that were taken. A sender whose node was killed before it heard the answer sends the message
// again, and by then the task here may have made use of it and ended. A store has forgotten the session then, and refuses.
// This memory ends with the process: a repeat that comes after another restart is refused.
type repeats struct {
	mu    sync.Mutex
	seed  maphash.Seed
	taken map[string][]uint64 // by session, the latest last
	order []string            // of sessions, the oldest first
}

func (r *repeats) of(session, from, id string) uint64 {
	if r.taken == nil {
		r.taken, r.seed = map[string][]uint64{}, maphash.MakeSeed()
	}
	return maphash.Comparable(r.seed, [3]string{session, from, id})
}

// note remembers a message that was taken. One without an ID is never repeated.
func (r *repeats) note(session, from, id string) {
	if id == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of(session, from, id)
	list, known := r.taken[session]
	if !known {
		if len(r.order) >= mostSessions {
			delete(r.taken, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, session)
	}
	if len(list) >= mostRepeats {
		list = slices.Delete(list, 0, 1)
	}
	r.taken[session] = append(list, one)
}

// has tells whether a message was taken.
func (r *repeats) has(session, from, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.of(session, from, id)
	return id != "" && slices.Contains(r.taken[session], one)
}
