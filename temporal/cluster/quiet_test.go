package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"

	"openflow/temporal/cluster"
)

// What ended because somebody left is no error of a node's log. What went wrong is.
func TestQuiet(t *testing.T) {
	for name, tc := range map[string]struct {
		write func(*slog.Logger)
		shown bool
	}{
		"a warning":      {func(l *slog.Logger) { l.Warn("m") }, false},
		"an error":       {func(l *slog.Logger) { l.Error("m", "Error", errors.New("boom")) }, true},
		"without a why":  {func(l *slog.Logger) { l.Error("m", "Attempt", 1) }, true},
		"worker stopped": {func(l *slog.Logger) { l.Error("m", "Attempt", 1, "Error", fmt.Errorf("follow: %w", context.Canceled)) }, false},
		"canceled":       {func(l *slog.Logger) { l.With("k", "v").Error("m", "Error", temporal.NewCanceledError()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			tc.write(cluster.Quiet(slog.New(slog.NewTextHandler(&out, nil))))
			require.Equal(t, tc.shown, out.Len() > 0, out.String())
		})
	}
}
