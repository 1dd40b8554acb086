package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestWhereThePolicyComesFrom(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere.yaml")
	read := func(named string) (openflow.Policy, string, error) {
		n := &Node{config: Config{Policy: named}}
		n.home = &home{dir: dir}
		return n.readPolicy()
	}
	got, file, err := read("")
	require.NoError(t, err)
	require.Empty(t, file)
	require.Equal(t, openflow.DefaultPolicy(), got)
	_, _, err = read(elsewhere)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "a file that was named must be there")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte("psi: {min_intersection: 7}\n"), 0o600))
	require.NoError(t, os.WriteFile(elsewhere, []byte("psi: {min_intersection: 8}\n"), 0o600))
	got, file, err = read("")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "policy.yaml"), file)
	require.Equal(t, 7, got.PSI.MinIntersection)
	got, file, err = read(elsewhere)
	require.NoError(t, err)
	require.Equal(t, elsewhere, file)
	require.Equal(t, 8, got.PSI.MinIntersection)
}
