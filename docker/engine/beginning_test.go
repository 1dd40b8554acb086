package engine

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// An output begins with what came first, whatever the daemon has dropped, and nothing is in it twice.
func TestBeginningComesFirst(t *testing.T) {
	const first = "one\ntwo\n"
	gap := driver.Missing(-1)
	for name, c := range map[string]struct{ first, daemon, want string }{
		"short":                      {"", "one\n", "one\n"},
		"nothing at all":             {"", "", ""},
		"all of it is there":         {first, "one\ntwo\nthree\n", "one\ntwo\nthree\n"},
		"just the beginning":         {first, first, first},
		"the beginning has gone":     {first, "eight\nnine\n", first + gap + "eight\nnine\n"},
		"little is left":             {first, "nine\n", first + gap + "nine\n"},
		"nothing is left":            {first, "", first + gap},
		"what is left looks like it": {first, "one\n", first + gap + "one\n"},
	} {
		for size := 1; size <= 9; size += 4 { // of what the daemon gives at a time
			var frames, stdout, stderr bytes.Buffer
			for text := range slices.Chunk([]byte(c.daemon), size) {
				frame(&frames, stdcopy.Stdout, string(text))
			}
			require.NoError(t, copyBegun(&stdout, &stderr, &frames, []byte(c.first), nil), name)
			require.Equal(t, c.want, stdout.String(), "%s, %d at a time", name, size)
			require.Empty(t, stderr.String(), name)
		}
	}
}

// frame writes a text as the daemon does.
func frame(to *bytes.Buffer, kind stdcopy.StdType, text string) {
	to.Write([]byte{byte(kind), 0, 0, 0})
	to.Write(binary.BigEndian.AppendUint32(nil, uint32(len(text))))
	to.WriteString(text)
}
