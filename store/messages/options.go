package messages

import (
	"context"

	"openflow"
)

// The limits that apply when none are given. What one peer sends never takes all the room, and neither does one job.
//
// Spec: interop-transport §8, §12 #12.
const (
	DefaultSessionBytes = 256 << 20
	DefaultMessageBytes = 128 << 20
	DefaultJobBytes     = 1 << 30
	DefaultPeerBytes    = 4 << 30
	DefaultTotalBytes   = 16 << 30
)

// The longest parts of a message's key, in bytes. Those of kits that are in use stay below a quarter of them.
const (
	MaxSession = 1024
	MaxTopic   = 1024
	MaxID      = 256
	MaxSource  = 256
)

// What an entry costs beside its bytes, so that empty messages, and messages that were read, fill no disk for free. They
// also bound the number of entries: a session of 256 MiB has 524,288 unread messages at most.
const (
	messageOverhead = 512
	idOverhead      = 128
	topicOverhead   = 512
)

// longestKeys is what a message costs at most beside its payload.
const longestKeys = messageOverhead + MaxID + MaxSource + idOverhead + MaxID + MaxSource + topicOverhead + MaxTopic + MaxSession

// Options are the limits that every implementation enforces in the same way.
type Options struct {
	// SessionBytes bounds the sum of Cost over the unread messages of a session, and just so the sum of what it remembers:
	// IDMark and TopicMark. 0: DefaultSessionBytes.
	SessionBytes int64
	MessageBytes int64 // largest payload; 0: DefaultMessageBytes

	// Both sums together, of all sessions of a job, of what one source has sent, and of all. 0: their defaults, or as much
	// as a session if that is more.
	JobBytes, PeerBytes, TotalBytes int64

	// Job names the job that a session belongs to. It may be called concurrently and must not call the store. Nil: a session
	// is a job of its own.
	Job func(session string) string

	// Room is asked before a large payload of so many bytes comes into memory for a reader, and may refuse: the message then stays
	// where it is. The context is the reader's. It may be called concurrently and must not call the store. Nil: there is room.
	Room func(ctx context.Context, bytes int64) error

	// Live reports whether a job still uses a session, which exempts it from the idle limit of Sweep. It may be called
	// concurrently and must not call the store. Nil: no session is live.
	Live func(session string) bool
}

// WithDefaults fills in what is zero. It refuses limits under which a legal message could never be stored
// (CodeInvalid).
func (o Options) WithDefaults() (Options, error) {
	if o.SessionBytes == 0 {
		o.SessionBytes = DefaultSessionBytes
	}
	for limit, usual := range map[*int64]int64{
		&o.JobBytes: DefaultJobBytes, &o.PeerBytes: DefaultPeerBytes, &o.TotalBytes: DefaultTotalBytes,
	} {
		if *limit == 0 {
			*limit = max(usual, 2*o.SessionBytes)
		}
	}
	least := min(o.SessionBytes, o.JobBytes, o.PeerBytes, o.TotalBytes)
	if o.MessageBytes == 0 {
		o.MessageBytes = min(DefaultMessageBytes, max(least-longestKeys, least/2))
	}
	if o.Live == nil {
		o.Live = func(string) bool { return false }
	}
	if o.Room == nil {
		o.Room = func(context.Context, int64) error { return nil }
	}
	if o.Job == nil {
		o.Job = func(session string) string { return session }
	}
	if o.MessageBytes < 1 || o.MessageBytes+messageOverhead > least {
		return o, openflow.Errorf(openflow.CodeInvalid, "%d bytes of messages cannot hold a message of %d bytes",
			least, o.MessageBytes).WithHint("raise the limits of messages, or lower that of one message")
	}
	return o, nil
}

// Cost is what m takes while nobody has read it, in bytes.
func Cost(m Message) int64 { return int64(len(m.Payload)+len(m.ID)+len(m.Source)) + messageOverhead }

// IDMark is what m takes until its session is closed: its ID is remembered, so that no repeat is a message of its own.
func IDMark(m Message) int64 {
	if m.ID == "" {
		return 0
	}
	return int64(len(m.ID)+len(m.Source)) + idOverhead
}

// TopicMark is what a channel takes from its first message on until its session is closed.
func TopicMark(c Channel) int64 { return int64(len(c.Topic)+len(c.Session)) + topicOverhead }

// CheckPush refuses what no store accepts: a channel without session, keys that are too long (CodeInvalid), a payload
// above the limit (ErrTooLarge). o has its defaults.
func (o Options) CheckPush(c Channel, m Message) error {
	if err := CheckChannel(c); err != nil {
		return err
	}
	if err := checkLengths(c, part{"id", m.ID, MaxID}, part{"source", m.Source, MaxSource}); err != nil {
		return err
	}
	if int64(len(m.Payload)) > o.MessageBytes {
		return wrap(ErrTooLarge, "message of %d bytes on topic %q is above the limit of %d bytes",
			len(m.Payload), c.Topic, o.MessageBytes).WithHint("split the payload")
	}
	return nil
}

// CheckChannel refuses a channel without session, or with a name that is too long (CodeInvalid).
func CheckChannel(c Channel) error {
	if c.Session == "" {
		return openflow.Errorf(openflow.CodeInvalid, "topic %.80q: session is missing", c.Topic)
	}
	return checkLengths(c, part{"session", c.Session, MaxSession}, part{"topic", c.Topic, MaxTopic})
}

// part is a part of a message's key.
type part struct {
	what, text string
	most       int
}

func checkLengths(c Channel, parts ...part) error {
	for _, p := range parts {
		if len(p.text) > p.most {
			return openflow.Errorf(openflow.CodeInvalid, "session %.80q, topic %.80q: the %s of a message has %d bytes",
				c.Session, c.Topic, p.what, len(p.text)).WithPublic("the %s of a message has %d bytes", p.what, len(p.text)).
				WithHint("use %d at most", p.most)
		}
	}
	return nil
}
