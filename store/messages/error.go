package messages

import (
	"fmt"
	"time"

	"openflow"
)

// The verdicts of a store that a caller tells apart. They come wrapped in an error that names the session, so use
// errors.Is.
//
// Spec: interop-transport §9 (E0000000608, E0000000700, E0000000413).
var (
	ErrReleased = &openflow.Error{Code: openflow.CodeCanceled, Message: "session released"}
	ErrFull     = &openflow.Error{Code: openflow.CodeExhausted, Message: "message buffer full"}
	ErrSpent    = &openflow.Error{Code: openflow.CodeSpent, Message: "messages used up"}
	ErrTooLarge = &openflow.Error{Code: openflow.CodeInvalid, Message: "message too large"}
)

// Released is ErrReleased for c.
func Released(c Channel) error {
	return wrap(ErrReleased, "session %s, topic %q: released", c.Session, c.Topic)
}

// Account is something whose messages have a bound, with what they take of it in bytes.
type Account struct {
	What        string // such as "messages of job 2024"
	Used, Limit int64
	Shared      bool // others have a part in it, whose use is not told to partners
}

// Levels is how many accounts a message is booked on: those of its session, its job, its source, and of all.
const Levels = 4

// Accounts are those that a message is booked on, from the narrowest to the widest. The store knows what they hold.
func (o Options) Accounts(session, source string) [Levels]Account {
	return [Levels]Account{
		{What: "unread messages of session " + session, Limit: o.SessionBytes},
		{What: "messages of job " + o.Job(session), Limit: o.JobBytes},
		{What: "messages from party " + source, Limit: o.PeerBytes},
		{What: "all messages", Limit: o.TotalBytes, Shared: true},
	}
}

// Full is ErrFull for c, after waiting for that long for room on an account. Who is told waits and repeats the push.
func Full(c Channel, a Account, waited time.Duration) error {
	e := wrap(ErrFull, "session %s: no room for a message on topic %q after %s: %s take %d bytes of %d", c.Session, c.Topic, waited,
		a.What, a.Used, a.Limit).WithHint("let the task read what is queued, or end jobs; the operator of this node may raise the limit: docs/bounds.md")
	if a.Shared {
		return e.WithPublic("no room for messages at this time")
	}
	return e.WithPublic("no room for a message: %s take %d bytes of %d there", a.What, a.Used, a.Limit)
}

// Spent is ErrSpent for c: IDs and topics that a session remembers take all that they may, and stay until the session ends.
// So a repeat of the push helps nobody.
func Spent(c Channel, limit int64) error {
	return wrap(ErrSpent, "session %s: it remembers IDs and topics of %d bytes, as much as it may", c.Session, limit).
		WithPublic("the session has had as many messages and topics as it may").
		WithHint("send fewer, larger messages on fewer topics; the operator of this node may raise the limit: docs/bounds.md")
}

// Closed is the error of every call after Close.
func Closed() error {
	return openflow.Errorf(openflow.CodeUnavailable, "message store is closed")
}

func wrap(cause *openflow.Error, format string, args ...any) *openflow.Error {
	return &openflow.Error{Code: cause.Code, Message: fmt.Sprintf(format, args...), Err: cause}
}
