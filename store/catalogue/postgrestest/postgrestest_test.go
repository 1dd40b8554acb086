package postgrestest_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/store/catalogue/postgrestest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	postgrestest.Stop()
	os.Exit(code)
}

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func TestDatabasesAreSeparate(t *testing.T) {
	one, two := postgrestest.Database(t), postgrestest.Database(t)
	require.NotEqual(t, one, two)
	for _, url := range []string{one, two} {
		_, err := open(t, url).ExecContext(t.Context(), `create table x (id text primary key)`)
		require.NoError(t, err)
	}
}

func TestRestartKeepsData(t *testing.T) {
	s := postgrestest.Start(t)
	url := s.Database(t)
	_, err := open(t, url).ExecContext(t.Context(), `create table x (id text primary key)`)
	require.NoError(t, err)
	s.Stop(t)
	require.Error(t, open(t, url).PingContext(t.Context()))
	s.Restart(t)
	var n int
	require.NoError(t, open(t, url).QueryRowContext(t.Context(), `select count(*) from x`).Scan(&n))
	require.Zero(t, n)
}
