// Package toyruntime is the runtime of docs/add-a-runtime.md. Its containers are programs of this machine.
package toyruntime

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// Opener is the toy. Every Host that it opens has the same containers, as replicas have those of a cluster.
type Opener struct {
	driver.Plain
	mu         sync.Mutex
	containers map[string]*container
}

// container is guarded by Opener.mu.
type container struct {
	node           string
	spec           driver.Spec
	status         driver.Status
	cmd            *exec.Cmd
	stdout, stderr output
}

// New returns the toy without containers. Its name is that in --runtime.
func New() *Opener {
	return &Opener{Plain: driver.Plain{Name: "toy"}, containers: map[string]*container{}}
}

// Traits let any replica follow a container.
func (*Opener) Traits() driver.Traits {
	return driver.Traits{Device: "local", Followers: driver.AnyReplica}
}

// Open opens the toy for a node.
func (o *Opener) Open(_ context.Context, with driver.Options) (driver.Host, error) {
	return host{o, with.Node}, nil
}

// host is the toy as one node sees it.
type host struct {
	*Opener
	node string
}

// Ensure makes a container, or adopts the one that has the name.
func (h host) Ensure(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	if err := errors.Join(spec.Validate(), ctx.Err()); err != nil {
		return driver.Status{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.containers[spec.Name]; c != nil {
		if !driver.Carries(c.spec.Labels, spec.Labels) {
			return driver.Status{}, driver.Conflict(spec.Name)
		}
		return c.status, nil
	}
	spec.Labels, spec.Command, spec.Env = maps.Clone(spec.Labels), slices.Clone(spec.Command), slices.Clone(spec.Env)
	c := &container{node: h.node, spec: spec}
	c.status = driver.Status{Name: spec.Name, Labels: spec.Labels, Made: spec.Made, State: driver.StateCreated, Created: time.Now()}
	h.containers[spec.Name] = c
	return c.status, nil
}

// Start runs the program once, in a process group of its own.
func (h host) Start(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(ctx, name)
	if err != nil || c.status.State != driver.StateCreated {
		return err
	}
	c.cmd = exec.Command(c.spec.Image, c.spec.Command...)
	c.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, c.spec.Env...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = &c.stdout, &c.stderr, time.Second
	c.status.State, c.status.Started = driver.StateRunning, time.Now()
	if err := c.cmd.Start(); err != nil {
		c.end(127, err.Error())
		return nil
	}
	go func() {
		_ = c.cmd.Wait() // the process state tells more
		c.signal(syscall.SIGKILL)
		code := c.cmd.ProcessState.ExitCode()
		if by, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && by.Signaled() {
			code = 128 + int(by.Signal())
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		c.end(code, "")
	}()
	return nil
}

func (c *container) end(code int, reason string) {
	c.status.State, c.status.Finished, c.status.ExitCode, c.status.Reason = driver.StateExited, time.Now(), code, reason
}

// signal tells all that the program has started. Those that have ended do not hear it.
func (c *container) signal(s syscall.Signal) { _ = syscall.Kill(-c.cmd.Process.Pid, s) }

// Wait waits for the end.
func (h host) Wait(ctx context.Context, name string) (driver.Status, error) {
	return driver.Poll(ctx, name, h.Inspect, 20*time.Millisecond)
}

// Inspect looks once.
func (h host) Inspect(ctx context.Context, name string) (driver.Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(ctx, name)
	if err != nil {
		return driver.Status{}, err
	}
	return c.status, nil
}

// Stop asks the program to end, and ends it after the grace.
func (h host) Stop(ctx context.Context, name string, grace time.Duration) error {
	h.mu.Lock()
	c, err := h.find(ctx, name)
	runs := err == nil && c.status.State == driver.StateRunning
	h.mu.Unlock()
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	if err != nil || !runs {
		return err
	}
	c.signal(syscall.SIGTERM)
	patient, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if _, err := h.Wait(patient, name); err == nil {
		return nil
	}
	if ctx.Err() == nil {
		c.signal(syscall.SIGKILL)
	}
	_, err = h.Wait(ctx, name)
	return err
}

// Remove forgets a container that does not run.
func (h host) Remove(ctx context.Context, name string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(ctx, name)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if c.status.State == driver.StateRunning {
		return driver.Running(name)
	}
	delete(h.containers, name)
	return nil
}

// Logs copies what the program has written.
func (h host) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	h.mu.Lock()
	c, err := h.find(ctx, name)
	h.mu.Unlock()
	if err != nil {
		return err
	}
	return errors.Join(c.stdout.copyTo(stdout), c.stderr.copyTo(stderr))
}

// List has this node's containers, by name.
func (h host) List(ctx context.Context, labels map[string]string) (list []driver.Status, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.containers {
		if c.node == h.node && driver.Carries(c.spec.Labels, labels) {
			list = append(list, c.status)
		}
	}
	slices.SortFunc(list, func(a, b driver.Status) int { return cmp.Compare(a.Name, b.Name) })
	return list, ctx.Err()
}

func (h host) find(ctx context.Context, name string) (*container, error) {
	if c := h.containers[name]; c != nil {
		return c, ctx.Err()
	}
	return nil, driver.NotFound(name)
}

// output is what a program writes while others read it.
type output struct {
	mu  sync.Mutex
	all []byte
}

// Write keeps everything.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, p...)
	return len(p), nil
}

func (o *output) copyTo(w io.Writer) error {
	o.mu.Lock()
	said := bytes.Clone(o.all)
	o.mu.Unlock()
	_, err := w.Write(said)
	return err
}
