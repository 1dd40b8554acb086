package wire

import (
	"strings"

	"openflow"
)

// What is taken of another party's words. They go into rows, logs and workflows, none of which may grow as a peer likes.
const (
	maxHeard = 1 << 10  // bytes of one text
	maxList  = 16 << 10 // bytes of all mistakes of one answer, and of the text that lists them
	maxWord  = 128      // bytes of a code, a subject or a party
)

// Heard is what is taken of a text that another party has written: the beginning of a long one, 1 KiB at most.
func Heard(text string) string { return Cut(text, maxHeard) }

// maxName is how many bytes a name may have that somebody gives to himself or to a request.
const maxName = 256

// CheckName refuses a user name or an idempotency key that is too long to be kept. It may be empty. Errors: CodeInvalid.
func CheckName(kind, name string) error {
	if len(name) > maxName {
		return openflow.Errorf(openflow.CodeInvalid, "the %s has %d bytes, and %d are allowed", kind, len(name), maxName)
	}
	return nil
}

// Cut is text in limit bytes at most, with a sign where something is left out.
func Cut(text string, limit int) string {
	const more = "…"
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

// Heard is the envelope of another party with what is taken of its words. Data is left as it is.
func (e Envelope) Heard() Envelope {
	e.Message = Cut(e.Message, maxHeard)
	if e.Error != nil {
		p := e.Error.Heard()
		e.Error = &p
	}
	return e
}

// Heard is what is taken of another party's refusal. A code that is not known is left out, and so are mistakes that make the
// list too long.
func (p Problem) Heard() Problem {
	limit := maxHeard
	if len(p.Mistakes) > 1 {
		limit = maxList // the message lists them
	}
	if !openflow.Code(p.Code).Valid() {
		p.Code = ""
	}
	p.Subject, p.Party, p.Message, p.Hint = Cut(p.Subject, maxWord), Cut(p.Party, maxWord), Cut(p.Message, limit), Heard(p.Hint)
	p.Mistakes = heardMistakes(p.Mistakes)
	return p
}

func heardMistakes(list []Mistake) []Mistake {
	var heard []Mistake
	left := maxList
	for _, m := range list[:min(len(list), openflow.MaxMistakes)] {
		if !openflow.Code(m.Code).Valid() {
			m.Code = string(openflow.CodeInvalid)
		}
		m = Mistake{m.Code, Cut(m.Subject, maxWord), Cut(m.Party, maxWord), Heard(m.Path), Heard(m.Message), Heard(m.Remedy), ""}
		left -= len(m.Subject) + len(m.Party) + len(m.Path) + len(m.Message) + len(m.Remedy)
		if left < 0 {
			break
		}
		heard = append(heard, m)
	}
	return heard
}
