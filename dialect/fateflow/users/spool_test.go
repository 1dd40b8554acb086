package users

import (
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestWhatIsKeptAsideIsBounded(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	left := func() int {
		entries, err := os.ReadDir(os.TempDir())
		require.NoError(t, err)
		return len(entries)
	}
	_, err := spool(strings.NewReader("0123456789a"), 10)
	require.ErrorContains(t, err, "more than 10 bytes and cannot be streamed (send namespace, name and meta before the file")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Zero(t, left())

	kept, err := spool(strings.NewReader("0123456789"), 10)
	require.NoError(t, err)
	require.Equal(t, 1, left())
	b, err := io.ReadAll(kept)
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(b))
	kept.discard()
	require.Zero(t, left())
}
