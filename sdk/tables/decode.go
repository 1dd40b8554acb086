package tables

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"

	"openflow"
)

// decodeBatch turns a record into a frame. Arrow checks that buffers are long enough for most types only when a value
// is read, by panicking; so everything that a hostile stream could lie about is checked here.
func decodeBatch(s Schema, record arrow.RecordBatch) (*Frame, error) {
	f := &Frame{Schema: s, Features: make([]Vector, 0, len(s.Features))}
	var err error
	if f.SampleID, err = decodeStrings(record.Column(0)); err != nil {
		return nil, columnError(s.SampleID, err)
	}
	if f.MatchID, err = decodeStrings(record.Column(1)); err != nil {
		return nil, columnError(s.MatchID, err)
	}
	columns := make([]Vector, 0, len(s.Features)+2)
	for i, c := range s.Columns() {
		v, err := decodeColumn(c.DType, record.Column(2+i))
		if err != nil {
			return nil, columnError(c.Name, err)
		}
		columns = append(columns, v)
	}
	if s.Label != nil {
		f.Label, columns = columns[0], columns[1:]
	}
	if s.Weight != nil {
		f.Weight, columns = columns[0], columns[1:]
	}
	f.Features = columns
	return f, f.checkColumns(s)
}

func columnError(name string, err error) error {
	return openflow.Errorf(openflow.CodeInvalid, "column %q of the table: %w", name, err)
}

func decodeColumn(d DType, a arrow.Array) (Vector, error) {
	if d.Kind() == Text {
		values, err := decodeStrings(a)
		return Vector{DType: d, Strings: values}, err
	}
	if err := checkBuffers(a); err != nil {
		return Vector{}, err
	}
	if d.Kind() == Integer && a.NullN() > 0 {
		return Vector{}, openflow.Errorf(openflow.CodeInvalid, "%d values are missing, which %s cannot express", a.NullN(), d)
	}
	v := Vector{DType: d}
	switch a := a.(type) {
	case *array.Int64:
		v.Ints = a.Int64Values()
	case *array.Int32:
		v.Ints = widen[int64](a.Int32Values())
	case *array.Boolean:
		v.Ints = make([]int64, a.Len())
		for i := range v.Ints {
			if a.Value(i) {
				v.Ints[i] = 1
			}
		}
	case *array.Float64:
		v.Floats = a.Float64Values()
	case *array.Float32:
		v.Floats = widen[float64](a.Float32Values())
	default:
		return Vector{}, openflow.Errorf(openflow.CodeInvalid, "values are %s, want %s", a.DataType(), d)
	}
	if a.NullN() > 0 {
		for i := range v.Floats {
			if a.IsNull(i) {
				v.Floats[i] = math.NaN()
			}
		}
	}
	return v, nil
}

// decodeStrings copies a column of text with one allocation for its bytes, so that keeping one id does not keep the
// whole batch in memory.
func decodeStrings(a arrow.Array) ([]string, error) {
	text, ok := a.(*array.String)
	if !ok {
		return nil, openflow.Errorf(openflow.CodeInvalid, "values are %s, want text", a.DataType())
	}
	if err := checkBuffers(a); err != nil {
		return nil, err
	}
	if a.NullN() > 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%d values are missing, which text cannot express", a.NullN())
	}
	values := make([]string, text.Len())
	if len(values) == 0 {
		return values, nil
	}
	var data []byte
	if b := a.Data().Buffers()[2]; b != nil {
		data = b.Bytes()
	}
	offsets := text.ValueOffsets()
	first, last := int(offsets[0]), int(offsets[len(values)])
	if first < 0 || last < first || last > len(data) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "text lies outside its batch")
	}
	all := string(data[first:last])
	for i := range values {
		lo, hi := int(offsets[i])-first, int(offsets[i+1])-first
		if lo < 0 || hi < lo || hi > len(all) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "text of row %d lies outside its batch", i)
		}
		values[i] = all[lo:hi]
	}
	return values, nil
}

func checkBuffers(a arrow.Array) error {
	d := a.Data()
	if valid := d.Buffers()[0]; d.NullN() != 0 && (valid == nil || int64(valid.Len()) < bitutil.BytesForBits(int64(d.Offset()+d.Len()))) {
		return openflow.Errorf(openflow.CodeInvalid, "batch is shorter than its number of rows")
	}
	bits := 0
	switch a.DataType().ID() {
	case arrow.BOOL:
		bits = 1
	case arrow.INT32, arrow.FLOAT32:
		bits = 32
	case arrow.INT64, arrow.FLOAT64:
		bits = 64
	case arrow.STRING:
		return nil // decodeStrings checks every offset; arrow checks that there are enough of them
	}
	have := 0
	if b := d.Buffers()[1]; b != nil {
		have = b.Len()
	}
	if int64(have) < bitutil.BytesForBits(int64(d.Offset()+d.Len())*int64(bits)) {
		return openflow.Errorf(openflow.CodeInvalid, "batch is shorter than its number of rows")
	}
	return nil
}

func widen[W, N int32 | int64 | float32 | float64](narrow []N) []W {
	wide := make([]W, len(narrow))
	for i, x := range narrow {
		wide[i] = W(x)
	}
	return wide
}
