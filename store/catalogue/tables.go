package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"openflow"
)

// tableRow is a row of the table data_table.
type tableRow struct {
	Namespace    string `db:"namespace"`
	Name         string `db:"name"`
	Object       string `db:"object"`
	Bytes        int64  `db:"bytes"`
	Count        int64  `db:"row_count"`
	DataType     string `db:"data_type"`
	Intermediate bool   `db:"intermediate"`
	Created      int64  `db:"create_time" fieldtag:"first"`
	Updated      int64  `db:"update_time"`
	URI          string `db:"uri"`
	Source       string `db:"source"` // JSON
	Header       string `db:"header"` // JSON
	Meta         string `db:"meta"`
	Samples      string `db:"samples"`
}

var (
	tableColumns = columnsOf[tableRow]()
	saveTable    = tableColumns.save("data_table", "namespace", "name")
	tableIs      = `namespace = $1 and name = $2`
)

// tableSource is an openflow.TableSource as the column has it.
type tableSource struct {
	TaskID    openflow.TaskID   `json:"task_id,omitzero"`
	RunID     openflow.RunID    `json:"run_id,omitzero"`
	TaskName  openflow.TaskName `json:"task_name,omitzero"`
	Component string            `json:"component,omitzero"`
	OutputKey string            `json:"output_key,omitzero"`
	Index     int               `json:"index,omitzero"`
}

func (c *Catalogue) tableValues(t openflow.TableRecord) ([]any, error) {
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
	return tableColumns.values(tableRow{
		Namespace: t.Name.Namespace, Name: t.Name.Name, Object: t.Object, Bytes: t.Bytes, Count: t.Count, DataType: t.DataType,
		Intermediate: t.Intermediate, Created: orNow(t.CreateTime, now), Updated: now, URI: t.URI, Source: source, Header: header,
		Meta: string(t.Meta), Samples: string(t.Samples),
	}), nil
}

func scanTable(from row) (openflow.TableRecord, error) {
	r, err := tableColumns.scan(from)
	if err != nil {
		return openflow.TableRecord{}, err
	}
	t := openflow.TableRecord{
		Name: openflow.TableName{Namespace: r.Namespace, Name: r.Name}, Object: r.Object, Bytes: r.Bytes, Count: r.Count, DataType: r.DataType,
		Intermediate: r.Intermediate, CreateTime: timeOf(r.Created), UpdateTime: timeOf(r.Updated), URI: r.URI, Meta: raw(r.Meta), Samples: raw(r.Samples),
	}
	subject := "table " + t.Name.String()
	var source tableSource
	if err := decode(subject, r.Source, &source); err != nil {
		return t, err
	}
	t.Source = openflow.TableSource(source)
	return t, decode(subject, r.Header, &t.Header)
}

// SaveTable records a table, replacing one of that name; the time of creation stays the first one.
func (c *Catalogue) SaveTable(ctx context.Context, t openflow.TableRecord) error {
	args, err := c.tableValues(t)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, saveTable, args...)
	return classify("save table "+t.Name.String(), err)
}

// Table returns one table; CodeNotFound if there is none of that name.
func (c *Catalogue) Table(ctx context.Context, n openflow.TableName) (openflow.TableRecord, error) {
	t, err := scanTable(c.one(ctx, `select `+tableColumns.names+` from data_table where `+tableIs, n.Namespace, n.Name))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("table %s does not exist here", n)
	}
	return t, classify("read table "+n.String(), err)
}

// DeleteTable forgets a table; its object goes with the next sweep unless something else refers to it. CodeNotFound if
// there is none of that name; CodeConflict if a job that has not ended reads it by that name. The look and the deletion are
// one transaction, and so is the creation of a job: none begins in between.
func (c *Catalogue) DeleteTable(ctx context.Context, n openflow.TableName) error {
	err := c.write(ctx, func(t *tx) error {
		gone, err := t.exec(ctx, `delete from data_table where `+tableIs, n.Namespace, n.Name)
		if err != nil {
			return err
		}
		if gone == 0 {
			return notFound("table %s does not exist here", n)
		}
		return t.unread(ctx, n)
	})
	return openflow.About(openflow.AboutTable, classify("delete table "+n.String(), err))
}

// unread refuses, as CodeConflict, a table that a job reads which has not ended. It names a few of them.
func (t *tx) unread(ctx context.Context, n openflow.TableName) error {
	const few = 5
	readers, err := t.strings(ctx, `select distinct job.job_id from pin join job on job.job_id = pin.job_id and job.role = pin.role
		and job.party = pin.party and job.scheduler = pin.scheduler
		where pin.namespace = $1 and pin.name = $2 and job.status in ('ready', 'waiting', 'running') order by 1`, n.Namespace, n.Name)
	if err != nil || len(readers) == 0 {
		return err
	}
	named := strings.Join(readers[:min(len(readers), few)], ", ")
	if more := len(readers) - few; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return openflow.Errorf(openflow.CodeConflict, "table %s is read by jobs that have not ended: %s", n, named).
		WithHint("wait for them, or stop them, and delete it then")
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
	err := c.each(ctx, "select "+tableColumns.names+" from data_table"+w.String()+" order by namespace, name"+limits(f.Limit, 0), w.args,
		func(r row) error {
			t, err := scanTable(r)
			tables = append(tables, t)
			return err
		})
	return tables, classify("list tables", err)
}
