package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// A folder is registered file by file, each once; what cannot be registered is told, and keeps nothing else away.
func TestFolderOfComponents(t *testing.T) {
	g, s := stocked(t)
	folder := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	asked := filepath.Join(t.TempDir(), "asked")
	archive := write("a.tar", strings.Repeat("x", 257)+"ustar"+strings.Repeat("x", 600), 0o600)
	s.scripts["sha256:1"] = program(t, "echo >>"+asked+"\n"+of("acme", "1"))
	s.fake.Publish(archive, driver.Image{ID: "sha256:1", Entrypoint: []string{"/run"}})
	write("b", "#!/bin/sh\n"+of("zeta", "1"), 0o700)
	write("c.txt", "notes", 0o600)
	write(".hidden", "#!/bin/sh\n"+of("hidden", "1"), 0o700)
	write("d.tar", strings.Repeat("x", 257)+"ustar", 0o600)
	require.NoError(t, os.Mkdir(filepath.Join(folder, "e"), 0o700))
	for _, registered := range []int{2, 0} {
		made, wrong, err := g.RegisterFolder(t.Context(), folder)
		require.NoError(t, err)
		require.Len(t, made, registered, "the audit has each once")
		require.Len(t, wrong, 2)
		require.Contains(t, wrong[0], "c.txt is not registered")
		require.Contains(t, wrong[1], "d.tar is not registered")
	}
	double := filepath.Join(folder, "z.tar")
	require.NoError(t, os.WriteFile(double, []byte(strings.Repeat("x", 257)+"ustar"+strings.Repeat("x", 600)), 0o600))
	s.fake.Publish(double, driver.Image{ID: "sha256:1", Entrypoint: []string{"/run"}})
	made, wrong, err := g.RegisterFolder(t.Context(), folder)
	require.NoError(t, err)
	require.Empty(t, made, "the same content under two names is one provider")
	require.Len(t, wrong, 2)
	require.NoError(t, os.Remove(archive))
	made, _, err = g.RegisterFolder(t.Context(), folder)
	require.NoError(t, err)
	require.Len(t, made, 1, "an archive that was renamed")
	require.Equal(t, double, made[0].Place)
	list, err := g.List(t.Context())
	require.NoError(t, err)
	var names []string
	for _, p := range list {
		names = append(names, p.Ref().String()+" "+string(p.Kind)+" "+p.AddedBy)
	}
	require.Equal(t, []string{"openflow:2 built-in ", "acme:1 image components-folder", "zeta:1 program components-folder"}, names)
	text, err := os.ReadFile(asked)
	require.NoError(t, err)
	require.Len(t, text, 12, "three questions, twice, at the first start and once it has another name")

	_, _, err = g.RegisterFolder(t.Context(), filepath.Join(folder, "none"))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
