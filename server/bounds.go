package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"openflow/server/reply"
)

// Bounds are how much those who call a listener may hold of it. The zero value of a number means no bound.
type Bounds struct {
	Connections int  // that are open at once
	Unknown     int  // of them from one address, until somebody known has called on them; see reply.Known
	Known       int  // of them that stay open for one caller that is known
	Closes      bool // a connection is closed behind the answer to somebody who is not known
	GRPC        bool // HTTP/2 is spoken too
	Pace        Pace
	TLS         *tls.Config // nil: without
}

// How many of its descriptors a process gives to each of its listeners: one in so many. The others are for files and for
// connections that it makes itself.
const listenersShare = 6

// The least is what a small site needs, and the most what is of use to one node.
const leastConnections, mostConnections = 64, 2048

// Connections is how many connections one listener of this process may hold, so that those of one listener take no
// descriptors from the others, whoever attacks it.
func Connections() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return leastConnections
	}
	return int(min(max(limit.Cur/listenersShare, leastConnections), mostConnections))
}

// bounded is a listener that keeps to bounds. Where one is reached, the oldest connection of somebody unknown makes room.
// So who really wants something, and says at once who it is, gets through, however many others hold connections and say
// nothing. Where there is none, the new connection is closed.
type bounded struct {
	net.Listener
	bounds Bounds

	mu      sync.Mutex
	open    int
	unknown *list.List                  // of *held, the oldest first
	from    map[netip.Prefix]*list.List // the same by address
	known   map[string]int              // connections by who has called on them first
}

func newBounded(l net.Listener, b Bounds) *bounded {
	return &bounded{Listener: l, bounds: b, unknown: list.New(), from: map[netip.Prefix]*list.List{}, known: map[string]int{}}
}

// held is a connection that counts. Its fields are guarded by its listener's lock.
type held struct {
	net.Conn
	by        *bounded
	from      netip.Prefix
	age, here *list.Element // in unknown and from; nil: somebody known has called
	who       string        // that somebody
	gone      bool
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if h := b.take(c); h != nil {
			return h, nil
		}
	}
}

// take counts a connection, and makes room for it. nil: there was none.
func (b *bounded) take(c net.Conn) *held {
	h := &held{Conn: c, by: b, from: network(c.RemoteAddr())}
	b.mu.Lock()
	var away []*held
	if mine := b.from[h.from]; b.bounds.Unknown > 0 && mine != nil && mine.Len() >= b.bounds.Unknown {
		away = append(away, b.leave(mine.Front()))
	}
	if b.bounds.Connections > 0 && b.open >= b.bounds.Connections && b.unknown.Len() > 0 {
		away = append(away, b.leave(b.unknown.Front()))
	}
	full := b.bounds.Connections > 0 && b.open >= b.bounds.Connections
	if !full {
		b.open++
		if b.from[h.from] == nil {
			b.from[h.from] = list.New()
		}
		h.age, h.here = b.unknown.PushBack(h), b.from[h.from].PushBack(h)
	}
	b.mu.Unlock()
	for _, a := range away {
		abandon(a.Conn)
	}
	if full {
		abandon(c)
		return nil
	}
	return h
}

// leave takes an unknown connection out of the count. The caller holds the lock, and closes it afterwards.
func (b *bounded) leave(e *list.Element) *held {
	h := e.Value.(*held)
	b.forget(h)
	return h
}

// forget takes a connection out of the count, once. The caller holds the lock.
func (b *bounded) forget(h *held) {
	if h.gone {
		return
	}
	h.gone = true
	b.open--
	b.met(h)
	if h.who == "" {
		return
	}
	if b.known[h.who]--; b.known[h.who] == 0 {
		delete(b.known, h.who)
	}
}

// met takes a connection out of the unknown ones. The caller holds the lock.
func (b *bounded) met(h *held) {
	if h.age == nil {
		return
	}
	b.unknown.Remove(h.age)
	mine := b.from[h.from]
	if mine.Remove(h.here); mine.Len() == 0 {
		delete(b.from, h.from)
	}
	h.age, h.here = nil, nil
}

// keep notes that somebody known has called on the connection, and tells whether it may stay open between calls. One that a
// gateway uses for several counts as the first one's.
func (h *held) keep(who string) bool {
	b := h.by
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.gone || h.who != "" {
		return !h.gone
	}
	b.met(h) // also of one too many: it closes behind its answer, and not before
	if b.bounds.Known > 0 && b.known[who] >= b.bounds.Known {
		return false
	}
	h.who = who
	b.known[who]++
	return true
}

// Close implements net.Conn.
func (h *held) Close() error {
	h.by.mu.Lock()
	h.by.forget(h)
	h.by.mu.Unlock()
	return h.Conn.Close()
}

// CloseWrite lets the server end its side first, so that the caller hears the answer before the connection is gone.
func (h *held) CloseWrite() error {
	if c, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// abandon closes a connection so that the system keeps nothing of it either.
func abandon(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may have gone
	}
	_ = c.Close() // nothing was promised
}

// network is whose address counts as one: a single one of IPv4, and of IPv6 what one customer is given.
func network(a net.Addr) netip.Prefix {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap()
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// onConnection is http.Server's ConnContext.
func onConnection(ctx context.Context, c net.Conn) context.Context {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok { // of TLS
		c = outer.NetConn()
	}
	h, ok := c.(*held)
	if !ok {
		return ctx
	}
	return reply.OnConnection(ctx, h.keep)
}
