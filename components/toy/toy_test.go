package toy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/toy"
	"openflow/sdk/component/componenttest"
)

var (
	guest  = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host   = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	second = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
)

func TestPartiesHaveTheSameRows(t *testing.T) {
	parties := []openflow.Party{guest, host, second}
	r := componenttest.RunOK(t, componenttest.Case{
		Component: toy.Component(), Parties: parties, Parameters: map[string]any{"data_num": 1024, "partition": 4},
	})
	for _, p := range parties {
		f := r.Table(p, "output_data")
		require.Len(t, f.SampleID, 1024)
		require.Equal(t, []string{"0", "1023"}, []string{f.SampleID[0], f.MatchID[1023]})
		require.InDelta(t, 1023, f.Features[0].Floats[1023], 0)
		var model map[string]string
		r.Model(p, "json_model_output", &model)
		require.Equal(t, map[string]string{"test_role": string(p.Role)}, model)
	}
}

func TestWhatCannotBeTried(t *testing.T) {
	for says, c := range map[string]componenttest.Case{
		`parameter "partition" required`:        {Parties: []openflow.Party{guest, host}, Parameters: map[string]any{"data_num": 1}},
		"data_num":                              {Parties: []openflow.Party{guest, host}, Parameters: map[string]any{"data_num": 0, "partition": 1}},
		"needs one guest and at least one host": {Parties: []openflow.Party{guest}, Parameters: map[string]any{"data_num": 1, "partition": 1}},
	} {
		c.Component = toy.Component()
		r := componenttest.Run(t, c)
		require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
		require.Contains(t, r.Parties[guest].Error+r.Parties[c.Parties[len(c.Parties)-1]].Error, says)
	}
}

func TestOtherRowsAreNotTheSame(t *testing.T) {
	e := componenttest.NewNode(t).Start(t.Context(), componenttest.Case{
		Component: toy.Component(), Parties: []openflow.Party{guest, host}, Parameters: map[string]any{"data_num": 9, "partition": 1},
		Override: map[openflow.Party]map[string]any{host: {"data_num": 10}},
	})
	e.Ended(host)
	e.Stop(guest)
	r := e.Wait()
	require.Equal(t, openflow.TaskFailed, r.Parties[host].Status)
	require.Contains(t, r.Parties[host].Error, "are not the 10 that toy_example makes")
}
