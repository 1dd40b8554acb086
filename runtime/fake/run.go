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
	go func() { ended <- c.play(term) }()
	code := exitKilled
	select {
	case code = <-ended:
	case <-c.killed:
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

// play is the container's program as the plan describes it.
func (c *container) play(term context.Context) int {
	if c.plan.IgnoreTERM {
		term = context.WithoutCancel(term)
	}
	_, _ = io.WriteString(c.stdout, c.plan.Stdout) // a buffer in memory takes everything
	_, _ = io.WriteString(c.stderr, c.plan.Stderr)
	code := c.plan.ExitCode
	if c.plan.Run != nil {
		code = c.plan.Run(term, c.spec, c.stdout, c.stderr)
	}
	if c.plan.Delay > 0 {
		timer := time.NewTimer(c.plan.Delay)
		defer timer.Stop()
		if !until(term, c.killed, timer.C) {
			return exitTerminated
		}
	}
	if c.plan.Hold != nil && !until(term, c.killed, c.plan.Hold) {
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
