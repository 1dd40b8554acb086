package launch_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
)

// A container gets what its run holds, within what the policy lets it have, the machine has, and the node lets a run write.
func TestLimits(t *testing.T) {
	run := openflow.TaskRecord{Cores: 4, MemoryBytes: 8 << 30, GPUIDs: []string{"1"}}
	for name, tc := range map[string]struct {
		run     openflow.TaskRecord
		may     openflow.Confinement
		machine float64
		disk    int64
		want    driver.Limits
	}{
		"the run's":         {run, openflow.Confinement{}, 0, 0, driver.Limits{CPUs: 4, MemoryBytes: 8 << 30, PIDs: 512, GPUs: []string{"1"}}},
		"the machine's":     {run, openflow.Confinement{}, 2, 0, driver.Limits{CPUs: 2, MemoryBytes: 8 << 30, PIDs: 512, GPUs: []string{"1"}}},
		"the policy's":      {run, openflow.Confinement{Cores: 3, Memory: 4 << 30, Processes: 32, Disk: 1 << 30, Log: 1 << 20}, 8, 2 << 30, driver.Limits{CPUs: 3, MemoryBytes: 4 << 30, PIDs: 32, DiskBytes: 1 << 30, LogBytes: 1 << 20, GPUs: []string{"1"}}},
		"never more":        {run, openflow.Confinement{Cores: 1024, Memory: 1 << 40, Processes: 4096, Disk: 1 << 40}, 8, 2 << 30, driver.Limits{CPUs: 4, MemoryBytes: 8 << 30, PIDs: 4096, DiskBytes: 2 << 30, GPUs: []string{"1"}}},
		"what it needs":     {run, openflow.Confinement{Disk: 1 << 40, LeastDisk: 3 << 30}, 0, 2 << 30, driver.Limits{CPUs: 4, MemoryBytes: 8 << 30, PIDs: 512, DiskBytes: 3 << 30, GPUs: []string{"1"}}},
		"needs of no bound": {run, openflow.Confinement{LeastDisk: 3 << 30}, 0, 0, driver.Limits{CPUs: 4, MemoryBytes: 8 << 30, PIDs: 512, GPUs: []string{"1"}}},
		"without a bound":   {openflow.TaskRecord{}, openflow.Confinement{Memory: 1 << 30, Disk: 1 << 20}, 0, 0, driver.Limits{CPUs: 1, MemoryBytes: 1 << 30, PIDs: 512, DiskBytes: 1 << 20}},
		"nothing to go by":  {openflow.TaskRecord{}, openflow.Confinement{}, 0, 0, driver.Limits{CPUs: 1, PIDs: 512}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, launch.Limits(tc.run, tc.may, tc.machine, tc.disk))
		})
	}
}

// What the policy gives is in the description of the container, and changes what it is made of. The node's variables hold.
func TestWhatThePolicyGives(t *testing.T) {
	plain, _, err := launcher().Spec(t.Context(), record(t))
	require.NoError(t, err)
	require.Zero(t, plain.Grants)
	with := func(may openflow.Confinement) driver.Spec {
		l := launcher()
		supply := l.Supply
		l.Supply = func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error) {
			s, err := supply(ctx, r)
			s.May = may
			return s, err
		}
		s, _, err := l.Spec(t.Context(), record(t))
		require.NoError(t, err)
		return s
	}
	mounts := []openflow.Mount{{Host: "/srv/models", Container: "/models"}}
	s := with(openflow.Confinement{Capabilities: []string{"KILL"}, Mounts: mounts, Networks: []string{"lake"}, Environment: []string{"LICENCE=1", "CORES=99"}})
	require.Equal(t, driver.Grants{Capabilities: []string{"KILL"}, Mounts: mounts, Networks: []string{"lake"}}, s.Grants)
	require.Equal(t, append([]string{"LICENCE=1", "CORES=99"}, plain.Env...), s.Env, "of one name, the last holds")
	require.NotEqual(t, plain.Made, s.Made)
	require.NotEqual(t, plain.Made, with(openflow.Confinement{Networks: []string{"lake"}}).Made)
	require.NotEqual(t, plain.Made, with(openflow.Confinement{Log: 1 << 20}).Made)
	require.Equal(t, plain.Made, with(openflow.Confinement{}).Made)
}

// What is not approved is not described, so that no container is made.
func TestWhatIsNotApproved(t *testing.T) {
	l := launcher()
	l.Supply = func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error) {
		return openflow.TaskSupply{}, openflow.Errorf(openflow.CodePermission, "policy.images.registries: no")
	}
	_, _, err := l.Spec(t.Context(), record(t))
	require.ErrorContains(t, err, "policy.images.registries")
}
