package env

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what should take a second or two: these machines are shared and slow.
const Patience = 3 * time.Minute

// every is the pause between two looks.
const every = 25 * time.Millisecond

// WaitUntil looks again and again until look reports done, and fails the test after the deadline with what was seen
// last. what names the expectation.
func WaitUntil(t testing.TB, within time.Duration, what string, look func() (done bool, seen string)) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		done, seen := look()
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s; last seen: %s", within, what, seen)
		case <-t.Context().Done():
			t.Fatalf("the test ended before: %s; last seen: %s", what, seen)
		}
	}
}
