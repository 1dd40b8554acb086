// Package excerpt makes the part of a table that a grant gives: some of its columns, as a table of its own.
//
// What a job does not get is not in what it reads. So nothing that its containers do can bring it to light. Start at [Cutter].
package excerpt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"

	"openflow"
	"openflow/sdk/tables"
	"openflow/store/objects"
)

// Cutter cuts tables whose rows are objects. Several calls for one part at a time make it once, and it is not made again as long as
// its rows are there.
type Cutter struct {
	objects objects.Store
	turns   chan struct{} // one for each part that is being made

	mu     sync.Mutex
	making map[string]chan struct{} // closed once that is over
	made   map[string]part
	order  []string // of made, oldest first
}

// What a site does for all its peers at once.
const (
	atOnce     = 4   // parts that are being made: each reads and writes a whole table
	remembered = 100 // parts that were made last
)

// New is a cutter of tables in a store.
func New(store objects.Store) *Cutter {
	return &Cutter{objects: store, turns: make(chan struct{}, atOnce), making: map[string]chan struct{}{}, made: map[string]part{}}
}

// part is what was made of a table.
type part struct {
	object string
	bytes  int64
	header []string
	meta   json.RawMessage
	rows   json.RawMessage // for display
}

func (p part) of(rec openflow.TableRecord) openflow.TableRecord {
	rec.Object, rec.Bytes, rec.Header, rec.Meta, rec.Samples = p.object, p.bytes, p.header, p.meta, p.rows
	return rec
}

// Outline is what is told of the part of a table that has these columns, without making it: it has no rows. Errors are those of
// Cut.
func (c *Cutter) Outline(ctx context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error) {
	_, p, done, err := c.open(ctx, rec, columns)
	if err != nil {
		return rec, err
	}
	done()
	rec.Object, rec.Bytes, rec.Samples, rec.Header = "", 0, nil, p.schema.Names()
	rec.Meta, err = p.schema.DataMeta()
	return rec, err
}

// Check tells why columns of a table cannot be granted: it has no such ones, or its rows cannot be told apart by them. What it has is
// in the hint. Errors: CodeInvalid.
func (c *Cutter) Check(ctx context.Context, rec openflow.TableRecord, columns []string) error {
	part, _, done, err := c.open(ctx, rec, columns)
	if done != nil {
		done()
	}
	has := slices.Clone(rec.Header)
	if err == nil {
		has = part.Schema().Names()
	}
	slices.Sort(has)
	has = slices.Compact(has)
	for _, name := range columns {
		if len(has) > 0 && !slices.Contains(has, name) {
			return openflow.Errorf(openflow.CodeInvalid, "table %s has no column %q", rec.Name, name).WithHint("it has: %s", openflow.Cut(strings.Join(has, ", "), 2<<10))
		}
	}
	var e *openflow.Error
	if errors.As(err, &e) && e.Code == openflow.CodePermission {
		no := *e
		no.Code = openflow.CodeInvalid
		return &no
	}
	return err
}

// Cut makes the part of a table that has these columns, in the order of the table, and keeps its rows as an object. Equal
// parts are one object. Columns that the table does not have are passed over. Errors: CodePermission (the rows have no
// granted id, are no table, or are kept elsewhere).
func (c *Cutter) Cut(ctx context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error) {
	key := fmt.Sprintf("%s %q", rec.Object, columns)
	for {
		p, known, wait := c.begin(key)
		switch {
		case known:
			_, err := c.objects.Stat(ctx, p.object)
			if openflow.CodeOf(err) != openflow.CodeNotFound {
				return p.of(rec), err
			}
			c.forget(key) // nothing has named it for a while
		case wait != nil:
			select {
			case <-wait:
			case <-ctx.Done():
				return rec, openflow.Errorf(openflow.CodeDeadline, "table %s: a part of it was not made in time: %w", rec.Name, ctx.Err())
			}
		default:
			p, err := c.turn(ctx, rec, columns)
			c.end(key, p, err)
			return p.of(rec), err
		}
	}
}

// Has tells whether the rows of a part are there.
func (c *Cutter) Has(ctx context.Context, object string) (bool, error) {
	_, err := c.objects.Stat(ctx, object)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, nil
	}
	return err == nil, err
}

