package env

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Line carries connections to one TCP address until it is cut. Then those that there are break, and no other comes about.
type Line struct {
	listener net.Listener
	to       string

	mu   sync.Mutex
	ends []net.Conn
	cut  bool
}

// NewLine opens a line and ends it with the test.
func NewLine(t testing.TB, to string) *Line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Line{listener: listener, to: to}
	go l.serve()
	t.Cleanup(func() {
		_ = listener.Close() // it carries nothing more
		l.Cut()
	})
	return l
}

// Address is where the line begins.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Cut lets nothing pass any more.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, c := range l.ends {
		_ = c.Close() // most are closed
	}
	l.ends = nil
}

// Mend lets new connections come about.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
}

func (l *Line) serve() {
	for {
		from, err := l.listener.Accept()
		if err != nil {
			return
		}
		if !l.join(from) {
			_ = from.Close() // the caller sees that nobody is there
		}
	}
}

func (l *Line) join(from net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return false
	}
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		return false
	}
	l.ends = append(l.ends, from, to)
	go carry(from, to)
	go carry(to, from)
	return true
}

// carry ends with either connection, and ends the other.
func carry(from, to net.Conn) {
	_, _ = io.Copy(to, from) // both sides see the end of it
	_ = to.Close()
	_ = from.Close()
}
