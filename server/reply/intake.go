package reply

import (
	"context"
	"sync"

	"openflow"
)

// Intake bounds what known callers have under way at this node at once: calls, and bytes of their messages in its memory. A caller
// is a peer, or a run whose container calls. nil and a zero number bound nothing.
type Intake struct {
	Calls int   // of one caller
	Each  int64 // bytes of one caller; at least the largest body
	All   int64 // bytes of all callers

	mu      sync.Mutex
	callers map[string]load
	bytes   int64
}

type load struct {
	calls int
	bytes int64
}

// light is a body that counts as a call only: the bound on calls bounds these too.
const light = 64 << 10

// Expected is how many bytes are read of a body of that size, or -1, where at most so many are taken.
func Expected(size, most int64) int64 {
	switch {
	case size < 0:
		return most
	case size > most: // it will be refused without being read
		return 0
	}
	return size
}

// Enter counts a call of a caller, whose name stands in the refusal, with a body of that size, or -1, and of at most so many bytes.
// The caller leaves when it has been answered. CodeUnavailable: the caller, or all of them, have too much under way; a later call
// is taken.
func (i *Intake) Enter(who string, size, most int64) (leave func(), err error) {
	return i.enter(who, 1, size, most)
}

func (i *Intake) enter(who string, calls int, size, most int64) (leave func(), err error) {
	if i == nil {
		return func() {}, nil
	}
	if size = Expected(size, most); size <= light {
		size = 0
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	has := i.callers[who]
	switch {
	case i.Calls > 0 && has.calls+calls > i.Calls:
		return nil, busy("%s has %d calls under way at this node, as many as it may", who, has.calls)
	case i.Each > 0 && size > 0 && has.bytes+size > i.Each:
		return nil, busy("%s has messages of %s under way at this node, as much as it may", who, openflow.FormatBytes(has.bytes))
	case i.All > 0 && size > 0 && i.bytes+size > i.All:
		return nil, busy("this node has as many messages under way as it can hold")
	}
	i.add(who, calls, size)
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.add(who, -calls, -size)
	}, nil
}

// add changes the counts. The caller holds the lock.
func (i *Intake) add(who string, calls int, bytes int64) {
	if i.callers == nil {
		i.callers = map[string]load{}
	}
	has := i.callers[who]
	has.calls, has.bytes, i.bytes = has.calls+calls, has.bytes+bytes, i.bytes+bytes
	if has == (load{}) {
		delete(i.callers, who)
		return
	}
	i.callers[who] = has
}

// held is what one call has counted, in one goroutine.
type held struct {
	of    *Intake
	who   string
	leave []func()
}

type heldKey struct{}

// Hold counts a call of that caller until its end, and gives ctx a place where [Body] and [Reads] count what it has in memory.
// Errors: as of Enter.
func (i *Intake) Hold(ctx context.Context, who string) (_ context.Context, end func(), err error) {
	leave, err := i.Enter(who, 0, 0)
	if err != nil {
		return ctx, nil, err
	}
	h := &held{of: i, who: who, leave: []func(){leave}}
	return context.WithValue(ctx, heldKey{}, h), func() {
		for _, leave := range h.leave {
			leave()
		}
	}, nil
}

// take counts so many bytes for the call of a context, at most all that one caller may have. Calls that hold nothing have room.
func take(ctx context.Context, bytes int64) error {
	h, ok := ctx.Value(heldKey{}).(*held)
	if !ok || h.of == nil {
		return nil
	}
	if h.of.Each > 0 {
		bytes = min(bytes, h.of.Each)
	}
	leave, err := h.of.enter(h.who, 0, bytes, bytes)
	if err == nil {
		h.leave = append(h.leave, leave)
	}
	return err
}

// Reads counts a payload of so many bytes that is about to come into memory to be answered, for messages.Options. The answer has it
// once more. CodeUnavailable: the caller, or all of them, have too much in memory; it reads again later.
func Reads(ctx context.Context, bytes int64) error { return take(ctx, 2*bytes) }

func busy(format string, args ...any) error {
	e := openflow.Errorf(openflow.CodeUnavailable, format, args...)
	return e.WithPublic("%s", e.Message).WithHint("the call is repeated by itself; see docs/calls.md")
}
