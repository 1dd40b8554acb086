package fake

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/residence"
	"openflow/runtime/driver"
)

// drainGrace is what runs of a container have that is asked to end, as containers have it.
const drainGrace = 5 * time.Second

// serves reports whether a container of this Spec is resident.
func serves(spec driver.Spec) bool { return slices.Equal(spec.Command, []string{residence.Argument}) }

// listen opens the port of a resident container. It is called with the lock held, so that Reach finds it once it runs.
func (c *container) listen() (err error) {
	if !serves(c.spec) {
		return nil
	}
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "container %q has no port: %w", c.spec.Name, err)
	}
	return nil
}

// serve answers algorithm-image §12 until the container ends. Each run is what the plan says of a container with
// its ID as the name, the image of this one, the argument "run", and its variables.
func (m *machine) serve(term context.Context, c *container) int {
	most := c.plan.Serves
	if most == 0 {
		most = openflow.UsualRuns
	}
	s := residence.New(variable(c.spec.Env, residence.Key), most, func(id string, env map[string]string, stdout, stderr io.Writer) (residence.Process, error) {
		return m.beginRun(c, id, env, stdout, stderr)
	})
	var handler http.Handler = s
	if c.plan.Handler != nil {
		handler = c.plan.Handler(s)
	}
	if c.plan.IgnoreTERM {
		term = context.WithoutCancel(term)
	}
	m.mu.Lock()
	c.handler = handler
	c.begin()
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		c.handler = nil
		_ = c.server.Close()
	}()
	select {
	case <-c.killed:
		return exitKilled
	case <-term.Done():
		drained := make(chan struct{})
		go func() { s.Drain(context.WithoutCancel(term), drainGrace); close(drained) }()
		if !until(context.WithoutCancel(term), c.killed, drained) {
			return exitKilled
		}
		return exitTerminated
	}
}

// begin serves at the port that a container has now. It is called with the lock held.
func (c *container) begin() {
	server, listener := &http.Server{Handler: c.handler}, c.listener
	c.server = server
	go func() { _ = server.Serve(listener) }() // it ends with Close
}

// Move gives a resident container that serves another address, as a daemon may that was restarted. Its connections end.
func (r *Runtime) Move(name string) error {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	c, ok := r.m.containers[name]
	if !ok || c.handler == nil {
		return driver.NotRunning(name)
	}
	before := c.server
	if err := c.listen(); err != nil {
		return err
	}
	c.begin()
	return before.Close()
}

// Lead has the address of a resident container lead elsewhere, as where another one has got it.
func (r *Runtime) Lead(name, address string) {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if c, ok := r.m.containers[name]; ok {
		c.elsewhere = address
	}
}

// beginRun is called by the server with its own lock held, and never with the machine's.
func (m *machine) beginRun(c *container, id string, env map[string]string, stdout, stderr io.Writer) (residence.Process, error) {
	spec := driver.Spec{Name: id, Image: c.spec.Image, Command: []string{"run"}}
	for k, v := range env {
		spec.Env = append(spec.Env, k+"="+v)
	}
	slices.Sort(spec.Env)
	r := &resident{spec: spec, plan: m.plan(spec), of: c, killed: make(chan struct{}), ended: make(chan int, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fault("start", id, r.plan.StartErr); err != nil {
		return nil, err
	}
	m.runs[id]++
	var term context.Context
	term, r.term = context.WithCancel(context.Background())
	go func() { r.ended <- r.plan.play(term, r.killed, r.spec, stdout, stderr) }()
	return r, nil
}

// resident is a run in a resident container. It implements residence.Process.
type resident struct {
	spec   driver.Spec
	plan   Plan
	of     *container
	term   context.CancelFunc
	kill   sync.Once
	killed chan struct{}
	ended  chan int
}

func (r *resident) Wait() int {
	defer r.term()
	select {
	case code := <-r.ended:
		if r.plan.OOM {
			return exitKilled
		}
		return code
	case <-r.killed:
	case <-r.of.killed:
	}
	return exitKilled
}

func (r *resident) Ask() {
	if !r.plan.IgnoreTERM {
		r.term()
	}
}

func (r *resident) Kill() { r.kill.Do(func() { close(r.killed) }) }

// Kill ends a running container at once, and with it all its runs, as a machine does that is out of memory. Nobody has asked
// for that.
func (r *Runtime) Kill(name string) {
	r.m.mu.Lock()
	c, ok := r.m.containers[name]
	r.m.mu.Unlock()
	if ok {
		r.m.kill(c)
	}
}

// Reach implements driver.Residence: the port of OPENFLOW_SERVE leads to the container, and every other one to this machine.
func (r *Runtime) Reach(ctx context.Context, name string, port int) (string, error) {
	c, err := r.m.runningOne(ctx, name)
	if err != nil {
		return "", err
	}
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	if c.elsewhere != "" {
		return c.elsewhere, nil
	}
	if _, own, _ := net.SplitHostPort(variable(c.spec.Env, residence.Address)); c.listener != nil && own == strconv.Itoa(port) {
		return c.listener.Addr().String(), nil
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

// Execute implements driver.Residence: the plan of the container says what comes of the command.
func (r *Runtime) Execute(ctx context.Context, name string, command []string, most int) (driver.Answer, error) {
	c, err := r.m.runningOne(ctx, name)
	if err != nil {
		return driver.Answer{}, err
	}
	q := driver.Question{Image: c.spec.Image, Command: command, Most: most}
	if c.plan.Execute == nil {
		return driver.Answer{}, nil
	}
	return hear(ctx, q, c.plan.Execute, driver.Spec{Name: name, Image: c.spec.Image, Command: command, Env: withheld(c.spec.Env)})
}

// runningOne is a container that runs.
func (m *machine) runningOne(ctx context.Context, name string) (*container, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if c.status.State != driver.StateRunning {
		return nil, driver.NotRunning(name)
	}
	return c, nil
}

// variable is the value of one of a container's variables.
func variable(env []string, name string) string {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// withheld are the variables of a container without those of residence.Withheld.
func withheld(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains(residence.Withheld(), name+"=")
	})
}
