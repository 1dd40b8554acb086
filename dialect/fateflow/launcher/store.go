package launcher

import (
	"context"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

// storeScript reads and writes tables of the engine in which a component keeps its data. The provider's own interpreter runs it with
// the provider's own library, since only that knows the engine's files. What it is asked is a JSON object; what it answers lies in
// files of the run.
//
//go:embed store.py
var storeScript string

// What the script answers, in bytes: a schema, and rows.
const (
	maxSchema = 64 << 20
	maxRows   = 1 << 40
)

// question is what the script is asked: to give a file of rows to the engine as a table, or to take a table out as such a file.
type question struct {
	Do         string     `json:"do"` // give or take
	URI        string     `json:"uri"`
	Rows       string     `json:"rows"`   // CSV without a header
	Answer     string     `json:"answer"` // JSON: data_meta of a table that was given; names of the columns of one that was taken
	Schema     any        `json:"schema"` // data_meta
	Site       string     `json:"site,omitempty"`
	Partitions int        `json:"partitions"`
	Computing  computing  `json:"computing"`
	Federation federation `json:"federation"`
}

// ask runs the script. Its engine session is its own: what the component has left in its session does not matter.
func (w *wrapper) ask(ctx context.Context, q question) error {
	q.Computing.Metadata.ID += "_" + q.Do + "_" + filepath.Base(q.Rows)
	// The script reaches nobody, whatever wires the component has.
	q.Federation.Type, q.Federation.Metadata.Engine = standalone, nil
	q.Rows, q.Answer = filepath.Join(w.work, q.Rows), filepath.Join(w.work, q.Answer)
	raw, err := json.Marshal(q)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "a question to the component's engine: %w", err)
	}
	p := w.python
	p.extra = append(append([]string(nil), p.extra...), "OF_STORE=1")
	_, err = p.run(ctx, strings.NewReader(string(raw)), "-c", storeScript)
	if err != nil && ctx.Err() == nil {
		return openflow.Errorf(openflow.CodeRejected, "the component's own engine did not %s table %s; the log tells more", q.Do, q.URI)
	}
	return err
}

// give puts a file of rows into the engine, and tells how the engine describes the table.
func (w *wrapper) give(ctx context.Context, c conf, schema tables.Schema, file, uri string) (json.RawMessage, error) {
	meta, err := schema.DataMeta()
	if err != nil {
		return nil, err
	}
	answer := file + ".meta"
	err = w.ask(ctx, question{Do: "give", URI: uri, Rows: file, Answer: answer, Schema: meta, Site: schema.Site, Partitions: max(w.told.Partitions, 1),
		Computing: c.Computing, Federation: c.Federation})
	if err != nil {
		return nil, err
	}
	raw, err := readFile(w.root, answer, maxSchema)
	if err == nil && !json.Valid(raw) {
		err = openflow.Errorf(openflow.CodeInvalid, "the engine describes the table in no JSON")
	}
	return raw, err
}

// batchRows is how many rows are taken over at once.
const batchRows = 8192

// takeTable takes a table out of the engine, and makes it the output key. Every row arrives, or it is an error.
func (w *wrapper) takeTable(ctx context.Context, t *component.Task, c conf, key string, index int, a writtenArtifact) (err error) {
	schema, err := tables.ParseDataMeta(a.Metadata.Metadata["schema"])
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "its final meta does not describe the columns: %w", err)
	}
	file := filepath.Join(outputsFolder, key+"-"+strconv.Itoa(index)+".csv")
	err = w.ask(ctx, question{Do: "take", URI: a.URI, Rows: file, Answer: file + ".meta", Schema: a.Metadata.Metadata["schema"], Partitions: 1,
		Computing: c.Computing, Federation: c.Federation})
	if err != nil {
		return err
	}
	order, err := w.columns(file+".meta", schema)
	if err != nil {
		return err
	}
	rows, err := openFile(w.root, file, maxRows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	out, err := t.WriteTable(ctx, key, schema)
	if err != nil {
		return err
	}
	n, err := copyRows(ctx, out, rows, schema, order)
	if said := a.Metadata.DataOverview; err == nil && said != nil && said.Count != nil && *said.Count != n {
		err = openflow.Errorf(openflow.CodeInvalid, "its final meta tells of %d rows, and its engine has %d", *said.Count, n)
	}
	if err != nil {
		return errors.Join(err, out.Abort())
	}
	return out.Close(ctx)
}

