package packets

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Who sends a packet byte by byte does not hold the room of it for longer than a packet may take.
func TestPacketsComeInTime(t *testing.T) {
	body := func() io.ReadCloser { return io.NopCloser(strings.NewReader("packet")) }
	text, err := io.ReadAll(hurried{body(), time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, "packet", string(text))
	text, err = io.ReadAll(hurried{body(), time.Now().Add(-time.Nanosecond)})
	require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err))
	require.Empty(t, text)
}
