package catalogue

import (
	"context"
	"slices"
	"strings"

	"openflow"
)

// pinRow is a row of the table pin.
type pinRow struct {
	keyRow
	Task         string `db:"task_name"`
	Kind         string `db:"kind"`
	InputKey     string `db:"input_key"`
	Index        int    `db:"position"`
	Namespace    string `db:"namespace"`
	Name         string `db:"name"`
	SourceJob    string `db:"source_job"`
	ModelID      string `db:"model_id"`
	ModelVersion string `db:"model_version"`
	Producer     string `db:"producer"`
	OutputKey    string `db:"output_key"`
	Object       string `db:"object"`
	CutOf        string `db:"cut_of"`
	Columns      string `db:"columns"` // JSON
	Bytes        int64  `db:"bytes"`
	Count        int64  `db:"row_count"`
	DataType     string `db:"data_type"`
	Meta         string `db:"meta"`
	Origins      string `db:"origins"` // separated by line breaks
}

var (
	pinColumns = columnsOf[pinRow]()
	savePin    = pinColumns.insertSelected("pin") + whereStillThere(pinColumns.place)
)

// whereStillThere has a pin recorded if the name of a table still stands for its object, and otherwise if something refers
// to it. Between the look at a name and this statement the table could have been deleted or replaced. The object
// could have lost its last reference, and a sweep have taken it. A part of a table is new: what counts is the table.
func whereStillThere(place func(string) string) string {
	name, cut := place("name"), place("cut_of")
	object := `(case when ` + cut + ` <> '' then ` + cut + ` else ` + place("object") + ` end)`
	has := ` where object = ` + object + ` and object <> '')` // as the indices have it
	return ` where ` + object + ` = '' or (` + name + ` = '' or ` + place("source_job") + ` <> '')
		and (exists (select 1 from data_table` + has + ` or exists (select 1 from model` + has + ` or exists (select 1 from pin` + has + `)
		or exists (select 1 from data_table where namespace = ` + place("namespace") + ` and name = ` + name + ` and object = ` + object + `)`
}

func (t *tx) savePins(ctx context.Context, k openflow.JobKey, pins []openflow.Pin) error {
	for _, p := range pins {
		columns := ""
		if len(p.Columns) > 0 {
			var err error
			if columns, err = encode("the columns that "+k.String()+" has", p.Columns); err != nil {
				return err
			}
		}
		n, err := t.exec(ctx, savePin, pinColumns.values(pinRow{
			keyRow: rowOfKey(k), Task: string(p.Task), Kind: string(p.Kind), InputKey: p.InputKey, Index: p.Index, Namespace: p.Table.Namespace, Name: p.Table.Name,
			SourceJob: string(p.SourceJob), ModelID: p.Model.ID, ModelVersion: p.Model.Version, Producer: string(p.Producer),
			OutputKey: p.OutputKey, Object: p.Object, CutOf: p.CutOf, Columns: columns, Bytes: p.Bytes, Count: p.Count, DataType: p.DataType, Meta: string(p.Meta),
			Origins: strings.Join(p.Origins, "\n"),
		})...)
		if err != nil {
			return err
		}
		if n == 0 {
			return openflow.Errorf(openflow.CodeUnavailable, "%s: what its task %q reads was replaced while the job was created", k, p.Task).
				WithHint("submit it again")
		}
	}
	return nil
}

func scanPin(from row) (openflow.Pin, error) {
	r, err := pinColumns.scan(from)
	p := openflow.Pin{
		Task: openflow.TaskName(r.Task), Kind: openflow.InputKind(r.Kind), InputKey: r.InputKey, Index: r.Index,
		Table: openflow.TableName{Namespace: r.Namespace, Name: r.Name}, SourceJob: openflow.JobID(r.SourceJob),
		Model: openflow.ModelRef{ID: r.ModelID, Version: r.ModelVersion}, Producer: openflow.TaskName(r.Producer), OutputKey: r.OutputKey,
		Object: r.Object, CutOf: r.CutOf, Bytes: r.Bytes, Count: r.Count, DataType: r.DataType, Meta: raw(r.Meta),
	}
	if r.Origins != "" {
		p.Origins = strings.Split(r.Origins, "\n")
	}
	if err == nil && r.Columns != "" {
		err = decode("the columns that a job has of table "+p.Table.String(), r.Columns, &p.Columns)
	}
	return p, err
}

// Pins lists what a job keeps as it was at its creation, by task, input and position; none is no error.
func (c *Catalogue) Pins(ctx context.Context, k openflow.JobKey) ([]openflow.Pin, error) {
	return c.pinsWhere(ctx, k, "")
}

func (c *Catalogue) pinsWhere(ctx context.Context, k openflow.JobKey, and string, more ...any) ([]openflow.Pin, error) {
	var pins []openflow.Pin
	err := c.each(ctx, `select `+pinColumns.names+` from pin where `+jobKey+and+` order by task_name, kind, input_key, position`, keyArgs(k, more...),
		func(r row) error {
			p, err := scanPin(r)
			pins = append(pins, p)
			return err
		})
	return pins, classify("read what "+k.String()+" keeps", err)
}

// TableOf is the table of that name as the job has it: as it was pinned, otherwise as it is now. CodeNotFound: there is
// none.
func (c *Catalogue) TableOf(ctx context.Context, k openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error) {
	pins, err := c.pinsWhere(ctx, k, ` and kind = $5 and namespace = $6 and name = $7`, string(openflow.InputData), n.Namespace, n.Name)
	if err != nil {
		return openflow.TableRecord{}, err
	}
	now, err := c.Table(ctx, n)
	if len(pins) == 0 {
		return now, err
	}
	i := max(slices.IndexFunc(pins, func(p openflow.Pin) bool { return p.SourceJob == "" }), 0)
	if err == nil && now.Object == pins[i].Object {
		return now, err
	}
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return now, err
	}
	return pins[i].Record(), nil
}
