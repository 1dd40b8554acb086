package activities

import (
	"context"
	"slices"
	"sync"
	"time"

	"openflow"
)

// Machine is a machine that takes runs from its site's pool: what it is called, and which of its cores are taken. It
// bounds what the machine takes; the site's resources have been given to the run before.
type Machine struct {
	ID    string // for good: the machine's own queue is called after it
	Name  string // for people
	Cores int
	Now   func() time.Time // nil: time.Now

	mu   sync.Mutex
	held map[openflow.RunID]hold
	free chan struct{} // closed when cores may have become free; nil when nobody waits
}

// hold is a run's part of the machine. A run that was taken and has not come gives it back after a while: its workflow
// may have been told to end in between.
type hold struct {
	cores     int
	followers int       // two for a moment, when an attempt is taken for lost that is not
	until     time.Time // of a run that has not come yet
}

// comes is how long a machine keeps cores for a run that it has taken.
const comes = 30 * time.Second

func (m *Machine) now() time.Time {
	if m.Now != nil {
		return m.Now()
	}
	return time.Now()
}

// take keeps cores for a run that is to come, one of which must be free unless it is urgent. Taking it again changes
// nothing.
func (m *Machine) take(id openflow.RunID, cores int, urgent bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, again := m.held[id]
	if free, _ := m.count(); free <= 0 && !urgent && !again {
		return false
	}
	if m.held[id].followers == 0 {
		m.hold(id, hold{cores: cores, until: m.now().Add(comes)})
	}
	return true
}

// follow keeps cores as long as the run is followed.
func (m *Machine) follow(id openflow.RunID, cores int) (done func()) {
	if m == nil {
		return func() {}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hold(id, hold{cores: cores, followers: m.held[id].followers + 1})
	return func() { m.leave(id) }
}

func (m *Machine) leave(id openflow.RunID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.held[id]
	if h.followers--; h.followers > 0 {
		m.held[id] = h
		return
	}
	delete(m.held, id)
	if m.free != nil {
		close(m.free)
		m.free = nil
	}
}

func (m *Machine) hold(id openflow.RunID, h hold) {
	if m.held == nil {
		m.held = map[openflow.RunID]hold{}
	}
	m.held[id] = h
}

// Free waits until a core is free. A run that wants more of them than that is taken all the same, and shares them: no
// run may find a machine too small for ever.
func (m *Machine) Free(ctx context.Context) error {
	for {
		free, changed, next := m.look()
		if free > 0 {
			return nil
		}
		timer := time.NewTimer(next)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// look tells how many cores are free, and when to look again: at a change, or when the next hold is over.
func (m *Machine) look() (free int, changed <-chan struct{}, next time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.free == nil {
		m.free = make(chan struct{})
	}
	free, next = m.count()
	return free, m.free, next
}

// count tells how many cores are free, and in how long a hold is over.
func (m *Machine) count() (free int, next time.Duration) {
	free, next = m.Cores, comes
	for id, h := range m.held {
		if h.followers == 0 {
			left := h.until.Sub(m.now())
			if left <= 0 {
				delete(m.held, id)
				continue
			}
			next = min(next, left)
		}
		free -= min(h.cores, m.Cores)
	}
	return free, next
}

// Running lists the runs that are followed, in order.
func (m *Machine) Running() []openflow.RunID {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []openflow.RunID
	for id, h := range m.held {
		if h.followers > 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Choosing holds the activity by which a machine takes a run from a queue of the pool.
type Choosing struct {
	Machine *Machine
	Urgent  bool // takes what is offered without a free core
}

// ChooseMachine takes the run: whoever gets to do this is the machine that runs it. CodeExhausted: another queue's run
// has taken the last free core since this one was polled for, so that it is to be offered again.
func (c *Choosing) ChooseMachine(_ context.Context, o TaskOrder) (Place, error) {
	if !c.Machine.take(o.Run.Decode().RunID(), o.Cores, c.Urgent) {
		return Place{}, ToTemporal(openflow.Errorf(openflow.CodeExhausted, "machine %s has no core free", c.Machine.Name))
	}
	return Place{Machine: c.Machine.ID, Name: c.Machine.Name}, nil
}
