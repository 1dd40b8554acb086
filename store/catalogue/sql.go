package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
)

// attempts bounds how often a transaction that lost against another process is run again.
const attempts = 3

// row is what a single-row query gives; *sql.Row and *sql.Rows both are one.
type row interface{ Scan(dest ...any) error }

// prepared returns query as a statement of db, parsed once. Only constant texts may come here, and those that filtered counts: the cache never shrinks.
func (c *Catalogue) prepared(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	key := statementKey{db, query}
	c.mu.Lock()
	st := c.statements[key]
	c.mu.Unlock()
	if st != nil {
		return st, nil
	}
	st, err := db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	other := c.statements[key]
	if other == nil {
		c.statements[key] = st
	}
	c.mu.Unlock()
	if other != nil { // closed without c.mu: the close waits for a connection that may wait for a writer, who takes c.mu
		return other, st.Close()
	}
	return st, nil
}

// one reads a single row of a constant query outside any transaction.
func (c *Catalogue) one(ctx context.Context, query string, args ...any) row {
	st, err := c.prepared(ctx, c.reader, query)
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(ctx, c.fit(args)...)
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

// exec runs a single constant statement as its own transaction and says how many rows it touched.
func (c *Catalogue) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	err := retryBusy(func() error {
		st, err := c.prepared(ctx, c.writer, query)
		if err != nil {
			return err
		}
		res, err := st.ExecContext(ctx, c.fit(args)...)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return n, err
}

// maxFiltered bounds the statements that are kept of queries which are put together for a filter: a list of values has a text
// for each length, and a page one for each offset. Later ones are parsed each time.
const maxFiltered = 500

// filtered is prepared for such a query; nil: enough of them are kept.
func (c *Catalogue) filtered(ctx context.Context, query string) (*sql.Stmt, error) {
	c.mu.Lock()
	_, known := c.statements[statementKey{c.reader, query}]
	full := !known && c.filters >= maxFiltered
	c.mu.Unlock()
	if full {
		return nil, nil
	}
	st, err := c.prepared(ctx, c.reader, query)
	if err == nil && !known {
		c.mu.Lock()
		c.filters++
		c.mu.Unlock()
	}
	return st, err
}

// each reads every row of a query that is put together for its filter. SQLite takes longer to parse most of them than to run
// them.
func (c *Catalogue) each(ctx context.Context, query string, args []any, scan func(row) error) error {
	st, err := c.filtered(ctx, query)
	if err != nil {
		return err
	}
	var rows *sql.Rows
	if st != nil {
		rows, err = st.QueryContext(ctx, c.fit(args)...)
	} else {
		rows, err = c.reader.QueryContext(ctx, query, c.fit(args)...)
	}
	if err != nil {
		return err
	}
	return scanAll(rows, scan)
}

// scanAll reads the rows and closes them.
func scanAll(rows *sql.Rows, scan func(row) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tx is a write transaction. Statements run prepared; the ones that are new are prepared after its end, because
// SQLite's one writing connection is busy until then.
type tx struct {
	c    *Catalogue
	tx   *sql.Tx
	seen []string
}

// write runs do in a transaction, as the only writing transaction there is, and commits unless it fails. When another
// process holds the database it runs do again, so do must not change anything outside. Single statements of others may
// come between those of do: what do decides by must be a row that it changes or one that only transactions change.
func (c *Catalogue) write(ctx context.Context, do func(*tx) error) error {
	return retryBusy(func() error { return c.writeOnce(ctx, do) })
}

func retryBusy(do func() error) error {
	var err error
	for range attempts {
		if err = do(); faultOf(err) != faultBusy {
			return err
		}
	}
	return err
}

func (c *Catalogue) writeOnce(ctx context.Context, do func(*tx) error) error {
	t, err := c.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	w := &tx{c: c, tx: t}
	if c.lock != "" {
		_, err = t.ExecContext(ctx, c.lock)
	}
	if err == nil {
		err = do(w)
	}
	if err != nil {
		_ = t.Rollback() // err says why; a connection that cannot roll back is dropped by database/sql
		return err
	}
	if err := t.Commit(); err != nil {
		return err
	}
	for _, q := range w.seen {
		if _, err := c.prepared(ctx, c.writer, q); err != nil {
			break // committed all the same; the next use prepares again
		}
	}
	return nil
}

func (t *tx) statement(ctx context.Context, query string) *sql.Stmt {
	t.c.mu.Lock()
	st := t.c.statements[statementKey{t.c.writer, query}]
	t.c.mu.Unlock()
	if st == nil {
		t.seen = append(t.seen, query)
		return nil
	}
	return t.tx.StmtContext(ctx, st)
}

// exec runs a constant statement and says how many rows it touched.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var res sql.Result
	var err error
	if st := t.statement(ctx, query); st != nil {
		res, err = st.ExecContext(ctx, t.c.fit(args)...)
	} else {
		res, err = t.tx.ExecContext(ctx, query, t.c.fit(args)...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// one runs a constant query or a statement with a returning clause.
func (t *tx) one(ctx context.Context, query string, args ...any) row {
	if st := t.statement(ctx, query); st != nil {
		return st.QueryRowContext(ctx, t.c.fit(args)...)
	}
	return t.tx.QueryRowContext(ctx, query, t.c.fit(args)...)
}

// strings reads the one column of a constant query.
func (t *tx) strings(ctx context.Context, query string, args ...any) (values []string, err error) {
	err = t.each(ctx, query, func(r row) error {
		var s string
		err := r.Scan(&s)
		values = append(values, s)
		return err
	}, args...)
	return values, err
}

// each reads every row of a constant query.
func (t *tx) each(ctx context.Context, query string, scan func(row) error, args ...any) (err error) {
	var rows *sql.Rows
	if st := t.statement(ctx, query); st != nil {
		rows, err = st.QueryContext(ctx, t.c.fit(args)...)
	} else {
		rows, err = t.tx.QueryContext(ctx, query, t.c.fit(args)...)
	}
	if err != nil {
		return err
	}
	return scanAll(rows, scan)
}

// where collects the conditions of a filter with their numbered placeholders.
type where struct {
	conds []string
	args  []any
}

// add appends a condition; every "?" in it becomes the next placeholder.
func (w *where) add(cond string, args ...any) {
	var b strings.Builder
	next := len(w.args)
	for _, r := range cond {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		next++
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(next))
	}
	w.conds = append(w.conds, b.String())
	w.args = append(w.args, args...)
}

// equal adds column = value unless value is empty.
func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

// contains adds a search for part of a text, whatever its case, unless part is empty.
func (w *where) contains(column, part string) {
	if part == "" {
		return
	}
	esc := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(part))
	w.add("lower("+column+`) like ? escape '\'`, "%"+esc+"%")
}

// in adds column in (values) unless there are none.
func in[S ~string](w *where, column string, values []S) {
	if len(values) == 0 {
		return
	}
	args := make([]any, len(values))
	for i, v := range values {
		args[i] = string(v)
	}
	w.add(column+" in ("+strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ")+")", args...)
}

// String renders the where clause with a leading space, or nothing.
func (w *where) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " where " + strings.Join(w.conds, " and ")
}

// quoted renders constants of ours as an SQL list.
func quoted[S ~string](values []S) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = "'" + strings.ReplaceAll(string(v), "'", "''") + "'"
	}
	return "(" + strings.Join(list, ", ") + ")"
}
