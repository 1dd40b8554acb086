package resident

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// rounds looks after all containers again and again. The first round takes up what an earlier process has left.
func (h *Host) rounds(ctx context.Context) {
	tick := time.NewTicker(h.options.Times.Look)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := h.look(ctx); err != nil && ctx.Err() == nil {
			h.options.Log.WarnContext(ctx, "resident containers", "err", err)
		}
		select {
		case <-tick.C:
		case <-h.looks:
		case <-ctx.Done():
		}
	}
}

// Look asks for a look at once: a component may have been unloaded.
func (h *Host) Look() {
	select {
	case h.looks <- struct{}{}:
	default: // one is asked for
	}
}

// look drains, stops and removes what is not needed, and takes up the rest.
func (h *Host) look(ctx context.Context) error {
	there, loads, err := h.load()
	if err != nil {
		return err
	}
	err = h.strays(ctx, there)
	told := []residency{}
	for _, c := range there {
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case c.Condemned != "":
			h.condemn(ctx, c, c.Condemned)
			continue
		case loads[c.Name].kept == 0 && (c.Draining || time.Since(c.Used) >= c.Residency.Idle || !h.allowed(ctx, c.Residency)):
			err = errors.Join(err, h.retire(ctx, c))
			continue
		case !c.Draining && !h.allowed(ctx, c.Residency):
			err = errors.Join(err, h.drain(c))
		}
		h.keep(c)
		if !slices.ContainsFunc(told, c.Residency.same) && h.serves(c.Residency) {
			told = append(told, c.Residency)
			h.changed(ctx, c.Residency, true)
		}
		err = errors.Join(err, h.forgotten(ctx, c))
	}
	return err
}

// drain keeps new runs from a container.
func (h *Host) drain(c container) error {
	return h.folder.locked(func() error {
		now, known, err := h.folder.container(c.Name)
		if err != nil || !known {
			return err
		}
		now.Draining = true
		return h.folder.keepContainer(now)
	})
}

// stopGrace is what a container without runs gets between TERM and KILL.
const stopGrace = 5 * time.Second

// retire stops and removes a container that has no run, unless one has come meanwhile.
func (h *Host) retire(ctx context.Context, c container) error {
	free := false
	err := h.folder.locked(func() error {
		_, loads, err := h.load()
		now, known, wrong := h.folder.container(c.Name)
		if err := errors.Join(err, wrong); err != nil || !known || loads[c.Name].kept > 0 || now.Used.After(c.Used) && !now.Draining {
			return err
		}
		free, now.Draining = true, true
		return h.folder.keepContainer(now)
	})
	if err != nil || !free {
		return err
	}
	h.down(c.Name)
	h.options.Log.InfoContext(ctx, "a resident container is stopped: it has no run", "container", c.Name, "component", c.Residency.shown())
	return h.remove(ctx, c, stopGrace)
}

// strays removes resident containers that have no record: a crash has kept theirs from being removed, or the home is another.
func (h *Host) strays(ctx context.Context, there []container) error {
	list, err := h.Host.List(ctx, map[string]string{driver.LabelResident: h.options.Node})
	for _, st := range list {
		if slices.ContainsFunc(there, func(c container) bool { return c.Name == st.Name }) {
			continue
		}
		if _, known, wrong := h.folder.container(st.Name); known || wrong != nil {
			continue // it is new
		}
		h.options.Log.InfoContext(ctx, "removing a resident container that nothing knows", "container", st.Name)
		wrong := h.Host.Stop(ctx, st.Name, 0)
		if wrong == nil {
			wrong = h.Host.Remove(ctx, st.Name)
		}
		err = errors.Join(err, wrong)
	}
	return err
}

