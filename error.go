package openflow

import (
	"context"
	"errors"
	"fmt"
)

// Code classifies an error. Programs act on codes, never on texts.
type Code string

// The codes, by who can do something about it.
const (
	CodeInvalid       Code = "invalid"       // the request is wrong; sending it again changes nothing
	CodeUnauthorized  Code = "unauthorized"  // the caller's identity is missing or not proven
	CodePermission    Code = "permission"    // the caller is known and may not do this
	CodeNotFound      Code = "not_found"     // the named thing does not exist here
	CodeConflict      Code = "conflict"      // it exists already and differs, or a transition is not legal
	CodeRejected      Code = "rejected"      // a partner refuses by its own policy
	CodeExhausted     Code = "exhausted"     // a resource is taken for now; the same request may succeed later
	CodeSpent         Code = "spent"         // a bound of what the caller may have is reached; waiting changes nothing
	CodeUnavailable   Code = "unavailable"   // the other side could not be reached or did not answer
	CodeCanceled      Code = "canceled"      // somebody asked for the end
	CodeDeadline      Code = "deadline"      // time ran out
	CodeUnimplemented Code = "unimplemented" // this node does not offer that
	CodeInternal      Code = "internal"      // a defect or a broken machine here
)

// Retryable reports whether the same call can succeed later without anybody changing the request. It is the one table
// from which every retry decision follows: network and resource yes, refusal and bad input no.
func (c Code) Retryable() bool {
	switch c {
	case CodeExhausted, CodeUnavailable, CodeDeadline, CodeInternal:
		return true
	case CodeInvalid, CodeUnauthorized, CodePermission, CodeNotFound, CodeConflict, CodeRejected, CodeSpent, CodeCanceled,
		CodeUnimplemented:
		return false
	}
	return false
}

// Subject says what kind of thing an error is about, for dialects that number errors by it.
type Subject string

// The subjects.
const (
	AboutJob      Subject = "job"
	AboutTask     Subject = "task"
	AboutResource Subject = "resource"
	AboutTable    Subject = "table"
	AboutModel    Subject = "model"
	AboutFile     Subject = "file"
	AboutSite     Subject = "site"
	AboutDevice   Subject = "device" // on which a provider is said to run
	AboutApp      Subject = "app"    // somebody with a token of its own
	AboutRole     Subject = "role"   // of an app
	AboutTime     Subject = "time"   // at which something was signed
	AboutGrant    Subject = "grant"

	AboutWarehouse   Subject = "warehouse"   // the model that a job names for all its channels
	AboutInheritance Subject = "inheritance" // what a job is to take over from an earlier one
)

// ErrAbsent is in the chain of a CodeUnavailable of a node of which the network itself says that nobody listens at its
// address. The code stays retryable, since the node may be started; but whoever waits for an answer is told at once.
var ErrAbsent = errors.New("nobody listens at the address")

// ErrUnusable is in the chain of a CodeUnavailable of a node that has answered, and in no way that can be used. Somebody else
// may stand at its address, or it is of another make than its record says.
var ErrUnusable = errors.New("the answer cannot be used")

// ErrNoRoom is in the chain of a CodeExhausted of a node that answers, and whose disk or a store of it is full or nearly so.
var ErrNoRoom = errors.New("there is no room")

// Error is the one error type that crosses package boundaries. Message is written for the person who asked and names
// its subject; Err is for logs. Both stay at the party where the error happened, unless that person is the other party:
// what else another party may read is Public.
type Error struct {
	Code    Code
	Op      string  // the operation of ours that failed, such as "partner.StartTask"; empty when it adds nothing
	Subject Subject // what kind of thing it is about; may be empty
	Party   PartyID // where it failed, when that is known to be a particular party
	Message string  // what failed and why; lower case, no full stop
	Hint    string  // what the reader can do about it; may be empty
	Err     error   // the cause, for logs and errors.Is

	Public      string // what other parties of the job may read: no cell, no id, no column name; empty: the code only
	Consequence bool   // it follows from what failed at another party, and never hides that cause

	Mistakes []Mistake // of a job that is refused: all that is wrong with it; Message lists them too
}

