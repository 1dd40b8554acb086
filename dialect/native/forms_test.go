package native

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/native/envelope"
	"openflow/sdk/wire"
)

// What a peer sends is refused or read.
func FuzzForms(f *testing.F) {
	f.Add([]byte(`{"call_back":true}`))
	f.Add([]byte(`{"openflow":1,"data":{"held":true},"error":{"code":"x","message":"m"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p probe
		if err := wire.Decode(body, &p); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
		var e envelope.Envelope
		if json.Unmarshal(body, &e) == nil && e.Err() != nil {
			require.True(t, openflow.CodeOf(e.Err()).Valid())
			require.Less(t, len(e.Err().Error()), 64<<10)
		}
	})
}
