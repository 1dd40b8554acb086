package catalogue

import (
	"slices"
	"strconv"
	"strings"

	"github.com/huandu/go-sqlbuilder"
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
		places[i] = "$" + strconv.Itoa(i+1)
	}
	return "insert into " + table + " (" + c.names + ") values (" + strings.Join(places, ", ") + ")"
}

// save is insert, or, where there is a row with that key, what replaces it.
func (c columns[R]) save(table string, key ...string) string {
	var sets []string
	for _, name := range c.fields.WithoutTag("first").Columns() {
		if !slices.Contains(key, name) {
			sets = append(sets, name+" = excluded."+name)
		}
	}
	return c.insert(table) + " on conflict (" + strings.Join(key, ", ") + ") do update set " + strings.Join(sets, ", ")
}

// values are the arguments of a statement, in the order of the names.
func (c columns[R]) values(r R) []any { return c.fields.Values(&r) }

// scan reads a row of a query that lists the names.
func (c columns[R]) scan(from row) (r R, err error) {
	err = from.Scan(c.fields.Addr(&r)...)
	return r, err
}
