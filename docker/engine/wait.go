package engine

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"openflow"
	"openflow/runtime/driver"
)

// Wait implements driver.Runtime. The daemon may restart meanwhile; containers outlive that with live-restore, and how
// they ended is known afterwards either way.
func (r *Runtime) Wait(ctx context.Context, name string) (driver.Status, error) {
	var away absence
	st, err := backoff.Retry(ctx, func() (driver.Status, error) {
		away.until = time.Now()
		st, err := r.follow(ctx, name)
		if err == nil && r.unasked(st) {
			st.Interrupted, err = r.interrupted(ctx, st, away)
		}
		if openflow.CodeOf(err) == openflow.CodeUnavailable {
			return st, err
		}
		return st, backoff.Permanent(err)
	}, untilSettled(func(err error) {
		if away.since.IsZero() {
			away.since = time.Now()
			r.log.WarnContext(ctx, "the docker daemon is away, waiting for it", "container", name, "error", err)
		}
	})...)
	if err == nil && !away.since.IsZero() {
		r.log.InfoContext(ctx, "the docker daemon is back", "container", name)
	}
	return st, err
}

// launch is what a Start knows of its container: enough to recognise its events.
type launch struct {
	id     string
	status driver.Status
	at     time.Time // before the request
	ear    *ear      // nil: nobody listens
}

// events are those of the container since the launch.
func (l launch) events() client.EventsListOptions {
	return followed(l.id, fmt.Sprintf("%d.%09d", l.at.Unix(), l.at.Nanosecond()))
}

// followed are the events by which a container is followed, from a moment on, or from now.
func followed(container, since string) client.EventsListOptions {
	return client.EventsListOptions{Since: since, Filters: client.Filters{}.Add("type", string(events.ContainerEventType)).
		Add("event", string(events.ActionStart), string(events.ActionDie), string(events.ActionDestroy)).Add("container", container)}
}

// news is the stream of events to follow a container by, and how it stood at the beginning of that, as far as known.
// Of the launches of this Runtime, the first to follow takes the stream that was there before the start; told hears of
// the death then.
func (r *Runtime) news(ctx context.Context, name string) (stream client.EventsResult, seen driver.Status, told func()) {
	l, ok := r.launched(name)
	switch {
	case !ok:
		return r.api.Events(ctx, followed(name, "")), seen, func() {}
	case l.ear != nil && l.ear.taken.CompareAndSwap(false, true):
		return l.ear.news, l.status, func() { l.ear.died.Store(true) }
	}
	return r.api.Events(ctx, l.events()), l.status, func() {}
}

