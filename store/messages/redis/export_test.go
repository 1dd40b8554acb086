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

// Waiting counts the calls that wait for room.
func (s *Store) Waiting() (n int) {
	s.waiters.mu.Lock()
	defer s.waiters.mu.Unlock()
	for _, queue := range s.waiters.rooms {
		n += len(queue)
	}
	return n
}
