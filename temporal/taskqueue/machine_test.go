package taskqueue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
)

// A machine polls for the next run when the one before counts, and only with a core free.
func TestOneAtATime(t *testing.T) {
	m := &activities.Machine{ID: "m", Cores: 1}
	s := oneAtATime{m.Free, make(chan struct{}, 1)}
	choosing := activities.Choosing{Machine: m}
	reserve := func(ctx context.Context) error {
		_, err := s.ReserveSlot(ctx, nil)
		return err
	}
	inVain := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return reserve(ctx)
	}
	require.NoError(t, reserve(t.Context()))
	require.ErrorIs(t, inVain(), context.DeadlineExceeded, "while one is being taken")
	place, err := choosing.ChooseMachine(t.Context(), activities.TaskOrder{Run: document.Run{Scheduler: "9999", Job: "J", Task: "a"}, Cores: 8})
	require.NoError(t, err)
	require.Equal(t, activities.Place{Machine: "m"}, place)
	s.ReleaseSlot(nil)
	require.ErrorIs(t, inVain(), context.DeadlineExceeded, "it has taken the machine's cores")
	require.ErrorIs(t, inVain(), context.DeadlineExceeded, "and a call in vain leaves no slot taken")
	require.Nil(t, s.TryReserveSlot(nil))
	_, err = choosing.ChooseMachine(t.Context(), activities.TaskOrder{Run: document.Run{Scheduler: "9999", Job: "J", Task: "b"}, Cores: 1})
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(activities.FromTemporal(err)), "polled for on another queue before")
	require.True(t, openflow.CodeOf(activities.FromTemporal(err)).Retryable())
	m.Cores = 2 // as if another one had ended
	_, err = choosing.ChooseMachine(t.Context(), activities.TaskOrder{Run: document.Run{Scheduler: "9999", Job: "J", Task: "a"}, Cores: 1})
	require.NoError(t, err)
	require.NoError(t, reserve(t.Context()))
	s.ReleaseSlot(nil)
	var _ sdkworker.SlotSupplier = s
}

// What is urgent is taken by a machine that has no core free, after those that have.
func TestUrgentRunsNeedNoFreeCore(t *testing.T) {
	m := &activities.Machine{ID: "m", Cores: 1}
	_, err := (&activities.Choosing{Machine: m}).ChooseMachine(t.Context(), activities.TaskOrder{Cores: 1})
	require.NoError(t, err)
	urgent := activities.Choosing{Machine: m, Urgent: true}
	_, err = urgent.ChooseMachine(t.Context(), activities.TaskOrder{Run: document.Run{Task: "b"}})
	require.NoError(t, err)
	began := time.Now()
	_, err = oneAtATime{coreOrPace(m.Free), make(chan struct{}, 1)}.ReserveSlot(t.Context(), nil)
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), pace)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, coreOrPace(m.Free)(ctx), context.Canceled)
}
