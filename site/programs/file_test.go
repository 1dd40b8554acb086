package programs

import (
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who can change a program chooses what this node executes, also as one of a group.
func TestWhoCanChangeAProgram(t *testing.T) {
	me, mine := os.Geteuid(), os.Getegid()
	const another = 54321
	for name, tc := range map[string]struct {
		mode     fs.FileMode
		uid, gid int
		want     bool
	}{
		"mine alone":                      {0o755, me, mine, false},
		"root's":                          {0o755, 0, 0, false},
		"root's, in another group":        {0o755, 0, another, false},
		"another's":                       {0o755, another, mine, true},
		"another's, in a folder like tmp": {fs.ModeDir | fs.ModeSticky | 0o777, another, 0, true},
		"everybody's":                     {0o757, me, mine, true},
		"my group's":                      {0o775, me, mine, false},
		"another group's":                 {0o775, me, another, true},
		"another group's, of root":        {0o775, 0, another, true},
		"a folder of another group":       {fs.ModeDir | 0o775, 0, another, true},
		"a folder like tmp":               {fs.ModeDir | fs.ModeSticky | 0o777, 0, another, false},
		"a file that is sticky":           {fs.ModeSticky | 0o757, me, mine, true},
	} {
		require.Equal(t, tc.want, changeable(tc.mode, tc.uid, tc.gid), name)
	}
}
