package driver_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

func TestPoll(t *testing.T) {
	away := openflow.Errorf(openflow.CodeUnavailable, "the daemon is away")
	gone := driver.NotFound("c")
	for name, tc := range map[string]struct {
		seen []any // states and errors, one after the other
		want any
	}{
		"it ends":                       {[]any{driver.StateCreated, driver.StateRunning, driver.StateExited}, driver.StateExited},
		"it has ended":                  {[]any{driver.StateExited}, driver.StateExited},
		"the runtime is away meanwhile": {[]any{away, driver.StateRunning, away, away, driver.StateExited}, driver.StateExited},
		"it is removed meanwhile":       {[]any{driver.StateRunning, gone}, gone},
	} {
		t.Run(name, func(t *testing.T) {
			looks := 0
			s, err := driver.Poll(t.Context(), "c", func(context.Context, string) (driver.Status, error) {
				looks++
				if err, failed := tc.seen[looks-1].(error); failed {
					return driver.Status{}, err
				}
				return driver.Status{State: tc.seen[looks-1].(driver.State)}, nil
			}, time.Millisecond)
			if want, fails := tc.want.(error); fails {
				require.ErrorIs(t, err, want)
			} else {
				require.NoError(t, err)
				require.Equal(t, tc.want, s.State)
			}
			require.Len(t, tc.seen, looks)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := driver.Poll(ctx, "c", func(context.Context, string) (driver.Status, error) {
		cancel()
		return driver.Status{State: driver.StateRunning}, nil
	}, time.Hour)
	require.ErrorIs(t, err, context.Canceled)
}
