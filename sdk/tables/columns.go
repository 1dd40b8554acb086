package tables

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"openflow"
)

// plan says which cell of a record goes where.
type plan struct {
	schema        Schema
	columns       []Column // those of schema besides the ids
	width         int      // cells of a record
	sample, match int      // cells of the ids; sample is −1 when they are made
	cells         []int    // cell of each of columns
	header        []string
	missingIDs    map[int]map[string]bool // by cell: what na_values says is no id
	seed          string                  // what made sample ids begin with
	made          int                     // sample ids made
	ids           *idSet                  // sample ids; match ids where sample ids are made
	parsers       []parser                // of columns
	watch         idWatch
	notes         []string
}

func (p *plan) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// planColumns finds the columns of m in the header.
func planColumns(header []string, m Meta) (*plan, error) {
	h := headerLine{names: trimAll(header)}
	if err := h.check(); err != nil {
		return nil, err
	}
	p := &plan{width: len(header), header: h.names, seed: m.SampleIDSeed, ids: newIDSet(maxIDs), watch: newIDWatch()}
	p.notes = append(p.notes, h.alike()...)
	if err := p.planIDs(h, m); err != nil {
		return nil, err
	}
	label, err := h.optional("label_name", m.Label)
	if err != nil {
		return nil, err
	}
	weight, err := h.optional("weight_name", m.Weight)
	if err != nil {
		return nil, err
	}
	used := map[int]string{p.match: "match id"}
	for what, cell := range map[string]int{"sample id": p.sample, "label": label, "weight": weight} {
		same := what == "sample id" && cell == p.match
		if earlier, twice := used[cell]; twice && cell >= 0 && !same {
			return nil, openflow.Errorf(openflow.CodeInvalid, "column %q is named as %s and as %s", h.names[cell], earlier, what).
				WithHint("name the column of the ids: --match, or match_id_name in meta")
		}
		if cell >= 0 && !same {
			used[cell] = what
		}
	}
	for _, name := range m.MatchIDList {
		cell, err := h.find("match_id_list", name)
		if err != nil {
			return nil, err
		}
		used[cell] = "match id"
	}
	p.planValues(h, m, label, weight, used)
	p.noteIdle(h, m)
	if err := checkKeys(h, "dtype", m.DTypes); err != nil {
		return nil, err
	}
	if err := checkKeys(h, "na_values", m.NAColumns); err != nil {
		return nil, err
	}
	if err := p.schema.Validate(); err != nil {
		return nil, err
	}
	p.schema = p.schema.Anonymize()
	p.columns = p.schema.Columns()
	for _, c := range p.columns {
		p.parsers = append(p.parsers, newParser(c, p.schema, m))
	}
	return p, nil
}

// noteIdle tells of types that are said and have no effect.
func (p *plan) noteIdle(h headerLine, m Meta) {
	for _, cell := range []int{p.sample, p.match} {
		if cell >= 0 && m.DTypes[h.names[cell]] != "" && m.DTypes[h.names[cell]].Kind() != Text {
			p.note("the dtype of %q has no effect: ids are text", h.names[cell])
			break
		}
	}
	if c := p.schema.Label; c != nil && m.DTypes[c.Name] != "" && m.DTypes[c.Name] != c.DType {
		p.note("the dtype of %q has no effect beside label_type", c.Name)
	}
	if c := p.schema.Weight; c != nil && m.DTypes[c.Name] != "" && m.DTypes[c.Name] != c.DType {
		p.note("the dtype of %q has no effect beside weight_type", c.Name)
	}
}

// idNames are names that say that a column identifies rows.
var idNames = []string{
	"id", "uid", "sid", "user_id", "userid", "customer_id", "customerid", "cust_id", "client_id", "member_id", "account_id", "match_id", "sample_id",
	"编号", "序号", "客户号", "客户编号", "用户编号", "会员编号", "身份证", "身份证号", "身份证号码", "证件号", "证件号码", "手机号", "手机号码", "客户id", "用户id",
}

