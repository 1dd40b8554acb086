package events

import "sync"

// Signal is a Log's Changed: Fire closes what Wait has returned. The zero value is ready.
type Signal struct {
	mu sync.Mutex
	c  chan struct{}
}

// Wait returns the channel that the next Fire closes.
func (g *Signal) Wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.c == nil {
		g.c = make(chan struct{})
	}
	return g.c
}

// Fire wakes all who wait.
func (g *Signal) Fire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.c != nil {
		close(g.c)
		g.c = nil
	}
}
