package containers

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
)

func TestOutputWithoutAType(t *testing.T) {
	err := wire.Decode([]byte(`{"execution_id":"P","output_key":"k"}`), &trackingSave{})
	var missing wire.MissingFields
	require.ErrorAs(t, err, &missing)
	require.Equal(t, wire.MissingFields{"data_type"}, missing)
}

// What a container sends is refused, or can be written and read again.
func FuzzForms(f *testing.F) {
	f.Add([]byte(`{"execution_id":1,"data":[{"name":"auc","groups":[],"data":1}],"output_key":"k","data_type":"t","overview":{"count":2}}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		for _, into := range []any{&trackingSave{}, &metricSave{}} {
			if err := wire.Decode(body, into); err != nil {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				continue
			}
			again, err := json.Marshal(into)
			require.NoError(t, err)
			require.NoError(t, wire.Decode(again, into), "%s", again)
		}
	})
}
