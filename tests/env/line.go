package env

import (
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Line carries connections to one TCP address until it is cut. Then nothing passes, in either direction, and neither
// side is told so.
type Line struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	ends  []net.Conn
	cut   bool
	alive *sync.Cond
}

// NewLine opens a line and ends it with the test.
func NewLine(t testing.TB, to string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Line{listener: listener, to: to}
	l.alive = sync.NewCond(&l.mu)
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close() // it carries nothing more
		l.Mend()
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, c := range l.ends {
			_ = c.Close() // most are closed
		}
	})
	return l
}

// Address is where the line begins.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Cut lets nothing pass any more.
func (l *Line) Cut() { l.set(true) }

// Mend lets pass what has waited.
func (l *Line) Mend() { l.set(false) }

func (l *Line) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	l.alive.Broadcast()
}

func (l *Line) serve() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", l.to)
		if err != nil {
			_ = from.Close() // the caller sees that nobody is there
			continue
		}
		l.mu.Lock()
		l.ends = append(l.ends, from, to)
		l.mu.Unlock()
		go l.carry(from, to)
		go l.carry(to, from)
	}
}

func (l *Line) carry(from, to net.Conn) {
	defer func() { _ = to.Close() }() // the other direction may have closed it
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.mu.Lock()
		for l.cut {
			l.alive.Wait()
		}
		l.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
