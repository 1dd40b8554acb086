package env

import (
	"testing"
	"time"
)

// Patience is how long a test waits for what should take a second or two: these machines are shared and slow.
const Patience = 3 * time.Minute

// every is the pause between two looks.
const every = 25 * time.Millisecond

// standstill is what a pause of this process counts at most: a machine that stood still for minutes has done nothing
// meanwhile that could be waited for.
const standstill = 5 * time.Second

// WaitUntil looks again and again until look reports done, and fails the test after the deadline with what was seen
// last. what names the expectation.
func WaitUntil(t testing.TB, within time.Duration, what string, look func() (done bool, seen string)) {
	t.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	var waited time.Duration
	for last := time.Now(); ; {
		done, seen := look()
		if done {
			return
		}
		now := time.Now()
		waited += min(now.Sub(last), standstill)
		last = now
		if waited >= within {
			t.Fatalf("not within %s: %s; last seen: %s", within, what, seen)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatalf("the test ended before: %s; last seen: %s", what, seen)
		}
	}
}
