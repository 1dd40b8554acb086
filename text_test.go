package openflow_test

import (
	"strings"
	"testing"

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

func TestReadable(t *testing.T) {
	require.Equal(t, "a\n b", openflow.Readable("a\n\x1b\u202eb\xff"))
}
