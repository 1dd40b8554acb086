// Package resident serves runs in containers that serve many, and keeps those containers.
//
// [Host] is a driver.Host around another one. A Spec without Resident passes through to that. One with Resident becomes a run
// in a resident container, over the interface of algorithm-image §12, as soon as it is started. Where no container
// has room, and no more may be started, the run gets a container of its own. It never waits for another one: the parties of two
// jobs could then wait for each other.
//
// Each run has a record in a folder of the node's home, and so has each container: who finds the record adopts the run, as
// after a restart of the node. What a container says is bounded, and is not believed where it cannot be true. When a container
// ends, its runs are Interrupted. Those that it had not been told of get a container of their own instead.
//
// Start reading at [Host.Start] and [Host.serve].
package resident

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// Options say for whom resident containers are kept.
type Options struct {
	Node   string // whose they are
	Own    bool   // each run has a container of its own: others follow them too, who do not have the folder
	Folder string // absolute path, of this package's own; it holds what runs are told, their credentials included
	// Serves tells whether a component may have resident containers now; nil: each may. Those that it has are drained otherwise.
	Serves func(ctx context.Context, component string, of openflow.ProviderRef) bool
	// Changed is told that a component has a container that serves, or no longer, and is told it again and again; nil: nobody is.
	Changed func(ctx context.Context, component string, of openflow.ProviderRef, serving bool)
	HTTP    Client // of the calls
	Log     *slog.Logger

	Times Times // zero values: the usual ones
}

// Times are how often and how long.
type Times struct {
	Look  time.Duration // between two looks for containers that nobody needs
	Live  time.Duration // between two questions whether a container is live
	Ready time.Duration // until a container that was started must be ready
	Obey  time.Duration // for which, beyond its grace, a run may go on that is to end before its container is replaced
	Trust time.Duration // for which a container may answer wrongly, or not, before it is replaced
	Rest  time.Duration // for which a component whose container did not get ready has none
}

func (t Times) withDefaults() Times {
	for value, usual := range map[*time.Duration]time.Duration{
		&t.Look: 5 * time.Second, &t.Live: 10 * time.Second, &t.Ready: 30 * time.Second, &t.Obey: 10 * time.Second, &t.Trust: 30 * time.Second, &t.Rest: time.Minute,
	} {
		if *value == 0 {
			*value = usual
		}
	}
	return t
}

// Host is a runtime whose containers may serve many runs. Create it with Over.
type Host struct {
	driver.Host // of all containers
	reach       driver.Residence
	options     Options
	folder      folder
	caller      caller

	life   context.Context // of all that goes on beside
	end    context.CancelFunc
	beside sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	begun   bool                // what containers reach is limited: they are looked after
	pursued map[string]bool     // runs that are followed here, by name
	kept    map[string]*keeping // containers that are looked after here, by name
	rests   map[string]time.Time
	news    chan struct{} // closed at every change of a record that is made here, and replaced
	looks   chan struct{} // asks for a look now
}

var _ driver.Host = (*Host)(nil)

// Over makes a Host over another one. One that cannot reach its containers gives each run its own. What an earlier process has
// left in the folder goes on after Confine: until then no container is made, started or told anything. Errors: those of the file
// system.
func Over(host driver.Host, o Options) (*Host, error) {
	o.Times = o.Times.withDefaults()
	h := &Host{
		Host: host, options: o, folder: folder{o.Folder}, caller: caller{make: o.HTTP},
		pursued: map[string]bool{}, kept: map[string]*keeping{}, rests: map[string]time.Time{},
		news: make(chan struct{}), looks: make(chan struct{}, 1),
	}
	h.life, h.end = context.WithCancel(context.Background())
	able := false
	if h.reach, able = host.(driver.Residence); !able || o.Own {
		h.reach = nil
		return h, nil
	}
	if err := h.folder.make(); err != nil {
		h.end()
		return nil, err
	}
	return h, nil
}

// Confine implements driver.Host. Containers are looked after from then on.
func (h *Host) Confine(ctx context.Context, port int) ([]string, error) {
	warnings, err := h.Host.Confine(ctx, port)
	if err != nil || h.reach == nil {
		return warnings, err
	}
	h.mu.Lock()
	first := !h.begun
	h.begun = true
	h.mu.Unlock()
	if first {
		h.begin(h.rounds)
	}
	return warnings, nil
}

// begin does something beside, until Close.
func (h *Host) begin(do func(context.Context)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.beside.Go(func() { do(h.life) })
	}
}

// Close implements driver.Host. Containers run on, and so do their runs.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	h.beside.Wait()
	h.caller.leave("")
	return h.Host.Close()
}

// tell wakes those who wait for a change of a record.
func (h *Host) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.news)
	h.news = make(chan struct{})
}

func (h *Host) changes() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.news
}

// otherwise is how often a record is read again that another process may have changed.
const otherwise = 200 * time.Millisecond

// await waits for a change of a record.
func (h *Host) await(ctx context.Context, news <-chan struct{}) error {
	timer := time.NewTimer(otherwise)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// pause waits for so long, or until the context ends.
func pause(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// change changes the record of a run, as long as it is the run that the caller means: a name may have another by now. The
// change tells whether there is something to write.
func (h *Host) change(r run, with func(*run) bool) error {
	err := h.folder.locked(func() error {
		now, ok, err := h.folder.run(r.Spec.Name)
		if err != nil || !ok || now.Token != r.Token || !with(&now) {
			return err
		}
		return h.folder.keepRun(now)
	})
	h.tell()
	return err
}

// settle writes down how a run has ended. The first end that is written down is the one. A run that was stopped, and whose
// container ended before it said how, was ended by that.
func (h *Host) settle(r run, how ended) {
	err := h.change(r, func(now *run) bool {
		if now.Ended != nil {
			return false
		}
		if now.Stopped && how.Interrupted {
			how.Interrupted = false
		}
		how.Finished = clamp(how.Finished, now.Started, time.Now())
		now.Ended, now.Spec.Env = &how, nil
		return true
	})
	if err != nil {
		h.options.Log.Error("the end of a run in a resident container was not written down", "run", r.Spec.Name, "err", err)
	}
}

// clamp is a time that somebody else has told, within what can be.
func clamp(t, from, to time.Time) time.Time {
	if t.Before(from) {
		t = from
	}
	if t.After(to) {
		t = to
	}
	return t
}

// gone tells that an error says that there is no such container.
func gone(err error) bool { return openflow.CodeOf(err) == openflow.CodeNotFound }
