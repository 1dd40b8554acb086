package resident

import (
	"context"
	"errors"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
)

// pursue follows a run to its end, beside, unless that is done here already. Before Confine it does nothing: whoever waits asks again.
func (h *Host) pursue(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || !h.begun || h.pursued[name] {
		return
	}
	h.pursued[name] = true
	h.beside.Go(func() {
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.pursued, name)
		}()
		h.serve(h.life, name)
	})
}

// again is the pause between two tries of something that did not succeed.
const again = 200 * time.Millisecond

// serve takes one step after the other with a run: its container gets ready, is told of it, and says how it has ended. Each step is
// written down before the next, so that another process goes on from there.
func (h *Host) serve(ctx context.Context, name string) {
	var trouble time.Time // since when the container answers wrongly; zero: it does not
	for ctx.Err() == nil {
		r, known, err := h.folder.run(name)
		if err == nil && (!known || r.state() != driver.StateRunning) {
			return
		}
		if err == nil {
			err = h.step(ctx, r)
		}
		var of fault
		switch {
		case ctx.Err() != nil:
		case !errors.As(err, &of):
			trouble = time.Time{}
		case trouble.IsZero():
			trouble = time.Now()
		case time.Since(trouble) > h.options.Times.Trust:
			h.options.Log.WarnContext(ctx, "a run in a resident container does not go on", "run", name, "container", r.Container, "err", err)
			if c, known, e := h.folder.container(r.Container); e == nil && known {
				h.condemn(ctx, c, "it does not do what it is told: "+openflow.Heard(err.Error()))
			}
			trouble = time.Time{}
		}
		if err != nil {
			pause(ctx, again)
		}
	}
}

// step is the next thing to do with a run that was started.
func (h *Host) step(ctx context.Context, r run) error {
	if r.Stopped && !r.Offered {
		if r.Alone { // one of its own may be made already
			if err := h.Host.Remove(ctx, r.Spec.Name); err != nil {
				return err
			}
		}
		h.settle(r, ended{ExitCode: exitTerminated, Finished: time.Now()})
		return nil
	}
	if r.Alone {
		err := h.separate(ctx, r)
		if err != nil && ctx.Err() == nil && !openflow.CodeOf(err).Retryable() {
			h.settle(r, ended{ExitCode: cannotRun, Reason: openflow.Heard(err.Error()), Finished: time.Now()})
			return nil
		}
		return err
	}
	c, known, err := h.folder.container(r.Container)
	if err != nil {
		return err
	}
	if !known { // its record may be gone alone
		if err := h.Host.Stop(ctx, r.Container, 0); err != nil {
			return err
		}
		return h.interrupt(r, "the resident container is gone")
	}
	if c.Condemned != "" {
		pause(ctx, readyEvery) // it is being ended
		return nil
	}
	ready, err := h.up(ctx, c)
	if err != nil {
		return err
	}
	if !ready {
		pause(ctx, readyEvery) // what becomes of the run is being written down
		return nil
	}
	to, err := h.lineTo(ctx, c)
	switch code := openflow.CodeOf(err); {
	case code == openflow.CodeNotFound || code == openflow.CodeConflict:
		if why := over(h.Host.Inspect(ctx, c.Name)); why != "" {
			h.condemn(ctx, c, why)
			return nil
		}
		return fault{err}
	case err != nil:
		return err
	case !r.Delivered:
		return h.deliver(ctx, r, to)
	}
	return h.follow(ctx, r, c, to)
}

// The exit codes of a run that was ended, and of one that could not be run, as a shell and Docker report them.
const (
	exitTerminated = 143
	exitKilled     = 137
	cannotRun      = 127
)

// interrupt says that a run has ended with its container. One that the container has not heard of gets a container of its own.
func (h *Host) interrupt(r run, why string) error {
	return h.change(r, func(now *run) bool { return now.interrupt(why) })
}

func (r *run) interrupt(why string) bool {
	switch {
	case r.Ended != nil:
		return false
	case r.Stopped && !r.Offered: // it has never run
		r.Ended = &ended{ExitCode: exitTerminated, Finished: time.Now()}
		r.Spec.Env = nil
	case r.Offered:
		r.Ended = &ended{ExitCode: exitKilled, Interrupted: !r.Stopped, Reason: why, Finished: time.Now()}
		r.Spec.Env = nil
	default:
		r.Container, r.Alone = "", true
	}
	return true
}

// deliver tells a container of a run. One that wants it not gives it back. Before that is written down, the container is called
// once: a connection that does not lead to it is offered nothing.
func (h *Host) deliver(ctx context.Context, r run, to line) error {
	if !r.Offered {
		if _, err := h.caller.ready(ctx, to); err != nil {
			return fault{err}
		}
		if err := h.change(r, func(now *run) bool { now.Offered = true; return now.Ended == nil }); err != nil {
			return err
		}
	}
	taken, err := h.caller.put(ctx, to, r.id(), environment(r.Spec.Env))
	if err != nil {
		return fault{err}
	}
	return h.change(r, func(now *run) bool {
		switch {
		case now.Ended != nil:
			return false
		case taken:
			now.Delivered, now.Spec.Env = true, nil
		case now.Stopped:
			now.Ended = &ended{ExitCode: exitTerminated, Finished: time.Now()}
		default:
			h.options.Log.InfoContext(ctx, "a resident container takes no run now; it gets a container of its own", "run", now.Spec.Name, "container", now.Container)
			now.Container, now.Alone, now.Offered = "", true, false
		}
		return true
	})
}

// follow asks for the end of a run until there is one. A container that has forgotten a run, which has to stay, may have it still.
func (h *Host) follow(ctx context.Context, r run, c container, to line) error {
	begun := time.Now()
	s, known, err := h.caller.ask(ctx, to, r.id())
	switch {
	case err != nil:
		return fault{err}
	case !known:
		h.condemn(ctx, c, "the resident container has forgotten a run")
	case s.State == residence.Ended && !r.Stopped && (*s.ExitCode == exitTerminated || *s.ExitCode == exitKilled):
		return h.unasked(ctx, r, to, s)
	case s.State == residence.Ended:
		h.settle(r, ended{ExitCode: *s.ExitCode, Finished: time.UnixMilli(s.Finished)})
	case time.Since(begun) < again:
		pause(ctx, again) // it was asked to wait
	}
	return nil
}

// unasked settles a run that a signal has ended, and nobody here has sent one. The run may have done that by itself. Or its
// container ends, and ends its runs first: then it takes no more of them, and is soon gone. An error waits for that.
func (h *Host) unasked(ctx context.Context, r run, to line, s said) error {
	if now, known, err := h.folder.run(r.Spec.Name); err == nil && known && now.Stopped {
		h.settle(r, ended{ExitCode: *s.ExitCode, Finished: time.UnixMilli(s.Finished)})
		return nil
	}
	pause(ctx, again)
	ready, err := h.caller.ready(ctx, to)
	if err != nil {
		return fault{err}
	}
	if !ready {
		return fault{openflow.Errorf(openflow.CodeUnavailable, "the resident container ends")}
	}
	h.settle(r, ended{ExitCode: *s.ExitCode, Finished: time.UnixMilli(s.Finished)})
	return nil
}
