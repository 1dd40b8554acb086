package download_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/download"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var local = openflow.Party{Role: openflow.RoleLocal, ID: "9999"}

// write runs a download of a table of that name.
func write(t *testing.T, name string) *componenttest.Result {
	t.Helper()
	node := componenttest.NewNode(t)
	node.AddTable("ns", "frame", &tables.Frame{Schema: tables.Schema{SampleID: "s", MatchID: "id"}, SampleID: []string{"a"}, MatchID: []string{"1"}})
	node.AddObject("ns", "raw", componenttest.Object{Type: component.RawTable, Meta: `{"head":false,"header":"id,x0"}`, Content: "1,2\n"})
	return node.Start(t.Context(), componenttest.Case{
		Component: download.Component(), Parties: []openflow.Party{local}, Parameters: map[string]any{"namespace": "ns", "name": name, "path": "here"},
	}).Wait()
}

func TestATableIsWritten(t *testing.T) {
	for name, text := range map[string]string{"frame": "s,id\na,1\n", "raw": "id,x0\n1,2\n"} {
		r := write(t, name)
		require.Equal(t, openflow.TaskSuccess, r.Parties[local].Status, r.Parties[local].Error)
		require.Equal(t, text, r.Parties[local].Files["0.csv"])
		require.Contains(t, r.Parties[local].Files["0.meta"], `"header"`)
		require.Equal(t, name, r.Output(local, "output_data")["name"])
	}
	r := write(t, "none")
	require.Contains(t, r.Parties[local].Error, "table ns/none")
	require.Empty(t, r.Parties[local].Files)
}
