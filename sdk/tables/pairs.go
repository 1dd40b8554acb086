package tables

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// Bounds of what pairs become. A row of a few bytes may have any index, and the table has a cell for each.
const (
	maxMadeColumns = 10_000
	maxMadeCells   = 1 << 28
)

// Names of columns that a file of pairs does not name.
const (
	pairsID    = "id"
	pairsLabel = "y"
)

// pairRows reads rows of pairs as rows of a table with a column for each index or tag.
type pairRows struct {
	in       *csvLines
	m        Meta
	leading  []string // names of the cells before the pairs
	numbered bool     // rows get their number as id, in front
	columns  map[string]int
	declared bool // the columns are named beside the file
	row      int
	record   []string
	filled   []int // cells of record that the last row has set
	setBy    []int // for each cell, the row that set it last, counted from 1
}

// openPairs reads a file of pairs once for its columns, and opens it again. What it returns as Meta names the ids and the
// label.
func openPairs(ctx context.Context, r io.Reader, m Meta) (*pairRows, []string, Meta, error) {
	again, ok := r.(io.ReadSeeker)
	if !ok {
		return nil, nil, m, openflow.Errorf(openflow.CodeInternal, "a file of format %s is read twice, and this one comes once only", m.Format)
	}
	if m.Format == LibSVM {
		m.MatchID = pairsID
		if m.Label == "" {
			m.Label = pairsLabel
		}
	}
	first := &pairRows{m: m, columns: map[string]int{}}
	if err := first.open(again); err != nil {
		return nil, nil, m, err
	}
	if m.MatchID == "" && m.SampleID == "" {
		m.MatchID = first.leading[0]
	}
	names, err := first.survey(ctx)
	if err != nil {
		return nil, nil, m, err
	}
	if _, err := again.Seek(0, io.SeekStart); err != nil {
		return nil, nil, m, openflow.Errorf(openflow.CodeUnavailable, "the file cannot be read again: %w", err)
	}
	second := &pairRows{m: m, columns: map[string]int{}}
	if err := second.open(again); err != nil {
		return nil, nil, m, err
	}
	second.columns = first.columns
	second.in.layout.notes = append(second.in.layout.notes, pairNote(m, len(names)))
	second.record = make([]string, second.before()+len(names))
	second.setBy = make([]int, len(second.record))
	for i := range second.record {
		second.record[i] = absent
	}
	header := second.leading
	if second.numbered {
		header = append([]string{pairsID}, header...)
	}
	return second, append(slices.Clone(header), names...), m, nil
}

// absent is the value of an index or a tag that a row does not have.
const absent = "0"

func pairNote(m Meta, columns int) string {
	note := "each index or tag that occurs became a column, " + strconv.Itoa(columns) + " of them; a row without it has 0"
	if m.Format == LibSVM {
		note += "; rows have no ids and were numbered from 0, so parties match by the order of their rows"
	}
	return note
}

// open opens the file and settles what comes before the pairs.
func (p *pairRows) open(r io.Reader) error {
	lines, err := openCSV(r, p.m)
	if err != nil {
		return err
	}
	p.in, p.numbered = lines, p.m.Format == LibSVM
	p.leading = p.defaultLeading()
	title := p.m.Header
	if p.m.Head {
		if title, err = p.in.next(); errors.Is(err, io.EOF) {
			return openflow.Errorf(openflow.CodeInvalid, "the file is empty")
		} else if err != nil {
			return err
		}
		title = trimAll(title)
	}
	if len(title) == 0 {
		return nil
	}
	roles := p.m.names()
	n := 0
	for n < len(title) && (slices.Contains(roles, title[n]) || n == 0 && len(roles) == 0) {
		n++
	}
	if n < len(p.defaultLeading()) {
		return openflow.Errorf(openflow.CodeInvalid, "the header of a %s file begins with %s; here it is %q", p.m.Format,
			strings.Join(quoteAll(p.leading), ", "), title[:min(n+1, len(title))])
	}
	p.leading = slices.Clone(title[:n])
	if rest := title[n:]; len(rest) > 1 {
		p.declared = true
		for i, name := range rest {
			p.columns[strings.Clone(name)] = i
		}
	}
	return nil
}

