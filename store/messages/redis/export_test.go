package redis

import (
	"testing"
	"time"
)

// OnlyWoken makes blocked callers never ask without being woken, until the test ends.
func OnlyWoken(t *testing.T) {
	before := recheck
	recheck = time.Hour
	t.Cleanup(func() { recheck = before })
}
