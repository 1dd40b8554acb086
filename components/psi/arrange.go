package psi

import (
	"context"
	"errors"
	"io"
	"os"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

// bucketRows is how many output rows are in memory at once.
var bucketRows = 1 << 17

// none ends a chain of output rows.
const none = -1

// arrangement says which input rows make up the output, in which order, and what their sample ids become. An input row
// may occur several times.
type arrangement struct {
	sampleIDs []string // of the output rows
	heads     []int32  // input row → one of its output rows, or none
	next      []int32  // output row → another one of the same input row, or none
}

func newArrangement(inputRows int) arrangement {
	heads := make([]int32, inputRows)
	for i := range heads {
		heads[i] = none
	}
	return arrangement{heads: heads}
}

// add makes input row the next output row.
func (a *arrangement) add(row int, sampleID string) {
	a.next = append(a.next, a.heads[row])
	a.heads[row] = int32(len(a.sampleIDs))
	a.sampleIDs = append(a.sampleIDs, sampleID)
}

func (a *arrangement) rows() int { return len(a.sampleIDs) }

// write reads the input a second time and writes the output. Each stretch of bucketRows output rows is collected on its
// own, in memory when it is the only one and in a temporary file otherwise, then put in order and written.
func (a *arrangement) write(ctx context.Context, t *component.Task) (err error) {
	in, err := t.Table(ctx, inputKey)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := t.WriteTable(ctx, outputKey, in.Schema())
	if err != nil {
		return err
	}
	if err := a.copy(in, out.Writer); err != nil {
		return errors.Join(err, out.Abort())
	}
	return out.Close(ctx)
}

func (a *arrangement) copy(in *tables.Reader, out *tables.Writer) (err error) {
	buckets := make([]*bucket, (a.rows()+bucketRows-1)/bucketRows)
	defer func() {
		for _, b := range buckets {
			err = errors.Join(err, b.close())
		}
	}()
	for i := range buckets {
		if buckets[i], err = newBucket(in.Schema(), len(buckets) > 1); err != nil {
			return err
		}
	}
	if err := a.distribute(in, buckets); err != nil {
		return err
	}
	for i, b := range buckets {
		lo := i * bucketRows
		f, err := b.ordered(lo, min(bucketRows, a.rows()-lo))
		if err != nil {
			return err
		}
		f.SampleID = a.sampleIDs[lo : lo+f.Rows()]
		if err := out.Write(f); err != nil {
			return err
		}
	}
	return nil
}

// distribute puts every input row into the buckets of its output rows.
func (a *arrangement) distribute(in *tables.Reader, buckets []*bucket) error {
	for first := 0; ; {
		f, err := in.Next()
		if errors.Is(err, io.EOF) {
			if first != len(a.heads) {
				return changed(len(a.heads), first)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if first+f.Rows() > len(a.heads) {
			return changed(len(a.heads), first+f.Rows())
		}
		for i := range f.Rows() {
			for o := a.heads[first+i]; o != none; o = a.next[o] {
				buckets[int(o)/bucketRows].take(i, o)
			}
		}
		for _, b := range buckets {
			if err := b.keep(f); err != nil {
				return err
			}
		}
		first += f.Rows()
	}
}

func changed(before, now int) error {
	return openflow.Errorf(openflow.CodeConflict, "input table had %d rows when it was read for its ids, now %d", before, now).
		WithPublic("its input changed while it was read")
}

// bucket collects the rows of one stretch of the output in the order in which the input has them.
type bucket struct {
	places []int32       // of the rows kept: their output rows
	picked []int         // rows of the current batch that belong here
	memory *tables.Frame // nil: rows are in file
	file   *os.File
	writer *tables.Writer
}

func newBucket(s tables.Schema, onDisk bool) (*bucket, error) {
	if !onDisk {
		return &bucket{memory: emptyFrame(s)}, nil
	}
	file, err := os.CreateTemp("", "openflow-psi-*")
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "no temporary file for the result: %w", err).
			WithHint("give the container a writable temporary directory")
	}
	b := &bucket{file: file}
	if b.writer, err = tables.NewWriter(file, s); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func emptyFrame(s tables.Schema) *tables.Frame {
	f := &tables.Frame{Schema: s, Features: make([]tables.Vector, len(s.Features))}
	for i, c := range s.Features {
		f.Features[i].DType = c.DType
	}
	if s.Label != nil {
		f.Label.DType = s.Label.DType
	}
	if s.Weight != nil {
		f.Weight.DType = s.Weight.DType
	}
	return f
}

// take notes that row i of the current batch becomes output row o.
func (b *bucket) take(i int, o int32) {
	b.picked = append(b.picked, i)
	b.places = append(b.places, o)
}

// keep stores the noted rows of batch f.
func (b *bucket) keep(f *tables.Frame) error {
	if len(b.picked) == 0 {
		return nil
	}
	rows := f.Take(b.picked)
	b.picked = b.picked[:0]
	if b.memory != nil {
		return b.memory.Append(rows)
	}
	return b.writer.Write(rows)
}

// ordered returns the bucket's rows, which are output rows lo…lo+n−1, in output order.
func (b *bucket) ordered(lo, n int) (*tables.Frame, error) {
	f := b.memory
	if f == nil {
		var err error
		if f, err = b.readBack(); err != nil {
			return nil, err
		}
	}
	if f.Rows() != n {
		return nil, openflow.Errorf(openflow.CodeInternal, "a stretch of the result has %d rows, not %d", f.Rows(), n)
	}
	order := make([]int, n)
	for i, o := range b.places {
		order[int(o)-lo] = i
	}
	return f.Take(order), nil
}

func (b *bucket) readBack() (*tables.Frame, error) {
	if err := b.writer.Close(); err != nil {
		return nil, err
	}
	if _, err := b.file.Seek(0, io.SeekStart); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "temporary file of the result: %w", err)
	}
	return tables.ReadAll(b.file)
}

func (b *bucket) close() error {
	if b == nil || b.file == nil {
		return nil
	}
	return errors.Join(b.file.Close(), os.Remove(b.file.Name()))
}