// defaultLeading is what comes before the pairs where no header says so: ids, label, weight.
func (p *pairRows) defaultLeading() []string {
	var names []string
	for _, name := range []string{p.m.SampleID, p.m.MatchID} {
		if name != "" && !slices.Contains(names, name) && !p.numbered && !(p.m.ExtendSID && name == p.m.SampleID) {
			names = append(names, name)
		}
	}
	if len(names) == 0 && !p.numbered {
		names = append(names, pairsID)
	}
	for _, name := range []string{p.m.Label, p.m.Weight} {
		if name != "" {
			names = append(names, name)
		}
	}
	return names
}

// before is how many cells of a row of the table come before the pairs.
func (p *pairRows) before() int {
	if p.numbered {
		return len(p.leading) + 1
	}
	return len(p.leading)
}

// survey reads the whole file for the names of its columns, in their order.
func (p *pairRows) survey(ctx context.Context) ([]string, error) {
	for rows := 1; ; rows++ {
		record, err := p.in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.pairs(record, func(name, _ string) error { return p.add(name) })
		}
		if err != nil {
			return nil, err
		}
		if rows*len(p.columns) > maxMadeCells {
			return nil, openflow.Errorf(openflow.CodeInvalid, "line %d: the table would have more than %d cells (%d columns)",
				p.in.line, maxMadeCells, len(p.columns)).WithHint("upload fewer rows, or fewer different indexes or tags")
		}
		if rows%batchRows == 0 {
			if err := alive(ctx); err != nil {
				return nil, err
			}
		}
	}
	return p.sorted(), nil
}

func (p *pairRows) add(name string) error {
	if _, known := p.columns[name]; known {
		return nil
	}
	if p.declared {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not among the columns of the header", name)
	}
	if len(p.columns) == maxMadeColumns {
		return openflow.Errorf(openflow.CodeInvalid, "%q would be column %d, and at most %d are made", shorten(name), maxMadeColumns+1, maxMadeColumns).
			WithHint("are these values rather than tags? they have tag_with_value and a tag_value_delimiter")
	}
	if slices.Contains(p.leading, name) || p.numbered && name == pairsID || name == "sample_id" || name == ExtendedSampleID {
		return openflow.Errorf(openflow.CodeInvalid, "%q is the name of the id, the label or the weight too", shorten(name)).
			WithHint("give that another name in meta, or the tag")
	}
	p.columns[strings.Clone(name)] = len(p.columns)
	return nil
}

// sorted numbers the columns: indexes by value, tags by name, declared ones as they were declared.
func (p *pairRows) sorted() []string {
	names := make([]string, 0, len(p.columns))
	for name := range p.columns {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		switch {
		case p.declared:
			return p.columns[a] - p.columns[b]
		case p.m.Format != Tags && len(a) != len(b):
			return len(a) - len(b) // indexes have no leading zeros
		}
		return strings.Compare(a, b)
	})
	for i, name := range names {
		p.columns[name] = i
	}
	return names
}

// pairs gives the pairs of a record. The error of do is told with the line.
func (p *pairRows) pairs(record []string, do func(name, value string) error) error {
	cells := p.cells(record)
	at := func(cell int, err error) error {
		return openflow.Errorf(openflow.CodeInvalid, "line %d: %w", p.in.lineOf(min(cell, len(record)-1)), err)
	}
	if len(cells) < len(p.leading) {
		return at(0, openflow.Errorf(openflow.CodeInvalid, "the row has %d cells, and %s come first", len(cells), strings.Join(quoteAll(p.leading), ", ")))
	}
	for i, name := range p.leading {
		if p.m.Format != Tags && strings.Contains(cells[i], p.m.tagDelimiter()) {
			return at(i, openflow.Errorf(openflow.CodeInvalid, "%q stands where %q is expected, before the pairs", shorten(cells[i]), name).
				WithHint("a row is ids, then the label if label_name names one, then the pairs"))
		}
	}
	for i, cell := range cells[len(p.leading):] {
		cell = strings.TrimSpace(cell)
		if cell == "" {
			continue
		}
		name, value, err := p.split(cell)
		if err == nil {
			err = do(name, value)
		}
		if err != nil {
			return at(len(p.leading)+i, err)
		}
	}
	return nil
}

