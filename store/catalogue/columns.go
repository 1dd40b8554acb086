package catalogue

import (
	"slices"
	"strconv"
	"strings"

	"github.com/huandu/go-sqlbuilder"

	"openflow"
)

// columns are the columns of a table that a row of type R holds. Each is named once: by the tag db of its field. A field
// with fieldtag:"first" is not changed when a row of that key is saved again.
type columns[R any] struct {
	fields *sqlbuilder.Struct
	names  string // as a query lists them
}

func columnsOf[R any]() columns[R] {
	s := sqlbuilder.NewStruct(new(R))
	return columns[R]{s, strings.Join(s.Columns(), ", ")}
}

// insert is the statement that adds a row with the arguments of values.
func (c columns[R]) insert(table string) string {
	places := make([]string, len(c.fields.Columns()))
	for i := range places {
		places[i] = place(i)
	}
	return "insert into " + table + " (" + c.names + ") values (" + strings.Join(places, ", ") + ")"
}

// insertSelected is insert as a selection, so that a where clause can follow. PostgreSQL takes what is selected for text,
// unless it is told otherwise.
func (c columns[R]) insertSelected(table string) string {
	var none R
	places := make([]string, len(c.fields.Columns()))
	for i, value := range c.fields.Values(&none) {
		places[i] = place(i)
		switch value.(type) {
		case int, int64:
			places[i] = "cast(" + places[i] + " as bigint)"
		}
	}
	return "insert into " + table + " (" + c.names + ") select " + strings.Join(places, ", ")
}

// place is where a statement has the argument of a column.
func (c columns[R]) place(column string) string {
	return place(slices.Index(c.fields.Columns(), column))
}

func place(i int) string { return "$" + strconv.Itoa(i+1) }

// save is insert, or, where there is a row with that key, what replaces it.
func (c columns[R]) save(table string, key ...string) string {
	return c.insert(table) + c.replace(key...)
}

// have is the condition that these columns are the arguments of a statement, in order.
func (columns[R]) have(names ...string) string {
	conds := make([]string, len(names))
	for i, name := range names {
		conds[i] = name + " = " + place(i)
	}
	return strings.Join(conds, " and ")
}

// replace follows an insert, and has a row with that key replaced.
func (c columns[R]) replace(key ...string) string {
	var sets []string
	for _, name := range c.fields.WithoutTag("first").Columns() {
		if !slices.Contains(key, name) {
			sets = append(sets, name+" = excluded."+name)
		}
	}
	return " on conflict (" + strings.Join(key, ", ") + ") do update set " + strings.Join(sets, ", ")
}

// values are the arguments of a statement, in the order of the names.
func (c columns[R]) values(r R) []any { return c.fields.Values(&r) }

// scan reads a row of a query that lists the names.
func (c columns[R]) scan(from row) (r R, err error) {
	err = from.Scan(c.fields.Addr(&r)...)
	return r, err
}

// keyRow are the columns by which a job's row is found, in whichever table.
type keyRow struct {
	Job       string `db:"job_id"`
	Role      string `db:"role"`
	Party     string `db:"party"`
	Scheduler string `db:"scheduler"`
}

var keyColumns = columnsOf[keyRow]()

func rowOfKey(k openflow.JobKey) keyRow {
	return keyRow{string(k.Job), string(k.Party.Role), string(k.Party.ID), string(k.Scheduler)}
}

func (r keyRow) key() openflow.JobKey {
	return openflow.JobKey{
		Scheduler: openflow.PartyID(r.Scheduler), Job: openflow.JobID(r.Job),
		Party: openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.Party)},
	}
}

// needRow are the columns of what a job or task needs.
type needRow struct {
	Cores  int   `db:"cores"`
	Memory int64 `db:"memory"`
	GPUs   int   `db:"gpus"`
}

var needColumns = columnsOf[needRow]()

func (r needRow) resources() openflow.Resources { return openflow.Resources(r) }

// nameRow are the columns of a table's name.
type nameRow struct {
	Namespace string `db:"namespace"`
	Name      string `db:"name"`
}

var nameColumns = columnsOf[nameRow]()
