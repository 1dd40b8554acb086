package dialect

import (
	"sync"

	"openflow"
)

// Intake bounds what proven peers have under way at this node at once: calls, and bytes of their bodies in its memory. nil and
// a zero number bound nothing.
type Intake struct {
	Calls int   // of one peer
	Each  int64 // bytes of one peer; at least the largest body
	All   int64 // bytes of all peers

	mu    sync.Mutex
	peers map[openflow.PartyID]load
	bytes int64
}

type load struct {
	calls int
	bytes int64
}

// light is a body that counts as a call only: the bound on calls bounds these too.
const light = 64 << 10

// expected is how many bytes are read of a body of that size, or -1, where at most so many are taken.
func expected(size, most int64) int64 {
	switch {
	case size < 0:
		return most
	case size > most: // it will be refused without being read
		return 0
	}
	return size
}

// enter counts a call with a body of that size, or -1, and of at most so many bytes. The caller leaves when it has been
// answered. CodeUnavailable: the peer, or all of them, have too much under way; a later call is taken.
func (i *Intake) enter(peer openflow.PartyID, size, most int64) (leave func(), err error) {
	if i == nil {
		return func() {}, nil
	}
	if size = expected(size, most); size <= light {
		size = 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	has := i.peers[peer]
	switch {
	case i.Calls > 0 && has.calls >= i.Calls:
		return nil, busy("party %s has %d calls under way at this node, as many as one peer may", peer, has.calls)
	case i.Each > 0 && size > 0 && has.bytes+size > i.Each:
		return nil, busy("party %s has messages of %s under way at this node, as much as one peer may", peer, openflow.FormatBytes(has.bytes))
	case i.All > 0 && size > 0 && i.bytes+size > i.All:
		return nil, busy("this node has as many messages under way as it can hold")
	}
	i.add(peer, 1, size)
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.add(peer, -1, -size)
	}, nil
}

// add changes the counts. The caller holds the lock.
func (i *Intake) add(peer openflow.PartyID, calls int, bytes int64) {
	if i.peers == nil {
		i.peers = map[openflow.PartyID]load{}
	}
	has := i.peers[peer]
	has.calls, has.bytes, i.bytes = has.calls+calls, has.bytes+bytes, i.bytes+bytes
	if has.calls == 0 {
		delete(i.peers, peer)
		return
	}
	i.peers[peer] = has
}

func busy(format string, args ...any) error {
	e := openflow.Errorf(openflow.CodeUnavailable, format, args...)
	return e.WithPublic("%s", e.Message).WithHint("the call is repeated by itself; see docs/calls.md")
}
