package activities

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestMachineCounts(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	m := &Machine{ID: "m", Cores: 4, Now: func() time.Time { return now }}
	free := func() int {
		n, _, _ := m.look()
		return n
	}
	require.True(t, m.take("a", 3, false))
	require.True(t, m.take("a", 3, false))
	require.Equal(t, 1, free(), "a run counts once")
	done := m.follow("a", 3)
	m.take("a", 3, false) // the choice is repeated, late
	require.Equal(t, 1, free())
	require.True(t, m.take("b", 64, false))
	require.Equal(t, -3, free(), "no run counts for more than the machine has")
	require.True(t, m.take("b", 64, false), "what it has taken already needs no free core")
	require.False(t, m.take("c", 1, false), "a run of another queue: this one was polled for when a core was free")
	require.True(t, m.take("d", 0, true))
	require.Equal(t, []openflow.RunID{"a"}, m.Running())
	now = now.Add(comes)
	require.Equal(t, 1, free(), "b has not come, a is still followed")
	m.follow("a", 3)()
	require.Equal(t, []openflow.RunID{"a"}, m.Running(), "another attempt has left, this one has not")
	done()
	require.Equal(t, 4, free())
	require.Empty(t, m.Running())
}

func TestMachineWaitsForAFreeCore(t *testing.T) {
	m := &Machine{ID: "m", Cores: 1}
	done := m.follow("a", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, m.Free(ctx), context.DeadlineExceeded)
	free := make(chan error)
	go func() { free <- m.Free(t.Context()) }()
	done()
	require.NoError(t, <-free)
	require.NoError(t, m.Free(t.Context()))
}

// Nobody counts where there is no pool.
func TestNoMachine(t *testing.T) {
	var m *Machine
	m.follow("a", 1)()
}

func TestWaitReason(t *testing.T) {
	for want, c := range map[string]struct {
		label   string
		workers int
	}{
		"no worker":                               {"", 0},
		"no worker with label gpu":                {"gpu", 0},
		"every worker is busy (2)":                {"", 2},
		"every worker with label gpu is busy (1)": {"gpu", 1},
	} {
		require.Equal(t, want, WaitReason(c.label, c.workers))
	}
}
