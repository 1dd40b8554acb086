package openflow

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing that is wrong with a job, found before anything runs.
type Mistake struct {
	Code    Code
	Subject Subject // what kind of thing is wrong; may be empty
	Party   PartyID // whose check has found it; empty: everybody's would
	Path    string  // in the document, such as "dag.tasks.psi_0.inputs.data.input_data"
	Message string  // what is wrong; it says nothing of rows, ids and columns, so every party of the job may read it
	Private string  // the same for this party's own users, where more can be said; may be empty
	Found   string  // the value that is wrong, for whoever wrote it; may be empty
	Remedy  string  // what to do about it; may be empty
}

// String renders "path: message, found "value" (remedy)".
func (m Mistake) String() string {
	e := m.text()
	if m.Remedy != "" {
		e += " (" + m.Remedy + ")"
	}
	return e
}

func (m Mistake) text() string {
	m.Message = cmp.Or(m.Private, m.Message)
	text := m.public()
	if m.Found != "" {
		text += ", found " + m.Found
	}
	return text
}

// ForPartners is m as another party may read it: the value that was found may be a parameter of this party's own.
func (m Mistake) ForPartners() Mistake {
	m.Found, m.Private = "", ""
	return m
}

// public is what other parties may read: without the value, which may be one party's own parameter.
func (m Mistake) public() string {
	if m.Path == "" {
		return m.Message
	}
	return m.Path + ": " + m.Message
}

// How many characters of a mistake are told: documents have names of any length.
const (
	maxPath = 300
	maxText = 500
)

func atMost(n int, s string) string {
	if len(s) <= n {
		return s
	}
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// MaxMistakes is how many mistakes one answer lists.
const MaxMistakes = 100

// Unrelated leaves out of later what may only follow from first: a mistake at a place of the document that contains, or
// is contained in, one that was wrong before. Of a job whose parties are not clear nothing more is said.
func Unrelated(first, later []Mistake) []Mistake {
	switch {
	case len(first) == 0:
		return later
	case len(first) >= MaxMistakes:
		return nil // an answer has no room for them
	}
	var rest []Mistake
	for _, m := range later {
		if !slices.ContainsFunc(first, func(f Mistake) bool { return follows(f.place(), m.place()) }) {
			rest = append(rest, m)
		}
	}
	return rest
}

// place is the path of a mistake without its line.
func (m Mistake) place() string {
	path, _, _ := strings.Cut(m.Path, " (line ")
	return path
}

// follows reports whether a mistake at place may follow from one at first: what is wrong with an override is seen at its
// task, and a stage of all tasks at each.
func follows(first, place string) bool {
	switch {
	case first == "document" || first == "dag" || within(place, first) || within(first, place):
		return true
	case within(first, "dag.parties"):
		return true
	case within(first, "dag.party_tasks"):
		return strings.Contains(place, ".parameters") || strings.Contains(place, ".inputs")
	case first == "dag.stage":
		return strings.HasSuffix(place, ".stage") || strings.Contains(place, ".inputs")
	}
	return false
}

// within reports whether place is path or below it.
func within(place, path string) bool {
	rest, ok := strings.CutPrefix(place, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// Refusal is the one error that lists mistakes, each on a line of its own; nil for none. What other parties may read of
// it leaves out the values. Its code and subject are those that all mistakes share, otherwise CodeInvalid about the
// job.
func Refusal(mistakes []Mistake) error {
	if len(mistakes) == 0 {
		return nil
	}
	mistakes = slices.Clone(mistakes)
	for i, m := range mistakes {
		m.Path, m.Message, m.Remedy = atMost(maxPath, m.Path), atMost(maxText, m.Message), atMost(maxText, m.Remedy)
		m.Private = atMost(maxText, m.Private)
		mistakes[i] = m
	}
	e := &Error{Code: mistakes[0].Code, Subject: mistakes[0].Subject, Party: mistakes[0].Party, Mistakes: mistakes}
	for _, m := range mistakes {
		if m.Code != e.Code || m.Subject != e.Subject {
			e.Code, e.Subject = CodeInvalid, AboutJob
		}
		if m.Party != e.Party {
			e.Party = ""
		}
	}
	if len(mistakes) == 1 {
		e.Message, e.Hint, e.Public = mistakes[0].text(), mistakes[0].Remedy, mistakes[0].public()
		return e
	}
	e.Message, e.Public = lines(e.Party, mistakes, Mistake.String), lines(e.Party, mistakes, Mistake.public)
	return e
}

func lines(party PartyID, mistakes []Mistake, text func(Mistake) string) string {
	said := []string{fmt.Sprintf("%d mistakes", len(mistakes))}
	for i, m := range mistakes {
		if i == MaxMistakes {
			said = append(said, fmt.Sprintf("and %d more", len(mistakes)-i))
			break
		}
		line := text(m)
		if m.Party != "" && m.Party != party {
			line = fmt.Sprintf("at party %s: %s", m.Party, line)
		}
		said = append(said, line)
	}
	return strings.Join(said, "\n  ")
}

// MistakesOf returns the mistakes that err lists; none for any other error.
func MistakesOf(err error) []Mistake {
	e, ok := firstInChain(err, func(e *Error) bool { return len(e.Mistakes) > 0 })
	if !ok {
		return nil
	}
	list := slices.Clone(e.Mistakes)
	for i := range list {
		list[i].Party = cmp.Or(list[i].Party, e.Party)
	}
	return list
}