// follow waits for the exit in two ways at once, and the first to tell wins. The API's wait and inspect are certain.
// The events come 50 ms earlier on a bridge network: the daemon announces the death, and then takes the network down
// with the container locked. Events since the launch are asked for, so a program that has ended before its waiter came
// is no slower.
func (r *Runtime) follow(ctx context.Context, name string) (driver.Status, error) {
	if driver.ValidateName(name) != nil {
		return driver.Status{}, driver.NotFound(name)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, seen, told := r.news(ctx, name)
	looked, outcome := r.certain(ctx, name)
	begun := false
	for {
		select {
		case m := <-stream.Messages: // errors of the stream are not looked at: it only saves time
			begun = begun || m.Action == events.ActionStart
			done, err := observe(&seen, m)
			if done && begun {
				told()
			}
			if err != nil || done && !r.unasked(seen) { // what asks for an explanation is left to the certain way
				return seen, err
			}
		case seen = <-looked:
		case o := <-outcome:
			return o.status, o.err
		case <-ctx.Done():
			return driver.Status{}, ctx.Err()
		}
	}
}

// observe brings st up to date with an event of its container; done says that st is final.
func observe(st *driver.Status, m events.Message) (done bool, err error) {
	at := time.Unix(0, m.TimeNano)
	switch {
	case m.Action == events.ActionDestroy:
		return false, driver.NotFound(m.Actor.Attributes["name"])
	case m.Action == events.ActionStart && st.Started.IsZero():
		st.Started = at
	case m.Action == events.ActionDie && st.Name != "":
		code, err := strconv.Atoi(m.Actor.Attributes["exitCode"])
		if err != nil {
			return false, nil // left to the certain way
		}
		st.State, st.ExitCode, st.Finished = driver.StateExited, code, at
		if st.Finished.Before(st.Started) {
			st.Started = st.Finished
		}
		return true, nil
	}
	return false, nil
}

// outcome is how a wait has ended.
type outcome struct {
	status driver.Status
	err    error
}

// certain learns of the exit by the API's wait. looked gets the status of a container that has not exited yet.
//
// The order excludes every race. The wait for the next exit is in place before the container is looked at. If it was
// created or running then, its exit is still to come and will be reported. If it had exited, the look tells. (The API's
// wait for "not running" would report success for a container that is only created.)
func (r *Runtime) certain(ctx context.Context, name string) (looked <-chan driver.Status, done <-chan outcome) {
	looks, ends := make(chan driver.Status, 1), make(chan outcome, 1)
	go func() {
		res := r.api.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
		st, err := r.Inspect(ctx, name)
		ended := err != nil || st.State == driver.StateExited
		if ended {
			ends <- outcome{st, err}
		} else {
			looks <- st
		}
		select { // in every case: the client blocks for ever on a result that nobody takes
		case <-res.Result:
			st, err = r.final(ctx, name)
		case err = <-res.Error:
			err = r.wrap(ctx, err, subject(name))
		}
		if !ended {
			ends <- outcome{st, err}
		}
	}()
	return looks, ends
}

// launched returns what this Runtime's Start knows of a container.
func (r *Runtime) launched(name string) (launch, bool) {
	v, ok := r.launches.Load(name)
	if !ok {
		return launch{}, false
	}
	l, ok := v.(launch)
	return l, ok
}

// forget gives up what this Runtime's Start knows of a container.
func (r *Runtime) forget(name string) {
	if l, ok := r.launched(name); ok {
		r.launches.Delete(name)
		l.ear.close()
	}
}

// newsLag is how long the daemon may take from a container's exit to the news that explain it. They say that its memory
// had run out, which reaches the daemon on another way, or that the daemon itself goes down. newsLook is the pause
// between looks.
const newsLag, newsLook = 3 * time.Second, 50 * time.Millisecond

// final reads the outcome once the wait has reported the exit. Anything but an exited container means that the wait was
// cut short by a daemon that goes down, so look again. A container that the daemon was told to stop, and not by us, is
// looked at longer: a daemon that goes down stops all its containers, and answers until the slowest of them has ended.
// The code of such an end is the program's own. One that catches the signal chooses it. One of Go that does not catch it
// is the first process of its container, so the signal does not end it, and the Go runtime then exits with 2.
func (r *Runtime) final(ctx context.Context, name string) (driver.Status, error) {
	st, err := r.Inspect(ctx, name)
	if err == nil && r.unexplained(st) {
		st, err = r.lookUntil(ctx, name, newsLag)
	}
	if err == nil && r.unasked(st) && r.told(ctx, name, st) {
		st, err = r.lookUntil(ctx, name, slack)
	}
	if err == nil && st.State != driver.StateExited {
		return driver.Status{}, openflow.Errorf(openflow.CodeUnavailable, "%s: reported as ended, seen as %s", subject(name), st.State)
	}
	return st, err
}

// lookUntil looks at a container again and again while it is a failure that nobody asked for, for so long.
func (r *Runtime) lookUntil(ctx context.Context, name string, long time.Duration) (driver.Status, error) {
	st, err := r.Inspect(ctx, name)
	for late := time.After(long); err == nil && r.unasked(st); {
		select {
		case <-time.After(newsLook):
			st, err = r.Inspect(ctx, name)
			continue
		case <-late:
		case <-ctx.Done():
		}
		break
	}
	return st, err
}

// told reports whether the daemon itself has asked the program of a container to end. A program that ends by its own
// choice, or by the kernel's, has no such event.
func (r *Runtime) told(ctx context.Context, name string, st driver.Status) bool {
	ctx, cancel := context.WithTimeout(ctx, newsLag)
	defer cancel()
	at := func(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }
	asked := r.api.Events(ctx, client.EventsListOptions{
		Since: at(st.Started), Until: at(time.Now()),
		Filters: client.Filters{}.Add("type", string(events.ContainerEventType)).Add("container", name).Add("event", string(events.ActionKill)),
	})
	for {
		select {
		case m := <-asked.Messages:
			if m.Actor.Attributes["signal"] == strconv.Itoa(int(syscall.SIGTERM)) {
				return true
			}
		case <-asked.Err: // the end of the list, or a daemon that is going away, which the next look finds
			return false
		}
	}
}
