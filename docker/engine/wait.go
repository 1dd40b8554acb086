package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/docker/driver"
)

// exitKilled is the code of a killed program; only the daemon's own record tells whether memory was the reason.
const exitKilled = 137

// Wait implements driver.Runtime. The daemon may restart meanwhile; containers outlive that with live-restore, and how
// they ended is known afterwards either way.
func (r *Runtime) Wait(ctx context.Context, name string) (driver.Status, error) {
	var pause backoff
	for {
		st, err := r.follow(ctx, name)
		if openflow.CodeOf(err) != openflow.CodeUnavailable {
			if pause > 0 && err == nil {
				r.log.InfoContext(ctx, "the docker daemon is back", "container", name)
			}
			return st, err
		}
		if pause == 0 {
			r.log.WarnContext(ctx, "the docker daemon is away, waiting for it", "container", name, "error", err)
		}
		if err := pause.wait(ctx); err != nil {
			return driver.Status{}, err
		}
	}
}

// follow waits for the exit over one connection each of two kinds, and the first to tell wins: the API's wait, which is
// certain, and the die event, which comes 50 ms earlier on a bridge network because the daemon takes the network down
// in between.
//
// The order excludes every race. The wait for the next exit is in place before the container is looked at: if it was
// created or running then, its exit is still to come and will be reported; if it had exited, the look tells. (The API's
// wait for "not running" would report success for a container that is only created.)
func (r *Runtime) follow(ctx context.Context, name string) (driver.Status, error) {
	if driver.ValidateName(name) != nil {
		return driver.Status{}, driver.NotFound(name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream := r.api.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.
		Add("type", string(events.ContainerEventType)).Add("container", name).
		Add("event", string(events.ActionDie), string(events.ActionDestroy))})
	exit := r.nextExit(ctx, name)
	st, err := r.Inspect(ctx, name)
	if err != nil || st.State == driver.StateExited {
		return st, err
	}
	return r.firstToTell(ctx, st, stream.Messages, exit)
}

// nextExit returns once the daemon knows of the wait; the channel gets its end, nil for an exit.
func (r *Runtime) nextExit(ctx context.Context, name string) <-chan error {
	res := r.api.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	exit := make(chan error, 1)
	go func() { // always takes the result: the client blocks for ever on one that nobody takes
		select {
		case <-res.Result:
			exit <- nil
		case err := <-res.Error:
			exit <- err
		}
	}()
	return exit
}

// firstToTell completes st when the container has ended.
func (r *Runtime) firstToTell(ctx context.Context, st driver.Status, messages <-chan events.Message,
	exit <-chan error) (driver.Status, error) {
	for {
		select {
		case m := <-messages: // errors of the stream are not looked at: it only saves time
			if m.Action == events.ActionDestroy {
				return driver.Status{}, driver.NotFound(st.Name)
			}
			if code, err := strconv.Atoi(m.Actor.Attributes["exitCode"]); err == nil && code != exitKilled {
				return ended(st, code, time.Unix(0, m.TimeNano)), nil
			}
		case err := <-exit:
			if err != nil {
				return driver.Status{}, r.wrap(ctx, err, subject(st.Name))
			}
			return r.final(ctx, st.Name)
		case <-ctx.Done():
			return driver.Status{}, ctx.Err()
		}
	}
}

// ended is st after an exit that was seen happening.
func ended(st driver.Status, code int, at time.Time) driver.Status {
	st.State, st.ExitCode, st.Finished = driver.StateExited, code, at
	return st
}

// final reads the outcome once the wait has reported the exit. Anything but an exited container means that the wait was
// cut short by a daemon that goes down, so look again.
func (r *Runtime) final(ctx context.Context, name string) (driver.Status, error) {
	st, err := r.Inspect(ctx, name)
	if err == nil && st.State != driver.StateExited {
		return driver.Status{}, openflow.Errorf(openflow.CodeUnavailable, "%s: reported as ended, seen as %s", subject(name), st.State)
	}
	return st, err
}
