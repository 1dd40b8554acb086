package envelope_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/native/envelope"
	"openflow/tests/fuzzing"
)

// A refusal of a peer is an error with a code that there is, and of bounded length.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"openflow":1,"data":{"held":true},"error":{"code":"x","message":"m"}}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		var e envelope.Envelope
		if json.Unmarshal(body, &e) == nil && e.Err() != nil {
			require.True(t, openflow.CodeOf(e.Err()).Valid())
			require.Less(t, len(e.Err().Error()), 64<<10)
		}
	})
}
