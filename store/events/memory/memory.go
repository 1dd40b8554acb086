// Package memory keeps the last events in memory: the store of a node that runs in one process. A restart loses them,
// which subscribers that come back are told.
package memory

import (
	"context"
	"sync"
	"time"

	"openflow"
	"openflow/store/events"
)

// Store is a ring of the last events.
type Store struct {
	mu      sync.Mutex
	ring    []openflow.Event // the event with number n is at n modulo the length
	next    uint64           // number of the next event; the first is 1
	epoch   uint64
	closed  bool
	changed events.Signal
}

var (
	_ events.Store = (*Store)(nil)
	_ events.Log   = (*Store)(nil)
)

// New makes a store that keeps that many events; 0: events.Keep.
func New(keep int) *Store {
	if keep == 0 {
		keep = events.Keep
	}
	// A later process has a later epoch, so an ID of an earlier one is never taken for one of this.
	return &Store{ring: make([]openflow.Event, keep), next: 1, epoch: uint64(time.Now().UnixMicro())}
}

// Publish implements events.Store.
func (s *Store) Publish(_ context.Context, e openflow.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return closed()
	}
	e = events.Kept(e)
	e.ID = events.ID{Epoch: s.epoch, Number: s.next}.String()
	s.ring[s.next%s.size()] = e
	s.next++
	s.changed.Fire()
	return nil
}

func (s *Store) size() uint64 { return uint64(len(s.ring)) }

// Subscribe implements events.Store.
func (s *Store) Subscribe(ctx context.Context, after string) (*events.Subscription, error) {
	return events.Follow(ctx, s, after)
}

// Last implements events.Log. The place before the first event counts as an event's.
func (s *Store) Last(context.Context) (events.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return events.ID{}, closed()
	}
	return events.ID{Epoch: s.epoch, Number: s.next - 1}, nil
}

// After implements events.Log.
func (s *Store) After(_ context.Context, id events.ID) ([]openflow.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, closed()
	}
	from := uint64(1)
	if id.Epoch == s.epoch {
		from = id.Number + 1
	}
	if s.next > s.size() {
		from = max(from, s.next-s.size())
	}
	var found []openflow.Event
	for n := from; n < s.next; n++ {
		found = append(found, s.ring[n%s.size()])
	}
	return found, nil
}

// Changed implements events.Log.
func (s *Store) Changed() <-chan struct{} { return s.changed.Wait() }

// Close implements events.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.changed.Fire()
	return nil
}

func closed() error {
	return openflow.Errorf(openflow.CodeUnavailable, "the events have ended: the node stops")
}
