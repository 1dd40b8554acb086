package openflow_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// The whole table: every event in every state.
func TestLifeOfAComponent(t *testing.T) {
	const none = openflow.ComponentState("")
	events := []openflow.ComponentEvent{
		openflow.ComponentLoad, openflow.ComponentUnload, openflow.ComponentStart, openflow.ComponentStop, openflow.ComponentFail,
	}
	for from, want := range map[openflow.ComponentState][]openflow.ComponentState{
		"UNLOADED": {"LOADED", "UNLOADED", none, none, "FAILED"},
		"LOADED":   {"LOADED", "UNLOADED", "STARTED", none, "FAILED"},
		"STARTED":  {"STARTED", "UNLOADED", "STARTED", "STOPPED", "FAILED"},
		"STOPPED":  {"STOPPED", "UNLOADED", "STARTED", "STOPPED", "FAILED"},
		"FAILED":   {"LOADED", "UNLOADED", none, none, "FAILED"},
		"":         {none, none, none, none, none},
		"unknown":  {none, none, none, none, none},
	} {
		for i, event := range events {
			got, err := from.After(event)
			if want[i] == none {
				require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "%s %s", from, event)
				require.Equal(t, from, got)
				continue
			}
			require.NoError(t, err)
			require.Equal(t, want[i], got, "%s %s", from, event)
		}
		require.Equal(t, from == "LOADED" || from == "STARTED" || from == "STOPPED", from.TakesJobs(), from)
	}
}
