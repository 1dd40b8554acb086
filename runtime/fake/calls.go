package fake

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// Ensure implements driver.Runtime.
func (r *Runtime) Ensure(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	if err := errors.Join(spec.Validate(), ctx.Err()); err != nil {
		return driver.Status{}, err
	}
	m := r.m
	plan := m.plan(spec)
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.containers[spec.Name]; ok {
		if !driver.Carries(c.spec.Labels, spec.Labels) {
			return driver.Status{}, driver.Conflict(spec.Name)
		}
		return c.snapshot(), nil
	}
	if err := m.fault("ensure", spec.Name, plan.EnsureErr); err != nil {
		return driver.Status{}, err
	}
	if plan.Unmakeable != nil {
		if err := plan.Unmakeable(); err != nil {
			return driver.Status{}, err
		}
	}
	spec = clone(spec)
	c := &container{
		node: r.node, spec: spec, plan: plan, changed: make(chan struct{}), killed: make(chan struct{}),
		stdout: &output{}, stderr: &output{},
		status: driver.Status{Name: spec.Name, Labels: spec.Labels, Made: spec.Made, State: driver.StateCreated, Created: time.Now()},
	}
	m.containers[spec.Name] = c
	return c.snapshot(), m.lostReply("ensure", c)
}

// Start implements driver.Runtime.
func (r *Runtime) Start(ctx context.Context, name string) error {
	m := r.m
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(ctx, name)
	if err != nil {
		return err
	}
	if c.status.State != driver.StateCreated {
		return nil
	}
	if err := m.fault("start", name, c.plan.StartErr); err != nil {
		return err
	}
	if err := c.listen(); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the program outlives the call
	c.term = cancel
	c.change(func(s *driver.Status) { s.State, s.Started = driver.StateRunning, time.Now() })
	m.runs[name]++
	go m.supervise(run, cancel, c)
	return m.lostReply("start", c)
}

// Wait implements driver.Runtime.
func (r *Runtime) Wait(ctx context.Context, name string) (driver.Status, error) {
	for {
		st, changed, late, err := r.m.look(ctx, name)
		if err == nil && st.State == driver.StateExited && late != nil {
			select {
			case <-late:
			case <-ctx.Done():
				return driver.Status{}, ctx.Err()
			}
		}
		if err != nil || st.State == driver.StateExited {
			return st, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return driver.Status{}, ctx.Err()
		}
	}
}

// look is one turn of Wait: the status, what is closed when it is out of date, and until when an end is not told.
func (m *machine) look(ctx context.Context, name string) (st driver.Status, changed, late <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(ctx, name)
	if err != nil {
		return driver.Status{}, nil, nil, err
	}
	if err := m.fault("wait", name, c.plan.WaitErr); err != nil {
		return driver.Status{}, nil, nil, err
	}
	return c.snapshot(), c.changed, c.plan.Late, nil
}

// Inspect implements driver.Runtime.
func (r *Runtime) Inspect(ctx context.Context, name string) (driver.Status, error) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	c, err := r.m.find(ctx, name)
	if err != nil {
		return driver.Status{}, err
	}
	return c.snapshot(), nil
}

// Stop implements driver.Runtime.
func (r *Runtime) Stop(ctx context.Context, name string, grace time.Duration) error {
	m := r.m
	m.mu.Lock()
	c, err := m.find(ctx, name)
	if err != nil || c.status.State != driver.StateRunning {
		m.mu.Unlock()
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			return nil
		}
		return err
	}
	if c.plan.Unstoppable != nil {
		if err := c.plan.Unstoppable(); err != nil {
			m.mu.Unlock()
			return err
		}
	}
	c.term()
	ended := c.changed // the only change that a running container can see is its end
	m.mu.Unlock()

	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		m.kill(c)
		<-ended
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lostReply("stop", c)
}

// Remove implements driver.Runtime.
func (r *Runtime) Remove(ctx context.Context, name string) error {
	m := r.m
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(ctx, name)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if c.status.State == driver.StateRunning {
		return driver.Running(name)
	}
	if err := m.fault("remove", name, c.plan.RemoveErr); err != nil {
		return err
	}
	delete(m.containers, name)
	c.change(func(*driver.Status) {})
	return m.lostReply("remove", c)
}

// Logs implements driver.Runtime.
func (r *Runtime) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	m := r.m
	m.mu.Lock()
	c, err := m.find(ctx, name)
	if err == nil {
		err = m.fault("logs", name, c.plan.LogsErr)
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	return errors.Join(c.stdout.copyTo(stdout), c.stderr.copyTo(stderr))
}

// List implements driver.Runtime.
func (r *Runtime) List(ctx context.Context, labels map[string]string) ([]driver.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	var out []driver.Status
	for _, c := range r.m.containers {
		if c.node == r.node && driver.Carries(c.spec.Labels, labels) {
			out = append(out, c.snapshot())
		}
	}
	slices.SortFunc(out, func(a, b driver.Status) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// find is called with the lock held.
func (m *machine) find(ctx context.Context, name string) (*container, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, ok := m.containers[name]
	if !ok {
		return nil, driver.NotFound(name)
	}
	return c, nil
}

// fault returns planned the first time it is asked for this step and name. It is called with the lock held.
func (m *machine) fault(step, name string, planned error) error {
	key := step + " " + name
	if planned == nil || m.spent[key] {
		return nil
	}
	m.spent[key] = true
	return planned
}

func (m *machine) lostReply(step string, c *container) error {
	if !c.plan.LoseReplies {
		return nil
	}
	return m.fault("reply to "+step, c.spec.Name,
		openflow.Errorf(openflow.CodeUnavailable, "the reply to %s of container %q was lost", step, c.spec.Name))
}

func (c *container) snapshot() driver.Status {
	st := c.status
	st.Labels = maps.Clone(st.Labels)
	return st
}

// clone keeps the caller's later changes out.
func clone(s driver.Spec) driver.Spec {
	s.Labels, s.Command, s.Env = maps.Clone(s.Labels), slices.Clone(s.Command), slices.Clone(s.Env)
	return s
}