// Error renders message, party and hint, which is what a user reads. The cause is part of it only without a message.
func (e *Error) Error() string {
	msg := e.Message
	if msg == "" && e.Err != nil {
		msg = e.Err.Error()
	}
	if msg == "" {
		msg = string(e.Code)
	}
	if e.Party != "" {
		msg = fmt.Sprintf("at party %s: %s", e.Party, msg)
	}
	if e.Hint != "" {
		msg += " (" + e.Hint + ")"
	}
	return msg
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error whose message is formatted like fmt.Errorf; a %w verb sets the cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of e that tells the reader what to do.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// WithPublic returns a copy of e with a text that other parties of the job may read. It must say nothing of this party's
// rows, ids or column names.
func (e *Error) WithPublic(format string, args ...any) *Error {
	c := *e
	c.Public = fmt.Sprintf(format, args...)
	return &c
}

// AsConsequence returns a copy of e that follows from what failed at another party.
func (e *Error) AsConsequence() *Error {
	c := *e
	c.Consequence = true
	return &c
}

// Cause is why a run did not succeed, as far as other parties may read it.
type Cause struct {
	Code        Code
	Text        string // that its author marked public; one line, may be empty
	Consequence bool   // it follows from what failed at another party
}

// CauseOf is what other parties may know of an algorithm's error.
func CauseOf(err error) Cause {
	return Cause{Code: CodeOf(err), Text: PublicText(err), Consequence: IsConsequence(err)}
}

// ForPartners is err as another party may read it, when it asks this node for something or shares a job with it. A text
// that was marked public stands for the rest. Without one, a refusal of ours keeps its words: it speaks of what it was
// asked for. What quotes somebody else, as a database, a file system or a network does, is told by its code alone.
func ForPartners(err error) *Error {
	if err == nil {
		return nil
	}
	told := &Error{Code: CodeOf(err), Consequence: IsConsequence(err)}
	var e *Error
	if errors.As(err, &e) {
		told.Subject, told.Party = e.Subject, e.Party
	}
	switch text := PublicText(err); {
	case text != "":
		told.Message = text
	case told.Code != CodeInternal && onlyOurs(err):
		told.Message, told.Hint = e.Message, e.Hint
	case told.Code == CodeDeadline:
		told.Message = "no answer in time"
	default:
		told.Message, told.Hint = "only its own site knows why ("+string(told.Code)+")", "its operator finds that in the log of its node"
	}
	for _, m := range MistakesOf(err) {
		told.Mistakes = append(told.Mistakes, m.ForPartners())
	}
	told.Public = told.Message
	if told.Hint != "" {
		told.Public += " (" + told.Hint + ")"
	}
	return told
}

// onlyOurs reports whether no error of somebody else is part of err.
func onlyOurs(err error) bool {
	for err != nil {
		e, ok := err.(*Error) //nolint:errorlint // every link of the chain is looked at
		if !ok {
			return false
		}
		err = e.Err
	}
	return true
}

// Valid reports whether c is one of the codes.
func (c Code) Valid() bool {
	switch c {
	case CodeInvalid, CodeUnauthorized, CodePermission, CodeNotFound, CodeConflict, CodeRejected, CodeExhausted,
		CodeSpent, CodeUnavailable, CodeCanceled, CodeDeadline, CodeUnimplemented, CodeInternal:
		return true
	}
	return false
}

// PublicText is the part of err that other parties of the job may read: the outermost Public of its chain, empty when
// nobody has marked one.
func PublicText(err error) string {
	e, ok := firstInChain(err, func(e *Error) bool { return e.Public != "" })
	if !ok {
		return ""
	}
	return e.Public
}

// IsConsequence reports whether err, or what caused it, follows from what failed at another party.
func IsConsequence(err error) bool {
	_, ok := firstInChain(err, func(e *Error) bool { return e.Consequence })
	return ok
}

func firstInChain(err error, fits func(*Error) bool) (*Error, bool) {
	var e *Error
	for errors.As(err, &e) {
		if fits(e) {
			return e, true
		}
		err = e.Err
	}
	return nil, false
}

// About returns err as an Error with that subject. A subject already set stays.
func About(s Subject, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Code: CodeOf(err), Subject: s, Message: err.Error(), Err: err}
	}
	if e.Subject != "" {
		return err
	}
	c := *e
	c.Subject = s
	return &c
}

// AtParty returns err as an Error that names the party where it happened. A party already named stays.
func AtParty(id PartyID, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		return &Error{Code: CodeOf(err), Party: id, Message: err.Error(), Err: err}
	}
	if e.Party != "" {
		return err
	}
	c := *e
	c.Party = id
	return &c
}

// CodeOf returns the code that err carries; CodeInternal for an error without one, empty for nil.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return CodeCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return CodeDeadline
	}
	return CodeInternal
}
