package component_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/component/componenttest"
)

func TestSpendScores(t *testing.T) {
	for name, c := range map[string]struct {
		ledger           componenttest.ScoreLedger
		columns, vectors int
		code             openflow.Code
	}{
		"fewer than columns":     {componenttest.ScoreLedger{}, 3, 2, ""},
		"as many as columns":     {componenttest.ScoreLedger{}, 3, 3, openflow.CodeRejected},
		"with what was told":     {componenttest.ScoreLedger{Told: map[openflow.PartyID]int{"9999": 1}}, 3, 2, openflow.CodeRejected},
		"told to somebody else":  {componenttest.ScoreLedger{Told: map[openflow.PartyID]int{"8888": 1}}, 3, 2, ""},
		"raised":                 {componenttest.ScoreLedger{Raised: map[openflow.PartyID]int{"9999": 3}}, 3, 3, ""},
		"one column":             {componenttest.ScoreLedger{}, 1, 4, ""},
		"one column, once again": {componenttest.ScoreLedger{Told: map[openflow.PartyID]int{"9999": 1}}, 1, 1, openflow.CodeRejected},
		"nothing":                {componenttest.ScoreLedger{}, 3, 0, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			var failed, again error
			r := runAlone(t, func(k *componenttest.Case) {
				k.Scores = map[openflow.Party]componenttest.ScoreLedger{guest: c.ledger}
				k.Faults = []componenttest.Fault{{Path: "/openflow/v1/container/scores/spend", Kind: componenttest.DropReply}}
			}, func(ctx context.Context, task *component.Task) error {
				failed = task.SpendScores(ctx, guest, c.columns, c.vectors)
				again = task.SpendScores(ctx, guest, c.columns, c.vectors)
				return nil
			})
			require.Equal(t, c.code, openflow.CodeOf(failed), "%v", failed)
			require.Equal(t, c.code, openflow.CodeOf(again), "%v", again)
			if c.code == "" {
				require.Equal(t, map[openflow.PartyID]int{guest.ID: c.vectors}, r.Parties[guest].Scores)
				return
			}
			require.Empty(t, r.Parties[guest].Scores)
			if c.code == openflow.CodeRejected {
				require.ErrorContains(t, failed, "(raise the limit)")
				require.NotEmpty(t, openflow.PublicText(failed))
				require.NotContains(t, openflow.PublicText(failed), "3", "it tells not how many columns there are")
			}
		})
	}
}
