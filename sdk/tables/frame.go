package tables

import (
	"fmt"
	"io"
	"slices"

	"openflow"
)

// Vector is the values of one column. The slice that DType.Kind names holds them; the others are nil.
type Vector struct {
	DType   DType
	Strings []string  // Text
	Ints    []int64   // Integer; bool as 0 and 1
	Floats  []float64 // Float; NaN is "missing"
}

// NewFloats, NewInts and NewStrings make a column of type d, whose kind must fit the slice.
func NewFloats(d DType, values []float64) Vector { return Vector{DType: d, Floats: values} }

// NewInts makes a column of whole numbers; see NewFloats.
func NewInts(d DType, values []int64) Vector { return Vector{DType: d, Ints: values} }

// NewStrings makes a column of text; see NewFloats.
func NewStrings(values []string) Vector { return Vector{DType: Object, Strings: values} }

// Len is the number of values.
func (v Vector) Len() int { return max(len(v.Strings), len(v.Ints), len(v.Floats)) }

// Float64s gives the values as numbers: Floats itself, not copied, or Ints converted. Nil for text.
func (v Vector) Float64s() []float64 {
	if v.DType.Kind() != Integer {
		return v.Floats
	}
	out := make([]float64, len(v.Ints))
	for i, x := range v.Ints {
		out[i] = float64(x)
	}
	return out
}

// Slice is the values from lo up to hi, sharing memory with v.
func (v Vector) Slice(lo, hi int) Vector {
	w := Vector{DType: v.DType}
	switch v.DType.Kind() {
	case Text:
		w.Strings = v.Strings[lo:hi:hi]
	case Integer:
		w.Ints = v.Ints[lo:hi:hi]
	case Float:
		w.Floats = v.Floats[lo:hi:hi]
	}
	return w
}

// Take copies the values at rows, in that order.
func (v Vector) Take(rows []int) Vector {
	w := Vector{DType: v.DType}
	switch v.DType.Kind() {
	case Text:
		w.Strings = take(v.Strings, rows)
	case Integer:
		w.Ints = take(v.Ints, rows)
	case Float:
		w.Floats = take(v.Floats, rows)
	}
	return w
}

// At is the value in row i as string, int64, bool, float32 or float64, by its type.
func (v Vector) At(i int) any {
	switch v.DType.Kind() {
	case Text:
		return v.Strings[i]
	case Integer:
		if v.DType == Bool {
			return v.Ints[i] != 0
		}
		return v.Ints[i]
	case Float:
		if v.DType == Float32 {
			return float32(v.Floats[i])
		}
		return v.Floats[i]
	}
	return nil
}

func (v *Vector) append(w Vector) {
	v.Strings = append(v.Strings, w.Strings...)
	v.Ints = append(v.Ints, w.Ints...)
	v.Floats = append(v.Floats, w.Floats...)
}

