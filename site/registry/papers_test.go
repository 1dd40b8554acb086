package registry

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// What lies beside a file of a folder goes along with it, and is no component.
func TestPapersBeside(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "acme")
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	got, err := beside(file)
	require.NoError(t, err)
	require.Zero(t, got)
	write("acme.minisig", "a signature")
	write("acme.cdx.json", "{}")
	got, err = beside(file)
	require.NoError(t, err)
	require.Equal(t, openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: "a signature"}}, SBOM: []byte("{}")}, got)
	for name, paper := range map[string]bool{"acme": false, "acme.tar": false, "acme.json": false, "acme.minisig": true, "acme.cdx.json": true} {
		require.Equal(t, paper, isPaper(name), name)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "acme.minisig")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "acme.minisig"), 0o700))
	_, err = beside(file)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	require.NoError(t, os.Remove(filepath.Join(dir, "acme.minisig")))
	for what, make := range map[string]func(at string) error{
		"is not a regular file": func(at string) error { return syscall.Mkfifo(at, 0o600) },
		"is a link":             func(at string) error { return os.Symlink("/etc/hostname", at) },
	} {
		require.NoError(t, make(filepath.Join(dir, "acme.minisig")))
		_, err = beside(file) // and waits for nobody
		require.ErrorContains(t, err, what)
		require.NoError(t, os.Remove(filepath.Join(dir, "acme.minisig")))
	}
	require.NoError(t, os.Truncate(filepath.Join(dir, "acme.cdx.json"), 16<<20+1))
	_, err = beside(file)
	require.ErrorContains(t, err, "more than")
}
