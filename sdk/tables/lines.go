package tables

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"unicode/utf8"

	"openflow"
	"openflow/sdk/tables/plaintext"
)

// maxRecord bounds one line of a CSV file, so that a quote that never ends does not read the whole file into memory.
const maxRecord = 64 << 20

// headBytes is how much of a file guesses are made from.
const headBytes = 64 << 10

// csvLines is a CSV file record by record.
type csvLines struct {
	text    *plaintext.Text
	layout  layout
	csv     *csv.Reader
	source  *boundedSource
	line    int // of the last record
	records int // read so far
	bytes   int // of all records
}

// openCSV looks at the begin of a file and decides how it is read.
func openCSV(r io.Reader, m Meta) (*csvLines, error) {
	text, err := plaintext.Open(r, m.Encoding)
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReaderSize(text, headBytes)
	head, err := buffered.Peek(headBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	d, err := recogniseLayout(bytes.Clone(head), err != nil, m)
	if err != nil {
		return nil, err
	}
	_, _ = buffered.Discard(d.skip) // it has been peeked
	source := &boundedSource{r: buffered}
	return &csvLines{text: text, layout: d, csv: newCSV(source, d.delimiter), source: source}, nil
}

// newCSV reads records whose cells are separated by delimiter, which may have several characters.
func newCSV(r io.Reader, delimiter string) *csv.Reader {
	comma, size := utf8.DecodeRuneInString(delimiter)
	if size != len(delimiter) {
		comma = stand
		r = &substitute{in: bufio.NewReaderSize(r, 1<<16), from: []byte(delimiter)}
	}
	c := csv.NewReader(r)
	c.Comma = comma
	c.ReuseRecord = true
	c.FieldsPerRecord = -1 // counted here, for a better message
	return c
}

func (l *csvLines) next() ([]string, error) {
	record, err := l.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, l.fault(err)
	}
	l.line = l.lineOf(0)
	l.records++
	l.bytes = int(l.csv.InputOffset())
	l.source.mark()
	return record, nil
}

func (l *csvLines) lineOf(cell int) int {
	line, _ := l.csv.FieldPos(cell)
	return line + l.layout.skippedLines
}

func (l *csvLines) lines() *csvLines { return l }

func (l *csvLines) fault(err error) error {
	var p *csv.ParseError
	var e *openflow.Error
	at, fault := l.text.Fault()
	switch {
	case errors.As(err, &p) && (fault == nil || at > p.Line+l.layout.skippedLines):
		return l.quoteFault(p)
	case fault != nil:
		return fault
	case errors.As(err, &e):
		return openflow.Errorf(e.Code, "line %d: %w", l.line+1, e)
	}
	return openflow.Errorf(openflow.CodeUnavailable, "the file cannot be read at line %d: %w", l.line+1, err)
}

// quoteFault says what is wrong with quotes in words of ours.
func (l *csvLines) quoteFault(p *csv.ParseError) error {
	const remedy = "a cell with quotes is written in quotes, and each quote in it twice"
	line, begin := p.Line+l.layout.skippedLines, p.StartLine+l.layout.skippedLines
	switch {
	case errors.Is(p.Err, csv.ErrBareQuote):
		return openflow.Errorf(openflow.CodeInvalid, "line %d: a cell that does not begin with a quote has one in it", line).
			WithHint(remedy + "; a blank between the delimiter and a quote is taken out")
	case errors.Is(p.Err, csv.ErrQuote) && begin != line:
		return openflow.Errorf(openflow.CodeInvalid, "line %d: the quotes of the row that begins in line %d do not match", line, begin).WithHint(remedy)
	case errors.Is(p.Err, csv.ErrQuote):
		return openflow.Errorf(openflow.CodeInvalid, "line %d: the quotes of a cell do not match", line).WithHint(remedy)
	}
	return openflow.Errorf(openflow.CodeInvalid, "line %d: %w", line, p.Err)
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

// stand is the character that stands for a delimiter of several.
const stand = '\x1f'

// substitute puts stand where a delimiter is, outside of quotes.
type substitute struct {
	in     *bufio.Reader
	from   []byte
	quoted bool
}

// Read implements io.Reader.
func (s *substitute) Read(p []byte) (int, error) {
	for n := range p {
		c, err := s.in.ReadByte()
		if err != nil {
			return n, err
		}
		switch {
		case c == '"':
			s.quoted = !s.quoted
		case c == stand:
			return n, openflow.Errorf(openflow.CodeInvalid, "the row has the control character 0x1f, which cannot be read with the delimiter %q", s.from)
		case c == s.from[0] && !s.quoted:
			if rest, _ := s.in.Peek(len(s.from) - 1); bytes.Equal(rest, s.from[1:]) {
				_, _ = s.in.Discard(len(rest)) // they have been peeked
				c = stand
			}
		}
		p[n] = c
	}
	return len(p), nil
}
