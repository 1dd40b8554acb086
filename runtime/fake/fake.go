// Package fake is a driver.Runtime in memory that fails on demand: for tests of everything above a runtime.
//
// A container is a [Plan], chosen per Spec by the function given to [New]: Go code to run, or an outcome, or a fault at
// one of the steps. It obeys the whole contract and passes runtime/runtimetest, including adoption: [Runtime.Reopen] is
// what a restarted node would see. It enforces no limits and isolates nothing. A container with the argument "serve" is
// resident: it answers over HTTP, as algorithm-image §12 says.
package fake

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"openflow/runtime/driver"
)

// Program is what a container runs; it returns the exit code. ctx ends when the container is asked to stop (TERM). A
// program that goes on regardless is killed: its container ends, while its goroutine runs until the program returns.
type Program func(ctx context.Context, spec driver.Spec, stdout, stderr io.Writer) int

// Plan says what becomes of one container. The zero Plan starts, says nothing and exits with 0.
type Plan struct {
	// Run is called first; nil does nothing and ends with ExitCode.
	Run      Program
	ExitCode int

	Stdout, Stderr string          // written before Run is called
	Delay          time.Duration   // how long the container runs at least
	Hold           <-chan struct{} // the container runs at least until this is closed; nil does not hold
	IgnoreTERM     bool            // only KILL ends Delay, Hold and Run

	OOM  bool            // ends with 137 and OOMKilled, whatever Run returns
	Lost bool            // ends with its exit code unrecorded
	Late <-chan struct{} // Wait tells of the end only once this is closed, and Inspect at once; nil: Wait does too

	// These errors are returned by the first call of their method for the name; the call has no effect, and the next
	// one works.
	EnsureErr, StartErr, WaitErr, LogsErr, RemoveErr error
	// Unmakeable has every Ensure of one that there is not fail with this error, as long as it returns one; nil: none does.
	Unmakeable func() error
	// Unstoppable has every Stop fail with this error and without effect, as long as it returns one; nil: none does.
	Unstoppable func() error
	// LoseReplies makes the first Ensure, Start, Stop and Remove take effect and report CodeUnavailable all the same.
	LoseReplies bool

	// A container with the argument "serve" serves runs, and its plan says how. Each run has a plan of its own: what the plan
	// makes of the ID as the name, the image, and the variables of the run. Kill ends such a container as no one has asked for. With
	// IgnoreTERM it serves on until it is killed.
	Serves  int                                   // runs at once; 0: as many as usual
	Handler func(usual http.Handler) http.Handler // answers in the place of the usual answers; nil: those
	Execute Program                               // what a command comes to that is run in a container; nil: it ends with 0
}

// Runtime is the fake. Create it with New.
type Runtime struct {
	m    *machine
	node string // whose containers it makes and lists
}

var _ driver.Runtime = (*Runtime)(nil)

// New returns a Runtime without containers. plan is called by every Ensure, without any lock held; the plan of
// the call that creates the container is the one that counts. nil plans the zero Plan for all.
func New(plan func(driver.Spec) Plan) *Runtime {
	if plan == nil {
		plan = func(driver.Spec) Plan { return Plan{} }
	}
	return &Runtime{m: &machine{plan: plan, containers: map[string]*container{}, spent: map[string]bool{}, runs: map[string]int{}}}
}

// Programs plans p for every container.
func Programs(p Program) func(driver.Spec) Plan {
	return func(driver.Spec) Plan { return Plan{Run: p} }
}

// Reopen returns a second Runtime over the same containers, as a restarted node or another replica would have it.
func (r *Runtime) Reopen() *Runtime { return &Runtime{r.m, r.node} }

// Runs counts how often a program has been started under name, over all containers that ever had it.
func (r *Runtime) Runs(name string) int {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	return r.m.runs[name]
}

// Kind is "fake".
func (r *Runtime) Kind() string { return Name }

// machine is what outlives a Runtime.
type machine struct {
	plan func(driver.Spec) Plan

	mu         sync.Mutex
	containers map[string]*container
	spent      map[string]bool // faults that have happened, by method and name
	runs       map[string]int
	images     images
}

// container is guarded by machine.mu, apart from what the comments say.
type container struct {
	node    string
	spec    driver.Spec
	plan    Plan
	status  driver.Status
	changed chan struct{}      // closed at every change, and replaced
	term    context.CancelFunc // set by Start
	killed  chan struct{}      // closed by Stop after its grace
	stdout  *output
	stderr  *output

	listener net.Listener // of a resident one, since Start; Move changes it
	handler  http.Handler // what it serves, once it does
	server   *http.Server // with which it does

	elsewhere string // where its address leads by now; empty: to it
}

// change wakes the waiters.
func (c *container) change(f func(*driver.Status)) {
	f(&c.status)
	close(c.changed)
	c.changed = make(chan struct{})
}

// output is a buffer that the program writes while others read.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) copyTo(w io.Writer) error {
	o.mu.Lock()
	all := bytes.Clone(o.buf.Bytes())
	o.mu.Unlock()
	_, err := w.Write(all)
	return err
}
