package activities

import (
	"errors"
	"strings"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"

	"openflow"
)

// maxText bounds each text of an error, in bytes: Temporal refuses payloads that are too large, and texts that are not UTF-8,
// as the words of a file system or a daemon may be. The workflow would stand.
const maxText = 32 << 10

// ToTemporal carries err's code, party and message across the activity boundary, where Go error identity is lost, and
// what of it was marked for other parties. The code is the type, so retry policies can name it.
func ToTemporal(err error) error { return carry(err, openflow.CodeOf(err).Retryable()) }

// retried is ToTemporal for news that a party must hear: a repeat may help against every refusal, as one of a signature
// or a clock that somebody mends. Only a party that this site has removed is not told again.
func retried(err error) error { return carry(err, !Removed(err)) }

// Removed tells that a call was not made because this site has removed the party.
func Removed(err error) bool {
	var e *openflow.Error
	return errors.As(err, &e) && e.Code == openflow.CodeInvalid && e.Subject == openflow.AboutSite
}

// final is ToTemporal for an error that is to be the answer, although a repeat might help.
func final(err error) error { return carry(err, false) }

func carry(err error, retry bool) error {
	if err == nil {
		return nil
	}
	var e *openflow.Error
	if !errors.As(err, &e) {
		e = &openflow.Error{Code: openflow.CodeOf(err), Message: err.Error()}
	}
	msg := e.Message
	if msg == "" {
		bare := *e
		bare.Party, bare.Hint = "", "" // which are carried beside it
		msg = bare.Error()
	}
	cause := err
	for c := err; c != nil; c = errors.Unwrap(c) {
		if !fits(c.Error()) {
			cause = nil // the message says enough of it
			break
		}
	}
	return temporal.NewApplicationErrorWithOptions(openflow.Readable(strings.ToValidUTF8(openflow.Cut(msg, maxText), "\ufffd")), string(e.Code), temporal.ApplicationErrorOptions{
		NonRetryable: !retry, Cause: cause, Category: temporal.ApplicationErrorCategoryBenign,
		Details: []any{
			string(e.Subject), string(e.Party), openflow.Cut(e.Hint, maxText), openflow.Cut(openflow.PublicText(err), maxText), openflow.IsConsequence(err),
			carried(e.Mistakes),
		},
	})
}

// fits tells whether a text may go into a failure as it is: Temporal's UI shows it so.
func fits(text string) bool {
	return len(text) <= maxText && utf8.ValidString(text) && openflow.Readable(text) == text
}

// mistake is an openflow.Mistake in the details of an error.
type mistake struct {
	Code    string `json:"code"`
	Subject string `json:"subject,omitempty"`
	Party   string `json:"party,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	Private string `json:"private,omitempty"`
}

// carried is the first openflow.MaxMistakes of a list.
func carried(list []openflow.Mistake) []mistake {
	var out []mistake
	for _, m := range list[:min(len(list), openflow.MaxMistakes)] {
		out = append(out, mistake{string(m.Code), string(m.Subject), string(m.Party), m.Path, m.Message, m.Remedy, m.Private})
	}
	return out
}

func mistakesOf(list []mistake) []openflow.Mistake {
	var out []openflow.Mistake
	for _, m := range list {
		out = append(out, openflow.Mistake{
			Code: openflow.Code(m.Code), Subject: openflow.Subject(m.Subject), Party: openflow.PartyID(m.Party), Path: m.Path,
			Message: m.Message, Remedy: m.Remedy, Private: m.Private,
		})
	}
	return out
}

// FromTemporal is the inverse of ToTemporal, for workflows and clients. Cancellation and timeouts of Temporal's own
// become CodeCanceled and CodeDeadline.
func FromTemporal(err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &app):
		e := &openflow.Error{Code: openflow.Code(app.Type()), Message: app.Message(), Err: err}
		var subject, party string
		var mistakes []mistake
		if app.HasDetails() && app.Details(&subject, &party, &e.Hint, &e.Public, &e.Consequence, &mistakes) == nil {
			e.Subject, e.Party, e.Mistakes = openflow.Subject(subject), openflow.PartyID(party), mistakesOf(mistakes)
		}
		return e
	case errors.As(err, &canceled):
		return &openflow.Error{Code: openflow.CodeCanceled, Message: "canceled", Err: err}
	case errors.As(err, &timeout):
		return &openflow.Error{Code: openflow.CodeDeadline, Message: "no answer in time", Err: err}
	}
	return err
}
