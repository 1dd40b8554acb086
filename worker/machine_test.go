package worker

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/activities"
)

// A machine polls for the next run when the one before counts, and only with a core free.
func TestOneAtATime(t *testing.T) {
	m := &activities.Machine{ID: "m", Cores: 1}
	s := oneAtATime{m, make(chan struct{}, 1)}
	choosing := activities.Choosing{Machine: m}
	reserve := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := s.ReserveSlot(ctx, nil)
		return err
	}
	require.NoError(t, reserve())
	require.ErrorIs(t, reserve(), context.DeadlineExceeded, "while one is being taken")
	place, err := choosing.ChooseMachine(t.Context(), openflow.TaskOrder{Key: openflow.TaskKey{Job: "J", Task: "a"}, Cores: 8})
	require.NoError(t, err)
	require.Equal(t, activities.Place{Machine: "m"}, place)
	s.ReleaseSlot(nil)
	require.ErrorIs(t, reserve(), context.DeadlineExceeded, "it has taken the machine's cores")
	require.ErrorIs(t, reserve(), context.DeadlineExceeded, "and a call in vain leaves no slot taken")
	require.Nil(t, s.TryReserveSlot(nil))
	m.Cores = 2 // as if another one had ended
	_, err = choosing.ChooseMachine(t.Context(), openflow.TaskOrder{Key: openflow.TaskKey{Job: "J", Task: "a"}, Cores: 1})
	require.NoError(t, err)
	require.NoError(t, reserve())
	s.ReleaseSlot(nil)
	var _ sdkworker.SlotSupplier = s
}
