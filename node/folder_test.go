package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/site/programs"
	"openflow/site/registry"
	"openflow/store/catalogue"
)

// vendor is a program that describes itself, in shell.
const vendor = `#!/bin/sh
case "$1" in
list) echo '{"buildin":["greet"]}' ;;
desc) echo '{"component":{"name":"greet","provider":"acme","version":"1","description":"","labels":[],"roles":["guest"],"parameters":{},"input_artifacts":{},"output_artifacts":{}},"schema_version":"v1"}' ;;
*) exit 2 ;;
esac
`

// What the folder of components brings is in the audit once, by the name of the folder's setting. What it cannot is a warning.
func TestFolderIsAudited(t *testing.T) {
	ctx := t.Context()
	rows, err := catalogue.Open(ctx, catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "greet"), []byte(vendor), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "README.txt"), []byte("notes"), 0o600))
	n := &Node{rows: rows}
	n.config.ComponentsFolder = folder
	n.registry = &registry.Registry{
		Self: "9999", Rows: rows, Device: "docker", Speaks: func(d openflow.Dialect) (openflow.Dialect, error) { return d, nil },
		Machine: &programs.Programs{
			Machine: "m1", Device: "docker", Images: fake.New(nil), Isolated: true, Copies: t.TempDir(), Question: driver.AskHere,
			Bring: func(_ context.Context, path string) (string, error) { return path, nil },
		},
	}
	for range 2 {
		n.warnings = nil
		require.NoError(t, n.registerFolder(ctx))
		require.Len(t, n.warnings, 1)
		require.Contains(t, n.warnings[0], "README.txt is not registered from the folder of components: ")
	}
	events, _, err := rows.Audit(ctx, catalogue.AuditFilter{Action: "provider/register"})
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Equal(t, []string{"components-folder", "provider/register"}, []string{events[0].Actor, events[0].Action})
	require.Contains(t, events[0].Subject, "acme:1 "+filepath.Join(folder, "greet")+" sha256:")
}
