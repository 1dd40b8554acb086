package resident

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
)

// assign chooses the container of a run, and writes that down. chosen is false where the run is to have one of its own.
func (h *Host) assign(ctx context.Context, r run) (chosen bool, err error) {
	of := r.Residency
	allowed := h.allowed(ctx, of) && !h.resting(of.Group)
	err = h.folder.locked(func() error {
		now, known, err := h.folder.run(r.Spec.Name)
		if err != nil || !known || now.Token != r.Token {
			return errors.Join(err, driver.NotFound(r.Spec.Name))
		}
		if now.Container != "" || now.Alone {
			chosen = now.Container != ""
			return nil
		}
		now.Started = time.Now()
		if allowed {
			if now.Container, err = h.choose(of); err != nil {
				return err
			}
		}
		chosen, now.Alone = now.Container != "", now.Container == ""
		return h.folder.keepRun(now)
	})
	h.tell()
	return chosen, err
}

// choose finds the container for a run of a group: the oldest with room, or a new one. Empty: there is none. It is called with
// the records locked.
func (h *Host) choose(of residency) (string, error) {
	there, load, err := h.load()
	if err != nil {
		return "", err
	}
	total, needless := 0, container{}
	for _, c := range there {
		if c.Draining || c.Condemned != "" || !c.Residency.same(of) {
			continue
		}
		total++
		switch {
		case c.Residency.Group == of.Group && load[c.Name].running < c.Residency.Runs:
			return c.Name, nil
		case c.Residency.Group != of.Group && load[c.Name].kept == 0:
			needless = c
		}
	}
	if total >= of.Most && needless.Name != "" { // it makes room for one that is wanted
		needless.Draining = true
		if err := h.folder.keepContainer(needless); err != nil {
			return "", err
		}
		total--
		h.Look()
	}
	if total >= of.Most {
		return "", nil
	}
	c, err := h.plan(of)
	return c.Name, err
}

// load tells of each container, the oldest first, how many runs it has.
func (h *Host) load() ([]container, map[string]load, error) {
	there, err := h.folder.containers()
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(there, func(a, b container) int { return a.Created.Compare(b.Created) })
	records, err := h.folder.runs()
	loads := map[string]load{}
	for _, r := range records {
		l := loads[r.Container]
		l.kept++
		if r.Ended == nil {
			l.running++
		}
		loads[r.Container] = l
	}
	return there, loads, err
}

// load is how many runs a container has: those that go on, and with those that have ended and are still asked about.
type load struct{ running, kept int }

// plan makes the record of a new container. It is called with the records locked.
func (h *Host) plan(of residency) (container, error) {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(of.Group)) // a hash takes everything
	readable := of.Component
	if len(readable) > 40 {
		readable = readable[:40]
	}
	now := time.Now().Round(0)
	c := container{
		Name: "of-resident-" + readable + "-" + hex.EncodeToString(hash.Sum(nil))[:8] + "-" + strings.ToLower(rand.Text()[:10]),
		Key:  rand.Text() + rand.Text(), Residency: of, Created: now, Used: now,
	}
	return c, h.folder.keepContainer(c)
}

// allowed asks whether a component may have resident containers now.
func (h *Host) allowed(ctx context.Context, of residency) bool {
	return h.options.Serves == nil || h.options.Serves(ctx, of.Component, of.of())
}

// resting tells that a container of that group has not got ready a short while ago.
func (h *Host) resting(group string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	until, rests := h.rests[group]
	if rests && time.Now().After(until) {
		delete(h.rests, group)
		rests = false
	}
	return rests
}

// keeping is a container that is looked after here.
type keeping struct {
	of    residency
	ready chan struct{} // closed once serves is set
	begun bool          // it was started; only raise looks at it
	up    bool          // it serves

	serves bool // it has got ready
}

