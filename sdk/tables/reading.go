package tables

import (
	"fmt"
	"strconv"
	"strings"
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
		Compression: lines.text.Compression, Encoding: lines.text.Encoding, Delimiter: lines.layout.delimiter,
		Format: m.format(), Header: lines.layout.head,
	}
	if lines.text.Marked && r.Encoding != "utf-8" {
		r.Notes = append(r.Notes, fmt.Sprintf("the file is %s, as its byte order mark says", r.Encoding))
	}
	if r.Compression != "" {
		r.Notes = append(r.Notes, "the file was unpacked ("+r.Compression+")")
	}
	r.Notes = append(r.Notes, lines.layout.notes...)
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
	var missing, rounded, tiny, commas, points, labels, texts, kept []string
	for _, c := range p.parsers {
		tell := func(list *[]string, n, first int) {
			if n > 0 {
				*list = append(*list, fmt.Sprintf("%q (%d, first in line %d)", c.column.Name, n, first))
			}
		}
		tell(&missing, c.missing, c.firstMissing)
		tell(&rounded, c.rounded, c.firstRounded)
		tell(&tiny, c.tiny, c.firstTiny)
		tell(&kept, c.kept, c.firstKept)
		if c.fractions == 0 && c.sign == "," {
			tell(&commas, c.grouped, c.firstGrouped)
		} else if c.fractions == 0 {
			tell(&points, c.grouped, c.firstGrouped)
		}
		if c.role == roleLabel {
			tell(&labels, c.padded, c.firstPadded)
		} else {
			tell(&texts, c.padded, c.firstPadded)
		}
	}
	var notes []string
	say := func(list []string, what, then string) {
		if len(list) > 0 {
			notes = append(notes, what+" in "+someOf(list)+then)
		}
	}
	say(commas, "every comma has three digits behind it",
		": a cell like 2,000 is read as 2, since decimal says a decimal comma; if it means thousands, write them without commas")
	say(points, "every point has three digits behind it",
		": a cell like 2.000 is read as 2; if it means thousands, write them without points")
	say(missing, "cells without a value", ": coordinated_lr does not train on such columns; fill them, or leave the rows or columns out")
	say(rounded, "whole numbers with more digits than their type holds were rounded",
		": read these columns as float64 or int64, or as text if they are codes")
	say(tiny, "numbers that are too small for their type were read as 0", ": read these columns as float64, or scale them")
	say(kept, "texts that na_values lists stayed as they are", ": a text column has no missing values")
	say(labels, "labels with blanks around them", "; the blanks were taken off")
	say(texts, "texts with blanks around them", "; the blanks stay, so the same text without them is another one")
	return notes
}

func someOf(list []string) string {
	more := len(list) - maxNoted
	if more > 0 {
		return strings.Join(list[:maxNoted], ", ") + " and " + strconv.Itoa(more) + " more columns"
	}
	return strings.Join(list, ", ")
}
