// Package excerpt makes the part of a table that a grant gives: some of its columns, as a table of its own.
//
// What a job does not get is not in what it reads. So nothing that its containers do can bring it to light. Start at [Cutter].
package excerpt

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"

	"openflow"
	"openflow/sdk/tables"
	"openflow/store/objects"
)

// Cutter cuts tables whose rows are objects.
type Cutter struct{ Objects objects.Store }

// Cut makes the part of a table that has these columns, in the order of the table, and keeps its rows as an object. Equal
// parts are one object. Columns that the table does not have are passed over. Errors: CodePermission (the rows have no
// granted id, are no table, or are kept elsewhere).
func (c Cutter) Cut(ctx context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error) {
	if rec.Object == "" {
		return rec, refuse(rec, "its rows are kept elsewhere, and a grant gives some of its columns only", "grant the whole table")
	}
	content, _, err := c.Objects.Get(ctx, rec.Object, 0)
	if err != nil {
		return rec, err
	}
	defer func() { _ = content.Close() }() // reading only
	in, err := tables.NewReader(content)
	if err != nil {
		return rec, refuse(rec, "it is no table with columns, and a grant gives some of its columns only", "grant the whole table")
	}
	whole := in.Schema()
	named := slices.Contains(columns, whole.SampleID)
	if !named && !slices.Contains(columns, whole.MatchID) {
		return rec, refuse(rec, "its rows are found by column "+whole.MatchID+", which the grant does not give", "grant that column too")
	}
	p := project(whole, columns)
	p.unnamed = !named
	samples, ref, err := c.write(ctx, in, p)
	if err != nil {
		return rec, err
	}
	if rec.Meta, err = p.schema.DataMeta(); err != nil {
		return rec, err
	}
	if rec.Samples, err = json.Marshal(samples); err != nil {
		return rec, openflow.Errorf(openflow.CodeInternal, "the first rows of a part of table %s: %w", rec.Name, err)
	}
	rec.Object, rec.Bytes, rec.Header = ref.Digest, ref.Bytes, p.schema.Names()
	return rec, nil
}

// refuse tells this site's users which column it is, and others that there is one.
func refuse(rec openflow.TableRecord, why, remedy string) error {
	return openflow.Errorf(openflow.CodePermission, "table %s: %s", rec.Name, why).WithHint("%s: openflow grant add", remedy).
		WithPublic("table %s: what is granted of it makes no table", rec.Name)
}

// part is what is left of a table.
type part struct {
	schema  tables.Schema
	kept    []int // the features, as the whole table counts them
	unnamed bool  // the column of sample ids is not granted
	rows    int   // written so far
}

// project leaves these columns. Anonymous names that nobody has seen yet are given anew: those of the whole table tell how
// many columns it has.
func project(whole tables.Schema, columns []string) *part {
	p := &part{schema: whole.Clone()}
	s := &p.schema
	s.Features = nil
	if s.Label != nil && !slices.Contains(columns, s.Label.Name) {
		s.Label = nil
	}
	if s.Weight != nil && !slices.Contains(columns, s.Weight.Name) {
		s.Weight = nil
	}
	for i, f := range whole.Features {
		if slices.Contains(columns, f.Name) {
			if whole.Site == "" {
				f.Anonymous = ""
			}
			s.Features, p.kept = append(s.Features, f), append(p.kept, i)
		}
	}
	if whole.Site == "" {
		s.Numbered = 0
		p.schema = s.Anonymize()
	}
	return p
}

// write writes the rows of the part. The object store reads what is written, so that no part is held in memory.
func (c Cutter) write(ctx context.Context, in *tables.Reader, p *part) (samples [][]any, ref objects.Ref, err error) {
	from, to := io.Pipe()
	written := make(chan error, 1)
	var out *tables.Writer
	go func() {
		err := func() (err error) {
			if out, err = tables.NewWriter(to, p.schema); err != nil {
				return err
			}
			for {
				f, err := in.Next()
				if errors.Is(err, io.EOF) {
					return out.Close()
				}
				if err != nil {
					return err
				}
				if err := out.Write(p.cut(f)); err != nil {
					return err
				}
			}
		}()
		_ = to.CloseWithError(err) // it never fails
		written <- err
	}()
	ref, err = c.Objects.Put(ctx, from)
	_ = from.CloseWithError(io.ErrClosedPipe) // ends the writer if the store has stopped reading
	if wrote := <-written; wrote != nil && err == nil {
		err = wrote
	}
	if err != nil {
		return nil, ref, err
	}
	return out.Overview().Samples, ref, nil
}

// cut is the rows of a frame with the columns of the part. A sample id that is not granted, and says more than the match id of
// its row, becomes the number of the row.
func (p *part) cut(f *tables.Frame) *tables.Frame {
	g := &tables.Frame{Schema: p.schema, SampleID: slices.Clone(f.SampleID), MatchID: f.MatchID}
	for i := range g.SampleID {
		p.rows++
		if p.unnamed && g.SampleID[i] != g.MatchID[i] {
			g.SampleID[i] = "row " + strconv.Itoa(p.rows)
		}
	}
	if p.schema.Label != nil {
		g.Label = f.Label
	}
	if p.schema.Weight != nil {
		g.Weight = f.Weight
	}
	for _, i := range p.kept {
		g.Features = append(g.Features, f.Features[i])
	}
	return g
}
