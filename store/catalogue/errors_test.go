package catalogue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// rawDB opens a database past the catalogue, to make it fail in earnest.
func rawDB(t *testing.T, file, query string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+file+query)
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func execAll(db *sql.DB, queries ...string) error {
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil { //nolint:noctx // a test
			return err
		}
	}
	return nil
}

// busyError is what a second writer gets that does not wait.
func busyError(t *testing.T) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.db")
	one, two := rawDB(t, file, ""), rawDB(t, file, "?_pragma=busy_timeout(0)")
	require.NoError(t, execAll(one, `create table x (id text primary key)`, `begin immediate`))
	err := execAll(two, `begin immediate`)
	require.Error(t, err)
	return err
}

func fullError(t *testing.T) error {
	t.Helper()
	db := rawDB(t, filepath.Join(t.TempDir(), "c.db"), "")
	require.NoError(t, execAll(db, `create table x (id text primary key)`, `pragma max_page_count = 4`))
	err := execAll(db, `insert into x values ('`+strings.Repeat("x", 1<<20)+`')`)
	require.Error(t, err)
	return err
}

func uniqueError(t *testing.T) error {
	t.Helper()
	db := rawDB(t, filepath.Join(t.TempDir(), "c.db"), "")
	require.NoError(t, execAll(db, `create table x (id text primary key)`, `insert into x values ('a')`))
	err := execAll(db, `insert into x values ('a')`)
	require.Error(t, err)
	return err
}

func TestClassify(t *testing.T) {
	ours := openflow.Errorf(openflow.CodePermission, "ours")
	for name, test := range map[string]struct {
		err  error
		code openflow.Code
		say  string
	}{
		"nothing":       {nil, "", ""},
		"ours":          {ours, openflow.CodePermission, "ours"},
		"busy":          {busyError(t), openflow.CodeUnavailable, "busy"},
		"full":          {fullError(t), openflow.CodeExhausted, "free space"},
		"unique":        {uniqueError(t), openflow.CodeConflict, "exists already"},
		"canceled":      {fmt.Errorf("x: %w", context.Canceled), openflow.CodeCanceled, "doing"},
		"out of time":   {context.DeadlineExceeded, openflow.CodeDeadline, "doing"},
		"closed":        {sql.ErrConnDone, openflow.CodeUnavailable, "doing"},
		"anything else": {errors.New("odd"), openflow.CodeInternal, "doing: odd"},
	} {
		t.Run(name, func(t *testing.T) {
			err := catalogue.Classify("doing", test.err)
			requireCode(t, test.code, err)
			if test.err == nil {
				return
			}
			require.ErrorContains(t, err, test.say)
			require.ErrorIs(t, err, test.err, "the cause is kept")
		})
	}
}

func TestRetryBusy(t *testing.T) {
	busy, odd := busyError(t), errors.New("odd")
	for name, test := range map[string]struct {
		results []error
		want    error
		calls   int
	}{
		"at once":             {[]error{nil}, nil, 1},
		"busy twice":          {[]error{busy, busy, nil}, nil, 3},
		"busy for too long":   {[]error{busy, busy, busy, nil}, busy, 3},
		"others are not busy": {[]error{odd, nil}, odd, 1},
		"busy, then another":  {[]error{busy, odd, nil}, odd, 2},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			err := catalogue.RetryBusy(func() error { calls++; return test.results[calls-1] })
			require.Equal(t, test.want, err)
			require.Equal(t, test.calls, calls)
		})
	}
}

// A transaction that fails half way leaves nothing: here the second task of the job exists already.
func TestCreateJobIsAllOrNothing(t *testing.T) { onEngines(t, testCreateJobIsAllOrNothing) }

func testCreateJobIsAllOrNothing(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := sampleJob("j", guest)
	tasks[1].Key = tasks[0].Key
	requireCode(t, openflow.CodeConflict, c.CreateJob(t.Context(), j, tasks))
	_, err := c.Job(t.Context(), j.Key())
	requireCode(t, openflow.CodeNotFound, err)
	n, err := c.CountTasks(t.Context(), catalogue.TaskFilter{})
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestDamagedRowsAreNamed(t *testing.T) { atEngines(t, testDamagedRowsAreNamed) }

func testDamagedRowsAreNamed(t *testing.T, place catalogue.Options) {
	c := mustOpen(t, place)
	j, tasks := createJob(t, c, "j", guest)
	rawExec(t, place, `update job set dag = '{"Tasks":'`)
	rawExec(t, place, `update task set spec = '[]'`)
	_, err := c.Job(t.Context(), j.Key())
	requireCode(t, openflow.CodeInternal, err)
	require.ErrorContains(t, err, "the DAG of job j in the catalogue is damaged")
	_, err = c.Task(t.Context(), tasks[0].Key)
	requireCode(t, openflow.CodeInternal, err)
	require.ErrorContains(t, err, "reader_0")
}

func TestCallsAfterClose(t *testing.T) { atEngines(t, testCallsAfterClose) }

func testCallsAfterClose(t *testing.T, place catalogue.Options) {
	c, err := catalogue.Open(t.Context(), place)
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Error(t, c.SetMeta(t.Context(), "a", "b"))
	_, err = c.Meta(t.Context(), "a")
	require.Error(t, err)
}
