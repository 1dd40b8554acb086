package env

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Interpreter is Debian's Python, which every machine that runs the tests has.
const Interpreter = "/usr/bin/python3"

// SmallFATE is a copy of the code of a small provider, smallfate, that keeps FATE's component contract. The test may change it.
func SmallFATE(t testing.TB) string {
	t.Helper()
	return codeOf(t, "fate")
}

// TalkingFATE is that of another, talkfate, whose components talk with those of other parties.
func TalkingFATE(t testing.TB) string {
	t.Helper()
	return codeOf(t, "fatetalk")
}

func codeOf(t testing.TB, provider string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	from := filepath.Join(filepath.Dir(here), "..", "images", provider)
	to := filepath.Join(t.TempDir(), "fate")
	require.NoError(t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || strings.Contains(path, "__pycache__") {
			return err
		}
		at := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(at, 0o700)
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(at, text, 0o600)
		}
		return err
	}))
	real, err := filepath.EvalSymlinks(to)
	require.NoError(t, err)
	return real
}