// forgotten has a container forget the runs that have no record any more, and end them first. A container that does not answer
// is asked the next time.
func (h *Host) forgotten(ctx context.Context, c container) error {
	h.mu.Lock()
	k := h.kept[c.Name]
	ready := k != nil && k.up
	h.mu.Unlock()
	if !ready {
		return nil
	}
	to, err := h.lineTo(ctx, c)
	if err != nil {
		return nil // the next time
	}
	ids, err := h.caller.list(ctx, to)
	if err != nil {
		return nil // whether it is live is looked at elsewhere
	}
	records, err := h.folder.runs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if slices.ContainsFunc(records, func(r run) bool { return r.id() == id }) {
			continue
		}
		if _, err := h.caller.stop(ctx, to, id, stopGrace); err == nil {
			_ = h.caller.forget(ctx, to, id) // or the next time
		}
	}
	return nil
}

// Warm starts a container for a group before its first run, unless it has one. It waits until that one serves. Errors:
// CodeUnavailable (it did not get ready), that of driver.NoResidents.
func (h *Host) Warm(ctx context.Context, of driver.Residency) error {
	if h.reach == nil || of.Most < 1 || of.Runs < 1 {
		return driver.NoResidents()
	}
	if err := validate(of); err != nil {
		return err
	}
	var c container
	err := h.folder.locked(func() error {
		name, err := h.choose(residencyOf(of))
		if err != nil || name == "" {
			return err
		}
		c, _, err = h.folder.container(name)
		return err
	})
	if err != nil || c.Name == "" {
		return err // as many as there may be are busy
	}
	ready, err := h.up(ctx, c)
	if err == nil && !ready {
		err = openflow.Errorf(openflow.CodeUnavailable, "the resident container of %s did not get ready", c.Residency.shown()).
			WithHint("openflow component check holds its image against the contract; the log of the node says more")
	}
	return err
}

// Has tells whether there is a container of a component here, whether it serves yet or not.
func (h *Host) Has(component string, of openflow.ProviderRef) bool {
	there, err := h.folder.containers()
	return err == nil && slices.ContainsFunc(there, func(c container) bool {
		return c.Residency.same(residency{Component: component, Provider: of.Name, Version: of.Version})
	})
}

// Serving is a container that serves.
type Serving struct {
	Container string
	Component string
	Provider  openflow.ProviderRef // without a device
}

// Serving lists the containers that serve here.
func (h *Host) Serving() []Serving {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []Serving
	for name, k := range h.kept {
		if k.up {
			list = append(list, Serving{Container: name, Component: k.of.Component, Provider: k.of.of()})
		}
	}
	slices.SortFunc(list, func(a, b Serving) int { return cmp.Compare(a.Container, b.Container) })
	return list
}

// Able tells whether there can be resident containers here.
func (h *Host) Able() bool { return h.reach != nil }

// Get makes a GET request of a path in a container. Nobody reads what it answers. Errors: CodeNotFound (there is no such
// container), CodeUnavailable (it does not answer); the context's.
func (h *Host) Get(ctx context.Context, name, path string) (status int, err error) {
	to, err := h.lineOf(ctx, name)
	if err != nil {
		return 0, err
	}
	status, err = h.caller.do(ctx, to, http.MethodGet, path, nil, func(int, io.Reader) error { return nil })
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return status, err
}

// Execute runs the entry point of a container's image with these arguments in the container, beside what runs there, as
// driver.Residence does. Errors: also CodeNotFound (there is no such container); those of driver.Images.
func (h *Host) Execute(ctx context.Context, name string, args []string, most int) (driver.Answer, error) {
	if h.reach == nil {
		return driver.Answer{}, driver.NotFound(name)
	}
	c, known, err := h.folder.container(name)
	if err != nil || !known {
		return driver.Answer{}, errors.Join(err, driver.NotFound(name))
	}
	img, err := h.Host.Image(ctx, c.Residency.Image)
	if err != nil {
		return driver.Answer{}, err
	}
	return h.reach.Execute(ctx, name, slices.Concat(img.Entrypoint, args), most)
}

// Replace ends a container that does not work, with its runs. The next run gets another one. One that there is not is nil.
func (h *Host) Replace(ctx context.Context, name, why string) error {
	if h.reach == nil {
		return nil
	}
	c, known, err := h.folder.container(name)
	if err == nil && known {
		h.condemn(ctx, c, openflow.Heard(why))
	}
	return err
}
