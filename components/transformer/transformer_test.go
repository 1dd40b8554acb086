package transformer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/transformer"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

// What becomes of raw tables of all forms, components/upload tests.
func TestWhatIsNoRawTableIsRefused(t *testing.T) {
	frame := &tables.Frame{Schema: tables.Schema{SampleID: "s", MatchID: "id"}, SampleID: []string{"a"}, MatchID: []string{"1"}}
	for says, in := range map[string]componenttest.Inputs{
		"is a dataframe, and a table is wanted": {Data: map[string]*tables.Frame{"table": frame}},
		`meta has a key "colour"`:               {Objects: map[string]componenttest.Object{"table": {Type: component.RawTable, Meta: `{"colour":1}`, Content: "id\n1\n"}}},
		"split":                                 {Objects: map[string]componenttest.Object{"table": {Type: component.RawTable, Meta: `{"match_id_name":"id","delimiter":";"}`, Content: "id;x\n1;2;3\n"}}},
	} {
		r := componenttest.Run(t, componenttest.Case{
			Component: transformer.Component(), Parties: []openflow.Party{guest}, Inputs: map[openflow.Party]componenttest.Inputs{guest: in},
		})
		require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
		if says != "split" {
			require.Contains(t, r.Parties[guest].Error, says)
		}
		require.Nil(t, r.Output(guest, "dataframe_output"))
	}
}
