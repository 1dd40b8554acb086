package openflow_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestFirstLine(t *testing.T) {
	require.Equal(t, "a", openflow.FirstLine("", " \n\n a\nb"))
	require.Equal(t, "b", openflow.FirstLine("\x00\u202e", "b"), "what shows nothing is no line")
	require.Empty(t, openflow.FirstLine("", "\n"))
	long := openflow.FirstLine(strings.Repeat("ä", 600))
	require.Equal(t, strings.Repeat("ä", 500)+"…", long)
}

func TestCut(t *testing.T) {
	require.Equal(t, "1234", openflow.Cut("1234", 4))
	require.Equal(t, "1…", openflow.Cut("12345", 4))
	require.Equal(t, "…", openflow.Cut("ääää", 4), "no half characters")
}

// What a terminal gets to see of a text of others, in lines, in one line, and with nothing left out.
func TestTextsThatAreShown(t *testing.T) {
	for name, c := range map[string]struct{ text, readable, line, visible string }{
		"plain":                {"a b, ä, 编号, 👍", "a b, ä, 编号, 👍", "a b, ä, 编号, 👍", "a b, ä, 编号, 👍"},
		"lines and tabs":       {"a\n\tb", "a\n b", "a  b", "a\n\tb"},
		"an escape":            {"a\x1b[2Jb", "a [2Jb", "a [2Jb", `a\x1b[2Jb`},
		"a return":             {"right\rwrong", "right wrong", "right wrong", `right\rwrong`},
		"C1":                   {"a\u009b31mb", "a 31mb", "a 31mb", `a\u009b31mb`},
		"C1 as a byte":         {"a\x9b31mb", "a31mb", "a31mb", `a\x9b31mb`},
		"delete, bell, zero":   {"\x7f\x07\x00", "   ", "   ", `\x7f\a\x00`},
		"backwards":            {"a\u202eb\u2066c\u200fd\u061c", "abcd", "abcd", `a\u202eb\u2066c\u200fd\u061c`},
		"without width":        {"a\u200bb\u200dc\ufeffd\u00ade\u2060", "abcde", "abcde", `a\u200bb\u200dc\ufeffd\u00ade\u2060`},
		"tags and fillers":     {"a\U000e0041\u3164\ufe0f", "a", "a", `a\U000e0041\u3164\ufe0f`},
		"breaks of lines":      {"a\u2028b\u0085c", "a b c", "a b c", `a\u2028b\u0085c`},
		"a mark on a letter":   {"e\u0301", "e\u0301", "e\u0301", "e\u0301"},
		"an Arabic number":     {"\u0600١", "\u0600١", "\u0600١", "\u0600١"},
		"a replaced character": {"a\ufffdb", "a\ufffdb", "a\ufffdb", "a\ufffdb"},
		"nothing":              {"", "", "", ""},
	} {
		require.Equal(t, c.readable, openflow.Readable(c.text), name)
		require.Equal(t, c.line, openflow.Line(c.text), name)
		require.Equal(t, c.visible, openflow.Visible(c.text), name)
	}
}

func FuzzTextsThatAreShown(f *testing.F) {
	f.Add("a\x1b[2J\u202eb\n\xff")
	f.Fuzz(func(t *testing.T, text string) {
		for _, shown := range []string{openflow.Readable(text), openflow.Line(text), openflow.Visible(text)} {
			require.True(t, utf8.ValidString(shown))
			for _, r := range shown {
				require.True(t, r == '\n' || r == '\t' || !openflow.Hidden(r), "%q of %q", shown, text)
			}
			require.Equal(t, openflow.Visible(shown), shown, "what is shown may be shown again")
		}
	})
}