func take[T any](values []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

// Frame is rows of a table, column by column: a whole table or one batch of it. All columns have the same length.
type Frame struct {
	Schema   Schema
	SampleID []string
	MatchID  []string
	Label    Vector // empty when Schema.Label is nil
	Weight   Vector // empty when Schema.Weight is nil
	Features []Vector
}

// Rows is the number of rows.
func (f *Frame) Rows() int { return len(f.SampleID) }

// RowName names row i as its owner finds it in the file that it comes from: by its ids. Its position means nothing
// outside of this table, which may be one in the middle of a job. It is for the owner's users only.
func (f *Frame) RowName(i int) string {
	const most = 60
	match, sample := cutText(f.MatchID[i], most), cutText(f.SampleID[i], most)
	if match == sample {
		return fmt.Sprintf("the row of sample id %q", sample)
	}
	return fmt.Sprintf("the row of match id %q (sample id %q)", match, sample)
}

func cutText(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// Columns lists label, weight and features as Schema.Columns does.
func (f *Frame) Columns() []Vector {
	columns := make([]Vector, 0, 2+len(f.Features))
	if f.Schema.Label != nil {
		columns = append(columns, f.Label)
	}
	if f.Schema.Weight != nil {
		columns = append(columns, f.Weight)
	}
	return append(columns, f.Features...)
}

// Feature is the column of that name; CodeNotFound when there is none.
func (f *Frame) Feature(name string) (Vector, error) {
	i, ok := f.Schema.Feature(name)
	if !ok {
		return Vector{}, openflow.Errorf(openflow.CodeNotFound, "table has no column %q (%s)", name, f.Schema)
	}
	return f.Features[i], nil
}

// Slice is the rows from lo up to hi, sharing memory with f.
func (f *Frame) Slice(lo, hi int) *Frame {
	return f.each(f.SampleID[lo:hi:hi], f.MatchID[lo:hi:hi], func(v Vector) Vector { return v.Slice(lo, hi) })
}

// Take copies the rows with these numbers, in that order.
func (f *Frame) Take(rows []int) *Frame {
	return f.each(take(f.SampleID, rows), take(f.MatchID, rows), func(v Vector) Vector { return v.Take(rows) })
}

func (f *Frame) each(sample, match []string, column func(Vector) Vector) *Frame {
	g := &Frame{Schema: f.Schema, SampleID: sample, MatchID: match, Features: make([]Vector, len(f.Features))}
	if f.Schema.Label != nil {
		g.Label = column(f.Label)
	}
	if f.Schema.Weight != nil {
		g.Weight = column(f.Weight)
	}
	for i, v := range f.Features {
		g.Features[i] = column(v)
	}
	return g
}

// Append adds the rows of g below those of f. The schemas must have the same columns.
func (f *Frame) Append(g *Frame) error {
	if !sameColumns(f.Schema, g.Schema) {
		return openflow.Errorf(openflow.CodeInvalid, "rows of a table with %s do not fit one with %s", g.Schema, f.Schema)
	}
	f.SampleID = append(f.SampleID, g.SampleID...)
	f.MatchID = append(f.MatchID, g.MatchID...)
	f.Label.append(g.Label)
	f.Weight.append(g.Weight)
	for i := range f.Features {
		f.Features[i].append(g.Features[i])
	}
	return nil
}

// Validate refuses a frame whose schema is not valid, or whose columns do not fit the schema or each other.
func (f *Frame) Validate() error {
	if err := f.Schema.Validate(); err != nil {
		return err
	}
	return f.checkColumns(f.Schema)
}

// WriteTo writes f as an Arrow IPC stream.
func (f *Frame) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{w: w}
	out, err := NewWriter(counted, f.Schema)
	if err != nil {
		return counted.n, err
	}
	if err := out.Write(f); err != nil {
		return counted.n, err
	}
	return counted.n, out.Close()
}

func (f *Frame) checkColumns(s Schema) error {
	if len(f.MatchID) != len(f.SampleID) {
		return openflow.Errorf(openflow.CodeInvalid, "table has %d sample ids and %d match ids", len(f.SampleID), len(f.MatchID))
	}
	if !sameColumns(f.Schema, s) || len(f.Features) != len(s.Features) {
		return openflow.Errorf(openflow.CodeInvalid, "rows with %s and %d columns of values do not fit a table with %s",
			f.Schema, len(f.Features), s)
	}
	columns := s.Columns()
	for i, v := range f.Columns() {
		c := columns[i]
		if v.DType != c.DType {
			return openflow.Errorf(openflow.CodeInvalid, "column %q is %s, its values are %s", c.Name, c.DType.Word(), v.DType.Word())
		}
		if v.Len() != f.Rows() {
			return openflow.Errorf(openflow.CodeInvalid, "column %q has %d values for %d rows", c.Name, v.Len(), f.Rows())
		}
	}
	return nil
}

func sameColumns(a, b Schema) bool {
	return slices.EqualFunc(a.Columns(), b.Columns(), func(x, y Column) bool { return x.Name == y.Name && x.DType == y.DType }) &&
		a.SampleID == b.SampleID && a.MatchID == b.MatchID
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
