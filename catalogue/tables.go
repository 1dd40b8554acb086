package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

const tableColumns = `namespace, name, object, bytes, row_count, data_type, intermediate, create_time, update_time, uri,
	source, header, meta, samples`

// tableSource is an openflow.TableSource as the column has it.
type tableSource struct {
	TaskID      openflow.TaskID      `json:"task_id,omitzero"`
	ExecutionID openflow.ExecutionID `json:"execution_id,omitzero"`
	TaskName    openflow.TaskName    `json:"task_name,omitzero"`
	Component   string               `json:"component,omitzero"`
	OutputKey   string               `json:"output_key,omitzero"`
	Index       int                  `json:"index,omitzero"`
}

const saveTable = `insert into data_table (` + tableColumns + `) values
	($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
	on conflict (namespace, name) do update set object = excluded.object, bytes = excluded.bytes,
	row_count = excluded.row_count, data_type = excluded.data_type, intermediate = excluded.intermediate,
	update_time = excluded.update_time, uri = excluded.uri, source = excluded.source, header = excluded.header,
	meta = excluded.meta, samples = excluded.samples`

func (c *Catalogue) tableRow(t openflow.TableRecord) ([]any, error) {
	subject := "table " + t.Name.String()
	if t.Name.Namespace == "" || t.Name.Name == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: a table needs a namespace and a name", subject)
	}
	if err := checkRaw("meta or samples of "+subject, t.Meta, t.Samples); err != nil {
		return nil, err
	}
	source, err := encode(subject, tableSource(t.Source))
	if err != nil {
		return nil, err
	}
	header, err := encode(subject, t.Header)
	if err != nil {
		return nil, err
	}
	now := c.stamp()
	return []any{
		t.Name.Namespace, t.Name.Name, t.Object, t.Bytes, t.Count, t.DataType, t.Intermediate, orNow(t.CreateTime, now), now,
		t.URI, source, header, string(t.Meta), string(t.Samples),
	}, nil
}

func scanTable(r row) (openflow.TableRecord, error) {
	var t openflow.TableRecord
	var created, updated int64
	var source, header, meta, samples string
	err := r.Scan(&t.Name.Namespace, &t.Name.Name, &t.Object, &t.Bytes, &t.Count, &t.DataType, &t.Intermediate, &created, &updated,
		&t.URI, &source, &header, &meta, &samples)
	if err != nil {
		return t, err
	}
	t.CreateTime, t.UpdateTime, t.Meta, t.Samples = timeOf(created), timeOf(updated), raw(meta), raw(samples)
	subject := "table " + t.Name.String()
	var from tableSource
	if err := decode(subject, source, &from); err != nil {
		return t, err
	}
	t.Source = openflow.TableSource(from)
	return t, decode(subject, header, &t.Header)
}

// SaveTable records a table, replacing one of that name; the time of creation stays the first one.
func (c *Catalogue) SaveTable(ctx context.Context, t openflow.TableRecord) error {
	args, err := c.tableRow(t)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, saveTable, args...)
	return classify("save table "+t.Name.String(), err)
}

// Table returns one table; CodeNotFound if there is none of that name.
func (c *Catalogue) Table(ctx context.Context, n openflow.TableName) (openflow.TableRecord, error) {
	t, err := scanTable(c.one(ctx, `select `+tableColumns+` from data_table where namespace = $1 and name = $2`, n.Namespace, n.Name))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("table %s does not exist here", n)
	}
	return t, classify("read table "+n.String(), err)
}

// DeleteTable forgets a table; its object goes with the next sweep unless something else refers to it. CodeNotFound if
// there is none of that name.
func (c *Catalogue) DeleteTable(ctx context.Context, n openflow.TableName) error {
	gone, err := c.exec(ctx, `delete from data_table where namespace = $1 and name = $2`, n.Namespace, n.Name)
	if err == nil && gone == 0 {
		return notFound("table %s does not exist here", n)
	}
	return classify("delete table "+n.String(), err)
}

// TableFilter selects tables; the zero value selects all.
type TableFilter struct {
	Namespace        string
	NameContains     string
	SkipIntermediate bool // leave out what belongs to jobs
	Limit            int  // 0: all
	After            openflow.TableName
}

// TableList lists tables by namespace and name. The page after begins at After, the name of the last table before.
func (c *Catalogue) TableList(ctx context.Context, f TableFilter) ([]openflow.TableRecord, error) {
	w := &where{}
	w.equal("namespace", f.Namespace)
	w.contains("name", f.NameContains)
	if f.SkipIntermediate {
		w.add("not intermediate")
	}
	if f.After != (openflow.TableName{}) {
		w.add("(namespace, name) > (?, ?)", f.After.Namespace, f.After.Name)
	}
	var tables []openflow.TableRecord
	err := c.each(ctx, "select "+tableColumns+" from data_table"+w.String()+" order by namespace, name"+limits(f.Limit, 0), w.args,
		func(r row) error {
			t, err := scanTable(r)
			tables = append(tables, t)
			return err
		})
	return tables, classify("list tables", err)
}