// planIDs decides which columns are ids. A column that is named as match id is the sample id too, unless another one is
// named or called so: upstream would take the first column instead, which is then no feature any more.
func (p *plan) planIDs(h headerLine, m Meta) (err error) {
	matchID := m.MatchID
	if matchID == "" && len(m.MatchIDList) == 1 {
		matchID = m.MatchIDList[0]
	}
	sampleID := m.SampleID
	if sampleID == "" && matchID != "" && !m.ExtendSID {
		sampleID = p.calledSampleID(h, m, matchID)
	}
	p.match = 0
	switch {
	case matchID != "":
		if p.match, err = h.find("match_id_name", matchID); err != nil {
			return err
		}
	case sampleID != "":
		if p.match, err = h.find("sample_id_name", sampleID); err != nil {
			return err
		}
	default:
		if err := p.guessID(h); err != nil {
			return err
		}
	}
	p.sample = p.match
	if sampleID != "" {
		if p.sample, err = h.find("sample_id_name", sampleID); err != nil {
			return err
		}
	}
	p.watch.unique = p.sample == p.match && !m.ExtendSID
	return p.nameIDs(h, m)
}

// calledSampleID finds the sample ids that a table had before it was written as CSV.
func (p *plan) calledSampleID(h headerLine, m Meta, matchID string) string {
	for _, name := range []string{"sample_id", ExtendedSampleID} {
		if name != matchID && name != m.Label && name != m.Weight && slices.Contains(h.names, name) && !slices.Contains(m.MatchIDList, name) {
			p.note("column %q was taken for the sample id, by its name (guessed)", name)
			return name
		}
	}
	return ""
}

// guessID takes the first column for the id, unless another one is called so.
func (p *plan) guessID(h headerLine) error {
	first := h.names[0]
	called := func(name string) bool { return slices.Contains(idNames, strings.ToLower(usual(name))) }
	if i := slices.IndexFunc(h.names, called); i > 0 && !called(first) {
		return openflow.Errorf(openflow.CodeInvalid, "no column is named as id; is it the first one, %q, or %q?", first, h.names[i]).
			WithHint("name it: --match %s, or match_id_name in meta", h.names[i])
	}
	p.note("the first column, %q, was taken for the id (guessed)", first)
	return nil
}

func (p *plan) nameIDs(h headerLine, m Meta) error {
	p.missingIDs = map[int]map[string]bool{}
	for _, cell := range []int{p.sample, p.match} {
		p.missingIDs[cell] = map[string]bool{}
		for _, v := range m.NAColumns[h.names[cell]] {
			p.missingIDs[cell][trim(v)] = true
		}
		for _, v := range m.NAValues {
			p.missingIDs[cell][trim(v)] = !plainNumber(trim(v)) // -9 and 0 are said of numbers
		}
	}
	p.schema.SampleID, p.schema.MatchID = h.names[p.sample], h.names[p.match]
	switch {
	case m.ExtendSID:
		p.sample, p.schema.SampleID = -1, ExtendedSampleID
		if p.seed == "" {
			var b [16]byte
			_, _ = rand.Read(b[:]) // never fails, by its contract
			p.seed = hex.EncodeToString(b[:])
		}
	case p.sample == p.match && p.schema.MatchID == "sample_id":
		p.schema.MatchID = "match_id"
	case p.sample == p.match:
		p.schema.SampleID = "sample_id"
	}
	return nil
}

func (p *plan) planValues(h headerLine, m Meta, label, weight int, used map[int]string) {
	if label >= 0 {
		p.schema.Label = &Column{Name: h.names[label], DType: first(m.LabelType, m.DTypes[h.names[label]], Int32)}
		p.cells = append(p.cells, label)
	}
	if weight >= 0 {
		p.schema.Weight = &Column{Name: h.names[weight], DType: first(m.WeightType, m.DTypes[h.names[weight]], Float32)}
		p.cells = append(p.cells, weight)
	}
	var untyped []string
	if label >= 0 && m.LabelType == "" && m.DTypes[h.names[label]] == "" {
		untyped = append(untyped, fmt.Sprintf("%q as int32", h.names[label]))
	}
	if weight >= 0 && m.WeightType == "" && m.DTypes[h.names[weight]] == "" {
		untyped = append(untyped, fmt.Sprintf("%q as float32", h.names[weight]))
	}
	for cell, name := range h.names {
		if used[cell] != "" {
			continue
		}
		if m.DTypes[name] == "" && m.DType == "" {
			untyped = append(untyped, fmt.Sprintf("%q as float32", name))
		}
		p.schema.Features = append(p.schema.Features, Column{Name: name, DType: first(m.DTypes[name], m.DType, Float32)})
		p.cells = append(p.cells, cell)
		if strings.HasPrefix(name, "Unnamed: ") {
			p.note("column %q looks like an index of pandas and is read as a feature; write the file with index=False", name)
		}
	}
	switch {
	case len(untyped) == 0:
	case len(untyped) == len(p.cells):
		p.note("no type was said: labels are read as int32, features and weights as float32 (default)")
	default:
		p.note("no type was said of some columns: %s (default)", someOf(untyped))
	}
}

