package component_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/description"
	"openflow/description/fate"
	"openflow/sdk/component"
)

// A component that tells whether it works describes how it is asked, and the program answers so.
func TestComponentTellsWhetherItWorks(t *testing.T) {
	var ails error
	asked := component.Component{Name: "psi", Roles: []openflow.Role{openflow.RoleGuest}, Works: func(context.Context) error { return ails }}
	plain := component.Component{Name: "lr", Roles: []openflow.Role{openflow.RoleGuest}}
	read := func(name string) openflow.ComponentRecord {
		raw, err := component.Program{Provider: "acme", Version: "1", Components: []component.Component{asked, plain}}.Describe(name)
		require.NoError(t, err)
		doc, err := description.Parse(raw)
		require.NoError(t, err)
		c, err := doc.Record(fate.Form{})
		require.NoError(t, err)
		require.Empty(t, c.Warnings)
		return c
	}
	require.Empty(t, read("lr").Probes)
	probes := read("psi").Probes
	require.Len(t, probes, 2)
	for i, kind := range []openflow.ProbeKind{openflow.ProbeStartup, openflow.ProbeLiveness} {
		require.Equal(t, kind, probes[i].Kind)
		var out, complaint bytes.Buffer
		answer := func(args []string) int {
			out.Reset()
			complaint.Reset()
			return component.Command(t.Context(), args, func(string) string { return "" }, &out, &complaint, asked, plain)
		}
		ails = nil
		require.Equal(t, component.ExitSuccess, answer(probes[i].Command), complaint.String())
		ails = errors.New("its library is missing")
		require.Equal(t, component.ExitFailed, answer(probes[i].Command))
		require.Equal(t, "its library is missing\n", complaint.String())
		require.Equal(t, component.ExitUsage, answer([]string{"works", "--name", "lr"}))
		require.Equal(t, component.ExitUsage, answer([]string{"works", "--name", "tree"}))
	}
}
