package catalogue_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
	"openflow/tests/fuzzing"
)

// with replaces a part of a database's URL.
func with(t *testing.T, text string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	change(u)
	return u.String()
}

func TestOpenServerRefuses(t *testing.T) {
	good := postgrestest.Database(t)
	stranger := "a stranger"
	for name, c := range map[string]struct {
		url  string
		code openflow.Code
		say  string
	}{
		"not a URL":        {"postgres://u:secret word@h/d", openflow.CodeInvalid, "not a postgres:// URL"},
		"another database": {"mysql://u:secret@h/d", openflow.CodeInvalid, "not a postgres:// URL"},
		"no database":      {"postgres://u:secret@h:5432", openflow.CodeInvalid, "h:5432 names no database"},
		"unknown mode":     {"postgres://u:secret@h/d?sslmode=perhaps", openflow.CodeInvalid, "settings"},
		"wrong password": {with(t, good, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "secret") }),
			openflow.CodeUnauthorized, "pg_hba.conf"},
		"unknown user": {with(t, good, func(u *url.URL) { u.User = url.UserPassword(stranger, "secret") }),
			openflow.CodeUnauthorized, stranger},
		"missing database": {with(t, good, func(u *url.URL) { u.Path = "/nowhere" }), openflow.CodeNotFound, "createdb"},
		"nobody listens":   {with(t, good, func(u *url.URL) { u.Host = "127.0.0.1:1" }), openflow.CodeUnavailable, "127.0.0.1:1/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := catalogue.Open(t.Context(), catalogue.Options{URL: c.url})
			requireCode(t, c.code, err)
			require.ErrorContains(t, err, c.say)
			require.NotContains(t, err.Error(), "secret")
			password, _ := mustParse(t, good).User.Password()
			require.NotContains(t, err.Error(), password)
		})
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u
}

// What the driver says, produced in earnest.
func TestClassifyServerErrors(t *testing.T) {
	db, err := sql.Open("pgx", postgrestest.Database(t))
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	fails := func(queries ...string) error {
		t.Helper()
		err := execAll(db, queries...)
		require.Error(t, err)
		return err
	}
	for name, test := range map[string]struct {
		err  error
		code openflow.Code
		say  string
	}{
		"unique": {fails(`create table x (id text primary key)`, `insert into x values ('a')`, `insert into x values ('a')`),
			openflow.CodeConflict, "exists already"},
		"standby": {fails(`set default_transaction_read_only = on`, `insert into x values ('b')`),
			openflow.CodeUnavailable, "primary"},
		"forbidden": {fails(`set default_transaction_read_only = off`, `create role nobody`, `set role nobody`, `select * from x`),
			openflow.CodePermission, "own the schema"},
		"cut": {fails(`reset role`, `select pg_terminate_backend(pg_backend_pid())`), openflow.CodeUnavailable, "PostgreSQL runs"},
		"odd": {fails(`select 1/0`), openflow.CodeInternal, "doing"},
	} {
		t.Run(name, func(t *testing.T) {
			err := catalogue.Classify("doing", test.err)
			requireCode(t, test.code, err)
			require.ErrorContains(t, err, test.say)
			require.ErrorIs(t, err, test.err, "the cause is kept")
		})
	}
}

// Two transactions that wait for each other: the server ends one of them, which a repeat heals.
func TestDeadlockIsBusy(t *testing.T) {
	ctx := t.Context()
	db, err := sql.Open("pgx", postgrestest.Database(t))
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, execAll(db, `create table x (id text primary key, n bigint)`, `insert into x values ('a', 0), ('b', 0)`))
	one, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	two, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	_, err = one.ExecContext(ctx, `update x set n = 1 where id = 'a'`)
	require.NoError(t, err)
	_, err = two.ExecContext(ctx, `update x set n = 2 where id = 'b'`)
	require.NoError(t, err)
	lost := make(chan error, 1)
	go func() {
		_, err := one.ExecContext(ctx, `update x set n = 1 where id = 'b'`)
		lost <- errors.Join(err, one.Rollback())
	}()
	_, err = two.ExecContext(ctx, `update x set n = 2 where id = 'a'`)
	require.NoError(t, two.Rollback())
	err = errors.Join(err, <-lost)
	require.Error(t, err)
	calls := 0
	require.NoError(t, catalogue.RetryBusy(func() error {
		if calls++; calls == 1 {
			return err
		}
		return nil
	}))
	require.Equal(t, 2, calls)
	requireCode(t, openflow.CodeUnavailable, catalogue.Classify("doing", err))
}

