package catalogue_test

import (
	"database/sql"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/store/catalogue"
)

// Every index answers a statement of ours, on both engines: one that answers none costs each write something.
func TestEveryIndexIsUsed(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		mustOpen(t, place)
		p := planner(t, place)
		var names []string
		for _, line := range p.rows("select " + p.name + " where " + p.ours) {
			names = append(names, strings.TrimSpace(line))
		}
		require.ElementsMatch(t, slices.Collect(maps.Keys(catalogue.IndexedQueries)), names)
		for name, query := range catalogue.IndexedQueries {
			require.Regexp(t, `\b`+name+`\b`, p.explain(query))
		}
		pins := p.explain(catalogue.SavePin)
		for _, name := range []string{"data_table_object", "model_object", "pin_object"} {
			require.Regexp(t, `\b`+name+`\b`, pins, "a pin is recorded without reading all rows")
		}
	})
}

// plans asks an engine how it would run a statement.
type plans struct {
	t    *testing.T
	db   *sql.DB
	how  string // what asks for a plan
	name string // where the engine lists indices, and which are those of the migration
	ours string
}

func planner(t *testing.T, place catalogue.Options) *plans {
	p := &plans{t: t, how: "explain query plan ", name: "name from sqlite_master", ours: "type = 'index' and sql is not null and tbl_name <> 'goose_db_version'"}
	driver, name := "sqlite", "file:"+(&url.URL{Path: place.File}).EscapedPath()
	if place.URL != "" {
		p.how, p.name = "explain ", "indexname from pg_indexes"
		p.ours = "schemaname = current_schema() and indexname not like '%_pkey' and tablename <> 'goose_db_version'"
		driver, name = "pgx", place.URL
	}
	var err error
	p.db, err = sql.Open(driver, name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.db.Close()) })
	p.db.SetMaxOpenConns(1)
	if place.URL != "" { // of empty tables it would read all
		for _, way := range []string{"seqscan", "sort"} {
			_, err := p.db.ExecContext(t.Context(), "set enable_"+way+" = off")
			require.NoError(t, err)
		}
	}
	return p
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

func (p *plans) explain(query string) string {
	most := 0
	for _, m := range placeholder.FindAllStringSubmatch(query, -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(p.t, err)
		most = max(most, n)
	}
	return strings.Join(p.rows(p.how+query, slices.Repeat([]any{"1"}, most)...), "\n")
}

// rows are what a query gives, a line each.
func (p *plans) rows(query string, args ...any) []string {
	rows, err := p.db.QueryContext(p.t.Context(), query, args...)
	require.NoError(p.t, err, query)
	columns, err := rows.Columns()
	require.NoError(p.t, err)
	var lines []string
	for rows.Next() {
		values, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			to[i] = &values[i]
		}
		require.NoError(p.t, rows.Scan(to...))
		lines = append(lines, strings.Trim(fmt.Sprint(values...), "[]"))
	}
	require.NoError(p.t, rows.Err())
	require.NoError(p.t, rows.Close())
	return lines
}
