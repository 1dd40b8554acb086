package noop_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/noop"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
	"openflow/sdk/tables"
)

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

func TestNoopOnlyReports(t *testing.T) {
	for _, role := range []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal} {
		r := componenttest.RunOK(t, componenttest.Case{Component: noop.Component(), Parties: []openflow.Party{{Role: role, ID: "1"}}})
		require.Equal(t, 1, r.Requests("/v2/worker/task/status"))
		require.Zero(t, r.Requests("/v2/worker/data/tracking/query"))
	}
}

func TestNoopFailsAsTold(t *testing.T) {
	for reason, message := range map[any]string{true: "noop failed: it was asked to fail", "no luck": "noop failed: no luck",
		5: "apply value `5` to parameter `fail` failed: want true, false or a reason"} {
		r := componenttest.Run(t, componenttest.Case{Component: noop.Component(), Parties: []openflow.Party{guest}, Parameters: map[string]any{"fail": reason}})
		require.Equal(t, component.ExitFailed, r.Parties[guest].ExitCode)
		require.Equal(t, message, r.Parties[guest].Error)
	}
	componenttest.RunOK(t, componenttest.Case{Component: noop.Component(), Parties: []openflow.Party{guest}, Parameters: map[string]any{"fail": false}})
}

func TestNoopSleepsUntilItIsStopped(t *testing.T) {
	begin := time.Now()
	componenttest.RunOK(t, componenttest.Case{Component: noop.Component(), Parties: []openflow.Party{guest}, Parameters: map[string]any{"sleep_ms": 50}})
	require.GreaterOrEqual(t, time.Since(begin), 50*time.Millisecond)

	e := componenttest.NewNode(t).Start(t.Context(), componenttest.Case{
		Component: noop.Component(), Parties: []openflow.Party{guest}, Parameters: map[string]any{"sleep_ms": 3_600_000},
	})
	e.Stop(guest)
	require.Equal(t, component.ExitCanceled, e.Wait().Parties[guest].ExitCode)
}

func TestNoopPassesItsInputOn(t *testing.T) {
	f := &tables.Frame{Schema: tables.Schema{SampleID: "s", MatchID: "id"}, SampleID: []string{"a"}, MatchID: []string{"1"}}
	r := componenttest.RunOK(t, componenttest.Case{
		Component: noop.Component(), Parties: []openflow.Party{guest},
		Inputs: map[openflow.Party]componenttest.Inputs{guest: {Data: map[string]*tables.Frame{"input_data": f}}},
	})
	require.Equal(t, f.SampleID, r.Table(guest, "output_data").SampleID)
	require.Empty(t, r.Output(guest, "output_data")["uri"], "nothing was copied")
}
