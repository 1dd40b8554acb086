package env

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Line carries connections to one TCP address until it is cut or falls silent. Cut, those that there are break, and no
// other comes about. Silent, all of them stay open and carry nothing, as when the machine at an end has lost its power.
type Line struct {
	listener net.Listener
	to       string

	mu      sync.Mutex
	ends    []net.Conn
	state   lineState
	dropped int
}

type lineState int

const (
	carrying lineState = iota
	cut
	silent
)

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
func (l *Line) Cut() { l.become(cut) }

// Silence lets nothing pass any more, and tells nobody.
func (l *Line) Silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.dropped = silent, 0
}

// Mend lets new connections come about. Those of a silent line break: they have lost something.
func (l *Line) Mend() { l.become(carrying) }

// Dropped counts the connections that the far end has given up since the line fell silent.
func (l *Line) Dropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

func (l *Line) become(s lineState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = s
	for _, c := range l.ends {
		_ = c.Close() // most are closed
	}
	l.ends = nil
}

func (l *Line) is(s lineState) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state == s
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
	switch l.state {
	case cut:
		return false
	case silent:
		l.ends = append(l.ends, from)
		return true
	case carrying:
	}
	to, err := net.Dial("tcp", l.to)
	if err != nil {
		return false
	}
	l.ends = append(l.ends, from, to)
	go l.carry(from, to, func() {})
	go l.carry(to, from, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.state == silent {
			l.dropped++
		}
	})
	return true
}

// carry ends with either connection, and ends the other unless the line is silent.
func (l *Line) carry(from, to net.Conn, ended func()) {
	_, _ = io.Copy(passing{l, to}, from) // both sides see the end of it
	ended()
	if l.is(silent) {
		return
	}
	_ = to.Close()
	_ = from.Close()
}

// passing is the way to an end of a line: what comes while the line is silent is lost.
type passing struct {
	line *Line
	to   net.Conn
}

func (p passing) Write(b []byte) (int, error) {
	if p.line.is(silent) {
		return len(b), nil
	}
	return p.to.Write(b)
}
