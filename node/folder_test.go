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

// refusing is a policy that lets no provider run any more.
type refusing struct{ policies }

type policies = registry.Judge

func (refusing) Stands(context.Context, openflow.ProviderRecord) error {
	return openflow.Errorf(openflow.CodePermission, "the policy wants a signature")
}

// A start says which components cannot run, and why. It looks whether that is still so.
func TestStartTellsOfFailedComponents(t *testing.T) {
	ctx := t.Context()
	rows, err := catalogue.Open(ctx, catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	file := filepath.Join(t.TempDir(), "greet")
	require.NoError(t, os.WriteFile(file, []byte(vendor), 0o700))
	n := &Node{rows: rows}
	n.registry = &registry.Registry{
		Self: "9999", Rows: rows, Device: "docker", Speaks: func(d openflow.Dialect) (openflow.Dialect, error) { return d, nil }, ID: "m1",
		Machine: &programs.Programs{
			Machine: "m1", Device: "docker", Images: fake.New(nil), Isolated: true, Copies: t.TempDir(), Question: driver.AskHere,
			Bring: func(_ context.Context, path string) (string, error) { return path, nil },
		},
	}
	_, _, err = n.registry.Register(ctx, registry.Registration{What: file, User: "ann"})
	require.NoError(t, err)
	require.NoError(t, n.checkComponents(ctx))
	require.Empty(t, n.warnings)

	_, err = rows.ChangeComponents(ctx, openflow.ComponentCall{
		Provider: openflow.ProviderRef{Name: "acme", Version: "1"}, Event: openflow.ComponentFail, Reason: "it was gone", By: "machine m1", Machine: "m1",
	})
	require.NoError(t, err)
	n.registry.Judge = refusing{}
	require.NoError(t, n.checkComponents(ctx))
	require.Len(t, n.warnings, 1)
	require.Contains(t, n.warnings[0], "components of acme:1: greet: FAILED, no new jobs: the policy wants a signature")
	n.registry.Judge, n.warnings = nil, nil
	require.NoError(t, n.checkComponents(ctx))
	require.Empty(t, n.warnings, "it can run again")
}
