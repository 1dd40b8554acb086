package tables

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"openflow"
)

// maxRecord bounds one line of a CSV file, so that a quote that never ends does not read the whole file into memory.
const maxRecord = 64 << 20

// Summary tells what FromCSV has made.
type Summary struct {
	Overview

	Schema Schema
	Unique int // the first rows whose sample ids are known to differ from each other; see FromCSV
}

// FromCSV reads a CSV file as m describes it and writes it to w as an Arrow IPC stream, in constant memory.
//
// The file is UTF-8, with or without a byte order mark, with lines ended by LF or CRLF, quoted as RFC 4180 has it. Every
// row must have as many cells as the header. A file with one id column only is accepted, against upstream, which wants
// two: that column becomes the match id, and the sample id repeats it under the name sample_id.
//
// Sample ids must be unique. The first 4,194,304 of them are remembered (as 64-bit hashes, 64 MiB; a false alarm in a
// file has a chance below 1 in 10^6); a row further down is compared with those only.
//
// Errors: CodeInvalid, naming line and column.
func FromCSV(ctx context.Context, r io.Reader, m Meta, w io.Writer) (Summary, error) {
	if err := m.Validate(); err != nil {
		return Summary{}, err
	}
	lines, err := openCSV(r, m)
	if err != nil {
		return Summary{}, err
	}
	header := m.Header
	if m.Head {
		if header, err = lines.next(); errors.Is(err, io.EOF) {
			return Summary{}, openflow.Errorf(openflow.CodeInvalid, "the file is empty")
		} else if err != nil {
			return Summary{}, err
		}
	}
	p, err := planColumns(header, m)
	if err != nil {
		return Summary{}, err
	}
	out, err := NewWriter(w, p.schema)
	if err != nil {
		return Summary{}, err
	}
	ids := newIDSet(maxIDs)
	for {
		f, err := p.batch(lines, ids)
		if err != nil {
			return Summary{}, err
		}
		if f == nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return Summary{}, openflow.Errorf(openflow.CodeOf(err), "reading the file was given up: %w", err)
		}
		if err := out.Write(f); err != nil {
			return Summary{}, err
		}
	}
	if err := out.Close(); err != nil {
		return Summary{}, err
	}
	return Summary{Overview: out.Overview(), Schema: p.schema, Unique: ids.len()}, nil
}

// csvLines is a CSV file line by line.
type csvLines struct {
	csv    *csv.Reader
	source *boundedSource
	line   int // of the last record
	bytes  int // of all records
}

func openCSV(r io.Reader, m Meta) (*csvLines, error) {
	source := &boundedSource{r: r}
	buffered := bufio.NewReaderSize(source, 1<<16)
	mark, err := buffered.Peek(3)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, readError(err, 1)
	}
	switch {
	case string(mark) == "\uFEFF":
		_, _ = buffered.Discard(3) // they have been peeked
	case strings.HasPrefix(string(mark), "\xff\xfe"), strings.HasPrefix(string(mark), "\xfe\xff"):
		return nil, openflow.Errorf(openflow.CodeInvalid, "the file is UTF-16").WithHint("save it as UTF-8")
	}
	c := csv.NewReader(buffered)
	c.Comma, _ = utf8.DecodeRuneInString(m.delimiter())
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // counted here, for a better message
	return &csvLines{csv: c, source: source}, nil
}

// next gives the cells of the next record, valid until the one after; io.EOF at the end.
func (l *csvLines) next() ([]string, error) {
	record, err := l.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, readError(err, l.line+1)
	}
	l.line, _ = l.csv.FieldPos(0)
	end := int(l.csv.InputOffset())
	l.bytes = end
	l.source.mark()
	return record, nil
}

func readError(err error, line int) error {
	var p *csv.ParseError
	var e *openflow.Error
	switch {
	case errors.As(err, &p):
		return openflow.Errorf(openflow.CodeInvalid, "line %d: %w", p.Line, p.Err)
	case errors.As(err, &e):
		return openflow.Errorf(e.Code, "line %d: %w", line, e)
	}
	return openflow.Errorf(openflow.CodeUnavailable, "the file cannot be read at line %d: %w", line, err)
}

// boundedSource refuses to read on when one record has already taken maxRecord bytes.
type boundedSource struct {
	r    io.Reader
	read int // since mark
}

func (b *boundedSource) mark() { b.read = 0 }

func (b *boundedSource) Read(p []byte) (int, error) {
	if b.read > maxRecord {
		return 0, openflow.Errorf(openflow.CodeInvalid, "the row has more than %d bytes", maxRecord).
			WithHint("a quote may be open")
	}
	n, err := b.r.Read(p)
	b.read += n
	return n, err
}
