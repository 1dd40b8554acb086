package tables

import (
	"errors"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"openflow"
)

// Reader reads a table batch by batch. Not safe for concurrent use.
type Reader struct {
	schema Schema
	in     *ipc.Reader
	source io.Reader
	err    error // what ended the stream
}

// NewReader begins to read an Arrow IPC stream. It reads the schema at once.
//
// Errors: CodeInvalid when r is not such a stream, or not one that holds a table.
func NewReader(r io.Reader) (*Reader, error) {
	in, err := ipc.NewReaderFromMessageReader(messages{r}, ipc.WithAllocator(memory.NewGoAllocator()))
	if err != nil {
		return nil, streamError(err)
	}
	s, err := tableSchema(in.Schema())
	if err != nil {
		in.Release()
		return nil, err
	}
	return &Reader{schema: s, in: in, source: r}, nil
}

// Schema is the schema of the table.
func (r *Reader) Schema() Schema { return r.schema }

// SetSite makes the schema that of the federated task of site, here and in all batches read later; see Schema.AtSite.
func (r *Reader) SetSite(site string) error {
	s, err := r.schema.AtSite(site)
	if err != nil {
		return err
	}
	r.schema = s
	return nil
}

// Next reads the next batch, which has at least one row. It returns io.EOF after the last one.
//
// Errors: CodeInvalid for a stream that breaks off or whose content contradicts its schema.
func (r *Reader) Next() (*Frame, error) {
	for r.err == nil {
		if !r.in.Next() {
			r.err = io.EOF
			if err := r.in.Err(); err != nil {
				r.err = streamError(err)
			}
			break
		}
		f, err := decodeBatch(r.schema, r.in.RecordBatch())
		if err != nil {
			r.err = err
			break
		}
		if f.Rows() > 0 {
			return f, nil
		}
	}
	return nil, r.err
}

// Close ends reading; it closes the underlying stream when that is an io.Closer.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = openflow.Errorf(openflow.CodeInvalid, "table is read after its reader was closed")
	}
	r.in.Release()
	if c, ok := r.source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// ReadAll reads the rest of the table into one frame.
func (r *Reader) ReadAll() (*Frame, error) {
	all := &Frame{Schema: r.schema, Features: make([]Vector, len(r.schema.Features))}
	if c := r.schema.Label; c != nil {
		all.Label.DType = c.DType
	}
	if c := r.schema.Weight; c != nil {
		all.Weight.DType = c.DType
	}
	for i, c := range r.schema.Features {
		all.Features[i].DType = c.DType
	}
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if err := all.Append(f); err != nil {
			return nil, err
		}
	}
}

// ReadAll reads a whole table from r.
func ReadAll(r io.Reader) (*Frame, error) {
	in, err := NewReader(r)
	if err != nil {
		return nil, err
	}
	return in.ReadAll()
}

func streamError(err error) error {
	var e *openflow.Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return openflow.Errorf(openflow.CodeInvalid, "table breaks off before its end: %w", err)
	}
	return openflow.Errorf(openflow.CodeInvalid, "table is not a readable Arrow stream: %w", err)
}

func tableSchema(a *arrow.Schema) (Schema, error) {
	meta, ok := a.Metadata().GetValue(metaKey)
	if !ok {
		return Schema{}, openflow.Errorf(openflow.CodeInvalid, "Arrow stream has no %q in the metadata of its schema", metaKey)
	}
	s, err := ParseDataMeta([]byte(meta))
	if err != nil {
		return Schema{}, err
	}
	want, err := arrowSchema(s)
	if err != nil {
		return Schema{}, err
	}
	if a.NumFields() != want.NumFields() {
		return Schema{}, openflow.Errorf(openflow.CodeInvalid, "table has %d columns, its data meta names %d", a.NumFields(), want.NumFields())
	}
	for i, f := range a.Fields() {
		w := want.Field(i)
		if f.Name != w.Name || f.Type.ID() != w.Type.ID() {
			return Schema{}, openflow.Errorf(openflow.CodeInvalid, "column %d of the table is %q of type %s, its data meta says %q of type %s",
				i, f.Name, f.Type, w.Name, w.Type)
		}
	}
	return s, nil
}
