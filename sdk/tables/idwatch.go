package tables

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFolded is how many ids with capitals are remembered, to be compared without regard to case.
const maxFolded = 1 << 18

// idWatch looks at match ids for what keeps them from matching.
type idWatch struct {
	padded, firstPadded       int
	shortened, firstShortened int
	fraction, firstFraction   int
	formula, firstFormula     int
	rounded, firstRounded     int
	missing, firstMissing     int
	lost, firstLost           int
	unusual, firstUnusual     int
	cases, firstCases         int
	repeated, firstRepeated   int
	unique                    bool   // no id comes twice
	upper, lower              *idSet // ids in lower case: of those with capitals, and of those without
}

func newIDWatch() idWatch { return idWatch{upper: newIDSet(maxFolded), lower: newIDSet(maxFolded)} }

// id is the id of a cell: without blanks around it, otherwise as it is.
func (w *idWatch) id(cell string, line int) string {
	id := trim(cell)
	if len(id) != len(cell) && id != "" {
		tally(&w.padded, &w.firstPadded, line)
	}
	switch looks(id) {
	case shortenedID:
		tally(&w.shortened, &w.firstShortened, line)
	case fractionID:
		tally(&w.fraction, &w.firstFraction, line)
	case formulaID:
		tally(&w.formula, &w.firstFormula, line)
	case roundedID:
		tally(&w.rounded, &w.firstRounded, line)
	case missingID:
		tally(&w.missing, &w.firstMissing, line)
	case plainID:
	}
	if !ascii(id) {
		w.compareCharacters(id, line)
	}
	w.compareCase(id, line)
	return id
}

// compareCharacters counts ids that another program writes with other characters, and does not find again.
func (w *idWatch) compareCharacters(id string, line int) {
	switch {
	case strings.ContainsRune(id, utf8.RuneError):
		tally(&w.lost, &w.firstLost, line)
	case usual(id) != id:
		tally(&w.unusual, &w.firstUnusual, line)
	}
}

func tally(n, first *int, line int) {
	if *n == 0 {
		*first = line
	}
	*n++
}

// compareCase counts ids that differ from another only in capitals. An id of digits costs nothing.
func (w *idWatch) compareCase(id string, line int) {
	if !strings.ContainsFunc(id, unicode.IsLetter) {
		return
	}
	lower := strings.ToLower(id)
	mine, others := w.lower, w.upper
	if lower != id {
		mine, others = w.upper, w.lower
	}
	another := !mine.add(lower) && lower != id && w.unique
	if another || others.has(lower) {
		tally(&w.cases, &w.firstCases, line)
	}
}

type looksLike int

const (
	plainID looksLike = iota
	shortenedID
	fractionID
	formulaID
	roundedID
	missingID
)

// exactDigits is how many digits of a number a spreadsheet keeps; it writes 0 for those behind them.
const exactDigits = 15

// looks tells ids that a program has taken for numbers: 1.38E+10 and 110101199001010000 of a spreadsheet, and 1001.0 of
// pandas. It also tells those that somebody has kept from it, ="007" and '007, and words for an id that is not there.
func looks(id string) looksLike {
	if strings.HasPrefix(id, `="`) || strings.HasPrefix(id, "'") {
		return formulaID
	}
	if digits(id) {
		if len(id) > exactDigits && strings.Trim(id[exactDigits:], "0") == "" {
			return roundedID
		}
		return plainID
	}
	if at := strings.IndexAny(id, "Ee"); at > 0 && plainNumber(id[:at]) {
		tail := strings.TrimPrefix(id[at+1:], "+")
		if digits(tail) && len(tail) <= 3 {
			return shortenedID
		}
	}
	if head, ok := strings.CutSuffix(id, ".0"); ok && digits(head) {
		return fractionID
	}
	if missingMarker(id) {
		return missingID
	}
	return plainID
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func (w *idWatch) notes(column string) []string {
	var notes []string
	say := func(n, first int, what, then string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("ids %s: %d in %q, first in line %d%s", what, n, column, first, then))
		}
	}
	say(w.padded, w.firstPadded, "with blanks around them", "; the blanks were taken off")
	say(w.shortened, w.firstShortened, "that look like numbers that a spreadsheet has shortened", "; export the column as text")
	say(w.rounded, w.firstRounded, "of more than 15 digits that have only zeros behind the 15th, as a spreadsheet rounds numbers", "; export the column as text")
	say(w.fraction, w.firstFraction, "that end with .0, as pandas writes whole numbers beside missing ones", "; they do not match ids without it")
	say(w.formula, w.firstFormula, `that begin with =" or ', which keep a spreadsheet from reading a number`, "; they do not match ids without it")
	say(w.missing, w.firstMissing, "that read like a word for a missing value", "; give those rows an id, or take them out")
	say(w.lost, w.firstLost, "with the sign U+FFFD, where a program could not read a character", "; write the file again from its source")
	say(w.unusual, w.firstUnusual, "with characters that have a more usual form, such as full-width digits, other hyphens, or ones that cannot be seen",
		"; they do not match ids in that form")
	say(w.cases, w.firstCases, "that differ from another one in capitals only", "; they are different ids")
	say(w.repeated, w.firstRepeated, "that repeat an earlier one", "; a host's ids must not repeat in psi")
	return notes
}
