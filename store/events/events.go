// Package events tells who follows a job what changes: a short log of notices that any number of subscribers read, each at
// its own pace.
//
// Events are hints. The catalogue is the truth, so a store may drop old ones, and loses them where it keeps them in memory;
// what it must not do is hide that from a subscriber. Package memory is the store of a node that runs in one process,
// package redis that of a node with several replicas; every store passes package storetest. Start reading at [Store].
//
// Spec: redis §2 #5.
package events

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"openflow"
)

// maxReason is how many bytes an event tells of why something ended. The record has it whole.
const maxReason = 1 << 10

// Kept is e as a store keeps it: whoever reports an end chooses how long its reason is, and a store keeps thousands.
func Kept(e openflow.Event) openflow.Event {
	e.Reason = strings.Clone(openflow.Cut(e.Reason, maxReason))
	return e
}

// Keep is how many events a store keeps at least, unless it is told otherwise.
const Keep = 10_000

// ErrMissed says that events after the subscriber's last one are no longer kept. It comes wrapped; use errors.Is.
var ErrMissed = &openflow.Error{Code: openflow.CodeNotFound, Message: "events were missed: they are no longer kept"}

// Store keeps events. All methods may be called concurrently.
type Store interface {
	// Publish appends e, whose ID it ignores. Errors: CodeExhausted, CodeUnavailable.
	Publish(ctx context.Context, e openflow.Event) error

	// Subscribe begins after the event with that ID; after "" with the first that is published from now on. CodeInvalid:
	// after is no ID of an event. A subscription holds nothing that needs to be closed.
	Subscribe(ctx context.Context, after string) (*Subscription, error)

	// Close ends all subscriptions with CodeUnavailable.
	Close() error
}

// ID is an event's place: events of one epoch are numbered without gaps. A store that has lost its events begins a later
// epoch.
type ID struct{ Epoch, Number uint64 }

// String is the form in openflow.Event.ID: "EPOCH-NUMBER".
func (id ID) String() string { return fmt.Sprintf("%d-%d", id.Epoch, id.Number) }

// ParseID reads what String wrote; CodeInvalid if it is none.
func ParseID(s string) (ID, error) {
	epoch, number, _ := strings.Cut(s, "-")
	e, err1 := strconv.ParseUint(epoch, 10, 63)
	n, err2 := strconv.ParseUint(number, 10, 63)
	if id := (ID{e, n}); err1 == nil && err2 == nil && id.String() == s {
		return id, nil
	}
	return ID{}, openflow.Errorf(openflow.CodeInvalid, "%.80q is not the ID of an event", s).
		WithHint("name the last event that was received, or none")
}

// Before reports whether id comes before o.
func (id ID) Before(o ID) bool {
	return id.Epoch < o.Epoch || id.Epoch == o.Epoch && id.Number < o.Number
}

// Log is what a store gives a Subscription to read from.
type Log interface {
	// Last is the newest event's ID; zero when there is none.
	Last(ctx context.Context) (ID, error)
	// After returns the oldest events after id that are kept, some at a time; none when there are none yet.
	After(ctx context.Context, id ID) ([]openflow.Event, error)
	// Changed returns a channel that is closed once there may be more than After would have returned at the time of the
	// call.
	Changed() <-chan struct{}
}

// Subscription reads a log from one place on. It belongs to one goroutine.
type Subscription struct {
	log    Log
	at     ID
	missed bool
	ready  []openflow.Event
}

// Follow is the Subscribe of a store that has a log.
func Follow(ctx context.Context, log Log, after string) (*Subscription, error) {
	last, err := log.Last(ctx)
	if err != nil || after == "" {
		return &Subscription{log: log, at: last}, err
	}
	at, err := ParseID(after)
	if err != nil {
		return nil, err
	}
	switch {
	case at.Epoch != last.Epoch: // of another life: all that is kept has come since, and what came before is not known
		return &Subscription{log: log, missed: true}, nil
	case last.Before(at):
		return &Subscription{log: log, at: last, missed: true}, nil
	}
	return &Subscription{log: log, at: at}, nil
}

// Next waits for the next event. ErrMissed comes once for a gap, and then what is kept after it: whoever gets it reads the
// state anew. Other errors are ctx's, and CodeUnavailable; a later Next goes on where this one was.
func (s *Subscription) Next(ctx context.Context) (openflow.Event, error) {
	for {
		changed := s.log.Changed() // before looking, so that nothing falls between
		if err := s.fill(ctx); err != nil {
			return openflow.Event{}, err
		}
		if s.missed {
			s.missed = false
			return openflow.Event{}, &openflow.Error{Code: ErrMissed.Code, Message: ErrMissed.Message, Err: ErrMissed}
		}
		if len(s.ready) > 0 {
			e := s.ready[0]
			s.ready = s.ready[1:]
			return e, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return openflow.Event{}, openflow.Errorf(openflow.CodeOf(ctx.Err()), "wait for events: %w", ctx.Err())
		}
	}
}

// fill reads on when everything read before has been given out.
func (s *Subscription) fill(ctx context.Context) error {
	if len(s.ready) > 0 {
		return nil
	}
	batch, err := s.log.After(ctx, s.at)
	if err != nil || len(batch) == 0 {
		return err
	}
	first, err := ParseID(batch[0].ID)
	if err != nil {
		return err
	}
	last, err := ParseID(batch[len(batch)-1].ID)
	if err != nil {
		return err
	}
	next := ID{s.at.Epoch, s.at.Number + 1}
	s.missed = s.missed || s.at != (ID{}) && first != next
	s.ready, s.at = batch, last
	return nil
}
