package redis

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func FuzzDecode(f *testing.F) {
	f.Add(`{"at":"2026-01-02T15:04:05Z","job":"j","role":"guest","party":"9999","status":"running","progress":40}`)
	f.Add(`{}`)
	f.Add(``)
	fuzzing.Within(f, func(t *testing.T, text string) {
		e, err := decode(text)
		if err != nil {
			require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
			return
		}
		b, err := encode(e)
		require.NoError(t, err)
		again, err := decode(string(b))
		require.NoError(t, err)
		require.True(t, e.At.Equal(again.At))
		e.At = again.At
		require.Equal(t, e, again)
	})
}
