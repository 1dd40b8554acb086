package messages

import (
	"context"
	"time"
)

// Channel is one queue. Its name carries sender and receiver when several parties share a session.
//
// Spec: interop-transport §8 (queue key is session and topic).
type Channel struct {
	Session string // belongs to one task version; not empty
	Topic   string // may be empty
}

// Message is one opaque payload on a channel.
type Message struct {
	ID       string // the sender's name for it, for duplicate suppression; empty: none
	Source   string // party that sent it; empty: unknown, which every reader's filter lets pass
	Sequence int64  // position in the channel, from 1, given by Push; gaps are legal, repeats are not
	Payload  []byte // may be empty
}

// Store keeps channels and nonces. Everything that a call has acknowledged survives the end of the process, however it
// ends. All methods may be called concurrently. A session begins with its first use and needs no opening.
//
// All methods return openflow errors. Besides those named below: CodeInvalid for an empty session, CodeUnavailable
// after Close, the context's own code when it ends while waiting, CodeInternal when the machine fails.
//
// A reader is either of the popping or of the acknowledging kind: mixing both on one channel is legal, but a popped
// message is gone for the other kind too.
type Store interface {
	// Push appends m to c and ignores m.Sequence. It appends once per (channel, source, ID): a repeat is a success
	// without effect, also after the message was consumed or released, until CloseSession forgets the session.
	//
	// A session without room makes it wait up to wait, then CodeExhausted (ErrFull). An ended session, or a Release of
	// the channel while it waits, is ErrReleased. A payload above Options.MessageBytes is ErrTooLarge.
	Push(ctx context.Context, c Channel, m Message, wait time.Duration) error

	// Pop removes the head and returns it: each message goes to one caller at most. It waits up to wait for one;
	// ok is false when none came. A source other than "" skips messages that are known to come from elsewhere.
	//
	// A context that ends while Pop waits loses nothing. One that ends later does not undo the removal: a caller that
	// cannot hand the message over calls Unpop. A Release of the channel while it waits is ErrReleased.
	Pop(ctx context.Context, c Channel, source string, wait time.Duration) (m Message, ok bool, err error)

	// Next is the acknowledged read. It drops the messages with a sequence of at most ack (of source only, if that is
	// not empty). Then it returns the lowest that is left and does not remove it, so a repeat returns it again.
	// Waiting, source and errors are those of Pop.
	Next(ctx context.Context, c Channel, source string, ack int64, wait time.Duration) (m Message, ok bool, err error)

	// Unpop puts a message back where Pop took it from, whether or not there is room. A channel that was released
	// after the Pop stays empty: ErrReleased.
	Unpop(ctx context.Context, c Channel, m Message) error

	// Release discards the unread messages of one topic, or of the whole session when topic is "", and wakes its
	// waiters with ErrReleased. The channels are usable again at once. A repeat, or an unknown session, is a success.
	//
	// Spec: interop-transport §6.5.
	Release(ctx context.Context, session, topic string) error

	// CloseSession ends a session for good: it discards all of it, forgets which messages it has seen, wakes the
	// waiters, and for the time of quarantine answers ErrReleased to every Push, Pop, Next and Unpop. The control
	// layer calls it when the job has ended. A repeat begins the quarantine anew.
	CloseSession(ctx context.Context, session string, quarantine time.Duration) error

	// UseNonce records that peer has used nonce and reports whether it was the first to do so. It remembers until
	// the given time at least; after that either answer is legal, and the caller refuses by timestamp.
	UseNonce(ctx context.Context, peer, nonce string, until time.Time) (fresh bool, err error)

	// Sweep removes what nobody needs at the time now: expired nonces, quarantines that are over, sessions that were
	// neither pushed to nor read for idle and are not live (Options.Live), and leftovers of crashes. It returns how many
	// such things it removed. A session with a blocked caller is not idle; a restart begins a new idle time.
	Sweep(ctx context.Context, now time.Time, idle time.Duration) (removed int, err error)

	// Close wakes all waiters with CodeUnavailable and releases the store's resources. Stored data stays.
	Close() error
}

// Usage is how much a store holds: messages that nobody has read yet, and their bytes with what each costs beside its
// payload.
type Usage struct{ Messages, Bytes int64 }

// Measured is a store that can tell what it holds.
type Measured interface {
	Usage(ctx context.Context) (Usage, error)
}