func first(types ...DType) DType {
	i := slices.IndexFunc(types, func(d DType) bool { return d != "" })
	return types[i]
}

// headerLine is the names of a file's columns.
type headerLine struct{ names []string }

// Bounds of a header: more of either comes from a quote that is open or from a file that is no table.
const (
	maxColumns    = 100_000
	maxColumnName = 1000 // bytes
)

func (h headerLine) check() error {
	if len(h.names) > maxColumns {
		return openflow.Errorf(openflow.CodeInvalid, "the header has %d columns, and at most %d are read", len(h.names), maxColumns)
	}
	seen := map[string]int{}
	for i, name := range h.names {
		if len(name) > maxColumnName {
			return openflow.Errorf(openflow.CodeInvalid, "the name of column %d has more than %d bytes: %q", i+1, maxColumnName, shorten(name)).
				WithHint("a quote may be open in the header")
		}
		if name == "" {
			return h.unnamed(i)
		}
		if strings.ContainsAny(name, "\r\u2028\u2029") {
			return openflow.Errorf(openflow.CodeInvalid, "the name of column %d has the end of a line in it: %q", i+1, shorten(name)).
				WithHint("do the lines of the file end with a carriage return alone? convert it: tr '\\r' '\\n'")
		}
		if !utf8.ValidString(name) {
			return openflow.Errorf(openflow.CodeInvalid, "the name of column %d in the header is %q", i+1, name)
		}
		if earlier, twice := seen[name]; twice {
			return openflow.Errorf(openflow.CodeInvalid, "column %q appears twice in the header, as column %d and %d", name, earlier+1, i+1).
				WithHint("give one of them another name")
		}
		seen[name] = i
	}
	return nil
}

// unnamed says how a column without a name comes about.
func (h headerLine) unnamed(i int) error {
	switch i {
	case 0:
		return openflow.Errorf(openflow.CodeInvalid, "column 1 has no name").
			WithHint("an index of pandas? write the file with index=False, or give the column a name")
	}
	if last := len(h.names) - 1; i < last && !slices.ContainsFunc(h.names[i:], func(s string) bool { return s != "" }) {
		return openflow.Errorf(openflow.CodeInvalid, "columns %d to %d have no name", i+1, last+1).
			WithHint("trailing commas? take them off the ends of the lines, or give the columns names")
	} else if i == last {
		return openflow.Errorf(openflow.CodeInvalid, "column %d has no name", i+1).
			WithHint("a trailing comma? take it off the ends of the lines, or give the column a name")
	}
	return openflow.Errorf(openflow.CodeInvalid, "column %d has no name, between %q and %q", i+1, h.names[i-1], h.names[i+1]).
		WithHint("give the column a name, or take it out")
}

func (h headerLine) find(key, name string) (int, error) {
	if i := slices.Index(h.names, trim(name)); i >= 0 {
		return i, nil
	}
	return -1, h.missing(key, name)
}

func (h headerLine) optional(key, name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	return h.find(key, name)
}

func (h headerLine) missing(key, name string) error {
	const show = 50
	list := strings.Join(h.names[:min(show, len(h.names))], ", ")
	if n := len(h.names) - show; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	err := openflow.Errorf(openflow.CodeInvalid, "meta names the column %q (%s), which the file does not have", name, key)
	for _, has := range h.names {
		if strings.EqualFold(usual(has), usual(trim(name))) {
			return err.WithHint("its columns are %s; is it %q? names are compared letter by letter", list, has)
		}
	}
	if first := h.names[0]; strings.HasPrefix(first, "#") || strings.HasPrefix(first, "--") || strings.HasPrefix(first, "//") {
		return err.WithHint("its first line is %s; comments are not read: take the line, or the sign, out", list)
	}
	if slices.ContainsFunc(h.names, plainNumber) {
		return err.WithHint("its first line is %s; if that is a row and not the header, name the columns in header (--header)", list)
	}
	return err.WithHint("its columns are %s", list)
}

