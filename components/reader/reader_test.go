package reader_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/reader"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

func read(t *testing.T, parameters map[string]any) *componenttest.Result {
	t.Helper()
	node := componenttest.NewNode(t)
	node.AddTable("experiment", "breast", &tables.Frame{
		Schema: tables.Schema{SampleID: "s", MatchID: "id"}, SampleID: []string{"a"}, MatchID: []string{"1"},
	})
	return node.Start(t.Context(), componenttest.Case{
		Component: reader.Component(), Parties: []openflow.Party{guest}, Parameters: parameters,
	}).Wait()
}

func TestReaderGivesATableAnOutput(t *testing.T) {
	r := read(t, map[string]any{"name": "breast", "namespace": "experiment", "partitions": 4})
	require.Equal(t, openflow.TaskSuccess, r.Parties[guest].Status, r.Parties[guest].Error)
	require.Equal(t, []string{"a"}, r.Table(guest, "output_data").SampleID)
	got, err := json.Marshal(r.Output(guest, "output_data"))
	require.NoError(t, err)
	require.JSONEq(t, `{"execution_id":"202401010000000000000_task_0_0_guest_9999","output_key":"output_data","uri":"","namespace":"experiment",
		"name":"breast","data_type":"data_unresolved","meta_data":{},"overview":{},"index":0,"partitions":16,
		"source":{"task_id":"202401010000000000000_task_0","party_task_id":"202401010000000000000_task_0_0_guest_9999","task_name":"task_0",
			"component":"reader","output_artifact_key":"output_data","output_index":null}}`, string(got))
}

func TestReaderFails(t *testing.T) {
	for message, parameters := range map[string]map[string]any{
		`table experiment/none: node refused`: {"name": "none", "namespace": "experiment"},
		`parameter "namespace" required`:      {"name": "breast", "namespace": nil},
		`parameter "name" required`:           {},
	} {
		r := read(t, parameters)
		require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
		require.Contains(t, r.Parties[guest].Error, message)
		require.Nil(t, r.Output(guest, "output_data"))
	}
}