// columns finds each column of a schema among those that the script names. Both have the same, each once.
func (w *wrapper) columns(answer string, schema tables.Schema) ([]int, error) {
	raw, err := readFile(w.root, answer, maxSchema)
	var names []string
	if err == nil {
		err = openflow.BoundedJSON(raw, maxMetaValues)
	}
	if err == nil {
		err = json.Unmarshal(raw, &names)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the columns of the engine's table: %w", err)
	}
	at := map[string]int{}
	for i, name := range names {
		at[name] = i
	}
	want := schema.Names()
	if schema.SampleID == schema.MatchID {
		want = want[1:]
	}
	order := make([]int, 0, len(want)+1)
	for _, name := range schema.Names() {
		i, ok := at[name]
		if !ok {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the engine's table has no column %q", openflow.Cut(name, 80))
		}
		order = append(order, i)
	}
	if len(at) != len(names) || len(names) != len(want) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the engine's table has %d columns, and its description %d", len(names), len(want))
	}
	return order, nil
}

// rowsTo is where rows go.
type rowsTo interface{ Write(*tables.Frame) error }

// copyRows reads CSV without a header. It tells how many rows there were.
func copyRows(ctx context.Context, to rowsTo, from io.Reader, schema tables.Schema, order []int) (n int64, err error) {
	r := csv.NewReader(from)
	r.ReuseRecord = true
	types := schema.Columns()
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		frame := &tables.Frame{Schema: schema}
		columns := make([]tables.Vector, len(types))
		for i, c := range types {
			columns[i].DType = c.DType
		}
		for frame.Rows() < batchRows {
			row, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || len(row) != len(order) && (schema.SampleID != schema.MatchID || len(row) != len(order)-1) {
				return n, openflow.Errorf(openflow.CodeInvalid, "row %d of the engine's table is not readable: %w", n+int64(frame.Rows())+1, errors.Join(err))
			}
			frame.SampleID, frame.MatchID = append(frame.SampleID, strings.Clone(row[order[0]])), append(frame.MatchID, strings.Clone(row[order[1]]))
			for i := range columns {
				if err := add(&columns[i], row[order[2+i]]); err != nil {
					return n, openflow.Errorf(openflow.CodeInvalid, "row %d of the engine's table, column %q: %w", n+int64(frame.Rows()), types[i].Name, err)
				}
			}
		}
		if frame.Rows() == 0 {
			return n, nil
		}
		if n += int64(frame.Rows()); schema.Label != nil {
			frame.Label, columns = columns[0], columns[1:]
		}
		if schema.Weight != nil {
			frame.Weight, columns = columns[0], columns[1:]
		}
		frame.Features = columns
		if err := to.Write(frame); err != nil {
			return n, err
		}
	}
}

// add reads a value as Python writes it, into a column of a type.
func add(c *tables.Vector, text string) error {
	switch c.DType.Kind() {
	case tables.Integer:
		switch text {
		case "True":
			text = "1"
		case "False":
			text = "0"
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if f, wrong := strconv.ParseFloat(text, 64); err != nil && wrong == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			n, err = int64(f), nil // a library that keeps all numbers as floats writes 1.0
		}
		c.Ints = append(c.Ints, n)
		return err
	case tables.Float:
		f, err := strconv.ParseFloat(text, 64)
		c.Floats = append(c.Floats, f)
		return err
	default:
		c.Strings = append(c.Strings, strings.Clone(text))
		return nil
	}
}
