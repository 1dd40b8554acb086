package tables

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Reading tells how a file was read: what was said, and what was guessed.
type Reading struct {
	Compression string // "gzip", or empty
	Encoding    string
	Delimiter   string
	Format      Format
	Header      bool // the first line named the columns
	Columns     []ReadColumn
	Notes       []string // what was guessed or changed, and what a later step will say; for people
}

// ReadColumn is one column of the table that was made.
type ReadColumn struct {
	Name    string
	Role    string // "sample id", "match id", "label", "weight" or "feature"
	DType   DType
	Missing int // cells without a value
}

// maxNoted is how many columns one note names.
const maxNoted = 10

func (p *plan) reading(lines *csvLines, m Meta) Reading {
	r := Reading{
		Compression: lines.text.Compression, Encoding: lines.text.Encoding, Delimiter: lines.dialect.delimiter,
		Format: m.format(), Header: lines.dialect.head,
	}
	if lines.text.Marked && r.Encoding != "utf-8" {
		r.Notes = append(r.Notes, fmt.Sprintf("the file is %s, as its byte order mark says", r.Encoding))
	}
	if r.Compression != "" {
		r.Notes = append(r.Notes, "the file was unpacked ("+r.Compression+")")
	}
	r.Notes = append(r.Notes, lines.dialect.notes...)
	r.Notes = append(r.Notes, p.notes...)
	r.Notes = append(r.Notes, p.watch.notes(p.schema.MatchID)...)
	r.Notes = append(r.Notes, p.cellNotes()...)
	r.Columns = []ReadColumn{{Name: p.schema.SampleID, Role: "sample id", DType: Index}, {Name: p.schema.MatchID, Role: "match id", DType: Index}}
	for i, c := range p.columns {
		r.Columns = append(r.Columns, ReadColumn{c.Name, p.parsers[i].role, c.DType, p.parsers[i].missing})
	}
	return r
}

// cellNotes tells of cells that have no value, or another one than the file.
func (p *plan) cellNotes() []string {
	var missing, rounded, grouped []string
	for _, c := range p.parsers {
		if c.missing > 0 {
			missing = append(missing, fmt.Sprintf("%q (%d, first in line %d)", c.column.Name, c.missing, c.firstMissing))
		}
		if c.rounded > 0 {
			rounded = append(rounded, fmt.Sprintf("%q (%d, first in line %d)", c.column.Name, c.rounded, c.firstRounded))
		}
		if c.grouped > 0 && c.fractions == 0 {
			grouped = append(grouped, fmt.Sprintf("%q (%d, first in line %d)", c.column.Name, c.grouped, c.firstGrouped))
		}
	}
	var notes []string
	if len(grouped) > 0 {
		notes = append(notes, "every comma has three digits behind it in "+someOf(grouped)+
			": 2,000 was read as 2, since decimal says a decimal comma; if it means thousands, write them without commas")
	}
	if len(missing) > 0 {
		notes = append(notes, "cells without a value in "+someOf(missing)+
			": coordinated_lr does not train on such columns; fill them, or leave the rows or columns out")
	}
	if len(rounded) > 0 {
		notes = append(notes, "whole numbers with more digits than their type holds were rounded in "+someOf(rounded)+
			": read these columns as float64 or int64, or as text if they are codes")
	}
	return notes
}

func someOf(list []string) string {
	more := len(list) - maxNoted
	if more > 0 {
		return strings.Join(list[:maxNoted], ", ") + " and " + strconv.Itoa(more) + " more columns"
	}
	return strings.Join(list, ", ")
}

// maxFolded is how many ids with capitals are remembered, to be compared without regard to case.
const maxFolded = 1 << 18

// idWatch looks at match ids for what keeps them from matching.
type idWatch struct {
	padded, firstPadded       int
	shortened, firstShortened int
	fraction, firstFraction   int
	formula, firstFormula     int
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
	}
	w.compareCase(id, line)
	return id
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
)

// looks tells ids that a program has taken for numbers, 1.38E+10 of a spreadsheet and 1001.0 of pandas, and those that
// somebody has kept from it, ="007" and '007.
func looks(id string) looksLike {
	if strings.HasPrefix(id, `="`) || strings.HasPrefix(id, "'") {
		return formulaID
	}
	for _, exponent := range []string{"E+", "e+"} {
		if head, tail, ok := strings.Cut(id, exponent); ok && plainNumber(head) && plainNumber(tail) {
			return shortenedID
		}
	}
	if head, ok := strings.CutSuffix(id, ".0"); ok && head != "" && strings.Trim(head, "0123456789") == "" {
		return fractionID
	}
	return plainID
}

func (w *idWatch) notes(column string) []string {
	var notes []string
	say := func(n, first int, what, then string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("ids %s: %d in %q, first in line %d%s", what, n, column, first, then))
		}
	}
	say(w.padded, w.firstPadded, "with blanks around them", "; the blanks were taken off")
	say(w.shortened, w.firstShortened, "that look like numbers that a spreadsheet has shortened", "; export the column as text")
	say(w.fraction, w.firstFraction, "that end with .0, as pandas writes whole numbers beside missing ones", "; they do not match ids without it")
	say(w.formula, w.firstFormula, `that begin with =" or ', which keep a spreadsheet from reading a number`, "; they do not match ids without it")
	say(w.cases, w.firstCases, "that differ from another one in capitals only", "; they are different ids")
	say(w.repeated, w.firstRepeated, "that repeat an earlier one", "; a host's ids must not repeat in psi")
	return notes
}
