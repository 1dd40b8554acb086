package cli_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/cli"
)

func TestColumnsAlign(t *testing.T) {
	for name, c := range map[string]struct{ written, shown string }{
		"letters":                   {"a\tbb\nccc\td\n", "a    bb\nccc  d\n"},
		"Chinese":                   {"编号\tx\nid\ty\n", "编号  x\nid    y\n"},
		"full-width digits":         {"１２\tx\n1\ty\n", "１２  x\n1     y\n"},
		"half-width kana":           {"ｱｲ\tx\n1\ty\n", "ｱｲ  x\n1   y\n"},
		"Hangul":                    {"나이\tx\n1\ty\n", "나이  x\n1     y\n"},
		"an accent of its own":      {"e\u0301\tx\nee\ty\n", "e\u0301   x\nee  y\n"},
		"a sign without width":      {"a\u200bb\tx\nab\ty\n", "ab  x\nab  y\n"},
		"what moves the cursor":     {"a\x1b[2Kb\tx\nab\u202e\ty\n", "a [2Kb  x\nab      y\n"},
		"Latin-1":                   {"Zürich\tx\nBern\ty\n", "Zürich  x\nBern    y\n"},
		"two tables":                {"a\tb\n\nlonger\tc\n", "a  b\n\nlonger  c\n"},
		"a line without columns":    {"a\tb\nnote: what is long\nccc\td\n", "a  b\nnote: what is long\nccc  d\n"},
		"rows of different lengths": {"a\tb\tc\nlong\td\nx\tlonger\te\n", "a     b  c\nlong  d\nx     longer  e\n"},
		"no end of the last line":   {"a\tb", "a  b\n"},
		"nothing":                   {"", ""},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.shown, cli.Aligned(c.written)) })
	}
}
