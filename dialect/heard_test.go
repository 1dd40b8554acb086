package dialect_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every body that a peer or a container sends is read by what bounds each of its texts. Those of this site's users, and of the
// machines of its own pool, are not.
func TestBodiesOfOthersAreBounded(t *testing.T) {
	unbounded := regexp.MustCompile(`(reply|wire)\.Decode\(`)
	seen := 0
	require.NoError(t, filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		own := slices.Contains(strings.Split(filepath.ToSlash(path), "/"), "users") || strings.HasSuffix(path, filepath.Join("native", "containers", "pool.go"))
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), "reply.Read(") {
			seen++
		}
		if !own {
			require.Empty(t, unbounded.FindAllString(string(text), -1), "%s: read it with reply.Read", path)
		}
		return err
	}))
	require.Greater(t, seen, 4)
}
