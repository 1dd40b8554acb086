package embedded

import (
	"sync"
	"time"

	"openflow"
)

// failure remembers the first error from which the server cannot recover. The server reports those by Logger.Fatal and
// expects the process to end; here the owner of the server is told instead.
type failure struct {
	failed chan error // gets the first error

	mu     sync.Mutex
	first  error
	closed bool
}

func newFailure() *failure { return &failure{failed: make(chan error, 1)} }

// report keeps err when it is the first one and the server is not being stopped.
func (f *failure) report(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.first != nil {
		return
	}
	f.first = err
	f.failed <- err
}

// silence ends reporting: what fails while the server stops is of no interest.
func (f *failure) silence() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
}

// silenced reports whether silence was called.
func (f *failure) silenced() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed
}

// err returns the first reported error, or nil.
func (f *failure) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first
}

// await returns what run returned, or the failure that ended it. run gets a goroutine of its own, because Fatal ends
// the goroutine that calls it.
func (f *failure) await(run func() error) error {
	done := make(chan error, 1)
	go func() {
		finished := false
		defer func() {
			if finished {
				return
			}
			// Either Goexit, or a panic: sync.OnceValue turns a Goexit inside it into one.
			r := recover()
			if f.err() == nil && r != nil {
				f.report(openflow.Errorf(openflow.CodeInternal, "embedded temporal server panics: %v", r))
			}
			done <- f.err()
		}()
		err := run()
		finished = true
		done <- err
	}()
	err := <-done
	if first := f.err(); first != nil {
		return first
	}
	return err
}

// stopWithin runs stop and gives up waiting after d.
func stopWithin(d time.Duration, stop func() error) error {
	done := make(chan error, 1)
	go func() { done <- stop() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d):
		return openflow.Errorf(openflow.CodeDeadline, "embedded temporal server did not stop within %s", d)
	}
}
