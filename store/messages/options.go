package messages

import "openflow"

// The limits that apply when none are given.
//
// Spec: interop-transport §8, §12 #12.
const (
	DefaultSessionBytes = 256 << 20
	DefaultMessageBytes = 128 << 20
)

// messageOverhead is what a message costs its session besides the payload, in bytes, so that empty messages cannot
// fill a disk for free.
const messageOverhead = 256

// Options are the limits that every implementation enforces in the same way.
type Options struct {
	SessionBytes int64 // sum of Cost over the unread messages of a session; 0: DefaultSessionBytes
	MessageBytes int64 // largest payload; 0: DefaultMessageBytes

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
	if o.MessageBytes == 0 {
		o.MessageBytes = min(DefaultMessageBytes, o.SessionBytes-messageOverhead)
	}
	if o.Live == nil {
		o.Live = func(string) bool { return false }
	}
	if o.MessageBytes < 1 || o.MessageBytes+messageOverhead > o.SessionBytes {
		return o, openflow.Errorf(openflow.CodeInvalid, "a session of %d bytes cannot hold a message of %d bytes",
			o.SessionBytes, o.MessageBytes).WithHint("raise the session limit or lower the message limit")
	}
	return o, nil
}

// Cost is what m takes of its session's budget, in bytes.
func Cost(m Message) int64 { return int64(len(m.Payload)) + messageOverhead }

// CheckPush refuses what no store accepts: a channel without session (CodeInvalid), a payload above the limit
// (ErrTooLarge). o has its defaults.
func (o Options) CheckPush(c Channel, m Message) error {
	if err := CheckChannel(c); err != nil {
		return err
	}
	if int64(len(m.Payload)) > o.MessageBytes {
		return wrap(ErrTooLarge, "message of %d bytes on topic %q is above the limit of %d bytes",
			len(m.Payload), c.Topic, o.MessageBytes).WithHint("split the payload")
	}
	return nil
}

// CheckChannel refuses a channel without session (CodeInvalid).
func CheckChannel(c Channel) error {
	if c.Session == "" {
		return openflow.Errorf(openflow.CodeInvalid, "topic %q: session is missing", c.Topic)
	}
	return nil
}
