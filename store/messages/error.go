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
	ErrTooLarge = &openflow.Error{Code: openflow.CodeInvalid, Message: "message too large"}
)

// Released is ErrReleased for c.
func Released(c Channel) error {
	return wrap(ErrReleased, "session %s, topic %q: released", c.Session, c.Topic)
}

// Full is ErrFull for c, after waiting for room for that long.
func Full(c Channel, waited time.Duration) error {
	return wrap(ErrFull, "session %s: no room for a message on topic %q after %s", c.Session, c.Topic, waited).
		WithHint("read what is queued, or raise the session limit")
}

// Closed is the error of every call after Close.
func Closed() error {
	return openflow.Errorf(openflow.CodeUnavailable, "message store is closed")
}

func wrap(cause *openflow.Error, format string, args ...any) *openflow.Error {
	return &openflow.Error{Code: cause.Code, Message: fmt.Sprintf(format, args...), Err: cause}
}
