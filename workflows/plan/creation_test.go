package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

func TestCreated(t *testing.T) {
	wrong := func(path string) error {
		return openflow.Refusal([]openflow.Mistake{{Code: openflow.CodeInvalid, Path: path, Message: "wrong"}})
	}
	no := openflow.Errorf(openflow.CodePermission, "no grant")
	silent := openflow.Errorf(openflow.CodeUnavailable, "no answer")
	for name, tc := range map[string]struct {
		guest, host error
		refusal     string
		status      openflow.JobStatus // of the job; empty: it goes on
		strangers   []openflow.Party
		unbegun     bool
	}{
		"both create it":             {},
		"one does not answer":        {nil, silent, "no answer", openflow.JobFailed, nil, true},
		"one refuses":                {nil, no, "no grant", openflow.JobFailed, []openflow.Party{host}, false},
		"one refuses, one is silent": {no, silent, "no grant", openflow.JobFailed, []openflow.Party{guest}, false},
		"the first answer counts":    {silent, no, "no answer", openflow.JobFailed, []openflow.Party{host}, true},
		"mistakes of both are one":   {wrong("a"), wrong("b"), "2 mistakes\n  a: wrong\n  b: wrong", openflow.JobFailed, []openflow.Party{guest, host}, false},
		"mistakes and another reason": {
			wrong("a"), no, "a: wrong", openflow.JobFailed, []openflow.Party{guest, host}, false,
		},
		"the workflow is canceled": {
			openflow.Errorf(openflow.CodeCanceled, "canceled"), nil, "canceled", openflow.JobCanceled, []openflow.Party{guest}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := plan.Created(openflow.JobPlan{Parties: []openflow.Party{guest, host}}, nil, []error{tc.guest, tc.host})
			require.Equal(t, tc.status, c.End().Status)
			require.Equal(t, tc.status == "", c.End().None())
			require.Equal(t, tc.unbegun, c.Unbegun())
			for _, p := range []openflow.Party{guest, host} {
				require.Equal(t, tc.strangers != nil && (tc.strangers[0] == p || tc.strangers[len(tc.strangers)-1] == p), c.Strangers[p])
			}
			if tc.refusal == "" {
				require.NoError(t, c.Refusal)
				return
			}
			var e *openflow.Error
			require.ErrorAs(t, c.Refusal, &e)
			require.Equal(t, tc.refusal, e.Message)
		})
	}
}