// begin finds a part that was made, or who is making it. With neither, the caller makes it.
func (c *Cutter) begin(key string) (p part, known bool, wait chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, known = c.made[key]; known {
		return p, true, nil
	}
	if wait = c.making[key]; wait == nil {
		c.making[key] = make(chan struct{})
	}
	return part{}, false, wait
}

func (c *Cutter) end(key string, p part, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.making[key])
	delete(c.making, key)
	if err != nil {
		return
	}
	c.made[key], c.order = p, append(c.order, key)
	if len(c.order) > remembered {
		delete(c.made, c.order[0])
		c.order = slices.Delete(c.order, 0, 1)
	}
}

func (c *Cutter) forget(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.made, key)
	c.order = slices.DeleteFunc(c.order, func(k string) bool { return k == key })
}

// turn makes a part once few others are being made.
func (c *Cutter) turn(ctx context.Context, rec openflow.TableRecord, columns []string) (part, error) {
	select {
	case c.turns <- struct{}{}:
	case <-ctx.Done():
		return part{}, openflow.Errorf(openflow.CodeDeadline, "table %s: a part of it was not made in time: %w", rec.Name, ctx.Err())
	}
	defer func() { <-c.turns }()
	return c.make(ctx, rec, columns)
}

func (c *Cutter) make(ctx context.Context, rec openflow.TableRecord, columns []string) (part, error) {
	in, p, done, err := c.open(ctx, rec, columns)
	if err != nil {
		return part{}, err
	}
	defer done()
	samples, ref, err := c.write(ctx, in, p)
	if err != nil {
		return part{}, err
	}
	made := part{object: ref.Digest, bytes: ref.Bytes, header: p.schema.Names()}
	if made.meta, err = p.schema.DataMeta(); err != nil {
		return part{}, err
	}
	if made.rows, err = json.Marshal(samples); err != nil {
		return part{}, openflow.Errorf(openflow.CodeInternal, "the first rows of a part of table %s: %w", rec.Name, err)
	}
	return made, nil
}

// open begins to read a table, and tells what is left of it. The caller ends the reading with done.
func (c *Cutter) open(ctx context.Context, rec openflow.TableRecord, columns []string) (in *tables.Reader, p *projection, done func(), err error) {
	if rec.Object == "" {
		return nil, nil, nil, refuse(rec, "its rows are kept elsewhere, and a grant gives some of its columns only", "grant the whole table")
	}
	content, _, err := c.objects.Get(ctx, rec.Object, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	done = func() { _ = content.Close() } // reading only
	if in, err = tables.NewReader(content); err != nil {
		done()
		return nil, nil, nil, refuse(rec, "it is no table with columns, and a grant gives some of its columns only", "grant the whole table")
	}
	whole := in.Schema()
	named := slices.Contains(columns, whole.SampleID)
	if !named && !slices.Contains(columns, whole.MatchID) {
		done()
		return in, nil, nil, refuse(rec, "its rows are found by column "+whole.MatchID+", which the grant does not give", "grant that column too")
	}
	p = project(whole, columns)
	p.unnamed = !named
	return in, p, done, nil
}

// refuse tells this site's users which column it is, and others that there is one.
func refuse(rec openflow.TableRecord, why, remedy string) error {
	return openflow.Errorf(openflow.CodePermission, "table %s: %s", rec.Name, why).WithHint("%s: openflow grant add", remedy).
		WithPublic("table %s: what is granted of it makes no table", rec.Name)
}

// projection is what is left of a table.
type projection struct {
	schema  tables.Schema
	kept    []int // the features, as the whole table counts them
	unnamed bool  // the column of sample ids is not granted
	rows    int   // written so far
}

// project leaves these columns. Anonymous names that nobody has seen yet are given anew: those of the whole table tell how
// many columns it has.
func project(whole tables.Schema, columns []string) *projection {
	p := &projection{schema: whole.Clone()}
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
func (c *Cutter) write(ctx context.Context, in *tables.Reader, p *projection) (samples [][]any, ref objects.Ref, err error) {
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
	ref, err = c.objects.Put(ctx, from)
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
func (p *projection) cut(f *tables.Frame) *tables.Frame {
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
