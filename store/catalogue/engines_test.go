package catalogue_test

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
)

func TestMain(m *testing.M) {
	if place := os.Getenv(takerPlace); place != "" {
		os.Exit(takeUses(place))
	}
	code := m.Run()
	postgrestest.Stop()
	os.Exit(code)
}

// engines make the place of a new catalogue, by the name of the database that keeps it.
var engines = map[string]func(tb testing.TB) catalogue.Options{
	"sqlite": func(tb testing.TB) catalogue.Options {
		return catalogue.Options{File: filepath.Join(tb.TempDir(), "a catalogue?#.db")}
	},
	"postgres": func(tb testing.TB) catalogue.Options { return catalogue.Options{URL: postgrestest.Database(tb)} },
}

// atEngines runs a test on every engine, each time at a new place, which it may open several times.
func atEngines(t *testing.T, test func(t *testing.T, place catalogue.Options)) {
	t.Helper()
	for name, place := range engines {
		t.Run(name, func(t *testing.T) { test(t, place(t)) })
	}
}

// opener makes a new catalogue.
type opener func(tb testing.TB) *catalogue.Catalogue

// onEngines runs a test on every engine.
func onEngines(t *testing.T, test func(t *testing.T, newCatalogue opener)) {
	t.Helper()
	for name, place := range engines {
		t.Run(name, func(t *testing.T) {
			test(t, func(tb testing.TB) *catalogue.Catalogue {
				tb.Helper()
				return mustOpen(tb, place(tb))
			})
		})
	}
}

func mustOpen(tb testing.TB, place catalogue.Options) *catalogue.Catalogue {
	tb.Helper()
	if place.Now == nil {
		place.Now = (&clock{}).now
	}
	c, err := catalogue.Open(tb.Context(), place)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, c.Close()) })
	return c
}

// rawExec changes a database past the catalogue.
func rawExec(tb testing.TB, place catalogue.Options, query string, args ...any) {
	tb.Helper()
	driver, name := "sqlite", "file:"+(&url.URL{Path: place.File}).EscapedPath()
	if place.URL != "" {
		driver, name = "pgx", place.URL
	}
	db, err := sql.Open(driver, name)
	require.NoError(tb, err)
	_, err = db.ExecContext(tb.Context(), query, args...)
	require.NoError(tb, err)
	require.NoError(tb, db.Close())
}
