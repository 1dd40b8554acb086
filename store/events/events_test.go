package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/events"
	"openflow/tests/fuzzing"
)

func FuzzParseID(f *testing.F) {
	f.Add("1-2")
	f.Add("9223372036854775807-0")
	f.Add("01-+2")
	fuzzing.Within(f, func(t *testing.T, s string) {
		id, err := events.ParseID(s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Equal(t, s, id.String())
	})
}