// cells drops the empty cells that several blanks in a row make.
func (p *pairRows) cells(record []string) []string {
	if p.in.layout.delimiter != " " {
		return record
	}
	return slices.DeleteFunc(record, func(s string) bool { return s == "" })
}

// split takes one pair, or one tag, apart.
func (p *pairRows) split(cell string) (name, value string, err error) {
	if p.m.Format == Tags && !p.m.TagWithValue {
		if _, number, ok := strings.Cut(cell, p.m.tagDelimiter()); ok && !p.m.TagValueSaid && plainNumber(strings.TrimSpace(number)) {
			return "", "", openflow.Errorf(openflow.CodeInvalid, "%q looks like a tag with a value", shorten(cell)).
				WithHint(`say "tag_with_value": true (--tag-with-value), or false where it is one tag`)
		}
		return cell, "1", nil
	}
	at := strings.LastIndex(cell, p.m.tagDelimiter())
	if p.m.Format != Tags && strings.HasPrefix(cell, "#") {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%q begins a comment", shorten(cell)).WithHint("comments are not read: take them out")
	}
	if p.m.Format != Tags && strings.HasPrefix(cell, "qid"+p.m.tagDelimiter()) {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%q is a group of a ranking", shorten(cell)).WithHint("groups are not read: take them out")
	}
	if at <= 0 && p.in.line == 1 && !p.m.Head {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%q is not of the form %s", shorten(cell), p.form()).
			WithHint("is the line a header? say --head, or \"head\": true; a label before the pairs is named in label_name; another sign between them in tag_value_delimiter")
	}
	if at <= 0 {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%q is not of the form %s", shorten(cell), p.form()).
			WithHint("a label before the pairs is named in label_name; another sign between them in tag_value_delimiter")
	}
	name, value = strings.TrimSpace(cell[:at]), strings.TrimSpace(cell[at+len(p.m.tagDelimiter()):])
	if p.m.Format == Tags {
		return name, value, nil
	}
	n, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "the index %q is not a whole number up to 2^32", shorten(name)).
			WithHint("words before values are of input_format tag with tag_with_value")
	}
	return strconv.FormatUint(n, 10), value, nil
}

// form is how a pair is written.
func (p *pairRows) form() string {
	if p.m.Format == Tags {
		return "tag" + p.m.tagDelimiter() + "value"
	}
	return "index" + p.m.tagDelimiter() + "value"
}

func (p *pairRows) next() ([]string, error) {
	record, err := p.in.next()
	if err != nil {
		return nil, err
	}
	for _, cell := range p.filled {
		p.record[cell] = absent
	}
	p.filled = p.filled[:0]
	err = p.pairs(record, func(name, value string) error {
		cell := p.before() + p.columns[name]
		if p.setBy[cell] == p.row+1 {
			if p.m.Format == Tags && !p.m.TagWithValue {
				return nil
			}
			return openflow.Errorf(openflow.CodeInvalid, "%q appears twice in the row", shorten(name))
		}
		p.record[cell], p.setBy[cell], p.filled = value, p.row+1, append(p.filled, cell)
		return nil
	})
	if err != nil {
		return nil, err
	}
	leading := p.record
	if p.numbered {
		p.record[0], leading = strconv.Itoa(p.row), p.record[1:]
	}
	copy(leading, p.cells(record)[:len(p.leading)])
	p.row++
	return p.record, nil
}

func (p *pairRows) lineOf(int) int { return p.in.line }

func (p *pairRows) lines() *csvLines { return p.in }
