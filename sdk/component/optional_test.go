package component_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

// An optional input whose task has written nothing is not given; a required one fails, as the job's author could not
// know.
func TestInputsThatNobodyWrote(t *testing.T) {
	var given map[string]bool
	c := component.Component{
		Name: "taker", Roles: []openflow.Role{openflow.RoleGuest},
		Inputs: []component.Artifact{
			{Key: "needed"}, {Key: "wanted", Optional: true}, {Key: "liked", Optional: true, Multi: true},
			{Key: "start", Type: component.JSONModel, Optional: true}, {Key: "earlier", Type: component.JSONModel, Optional: true},
		},
		Run: func(ctx context.Context, t *component.Task) error {
			given = map[string]bool{}
			for _, key := range []string{"needed", "wanted", "liked", "start", "earlier"} {
				given[key] = t.HasInput(key)
			}
			if !t.HasInput("needed") {
				return nil
			}
			_, err := t.Frame(ctx, "needed")
			return err
		},
	}
	inputs := func(in componenttest.Inputs) componenttest.Case {
		return componenttest.Case{Component: c, Parties: []openflow.Party{guest}, Inputs: map[openflow.Party]componenttest.Inputs{guest: in}}
	}
	componenttest.RunOK(t, inputs(componenttest.Inputs{
		Data: map[string]*tables.Frame{"needed": numbers(1)}, Models: map[string]any{"earlier": 1}, Unwritten: []string{"wanted"}, UnwrittenModels: []string{"start"},
		Multi: map[string][]componenttest.Produced{"liked": {{Task: "a", Table: numbers(1)}}},
	}))
	require.Equal(t, map[string]bool{"needed": true, "wanted": false, "liked": true, "start": false, "earlier": true}, given)

	r := componenttest.Run(t, inputs(componenttest.Inputs{Unwritten: []string{"needed"}}))
	require.Equal(t, openflow.TaskFailed, r.Parties[guest].Status)
}
