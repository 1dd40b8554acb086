package tables

import (
	"io"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"openflow"
)

// A batch ends at whichever bound comes first, so that a reader's memory does not depend on the writer's habits.
const (
	batchRows  = 8192
	batchBytes = 1 << 20
)

// maxSamples is how many rows an overview shows. There are fewer where they are wide, and a text is cut, because all of
// them stand in one row of a catalogue.
//
// Spec: fate-components §1.6 (data_overview).
const (
	maxSamples     = 100
	maxSampleBytes = 4 << 20 // of all cells, before the last row
	maxSampleText  = 1 << 10 // bytes of one cell
)

// metaKey is the key in the metadata of the Arrow schema that holds Schema.DataMeta.
const metaKey = "data_meta"

// Overview is what a catalogue keeps to show a table without opening it.
type Overview struct {
	Rows    int     // of the whole table
	Samples [][]any // up to 100 first rows, fewer of wide ones, values in the order of Schema.Names, as Vector.At has them; a missing number is nil
}

// Writer writes rows as an Arrow IPC stream in bounded batches. It buffers at most one batch. Not safe for concurrent
// use; nothing that it wrote is a table before Close has returned nil.
type Writer struct {
	schema   Schema
	out      *ipc.Writer
	batch    *array.RecordBuilder
	rows     int // in batch
	bytes    int // in batch, estimated
	overview Overview
	sampled  int // bytes in the samples of overview
}

// NewWriter begins a table with s on w. The caller closes w after Close.
func NewWriter(w io.Writer, s Schema) (*Writer, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	schema, err := arrowSchema(s)
	if err != nil {
		return nil, err
	}
	mem := memory.NewGoAllocator()
	return &Writer{
		schema: s.Clone(),
		out:    ipc.NewWriter(w, ipc.WithSchema(schema), ipc.WithAllocator(mem)),
		batch:  array.NewRecordBuilder(mem, schema),
	}, nil
}

// Write appends the rows of f, whose columns must be those of the schema.
func (w *Writer) Write(f *Frame) error {
	if err := f.checkColumns(w.schema); err != nil {
		return err
	}
	w.sample(f)
	fixed := 8 * (2 + len(f.Features))
	texts := textColumns(f)
	for lo := 0; lo < f.Rows(); {
		hi := lo
		for hi < f.Rows() && w.rows+hi-lo < batchRows && w.bytes < batchBytes {
			w.bytes += fixed
			for _, t := range texts {
				w.bytes += len(t[hi])
			}
			hi++
		}
		if err := w.fill(f, lo, hi); err != nil {
			return err
		}
		w.rows += hi - lo
		lo = hi
		if w.rows >= batchRows || w.bytes >= batchBytes {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	w.overview.Rows += f.Rows()
	return nil
}

// Overview tells what has been written so far.
func (w *Writer) Overview() Overview { return w.overview }

// Schema is the schema given to NewWriter.
func (w *Writer) Schema() Schema { return w.schema }

// Close writes what is buffered and the end mark. It does not close the underlying writer.
func (w *Writer) Close() error {
	if w.rows > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.batch.Release()
	if err := w.out.Close(); err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "table could not be written: %w", err)
	}
	return nil
}

func (w *Writer) flush() error {
	record := w.batch.NewRecordBatch()
	defer record.Release()
	w.rows, w.bytes = 0, 0
	if err := w.out.Write(record); err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "table could not be written: %w", err)
	}
	return nil
}

func (w *Writer) fill(f *Frame, lo, hi int) error {
	w.batch.Field(0).(*array.StringBuilder).AppendValues(f.SampleID[lo:hi], nil)
	w.batch.Field(1).(*array.StringBuilder).AppendValues(f.MatchID[lo:hi], nil)
	for i, v := range f.Columns() {
		if err := fillColumn(w.batch.Field(2+i), v.Slice(lo, hi)); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "column %q: %w", w.schema.Columns()[i].Name, err)
		}
	}
	return nil
}

func fillColumn(b array.Builder, v Vector) error {
	switch b := b.(type) {
	case *array.StringBuilder:
		b.AppendValues(v.Strings, nil)
	case *array.Int64Builder:
		b.AppendValues(v.Ints, nil)
	case *array.Float64Builder:
		b.AppendValues(v.Floats, nil)
	case *array.Int32Builder:
		for _, x := range v.Ints {
			if x < math.MinInt32 || x > math.MaxInt32 {
				return openflow.Errorf(openflow.CodeInvalid, "%d does not fit int32", x)
			}
			b.Append(int32(x))
		}
	case *array.Float32Builder:
		for _, x := range v.Floats {
			b.Append(float32(x))
		}
	case *array.BooleanBuilder:
		for _, x := range v.Ints {
			b.Append(x != 0)
		}
	}
	return nil
}

func (w *Writer) sample(f *Frame) {
	columns := f.Columns()
	for i := 0; i < f.Rows() && len(w.overview.Samples) < maxSamples && w.sampled < maxSampleBytes; i++ {
		row := []any{sampleText(f.SampleID[i]), sampleText(f.MatchID[i])}
		for _, v := range columns {
			x := v.At(i)
			if v.DType.Kind() == Float && !finite(x) {
				x = nil // JSON has no such number
			}
			if text, ok := x.(string); ok {
				x = sampleText(text)
			}
			row = append(row, x)
		}
		for _, x := range row {
			text, _ := x.(string)
			w.sampled += 8 + len(text)
		}
		w.overview.Samples = append(w.overview.Samples, row)
	}
}

// sampleText is the begin of a long text. A copy lets go of the batch that it is part of.
func sampleText(s string) string {
	if len(s) <= maxSampleText {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s[:maxSampleText], "") + "…"
}

// finite reports whether x, a float of either width, is a number and not infinite.
func finite(x any) bool {
	n, ok := x.(float64)
	if narrow, is := x.(float32); is {
		n, ok = float64(narrow), true
	}
	return ok && !math.IsNaN(n) && !math.IsInf(n, 0)
}

func textColumns(f *Frame) [][]string {
	texts := [][]string{f.SampleID, f.MatchID}
	for _, v := range f.Columns() {
		if v.DType.Kind() == Text {
			texts = append(texts, v.Strings)
		}
	}
	return texts
}

func arrowSchema(s Schema) (*arrow.Schema, error) {
	meta, err := s.DataMeta()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "schema of a table: %w", err)
	}
	fields := []arrow.Field{{Name: s.SampleID, Type: arrow.BinaryTypes.String}, {Name: s.MatchID, Type: arrow.BinaryTypes.String}}
	for _, c := range s.Columns() {
		fields = append(fields, arrow.Field{Name: c.Name, Type: arrowType(c.DType), Nullable: c.DType.Kind() == Float})
	}
	m := arrow.NewMetadata([]string{metaKey}, []string{string(meta)})
	return arrow.NewSchema(fields, &m), nil
}

func arrowType(d DType) arrow.DataType {
	switch d {
	case Int32:
		return arrow.PrimitiveTypes.Int32
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case Float32:
		return arrow.PrimitiveTypes.Float32
	case Float64:
		return arrow.PrimitiveTypes.Float64
	case Bool:
		return arrow.FixedWidthTypes.Boolean
	case Index, Object:
		return arrow.BinaryTypes.String
	}
	return arrow.BinaryTypes.String
}
