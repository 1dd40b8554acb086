package docker

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
)

// Where no firewall rules can be written, no container is started, and the operator reads what to do, unless he has said that
// containers run all the same.
func TestNoContainerWithoutRules(t *testing.T) {
	program := runtimetest.Build(t)
	for name, unconfined := range map[string]bool{"fails closed": false, "by the operator's word": true} {
		t.Run(name, func(t *testing.T) {
			node := uuid.NewString()
			o := driver.Options{
				Home: t.TempDir(), Node: node, Unconfined: unconfined, Log: slog.New(slog.DiscardHandler),
				Identity: runtimetest.Unseen,
			}
			h, err := Opener{}.Open(t.Context(), o)
			require.NoError(t, err, "no Docker daemon: run tests/services/docker.sh")
			t.Cleanup(func() {
				require.NoError(t, h.Close())
				_, err := Opener{}.Vacate(context.WithoutCancel(t.Context()), o)
				require.NoError(t, err)
			})
			image, err := h.Bring(t.Context(), program)
			require.NoError(t, err)
			spec := driver.Spec{Name: "openflow-test-" + node, Image: image, Command: []string{"exit", "0"}}

			_, err = h.Ensure(t.Context(), spec)
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "what containers reach is not limited yet: %v", err)
			t.Setenv("PATH", "") // no iptables
			warnings, err := h.Confine(t.Context(), 4711)
			require.NoError(t, err)
			require.Len(t, warnings, 1)
			_, err = h.Ensure(t.Context(), spec)
			failed := slices.ContainsFunc(h.Examine(t.Context()), func(f openflow.Finding) bool {
				return f.Check == "network" && f.Verdict == openflow.VerdictFail && f.Remedy != ""
			})
			require.Equal(t, !unconfined, failed, "doctor says so")
			if unconfined {
				require.NoError(t, err)
				require.NoError(t, h.Start(t.Context(), spec.Name))
				return
			}
			require.Contains(t, warnings[0], "no task is started")
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			require.ErrorContains(t, err, "no container is started here")
			require.ErrorContains(t, err, "--unconfined")
			require.NotContains(t, openflow.ForPartners(err).Error(), "iptables", "what the site lacks is not its partners' affair")
			list, err := h.List(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
}