// alike tells of names that look the same, or differ in capitals only.
func (h headerLine) alike() []string {
	var notes []string
	seen := map[string]string{}
	for _, name := range h.names {
		key := strings.ToLower(usual(name))
		if earlier, twice := seen[key]; twice && len(notes) < maxNoted {
			notes = append(notes, fmt.Sprintf("the columns %q and %q have names that differ in capitals, or in characters that look alike", shorten(earlier), shorten(name)))
		}
		seen[key] = name
	}
	return notes
}

// batchCells bounds the cells of a batch: rows of pairs are short in the file and wide in the table.
const batchCells = 1 << 20

// roomFor is an empty column that takes some rows without growing.
func roomFor(d DType, rows int) Vector {
	v := Vector{DType: d}
	switch d.Kind() {
	case Text:
		v.Strings = make([]string, 0, rows)
	case Integer:
		v.Ints = make([]int64, 0, rows)
	case Float:
		v.Floats = make([]float64, 0, rows)
	}
	return v
}

// batch reads the next rows, as many as fit a batch; nil at the end of the file.
func (p *plan) batch(rows rowSource) (*Frame, error) {
	f := &Frame{Schema: p.schema}
	columns := make([]Vector, len(p.cells))
	most := min(batchRows, max(1, batchCells/max(1, len(p.cells))))
	for i, c := range p.columns {
		columns[i] = roomFor(c.DType, min(most, 1024))
	}
	for begin := rows.lines().bytes; f.Rows() < most && rows.lines().bytes-begin < batchBytes; {
		record, err := rows.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.row(f, columns, record, rows); err != nil {
			return nil, err
		}
	}
	if f.Rows() == 0 {
		return nil, nil
	}
	if p.schema.Label != nil {
		f.Label, columns = columns[0], columns[1:]
	}
	if p.schema.Weight != nil {
		f.Weight, columns = columns[0], columns[1:]
	}
	f.Features = columns
	return f, nil
}

func (p *plan) row(f *Frame, columns []Vector, record []string, rows rowSource) error {
	if len(record) != p.width {
		return p.wrongWidth(record, rows.lineOf(0))
	}
	if rows.lines().layout.head && p.isHeader(record) {
		return openflow.Errorf(openflow.CodeInvalid, "line %d: the row is the header once more", rows.lineOf(0)).
			WithHint("take it out: were several files joined?")
	}
	if err := p.rowIDs(f, record, rows); err != nil {
		return err
	}
	for i, cell := range p.cells {
		if err := p.parsers[i].cell(&columns[i], record[cell], rows, cell); err != nil {
			refused := openflow.Errorf(openflow.CodeInvalid, "line %d: column %q: %w", rows.lineOf(cell), p.columns[i].Name, err)
			if rows.lines().layout.head && rows.lines().records == 2 && onlyWords(record) {
				return refused.WithHint("or is the line a second header? take it out then")
			}
			return refused
		}
	}
	return nil
}

// isHeader reports whether a row repeats the names of the columns. One column proves nothing.
func (p *plan) isHeader(record []string) bool {
	if p.width < 2 || trim(record[0]) != p.header[0] {
		return false
	}
	return slices.EqualFunc(record, p.header, func(cell, name string) bool { return trim(cell) == name })
}

// onlyWords reports whether a row has no number, and words in all its cells.
func onlyWords(record []string) bool {
	return !slices.ContainsFunc(record, func(cell string) bool {
		cell = strings.TrimSpace(cell)
		return cell == "" || strings.ContainsFunc(cell, unicode.IsDigit) || missingMarker(cell)
	})
}

