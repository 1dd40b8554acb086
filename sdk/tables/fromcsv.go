package tables

import (
	"context"
	"errors"
	"io"

	"openflow"
)

// Summary tells what FromCSV has made.
type Summary struct {
	Overview

	Schema  Schema
	Unique  int // the first rows whose sample ids are known to differ from each other; see FromCSV
	Reading Reading
}

// FromCSV reads a file of rows as m describes it and writes it to w as an Arrow IPC stream, in constant memory.
//
// The file is text as package plaintext reads it, with lines ended by LF or CRLF, quoted as RFC 4180 has it. Every row
// must have as many cells as the header, except in the formats of pairs, whose columns are those that occur; these are
// read twice, so r must be an io.ReadSeeker then (Meta.Rereads). What m does not say is guessed from the first 64 KiB,
// told in Summary.Reading, and holds for all rows. docs/data.md has the rules.
//
// A file with one id column only is accepted, against upstream, which wants two: that column becomes the match id, and
// the sample id repeats it under the name sample_id.
//
// Sample ids must be unique. The first 4,194,304 of them are remembered (as 64-bit hashes, 64 MiB; a false alarm in a
// file has a chance below 1 in 10^6); a row further down is compared with those only.
//
// Errors: CodeInvalid, naming the line of the file and the column, with a remedy.
func FromCSV(ctx context.Context, r io.Reader, m Meta, w io.Writer) (Summary, error) {
	if err := m.Validate(); err != nil {
		return Summary{}, err
	}
	rows, header, m, err := openRows(ctx, r, m)
	if err != nil {
		return Summary{}, err
	}
	m.Delimiter = rows.lines().layout.delimiter // said or guessed
	p, err := planColumns(header, m)
	if err != nil {
		return Summary{}, err
	}
	out, err := NewWriter(w, p.schema)
	if err != nil {
		return Summary{}, err
	}
	for {
		f, err := p.batch(rows)
		if err != nil {
			return Summary{}, err
		}
		if f == nil {
			break
		}
		if err := alive(ctx); err != nil {
			return Summary{}, err
		}
		if err := out.Write(f); err != nil {
			return Summary{}, err
		}
	}
	if err := out.Close(); err != nil {
		return Summary{}, err
	}
	return Summary{Overview: out.Overview(), Schema: p.schema, Unique: p.ids.len(), Reading: p.reading(rows.lines(), m)}, nil
}

// rowSource gives the rows of a file, each with a cell for every column.
type rowSource interface {
	next() ([]string, error) // valid until the one after; io.EOF at the end
	lineOf(cell int) int     // in the file, of the last row
	lines() *csvLines
}

// openRows opens a file and finds the names of its columns. What it returns as Meta has the names that a format gives.
func openRows(ctx context.Context, r io.Reader, m Meta) (rowSource, []string, Meta, error) {
	if m.Rereads() {
		rows, header, m, err := openPairs(ctx, r, m)
		if err != nil {
			return nil, nil, m, err
		}
		return rows, header, m, nil
	}
	lines, err := openCSV(r, m)
	if err != nil {
		return nil, nil, m, err
	}
	header := m.Header
	if m.Head {
		if header, err = lines.next(); errors.Is(err, io.EOF) {
			return nil, nil, m, openflow.Errorf(openflow.CodeInvalid, "the file is empty")
		}
	}
	return lines, header, m, err
}

// alive is the error of a context that has ended.
func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "reading the file was given up: %w", err)
	}
	return nil
}
