package registry

import (
	"database/sql"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"openflow"
	"openflow/store/catalogue"
)

// What release 0.1.0 has registered is there after the upgrade, with its description read; what was disabled is not loaded. What is
// not understood any more is not loaded either.
func TestProvidersOfAnEarlierRelease(t *testing.T) {
	fixture, err := os.ReadFile("../../store/catalogue/testdata/version1.sql")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "c.db")
	db, err := sql.Open("sqlite", "file:"+file)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), string(fixture))
	require.NoError(t, err)
	const provider = `insert into provider (name, version, kind, place, digest, dialect, enabled, added_by, added_at) values (?, '1', 'program', '/p', 'd', 'usual', ?, 'ann', 5)`
	const component = `insert into component (name, provider, version, description) values ('psi', ?, '1', ?)`
	said := `{"component": {"name": "psi", "provider": "acme", "version": "1", "description": "", "labels": [], "roles": ["guest", "host"],
		"parameters": {}, "input_artifacts": {}, "output_artifacts": {}}, "schema_version": "v1"}`
	for name, p := range map[string]struct {
		enabled     bool
		description string
	}{"acme": {true, said}, "disabled": {false, said}, "odd": {true, `{"component": {"name": "psi"}}`}} {
		_, err = db.ExecContext(t.Context(), provider, name, p.enabled)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), component, name, p.description)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())

	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	for range 2 { // the second start finds nothing to do
		require.NoError(t, Carry(t.Context(), rows, slog.New(slog.DiscardHandler)))
		for name, state := range map[string]openflow.ComponentState{
			"acme": openflow.ComponentLoaded, "disabled": openflow.ComponentUnloaded, "odd": openflow.ComponentUnloaded,
		} {
			list, err := rows.Components(t.Context(), name, "1")
			require.NoError(t, err)
			require.Len(t, list, 1)
			require.Equal(t, state, list[0].Standing.State, name)
			if name != "odd" {
				require.Equal(t, "fate", list[0].Form, name)
				require.Equal(t, []openflow.Role{"guest", "host"}, list[0].Roles)
			}
		}
	}
}
