package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each command that opens a home of a service's user sends root to that user. None takes the home from the service, nor puts
// something of root's into it.
func TestRootOnAHomeOfAService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can give files away")
		return
	}
	const service = 65534
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.Mkdir(empty, 0o700))
	used, url := secure(t)
	made := run(t, "site", "key", "--home", used)
	require.Zero(t, made.code, made.stderr)
	for _, home := range []string{empty, used} {
		require.NoError(t, filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
			require.NoError(t, err)
			return os.Lchown(path, service, service)
		}))
		before, err := os.ReadDir(home)
		require.NoError(t, err)
		t.Setenv("OPENFLOW_HOME", home)
		commands := [][]string{{"site", "key"}, {"site", "worker-token"}}
		if home == used {
			commands = append(commands, []string{"site", "list", "--node", url}, []string{"data", "list", "--node", url}, []string{"doctor", "--node", url})
		}
		for _, command := range commands {
			got := run(t, command...)
			require.NotZero(t, got.code, "%v", command)
			require.Contains(t, got.stdout+got.stderr, "sudo -u 'nobody'", "%v", command)
			require.NotContains(t, got.stdout+got.stderr, "chown", "%v", command)
		}
		after, err := os.ReadDir(home)
		require.NoError(t, err)
		require.Len(t, after, len(before))
	}
}