// up waits until a container is ready. false: it did not get ready, and its runs are told.
func (h *Host) up(ctx context.Context, c container) (bool, error) {
	k := h.keep(c)
	if k == nil {
		return false, openflow.Errorf(openflow.CodeUnavailable, "this node starts no containers yet, or none any more")
	}
	select {
	case <-k.ready:
		return k.serves, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// lineTo is where a container is called that runs. The runtime is asked each time: an address is another container's once this one
// has ended. Errors: those of Reach.
func (h *Host) lineTo(ctx context.Context, c container) (line, error) {
	address, err := h.reach.Reach(ctx, c.Name, Port)
	return line{address, c.Key}, err
}

// keep looks after a container from now on, beside, unless that is done here already. nil: this node does not begin yet, or stops.
func (h *Host) keep(c container) *keeping {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.kept[c.Name]; k != nil || h.closed || !h.begun {
		return k
	}
	k := &keeping{of: c.Residency, ready: make(chan struct{})}
	h.kept[c.Name] = k
	h.beside.Go(func() {
		why := h.raise(h.life, c, k)
		if why == "" {
			why = h.watch(h.life, c)
		}
		if h.life.Err() == nil {
			if err := h.condemn(h.life, c, why); err != nil && h.life.Err() == nil {
				h.options.Log.WarnContext(h.life, "resident containers", "err", err)
				pause(h.life, h.options.Times.Look) // whoever needs it begins anew then
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		k.up = false
		if h.life.Err() == nil {
			delete(h.kept, c.Name)
		}
	})
	return k
}

// raise makes a container exist, starts it and waits until it is ready. It returns why it could not; empty: it is ready, or this
// node stops.
func (h *Host) raise(ctx context.Context, c container, k *keeping) (why string) {
	defer close(k.ready)
	limited, cancel := context.WithTimeout(ctx, h.options.Times.Ready)
	defer cancel()
	var err error
	for {
		var ready bool
		if ready, err = h.tryRaise(limited, c, k); ready || ctx.Err() != nil {
			break
		}
		if err != nil && !openflow.CodeOf(err).Retryable() || limited.Err() != nil {
			why = "it did not get ready"
			if err != nil {
				why += ": " + openflow.Heard(err.Error())
			}
			h.mu.Lock()
			h.rests[c.Residency.Group] = time.Now().Add(h.options.Times.Rest)
			h.mu.Unlock()
			h.options.Log.WarnContext(ctx, "a resident container did not get ready", "container", c.Name, "component", c.Residency.shown(), "err", err)
			return why
		}
		pause(limited, readyEvery)
	}
	if ctx.Err() == nil {
		k.serves = true
		h.mu.Lock()
		k.up = true
		h.mu.Unlock()
		h.options.Log.InfoContext(ctx, "a resident container serves", "container", c.Name, "component", c.Residency.shown())
		h.changed(ctx, c.Residency, true)
	}
	return ""
}

// readyEvery is the pause between two looks at a container that starts.
const readyEvery = 20 * time.Millisecond

// tryRaise tries it once. An error that is not Retryable says that no repeat helps.
func (h *Host) tryRaise(ctx context.Context, c container, k *keeping) (ready bool, err error) {
	now, known, err := h.folder.container(c.Name)
	if err != nil || !known || now.Condemned != "" {
		return false, errors.Join(err, driver.NotFound(c.Name)) // it was removed meanwhile
	}
	if !k.begun {
		st, err := h.Host.Ensure(ctx, h.specOf(c))
		if err == nil && st.State == driver.StateCreated {
			if !h.allowed(ctx, c.Residency) { // it may be of a process before this one, and never have run
				return false, openflow.Errorf(openflow.CodeRejected, "its component may have no resident container now")
			}
			err = h.Host.Start(ctx, c.Name)
		}
		if err != nil {
			return false, err
		}
		k.begun = true
	}
	to, err := h.lineTo(ctx, c)
	if openflow.CodeOf(err) == openflow.CodeConflict { // it does not run any more
		st, wrong := h.Host.Inspect(ctx, c.Name)
		if wrong == nil && st.State == driver.StateExited {
			return false, openflow.Errorf(openflow.CodeRejected, "it has ended: %s", ending(st))
		}
		return false, errors.Join(openflow.Errorf(openflow.CodeUnavailable, "%w", err), wrong)
	}
	if err != nil {
		return false, err
	}
	ready, wrong := h.caller.ready(ctx, to)
	if wrong == nil && !ready {
		ready = h.busy(ctx, to)
	}
	if ctx.Err() != nil && wrong != nil {
		wrong = openflow.Errorf(openflow.CodeUnavailable, "it does not say that it is")
	}
	return ready, wrong
}

// busy reports whether a container has runs, and works. It has been ready then. One that says it is not, as some do that are full,
// keeps them when this node takes it up after a restart.
func (h *Host) busy(ctx context.Context, to line) bool {
	ids, err := h.caller.list(ctx, to)
	return err == nil && len(ids) > 0 && h.caller.live(ctx, to) == nil
}

// specOf is a resident container as a driver.Spec.
func (h *Host) specOf(c container) driver.Spec {
	labels := maps.Clone(c.Residency.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[driver.LabelResident] = h.options.Node
	return driver.Spec{
		Name: c.Name, Labels: labels, Image: c.Residency.Image, Command: []string{residence.Argument}, Limits: driver.Limits(c.Residency.Limits),
		Grants: driver.Grants(c.Residency.Grants),
		Env:    []string{residence.Address + "=" + net.JoinHostPort("0.0.0.0", strconv.Itoa(Port)), residence.Key + "=" + c.Key},
	}
}

// ending says how a container has ended.
func ending(st driver.Status) string {
	text := fmt.Sprintf("exit code %d", st.ExitCode)
	switch {
	case st.OOMKilled:
		text += ", it used more memory than it may"
	case st.Reason != "":
		text += ", " + openflow.Heard(st.Reason)
	}
	return text
}

// watch returns why a container serves no longer; empty: this node stops.
func (h *Host) watch(ctx context.Context, c container) string {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	exit := make(chan string, 1)
	go func() {
		for waiting.Err() == nil {
			st, err := h.Host.Wait(waiting, c.Name)
			if why := over(st, err); why != "" {
				exit <- why
				return
			}
			pause(waiting, again) // the runtime does not answer now
		}
	}()
	tick := time.NewTicker(h.options.Times.Live)
	defer tick.Stop()
	alive := time.Now()
	for {
		select {
		case why := <-exit:
			return why
		case <-ctx.Done():
			return ""
		case <-tick.C:
		}
		err := h.live(ctx, c)
		var of fault
		if !errors.As(err, &of) {
			alive = time.Now()
			continue
		}
		if why := over(h.Host.Inspect(ctx, c.Name)); why != "" { // who waits may be told late
			return why
		}
		if time.Since(alive) > h.options.Times.Trust && ctx.Err() == nil {
			return "the resident container is not live: " + openflow.Heard(err.Error())
		}
	}
}

// live asks whether a container works, and has it forget the runs that nobody knows any more. An error that is no fault is the runtime's.
func (h *Host) live(ctx context.Context, c container) error {
	to, err := h.lineTo(ctx, c)
	switch {
	case err == nil:
		if err := h.caller.live(ctx, to); err != nil {
			return fault{err}
		}
		_ = h.forgotten(ctx, to) // the next time
		return nil
	case gone(err) || openflow.CodeOf(err) == openflow.CodeConflict:
		return fault{err}
	}
	return err
}

// over says that a container has ended, by a look at it, and how; empty: it has not, or that is not known.
func over(st driver.Status, err error) string {
	switch {
	case gone(err):
		return "the resident container was removed"
	case err == nil && st.State == driver.StateExited:
		return "the resident container has ended: " + ending(st)
	}
	return ""
}

// fault is an error of a container. Others are of this node's own files, or of the runtime: no container is replaced for them.
type fault struct{ error }

// Unwrap has the error keep its code.
func (f fault) Unwrap() error { return f.error }

// condemn ends a container, and then tells its runs: one that is told that it has ended may begin anew elsewhere at once. Nothing of
// it stays. What does not succeed is tried again at the next look, and the runs wait for that.
func (h *Host) condemn(ctx context.Context, c container, why string) error {
	defer h.rerun()
	if err := h.abolish(ctx, c, why); err != nil {
		return fmt.Errorf("the resident container %s is not removed yet: %w", c.Name, err)
	}
	return nil
}

func (h *Host) abolish(ctx context.Context, c container, why string) error {
	there, first := false, false
	err := h.folder.locked(func() error {
		now, known, err := h.folder.container(c.Name)
		if there = known; err != nil || !known {
			return err
		}
		if first = now.Condemned == ""; first {
			now.Condemned = why
			err = h.folder.keepContainer(now)
		}
		why = now.Condemned
		return err
	})
	if err != nil || !there {
		return err
	}
	h.down(c.Name)
	if first {
		h.options.Log.InfoContext(ctx, "a resident container is removed", "container", c.Name, "component", c.Residency.shown(), "why", why)
	}
	if err := h.Host.Stop(ctx, c.Name, 0); err != nil {
		return err
	}
	err = h.folder.locked(func() error { return h.interruptAll(c.Name, why) })
	h.tell()
	if err != nil {
		return err
	}
	return h.remove(ctx, c, 0)
}

// down notes that a container serves no longer.
func (h *Host) down(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k := h.kept[name]; k != nil {
		k.up = false
	}
}

// interruptAll tells the runs of a container that it has ended. It is called with the records locked.
func (h *Host) interruptAll(name, why string) error {
	records, err := h.folder.runs()
	for _, r := range records {
		if r.Container == name && r.interrupt(why) {
			err = errors.Join(err, h.folder.keepRun(r))
		}
	}
	return err
}

// rerun follows what is to have a container of its own now.
func (h *Host) rerun() {
	records, err := h.folder.runs()
	if err != nil {
		return // whoever waits for a run follows it
	}
	for _, r := range records {
		if r.Alone && r.Ended == nil {
			h.pursue(r.Spec.Name)
		}
	}
}

// remove removes a container, and its record last.
func (h *Host) remove(ctx context.Context, c container, grace time.Duration) error {
	if err := h.Host.Stop(ctx, c.Name, grace); err != nil {
		return err
	}
	if err := h.Host.Remove(ctx, c.Name); err != nil {
		return err
	}
	if err := h.folder.locked(func() error { return h.folder.forget(containers, c.Name) }); err != nil {
		return err
	}
	h.caller.leave(c.Key)
	h.changed(ctx, c.Residency, h.serves(c.Residency))
	return nil
}

// serves tells whether a component has a container here that serves.
func (h *Host) serves(of residency) bool {
	there, err := h.folder.containers()
	if err != nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(there, func(c container) bool {
		k := h.kept[c.Name]
		return c.Residency.same(of) && c.Condemned == "" && k != nil && k.up
	})
}

func (h *Host) changed(ctx context.Context, of residency, serving bool) {
	if h.options.Changed != nil && ctx.Err() == nil {
		h.options.Changed(ctx, of.Component, of.of(), serving)
	}
}
