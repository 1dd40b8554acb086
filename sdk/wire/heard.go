package wire

import (
	"strings"
	"unicode/utf8"

	"openflow"
)

// What is taken of another party's words. They go into rows, logs and workflows, none of which may grow as a peer likes.
const (
	maxList = 16 << 10 // bytes of all mistakes of one answer, and of the text that lists them
	maxWord = 128      // bytes of a code, a subject or a party
)

func heard(text string, limit int) string { return openflow.Readable(openflow.Cut(text, limit)) }

// maxName is how many bytes a name may have that somebody gives to himself or to a request.
const maxName = 256

// CheckName refuses a user name or an idempotency key that is too long to be kept, or that holds what no name does. It may be
// empty. Errors: CodeInvalid.
func CheckName(kind, name string) error {
	if name != openflow.Readable(name) || strings.Contains(name, "\n") {
		return openflow.Errorf(openflow.CodeInvalid, "the %s holds a control character or is not UTF-8", kind)
	}
	return CheckText(kind, name, maxName)
}

// CheckText refuses what somebody has written if it has more bytes than limit, or is none that every database keeps.
// Errors: CodeInvalid.
func CheckText(kind, text string, limit int) error {
	if len(text) > limit {
		return openflow.Errorf(openflow.CodeInvalid, "the %s has %d bytes, and %d are allowed", kind, len(text), limit)
	}
	if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
		return openflow.Errorf(openflow.CodeInvalid, "the %s is not UTF-8 text without zero bytes", kind)
	}
	return nil
}

// Heard is the envelope of another party with what is taken of its words. Data is left as it is.
func (e Envelope) Heard() Envelope {
	e.Message = openflow.Heard(e.Message)
	if e.Error != nil {
		p := e.Error.Heard()
		e.Error = &p
	}
	return e
}

// Heard is what is taken of another party's refusal. A code that is not known is left out, and so are mistakes that make the
// list too long.
func (p Problem) Heard() Problem {
	limit := openflow.MaxHeard
	if len(p.Mistakes) > 1 {
		limit = maxList // the message lists them
	}
	if !openflow.Code(p.Code).Valid() {
		p.Code = ""
	}
	p.Subject, p.Party, p.Message, p.Hint = heard(p.Subject, maxWord), heard(p.Party, maxWord), heard(p.Message, limit), openflow.Heard(p.Hint)
	p.Mistakes = heardMistakes(p.Mistakes)
	return p
}

func heardMistakes(list []Mistake) []Mistake {
	var taken []Mistake
	left := maxList
	for _, m := range list[:min(len(list), openflow.MaxMistakes)] {
		if !openflow.Code(m.Code).Valid() {
			m.Code = string(openflow.CodeInvalid)
		}
		m = Mistake{m.Code, heard(m.Subject, maxWord), heard(m.Party, maxWord), openflow.Heard(m.Path), openflow.Heard(m.Message), openflow.Heard(m.Remedy), ""}
		left -= len(m.Subject) + len(m.Party) + len(m.Path) + len(m.Message) + len(m.Remedy)
		if left < 0 {
			break
		}
		taken = append(taken, m)
	}
	return taken
}
