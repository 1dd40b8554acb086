package component_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
)

// A program that speaks several protocols is told which one, and takes none that it does not speak.
func TestProtocolOfATask(t *testing.T) {
	one, two := openflow.Protocol{Name: "acme/greet", Version: "1"}, openflow.Protocol{Name: "acme/greet", Version: "2"}
	for name, tc := range map[string]struct {
		speaks []openflow.Protocol
		agreed openflow.Protocol
		want   string
		code   int
	}{
		"what is agreed":              {[]openflow.Protocol{two, one}, one, "acme/greet@1", component.ExitSuccess},
		"its first":                   {[]openflow.Protocol{two, one}, openflow.Protocol{}, "acme/greet@2", component.ExitSuccess},
		"its own":                     {nil, openflow.Protocol{}, "componenttest/greet@1.0", component.ExitSuccess},
		"its own, agreed":             {nil, openflow.Protocol{Name: "componenttest/greet", Version: "1.0"}, "componenttest/greet@1.0", component.ExitSuccess},
		"with nobody":                 {component.Alone, openflow.Protocol{}, "", component.ExitSuccess},
		"one that it cannot speak":    {[]openflow.Protocol{two}, one, "", component.ExitFailed},
		"any, and it talks to nobody": {component.Alone, one, "", component.ExitFailed},
		"any but its own":             {nil, one, "", component.ExitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			spoken := "not run"
			r := componenttest.Run(t, componenttest.Case{
				Component: component.Component{
					Name: "greet", Roles: []openflow.Role{openflow.RoleGuest}, Protocols: tc.speaks,
					Run: func(_ context.Context, task *component.Task) error {
						spoken = task.Protocol().String()
						return nil
					},
				},
				Parties: []openflow.Party{guest}, Protocol: tc.agreed,
			})
			require.Equal(t, tc.code, r.Parties[guest].ExitCode)
			if tc.code != component.ExitSuccess {
				require.Equal(t, "not run", spoken)
				require.Contains(t, r.Parties[guest].Error, `protocol acme/greet@1 not supported for component "greet"`)
				return
			}
			require.Equal(t, tc.want, spoken)
		})
	}
}

// A description names the protocols only where the author does: an empty list says that it talks to nobody.
func TestDescriptionNamesProtocols(t *testing.T) {
	for name, tc := range map[string]struct {
		speaks []openflow.Protocol
		want   string
	}{
		"none": {nil, ""}, "nobody": {component.Alone, "[]"},
		"one": {[]openflow.Protocol{{Name: "acme/greet", Version: "1"}}, `[{"name":"acme/greet","version":"1"}]`},
	} {
		raw, err := component.Program{Provider: "acme", Version: "1.2.3", Components: []component.Component{{Name: "greet", Protocols: tc.speaks}}}.Describe("greet")
		require.NoError(t, err)
		var said struct{ Component map[string]json.RawMessage }
		require.NoError(t, json.Unmarshal(raw, &said))
		if tc.want == "" {
			require.NotContains(t, said.Component, "protocols", name)
			continue
		}
		require.JSONEq(t, tc.want, string(said.Component["protocols"]), name)
	}
	_, err := component.Program{Provider: "acme", Version: "1", Components: []component.Component{
		{Name: "greet", Protocols: []openflow.Protocol{{Name: "a b", Version: "1"}}},
	}}.Describe("greet")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
