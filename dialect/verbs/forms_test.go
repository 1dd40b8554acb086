package verbs

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/fuzzing"
)

// What a peer sends is refused or read, and what was read can be written and read again.
func FuzzForms(f *testing.F) {
	const ref = `"job_id":"1","role":"host","party_id":"10000"`
	f.Add([]byte(`{` + ref + `,"status":"failed","tasks":[{` + ref + `,"task_id":"1_a","task_version":0,"status":"failed","progress":50}]}`))
	f.Add([]byte(`{` + ref + `,"task_id":"1_a","task_version":0,"starts_job":true,"ended":[null]}`))
	f.Add([]byte(`{"call_back":true}`))
	fuzzing.Within(f, func(t *testing.T, body []byte) {
		for _, into := range []any{&openJob{}, &tellJob{}, &stopJob{}, &startTask{}, &whoIsThere{}} {
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
