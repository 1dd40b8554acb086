package resident

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// able reports whether a run of that spec may share a container.
func (h *Host) able(s driver.Spec) bool {
	return h.reach != nil && s.Resident != nil && s.Resident.Most > 0 && s.Resident.Runs > 0
}

// record finds the record of a run.
func (h *Host) record(name string) (run, bool, error) {
	if h.reach == nil {
		return run{}, false, nil
	}
	return h.folder.run(name)
}

// Ensure implements driver.Runtime. A run that may share a container is a record until it starts. One that has a container of
// its own by now, since none had room or the shared one has ended, is that container. A run that was Interrupted begins anew in a
// container of its own with a Spec that is not to share one. Until that is there, the run stays Interrupted.
func (h *Host) Ensure(ctx context.Context, s driver.Spec) (driver.Status, error) {
	r, known, err := h.record(s.Name)
	if err == nil && !known && h.able(s) {
		if err := errors.Join(s.Validate(), validate(*s.Resident), ctx.Err()); err != nil {
			return driver.Status{}, err
		}
		_, err = h.Host.Inspect(ctx, s.Name)
		if gone(err) {
			r, err = h.make(s)
			known = true
		}
	}
	switch {
	case err != nil:
		return driver.Status{}, err
	case !known:
		s.Resident = nil
		return h.Host.Ensure(ctx, s)
	case !driver.Carries(r.Spec.Labels, s.Labels):
		return driver.Status{}, driver.Conflict(s.Name)
	}
	if s.Resident == nil && r.Ended != nil && r.Ended.Interrupted {
		st, err := h.Host.Ensure(ctx, s)
		if err == nil {
			err = h.drop(r)
		}
		return st, err
	}
	return r.status(), nil
}

// validate refuses what cannot be kept.
func validate(r driver.Residency) error {
	if r.Group == "" || r.Component == "" {
		return openflow.Errorf(openflow.CodeInvalid, "a resident container is of no component")
	}
	return driver.Spec{Name: "resident", Image: r.Image, Limits: r.Limits}.Validate()
}

// make makes the record of a run, or finds the one that is there.
func (h *Host) make(s driver.Spec) (r run, err error) {
	err = h.folder.locked(func() error {
		var known bool
		if r, known, err = h.folder.run(s.Name); err != nil || known {
			return err
		}
		r = run{Token: strings.ToLower(rand.Text()), Spec: specOf(s), Residency: residencyOf(*s.Resident), Created: time.Now()}
		if err = h.folder.keepRun(r); err == nil {
			r, _, err = h.folder.run(s.Name) // as everybody reads it
		}
		return err
	})
	return r, err
}

