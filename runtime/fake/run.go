package fake

import (
	"context"
	"io"
	"time"

	"openflow/runtime/driver"
)

// The exit codes of a program that a signal ended, as a shell and Docker report them.
const (
	exitKilled     = 137
	exitTerminated = 143
)

// supervise runs the plan of c and records its end.
func (m *machine) supervise(term context.Context, cancel context.CancelFunc, c *container) {
	defer cancel()
	ended := make(chan int, 1)
	go func() {
		if serves(c.spec) {
			ended <- m.serve(term, c)
			return
		}
		ended <- c.plan.play(term, c.killed, c.spec, c.stdout, c.stderr)
	}()
	code := exitKilled
	select {
	case code = <-ended:
	case <-c.killed:
		if serves(c.spec) {
			<-ended // nothing listens where nothing runs
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c.change(func(s *driver.Status) {
		s.State, s.Finished, s.ExitCode = driver.StateExited, time.Now(), code
		switch {
		case c.plan.Lost:
			s.ExitCode, s.Lost, s.Reason = -1, true, "the exit code was not recorded"
		case c.plan.OOM:
			s.ExitCode, s.OOMKilled, s.Reason = exitKilled, true, "out of memory"
		}
	})
}

// play is the program of a container, or of a run in one, as the plan describes it.
func (p Plan) play(term context.Context, killed <-chan struct{}, spec driver.Spec, stdout, stderr io.Writer) int {
	if p.IgnoreTERM {
		term = context.WithoutCancel(term)
	}
	_, _ = io.WriteString(stdout, p.Stdout) // a buffer in memory takes everything
	_, _ = io.WriteString(stderr, p.Stderr)
	code := p.ExitCode
	if p.Run != nil {
		code = p.Run(term, spec, stdout, stderr)
	}
	if p.Delay > 0 {
		timer := time.NewTimer(p.Delay)
		defer timer.Stop()
		if !until(term, killed, timer.C) {
			return exitTerminated
		}
	}
	if p.Hold != nil && !until(term, killed, p.Hold) {
		return exitTerminated
	}
	return code
}

// until reports whether event came before the program was asked to end or was killed.
func until[T any](term context.Context, killed <-chan struct{}, event <-chan T) bool {
	select {
	case <-event:
		return true
	case <-term.Done():
	case <-killed:
	}
	return false
}

// kill ends c without asking its program.
func (m *machine) kill(c *container) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-c.killed:
	default:
		close(c.killed)
	}
}
