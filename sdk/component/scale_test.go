package component_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
var host = openflow.Party{Role: openflow.RoleHost, ID: "10000"}

func TestExampleComponent(t *testing.T) {
	r := componenttest.RunOK(t, componenttest.Case{
		Component:  Scale,
		Parties:    []openflow.Party{guest, host},
		Parameters: map[string]any{"factor": "4", "mode": "ROOT", "unknown": 1},
		Override:   map[openflow.Party]map[string]any{host: {"mode": nil}},
		Inputs: map[openflow.Party]componenttest.Inputs{
			guest: {Data: map[string]*tables.Frame{"input_data": numbers(1, 2)}},
			host:  {Data: map[string]*tables.Frame{"input_data": numbers(3)}},
		},
	})
	out := r.Table(guest, "output_data")
	require.Equal(t, []float64{2, 4}, out.Features[0].Floats)
	require.Equal(t, "guest_9999", out.Schema.Site)
	require.Equal(t, "guest_9999_x0", out.Schema.Features[0].Anonymous)
	require.Equal(t, []float64{12}, r.Table(host, "output_data").Features[0].Floats)
	var model struct{ Factor float64 }
	r.Model(host, "output_model", &model)
	require.Equal(t, 4.0, model.Factor)
	require.JSONEq(t, `{"rows":2}`, string(r.MetricsNamed(guest, "scale")[0].Data))
}
