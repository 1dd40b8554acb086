package embedded

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const (
	visibilityTable = "executions_visibility"
	fullTextTables  = visibilityTable + "_fts" // prefix of the virtual tables that index it
	previousTable   = "previous_" + visibilityTable
)

// object is one entry of sqlite_master.
type object struct{ kind, table, sql string }

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// schemaObjects returns the tables, indexes and triggers of a database by name, without those that SQLite makes itself.
func schemaObjects(ctx context.Context, q querier) (map[string]object, error) {
	rows, err := q.QueryContext(ctx, "select type, name, tbl_name, sql from sqlite_master where sql is not null")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	objects := map[string]object{}
	for rows.Next() {
		var name string
		var o object
		if err := rows.Scan(&o.kind, &name, &o.table, &o.sql); err != nil {
			return nil, err
		}
		objects[name] = o
	}
	return objects, rows.Err()
}

// dropTables drops all tables of objects. Virtual tables go first: they take their shadow tables along.
func dropTables(ctx context.Context, tx *sql.Tx, objects map[string]object) error {
	var virtual, plain []string
	for name, o := range objects {
		switch {
		case o.kind != "table" || strings.HasPrefix(name, "sqlite_"):
		case strings.HasPrefix(strings.ToLower(o.sql), "create virtual"):
			virtual = append(virtual, name)
		default:
			plain = append(plain, name)
		}
	}
	for _, name := range append(virtual, plain...) {
		if err := drop(ctx, tx, "table", name); err != nil {
			return err
		}
	}
	return nil
}

func drop(ctx context.Context, tx *sql.Tx, kind, name string) error {
	_, err := tx.ExecContext(ctx, fmt.Sprintf("drop %s if exists %q", kind, name))
	return err
}

// refreshVisibility rebuilds the visibility table when its definition is not the shipped one. The server changes that
// definition without a version and without a migration, and SQLite cannot add stored generated columns.
func refreshVisibility(ctx context.Context, tx *sql.Tx) error {
	have, err := schemaObjects(ctx, tx)
	if err != nil {
		return err
	}
	want, err := shippedVisibility(ctx)
	if err != nil {
		return err
	}
	if contains(have, want) {
		return nil
	}
	for name, o := range have {
		if o.kind != "table" && o.table == visibilityTable {
			if err := drop(ctx, tx, o.kind, name); err != nil {
				return err
			}
		}
	}
	maps.DeleteFunc(have, func(name string, _ object) bool { return !strings.HasPrefix(name, fullTextTables) })
	if err := dropTables(ctx, tx, have); err != nil {
		return err
	}
	return moveRows(ctx, tx)
}

// contains reports whether every object of want is in have, with the same definition.
func contains(have, want map[string]object) bool {
	for name, o := range want {
		if have[name] != o {
			return false
		}
	}
	return true
}

// shippedVisibility returns what the shipped visibility schema consists of, as SQLite sees it.
func shippedVisibility(ctx context.Context) (map[string]object, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // every connection would have its own memory
	if err := inTx(ctx, db, func(tx *sql.Tx) error { return execAssets(ctx, tx, visibilitySchema) }); err != nil {
		return nil, err
	}
	return schemaObjects(ctx, db)
}

// moveRows makes the visibility tables anew and fills them with the plain columns of the previous table; generated
// columns and full-text tables follow from those.
func moveRows(ctx context.Context, tx *sql.Tx) error {
	rename := fmt.Sprintf("alter table %s rename to %s", visibilityTable, previousTable)
	if _, err := tx.ExecContext(ctx, rename); err != nil {
		return err
	}
	if err := execAssets(ctx, tx, visibilitySchema); err != nil {
		return err
	}
	before, err := plainColumns(ctx, tx, previousTable)
	if err != nil {
		return err
	}
	after, err := plainColumns(ctx, tx, visibilityTable)
	if err != nil {
		return err
	}
	common := slices.DeleteFunc(after, func(c string) bool { return !slices.Contains(before, c) })
	list := strings.Join(common, ", ")
	fill := fmt.Sprintf("insert into %s (%s) select %s from %s", visibilityTable, list, list, previousTable)
	if _, err := tx.ExecContext(ctx, fill); err != nil {
		return err
	}
	return drop(ctx, tx, "table", previousTable)
}

// plainColumns returns the columns of table that are stored as given, quoted.
func plainColumns(ctx context.Context, tx *sql.Tx, table string) ([]string, error) {
	rows, err := tx.QueryContext(ctx, "select name from pragma_table_xinfo($1) where hidden = 0", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, fmt.Sprintf("%q", name))
	}
	return names, rows.Err()
}