func (p *plan) wrongWidth(record []string, line int) error {
	err := openflow.Errorf(openflow.CodeInvalid, "line %d: the row has %s, the header has %d", line, cells(len(record)), p.width)
	switch n := len(record); {
	case strings.Contains(strings.Join(record, ""), "\r"):
		return err.WithHint("a carriage return stands in it: do some lines end with that sign alone? convert the file: tr '\\r' '\\n'")
	case p.width == 1:
		return err.WithHint("is the first line a title or a comment above the header? take it out; a cell that has the delimiter in it is written in quotes")
	case n == 1 && strings.TrimFunc(record[0], func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) == "":
		return err.WithHint("the line is blank: take it out")
	case n == 1 && (strings.HasPrefix(record[0], "#") || strings.HasPrefix(record[0], "--") || strings.HasPrefix(record[0], "(")):
		return err.WithHint("comments and totals are not read: take the line out")
	case n == p.width+1 && record[n-1] == "":
		return err.WithHint("take the delimiter off the end of the line")
	case n > p.width:
		return err.WithHint("a cell that has the delimiter in it (a decimal comma?) is written in quotes")
	case wideSign(strings.Join(record, "")) != "":
		sign := wideSign(strings.Join(record, ""))
		return err.WithHint("the row has the sign %q, which %s and is not a delimiter here: write the one of the header", sign, wideSigns[sign])
	}
	return err.WithHint("an empty cell needs its delimiter too; a row that is cut short may be the end of a broken file")
}

func cells(n int) string {
	if n == 1 {
		return "1 cell"
	}
	return strconv.Itoa(n) + " cells"
}

func (p *plan) rowIDs(f *Frame, record []string, rows rowSource) error {
	match := strings.Clone(p.watch.id(record[p.match], rows.lineOf(p.match))) // the record's memory is used again
	if err := p.checkID(match, rows.lineOf(p.match), p.schema.MatchID, p.match); err != nil {
		return err
	}
	sample := match
	switch {
	case p.sample < 0:
		sample = p.seed + strconv.Itoa(p.made)
		p.made++
		if !p.ids.add(match) {
			tally(&p.watch.repeated, &p.watch.firstRepeated, rows.lineOf(p.match))
		}
	case p.sample != p.match:
		sample = strings.Clone(trim(record[p.sample]))
		if err := p.checkID(sample, rows.lineOf(p.sample), p.schema.SampleID, p.sample); err != nil {
			return err
		}
	}
	if p.sample >= 0 && !p.ids.add(sample) {
		name := p.schema.SampleID
		if p.sample == p.match {
			name = p.schema.MatchID
		}
		err := openflow.Errorf(openflow.CodeInvalid, "line %d: column %q: sample id %q has appeared before", rows.lineOf(p.sample), name, shorten(sample))
		switch looks(sample) {
		case shortenedID, roundedID:
			return err.WithHint("a spreadsheet seems to have rounded the ids: export the column as text")
		case missingID:
			return err.WithHint("it reads like a word for a missing value: give each row an id, or take those without one out")
		case plainID, fractionID, formulaID:
		}
		return err.WithHint("take the repeated row out, or let sample ids be made: --extend-sid, or extend_sid")
	}
	f.SampleID, f.MatchID = append(f.SampleID, sample), append(f.MatchID, match)
	return nil
}

// checkID refuses what is no id: nothing, what na_values says means nothing, and what has the end of a line in it.
func (p *plan) checkID(id string, line int, column string, cell int) error {
	const remedy = "give the row an id, or take it out"
	switch {
	case id == "":
		return openflow.Errorf(openflow.CodeInvalid, "line %d: column %q: the id is empty", line, column).WithHint(remedy)
	case p.missingIDs[cell][id]:
		return openflow.Errorf(openflow.CodeInvalid, "line %d: column %q: the id %q is one of na_values", line, column, shorten(id)).WithHint(remedy)
	case strings.ContainsAny(id, "\r\n\u2028\u2029"):
		return openflow.Errorf(openflow.CodeInvalid, "line %d: column %q: the id %q has the end of a line in it", line, column, shorten(id)).
			WithHint("a quote may be open, or the lines may end with a carriage return alone: convert them (tr '\\r' '\\n')")
	}
	return nil
}

// checkKeys refuses settings of columns that are not there.
func checkKeys[T any](h headerLine, key string, columns map[string]T) error {
	for name := range columns {
		if !slices.Contains(h.names, name) {
			return h.missing(key, name)
		}
	}
	return nil
}
