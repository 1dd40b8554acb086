package tables

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"openflow"
)

// plan says which cell of a record goes where.
type plan struct {
	schema        Schema
	width         int    // cells of a record
	sample, match int    // cells of the ids; sample is −1 when they are made
	cells         []int  // cell of each column of schema.Columns()
	seed          string // what made sample ids begin with
	made          int    // sample ids made
	missing       map[string]bool
}

// planColumns finds the columns of m in the header.
func planColumns(header []string, m Meta) (*plan, error) {
	h := headerLine{names: slices.Clone(header)}
	for i, name := range h.names {
		h.names[i] = strings.Clone(strings.TrimSpace(name))
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	p := &plan{width: len(header), missing: map[string]bool{}, seed: m.SampleIDSeed}
	for _, v := range m.NAValues {
		p.missing[v] = true
	}
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
			return nil, openflow.Errorf(openflow.CodeInvalid, "column %q is named as %s and as %s", h.names[cell], earlier, what)
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
	for name := range m.DTypes {
		if !slices.Contains(h.names, name) {
			return nil, h.missing("dtype", name)
		}
	}
	if err := p.schema.Validate(); err != nil {
		return nil, err
	}
	p.schema = p.schema.Anonymize()
	return p, nil
}

func (p *plan) planIDs(h headerLine, m Meta) (err error) {
	matchID := m.MatchID
	if matchID == "" && len(m.MatchIDList) == 1 {
		matchID = m.MatchIDList[0]
	}
	p.sample, p.match = 0, 0
	if m.SampleID != "" {
		if p.sample, err = h.find("sample_id_name", m.SampleID); err != nil {
			return err
		}
		p.match = p.sample
	}
	if matchID != "" {
		if p.match, err = h.find("match_id_name", matchID); err != nil {
			return err
		}
		if first := h.names[0]; m.SampleID == "" && (first == m.Label || first == m.Weight) {
			p.sample = p.match // the first column has another job
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
	for cell, name := range h.names {
		if used[cell] != "" {
			continue
		}
		p.schema.Features = append(p.schema.Features, Column{Name: name, DType: first(m.DTypes[name], m.DType, Float32)})
		p.cells = append(p.cells, cell)
	}
}

func first(types ...DType) DType {
	i := slices.IndexFunc(types, func(d DType) bool { return d != "" })
	return types[i]
}

// headerLine is the names of a file's columns.
type headerLine struct{ names []string }

func (h headerLine) check() error {
	seen := map[string]bool{}
	for i, name := range h.names {
		if name == "" || !utf8.ValidString(name) {
			return openflow.Errorf(openflow.CodeInvalid, "the name of column %d in the header is %q", i+1, name)
		}
		if seen[name] {
			return openflow.Errorf(openflow.CodeInvalid, "column %q appears twice in the header", name)
		}
		seen[name] = true
	}
	return nil
}

func (h headerLine) find(key, name string) (int, error) {
	if i := slices.Index(h.names, name); i >= 0 {
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
	return openflow.Errorf(openflow.CodeInvalid, "meta names the column %q (%s), which the file does not have", name, key).
		WithHint("its columns are %s", list)
}

// batch reads the next rows, as many as fit a batch; nil at the end of the file.
func (p *plan) batch(lines *csvLines, ids *idSet) (*Frame, error) {
	f := &Frame{Schema: p.schema}
	columns := make([]Vector, len(p.cells))
	for i, c := range p.schema.Columns() {
		columns[i].DType = c.DType
	}
	for begin := lines.bytes; f.Rows() < batchRows && lines.bytes-begin < batchBytes; {
		record, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if err := p.row(f, columns, record, ids); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "line %d: %w", lines.line, err)
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

func (p *plan) row(f *Frame, columns []Vector, record []string, ids *idSet) error {
	if len(record) != p.width {
		return openflow.Errorf(openflow.CodeInvalid, "the row has %d cells, the header has %d", len(record), p.width)
	}
	sample, match := "", record[p.match]
	if p.sample < 0 {
		sample = p.seed + strconv.Itoa(p.made)
		p.made++
	} else {
		sample = record[p.sample]
		if !ids.add(sample) {
			return openflow.Errorf(openflow.CodeInvalid, "column %q: sample id %q has appeared before", p.schema.SampleID, sample).
				WithHint("extend_sid makes unique sample ids where the file has none")
		}
	}
	if sample == "" || match == "" || !utf8.ValidString(sample) || !utf8.ValidString(match) {
		return openflow.Errorf(openflow.CodeInvalid, "column %q: the id is %q", p.schema.MatchID, match)
	}
	f.SampleID, f.MatchID = append(f.SampleID, sample), append(f.MatchID, match)
	for i, cell := range p.cells {
		if err := p.cell(&columns[i], record[cell]); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "column %q: %w", p.schema.Columns()[i].Name, err)
		}
	}
	return nil
}

func (p *plan) cell(v *Vector, text string) error {
	switch v.DType.Kind() {
	case Text:
		if !utf8.ValidString(text) {
			return openflow.Errorf(openflow.CodeInvalid, "%q is not UTF-8", text)
		}
		v.Strings = append(v.Strings, text)
	case Integer:
		n, ok := parseInteger(v.DType, strings.TrimSpace(text))
		if !ok {
			return openflow.Errorf(openflow.CodeInvalid, "%q is not %s", text, v.DType)
		}
		v.Ints = append(v.Ints, n)
	case Float:
		bits := 64
		if v.DType == Float32 {
			bits = 32
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(text), bits)
		if len(p.missing) > 0 && p.missing[text] {
			n, err = math.NaN(), nil
		}
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%q is not %s", text, v.DType).
				WithHint("if it means that the value is missing, list it in na_values")
		}
		v.Floats = append(v.Floats, n)
	}
	return nil
}

// parseInteger accepts 3 and 3.0, as spreadsheets write whole numbers, and true and false for bool.
func parseInteger(d DType, s string) (int64, bool) {
	bits := 64
	switch d {
	case Int32:
		bits = 32
	case Bool:
		if b, err := strconv.ParseBool(strings.ToLower(s)); err == nil {
			if b {
				return 1, true
			}
			return 0, true
		}
		bits = 2
	}
	if head, zeros, ok := strings.Cut(s, "."); ok && zeros != "" && strings.Trim(zeros, "0") == "" {
		s = head
	}
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil || d == Bool && n < 0 {
		return 0, false
	}
	return n, true
}