func TestServerGoesAndComesBack(t *testing.T) {
	s := postgrestest.Start(t)
	c := mustOpen(t, catalogue.Options{URL: s.Database(t)})
	ctx := t.Context()
	require.NoError(t, c.SetMeta(ctx, "a", "b"))
	s.Stop(t)
	for what, err := range map[string]error{
		"write": c.SetMeta(ctx, "a", "c"),
		"read":  func() error { _, err := c.Meta(ctx, "a"); return err }(),
		"transaction": func() error {
			_, err := c.MetaOnce(ctx, "a", "c")
			return err
		}(),
	} {
		require.Equalf(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%s: %v", what, err)
		require.NotContains(t, err.Error(), s.Password())
	}
	s.Restart(t)
	got, err := c.Meta(ctx, "a")
	require.NoError(t, err, "the catalogue connects again by itself")
	require.Equal(t, "b", got)
}

func TestServerWithoutConnectionsLeft(t *testing.T) {
	s := postgrestest.Start(t)
	place := s.Database(t)
	db, err := sql.Open("pgx", place)
	require.NoError(t, err)
	defer db.Close()
	require.NoError(t, execAll(db, `create role ann login password 'p' connection limit 0`, `create role bob login password 'p'`,
		`alter database `+strings.Trim(mustParse(t, place).Path, "/")+` connection limit 1`))
	for _, user := range []string{"ann", "bob"} { // db holds the one connection of the database
		_, err = catalogue.Open(t.Context(), catalogue.Options{URL: with(t, place, func(u *url.URL) { u.User = url.UserPassword(user, "p") })})
		requireCode(t, openflow.CodeUnavailable, err)
		require.ErrorContains(t, err, "max_connections")
	}
}

// Containers write what they like; PostgreSQL's texts are stricter than SQLite's.
func TestTextsOfAnyBytes(t *testing.T) { onEngines(t, testTextsOfAnyBytes) }

func testTextsOfAnyBytes(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "j", guest)
	odd := "before\x00\xff\xfeafter"
	require.NoError(t, c.SetJobReason(ctx, j.Key(), odd))
	_, err := c.FinishTask(ctx, tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed, Reason: odd, ErrorReport: odd})
	require.NoError(t, err)
	require.NoError(t, c.AppendMetrics(ctx, tasks[0].Key, []openflow.MetricRecord{{
		Task: tasks[0].Key, Name: odd, Data: json.RawMessage("\"\xff\""),
	}}))
	_, err = c.DeleteModels(ctx, catalogue.ModelFilter{ModelID: odd})
	require.NoError(t, err)
	_, _, err = c.JobsWhere(ctx, catalogue.JobFilter{User: odd})
	require.NoError(t, err)
	got, err := c.Job(ctx, j.Key())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(got.Reason, "before") && strings.HasSuffix(got.Reason, "after"), "%q", got.Reason)
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"postgres://u:hidden-word@h:5432/d?sslmode=disable", "postgresql://h/d", "postgres:///d?host=/run/postgresql", "",
		"postgres://u:hidden-word@h1,h2:1/d?target_session_attrs=read-write", "postgres://u:hidden-word@[::1/d", "u:hidden-word@h/d",
		"postgres://u:hidden-word@h/d?sslmode=x", "postgres://h/d?password=hidden-word&port=x", "postgres://%zz:hidden-word@h/d",
	} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		config, place, err := catalogue.ParseURL(s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			if strings.Count(s, "hidden-word") == 1 && (strings.Contains(s, ":hidden-word@") || strings.Contains(s, "?password=hidden-word")) {
				require.NotContains(t, fmt.Sprint(err), "hidden-word")
			}
			return
		}
		require.NotEmpty(t, config.Database)
		if config.Password != "" && strings.Contains(s, ":hidden-word@") {
			require.NotContains(t, place, "hidden-word")
		}
	})
}
