package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

// The FATE client waits for ever on any other word (fate-client §4 #3).
func TestClientStatus(t *testing.T) {
	for s, want := range map[openflow.JobStatus]string{
		openflow.JobReady: "waiting", openflow.JobWaiting: "waiting", openflow.JobRunning: "running", openflow.JobCanceled: "canceled",
		openflow.JobTimeout: "failed", openflow.JobFailed: "failed", openflow.JobSuccess: "success",
	} {
		require.Equal(t, want, wire.ClientStatus(s))
	}
}

func TestTableInfo(t *testing.T) {
	r := openflow.TableRecord{
		Name: openflow.TableName{Namespace: "ns", Name: "n"}, Count: 0, DataType: "dataframe",
		Source: openflow.TableSource{TaskID: "J_a", RunID: "J_a_0_guest_1", TaskName: "a", Component: "c", OutputKey: "k"},
	}
	require.JSONEq(t, `{"namespace":"ns","name":"n","count":0,"meta":{},"engine":"openflow","path":"/p","data_type":"dataframe","source":
		{"task_id":"J_a","party_task_id":"J_a_0_guest_1","task_name":"a","component":"c","output_artifact_key":"k"}}`,
		marshal(t, wire.EncodeTable(r, "/p")))
	r.Count = -1
	require.Nil(t, wire.EncodeTable(r, "/p").Count, "not known is not none")
}

func TestParties(t *testing.T) {
	parties := []openflow.Party{
		{Role: openflow.RoleGuest, ID: "1"}, {Role: openflow.RoleHost, ID: "2"}, {Role: openflow.RoleHost, ID: "3"},
		{Role: openflow.RoleGuest, ID: "4"},
	}
	require.JSONEq(t, `[{"role":"guest","party_id":["1"]},{"role":"host","party_id":["2","3"]},{"role":"guest","party_id":["4"]}]`,
		marshal(t, wire.EncodeParties(parties)))
	require.Equal(t, parties, wire.DecodeParties(wire.EncodeParties(parties)))
	require.Equal(t, "[]", marshal(t, wire.EncodeParties(nil)))
}
