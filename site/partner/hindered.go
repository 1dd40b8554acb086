package partner

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// hindrance is that what a run stores or sends has been refused each time for a while.
type hindrance struct {
	since, last time.Time
	err         error
}

const (
	// hinderedAfter is how long that goes on before it is told: a queue may be full for a moment.
	hinderedAfter = 3 * time.Second
	// forgotten is when a hindrance is over of which nothing more is heard: a program repeats a message after 20 s and a pause.
	forgotten = time.Minute
	// hindrances bounds how many are remembered.
	hindrances = 10_000
)

// Hindered is told how it went each time that a run stored something or sent a message, or one for it came. What a repeat may
// change is the run's reason for as long as it is refused.
func (w *Watch) Hindered(session openflow.SessionID, what openflow.Passage, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	had, was := w.hindered.get(session, what)
	switch {
	case err == nil:
		w.hindered.drop(session, what)
		return
	case !hinders(err) || !was && w.hindered.many >= hindrances:
		return
	case !was:
		had.since = time.Now()
	}
	had.last, had.err = time.Now(), err
	w.hindered.put(session, what, had)
}

// hinders tells whether an error is one of the way or of room, which may be mended while the run goes on.
func hinders(err error) bool {
	return ailing(err) || openflow.CodeOf(err) == openflow.CodePermission || openflow.CodeOf(err) == openflow.CodeRejected
}

// forget drops what nobody has repeated for long.
func (w *Watch) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hindered.dropWhere(func(_ openflow.Passage, h hindrance) bool { return time.Since(h.last) > forgotten })
}

// refused is how the reason of a run begins that is held up.
const refused = "held up: "

// heldUp says what of a session is refused, since when and why; empty: nothing.
func (w *Watch) heldUp(session openflow.SessionID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var said []string
	for what, h := range w.hindered.groups[session] {
		if h.last.Sub(h.since) >= hinderedAfter {
			said = append(said, fmt.Sprintf("%s are refused since %s (%s): %s",
				what, h.since.UTC().Format(time.RFC3339), openflow.CodeOf(h.err), w.said(h.err)))
		}
	}
	if len(said) == 0 {
		return ""
	}
	slices.Sort(said)
	return refused + strings.Join(said, "; ")
}

// sayHeldUp writes on the rows of running tasks what holds them up, and takes that back. A reason of another kind stays: where a
// machine is silent, nothing else counts.
func (w *Watch) sayHeldUp(ctx context.Context, tasks []openflow.TaskRecord) (errs []error) {
	for i, t := range tasks {
		ours := strings.HasPrefix(t.Reason, refused)
		if t.PartyStatus.Terminal() || t.Killed || t.Reason != "" && !ours {
			continue
		}
		reason := w.heldUp(t.Key.SessionID())
		if reason == t.Reason {
			continue
		}
		if err := w.store.SetTaskReason(ctx, t.Key, reason); err != nil {
			errs = append(errs, err)
			continue
		}
		tasks[i].Reason = reason
		if reason == "" {
			w.log.Info("a run is held up no longer", "run", t.Key.RunID())
		} else if !ours {
			w.log.Warn("a run is held up", "run", t.Key.RunID(), "reason", openflow.Heard(reason))
		}
	}
	return errs
}