// Start implements driver.Runtime. It chooses the container, and leaves it to others to tell that one: it returns at once.
func (h *Host) Start(ctx context.Context, name string) error {
	r, known, err := h.record(name)
	switch {
	case err != nil:
		return err
	case !known:
		return h.Host.Start(ctx, name)
	case r.Ended != nil:
		return nil
	case r.Alone:
		return h.separate(ctx, r)
	case r.Container != "":
		h.pursue(name)
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	chosen, err := h.assign(ctx, r)
	if err != nil {
		return err
	}
	if chosen {
		h.pursue(name)
		return nil
	}
	return h.separate(ctx, r)
}

// separate gives a run a container of its own, which takes its name. The record goes then. One that is to end, or has, gets none.
func (h *Host) separate(ctx context.Context, r run) error {
	now, known, err := h.folder.run(r.Spec.Name)
	if err != nil {
		return err
	}
	if known && now.Token == r.Token {
		if !now.wanted() {
			return nil
		}
		if _, err := h.Host.Ensure(ctx, now.Spec.decode()); err != nil {
			return err
		}
		if err := h.dropIf(now, run.wanted); err != nil {
			return err
		}
		if _, known, err := h.folder.run(r.Spec.Name); err != nil || known { // it was stopped meanwhile
			return errors.Join(err, h.Host.Remove(ctx, r.Spec.Name))
		}
	}
	return h.Host.Start(ctx, r.Spec.Name)
}

// wanted reports whether nobody has ended a run yet, or wants that.
func (r run) wanted() bool { return r.Ended == nil && !r.Stopped }

// drop forgets the record of a run.
func (h *Host) drop(r run) error { return h.dropIf(r, func(run) bool { return true }) }

// dropIf forgets the record of a run, if that is so by now.
func (h *Host) dropIf(r run, holds func(run) bool) error {
	err := h.folder.locked(func() error {
		now, known, err := h.folder.run(r.Spec.Name)
		if err != nil || !known || now.Token != r.Token || !holds(now) {
			return err
		}
		if err := h.used(now.Container); err != nil {
			return err
		}
		return h.folder.forget(runs, r.Spec.Name)
	})
	h.tell()
	return err
}

// used notes that a container has had a run until now. It is called with the records locked.
func (h *Host) used(name string) error {
	c, known, err := h.folder.container(name)
	if err != nil || !known {
		return err
	}
	c.Used = time.Now()
	return h.folder.keepContainer(c)
}

// Wait implements driver.Runtime.
func (h *Host) Wait(ctx context.Context, name string) (driver.Status, error) {
	for {
		news := h.changes()
		r, known, err := h.record(name)
		switch {
		case err != nil:
			return driver.Status{}, err
		case !known:
			return h.Host.Wait(ctx, name)
		case r.Ended != nil:
			return r.status(), nil
		case r.state() == driver.StateRunning:
			h.pursue(name)
		}
		if err := h.await(ctx, news); err != nil {
			return driver.Status{}, err
		}
	}
}

// Inspect implements driver.Runtime.
func (h *Host) Inspect(ctx context.Context, name string) (driver.Status, error) {
	r, known, err := h.record(name)
	if err != nil {
		return driver.Status{}, err
	}
	if !known {
		return h.Host.Inspect(ctx, name)
	}
	return r.status(), ctx.Err()
}

// Stop implements driver.Runtime. A container that does not end the run in time is ended with it; its other runs are
// interrupted then.
func (h *Host) Stop(ctx context.Context, name string, grace time.Duration) error {
	r, known, err := h.record(name)
	if err != nil {
		return err
	}
	if !known {
		return h.Host.Stop(ctx, name, grace)
	}
	if r.state() != driver.StateRunning {
		return ctx.Err()
	}
	if err := h.change(r, func(now *run) bool { now.Stopped = true; return true }); err != nil {
		return err
	}
	late := time.Now().Add(grace + h.options.Times.Obey)
	for heard := false; ; {
		news := h.changes()
		now, known, err := h.record(name)
		switch {
		case err != nil:
			return err
		case !known: // it has got a container of its own
			return h.Host.Stop(ctx, name, grace)
		case now.Ended != nil:
			return nil
		}
		h.pursue(name)
		if !heard && now.Offered {
			heard = h.ask(ctx, now, grace)
		}
		if c, known, err := h.folder.container(now.Container); err == nil && known && time.Now().After(late) {
			h.condemn(ctx, c, "it did not end a run that was to end")
		}
		if err := h.await(ctx, news); err != nil {
			return err
		}
	}
}

// ask asks the container of a run to end it, and tells whether it has heard.
func (h *Host) ask(ctx context.Context, r run, grace time.Duration) bool {
	to, err := h.lineOf(ctx, r.Container)
	if err != nil {
		return false
	}
	heard, err := h.caller.stop(ctx, to, r.id(), grace)
	return err == nil && heard
}

// lineOf is where a container is called that runs. Errors: also CodeNotFound (there is no such container).
func (h *Host) lineOf(ctx context.Context, name string) (line, error) {
	if h.reach == nil {
		return line{}, driver.NotFound(name)
	}
	c, known, err := h.folder.container(name)
	if err != nil || !known {
		return line{}, errors.Join(err, driver.NotFound(name))
	}
	return h.lineTo(ctx, c)
}

// Remove implements driver.Runtime. The container forgets the run in its own time.
func (h *Host) Remove(ctx context.Context, name string) error {
	r, known, err := h.record(name)
	switch {
	case err != nil:
		return err
	case !known:
		return h.Host.Remove(ctx, name)
	case r.state() == driver.StateRunning:
		return driver.Running(name)
	}
	if err := errors.Join(ctx.Err(), h.drop(r)); err != nil {
		return err
	}
	if r.Offered {
		h.begin(func(ctx context.Context) {
			if to, err := h.lineOf(ctx, r.Container); err == nil {
				_ = h.caller.forget(ctx, to, r.id()) // the next look finds what it still has
			}
		})
	}
	return nil
}

// Logs implements driver.Runtime. What a container has written down of its runs goes with it; the log says so then.
func (h *Host) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	r, known, err := h.record(name)
	if err != nil {
		return err
	}
	if !known {
		return h.Host.Logs(ctx, name, stdout, stderr)
	}
	if !r.Delivered {
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, logsWithin)
	defer cancel()
	to, err := h.lineOf(limited, r.Container)
	if err == nil {
		err = h.caller.log(limited, to, r.id(), "stdout", stdout)
	}
	if err == nil {
		err = h.caller.log(limited, to, r.id(), "stderr", stderr)
	}
	var writers errWriter
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &writers):
		return writers.error
	case err != nil:
		_, err = io.WriteString(stderr, "(openflow: what is missing here has gone with the resident container, or that does not tell it)\n")
	}
	return err
}

// List implements driver.Runtime: runs, and the containers of others. Resident containers are this package's own.
func (h *Host) List(ctx context.Context, labels map[string]string) ([]driver.Status, error) {
	list, err := h.Host.List(ctx, labels)
	if h.reach == nil {
		return list, err
	}
	list = slices.DeleteFunc(list, func(st driver.Status) bool { _, resident := st.Labels[driver.LabelResident]; return resident })
	records, wrong := h.folder.runs()
	for _, r := range records {
		both := slices.ContainsFunc(list, func(st driver.Status) bool { return st.Name == r.Spec.Name })
		if !both && driver.Carries(r.Spec.Labels, labels) {
			list = append(list, r.status())
		}
	}
	slices.SortFunc(list, func(a, b driver.Status) int { return cmp.Compare(a.Name, b.Name) })
	return list, errors.Join(err, wrong)
}

// environment is that of a spec as an object; of two of one name the last counts, as in a container.
func environment(env []string) map[string]string {
	all := maps.Collect(func(yield func(string, string) bool) {
		for _, entry := range env {
			if key, value, _ := strings.Cut(entry, "="); !yield(key, value) {
				return
			}
		}
	})
	return all
}
