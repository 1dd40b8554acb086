package evaluation

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/component"
)

// Nodes refuse a job that asks for a metric which is not in the description, so it has every one that can be computed.
func TestTheDescriptionNamesTheMetrics(t *testing.T) {
	raw, err := component.Program{Provider: "openflow", Version: "test", Components: []component.Component{Component()}}.Describe(Component().Name)
	require.NoError(t, err)
	var d struct {
		Component struct {
			Parameters struct {
				Metrics struct {
					TypeMeta struct {
						Items struct{ Enum []string }
					} `json:"type_meta"`
				} `json:"metrics"`
			} `json:"parameters"`
		} `json:"component"`
	}
	require.NoError(t, json.Unmarshal(raw, &d))
	var names []string
	for _, m := range all() {
		if m.name != "psi" { // of two populations
			names = append(names, m.name)
		}
	}
	require.Equal(t, names, d.Component.Parameters.Metrics.TypeMeta.Items.Enum)
}
