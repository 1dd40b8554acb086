package launch_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
)

// A run that may share a container is told the same as one that has its own, and the container may do what all its runs may.
func TestResident(t *testing.T) {
	l := launcher()
	l.Residents = launch.Residents{Most: 2, Idle: time.Minute}
	l.DiskBytes, l.MachineCPUs = 1<<30, 6
	r := record(t)
	r.Spec.Resident = 4
	s, _, err := l.Spec(t.Context(), r)
	require.NoError(t, err)
	require.NotEmpty(t, s.Resident.Group)
	require.Equal(t, &driver.Residency{
		Group: s.Resident.Group, Component: "coordinated_lr", Provider: openflow.ProviderRef{Name: "openflow", Version: "0.1.0"},
		Labels: map[string]string{launch.LabelNode: "uuid"}, Image: "sha256:abc",
		Limits: driver.Limits{CPUs: 6, MemoryBytes: 4 << 30, PIDs: 4 * 512, DiskBytes: 4 << 30}, Runs: 4, Most: 2, Idle: time.Minute,
	}, s.Resident)
	own := r
	own.Spec.Resident = 0
	alone, _, err := l.Spec(t.Context(), own)
	require.NoError(t, err)
	require.Nil(t, alone.Resident)
	require.Equal(t, alone.Env, s.Env)
	require.Equal(t, alone.Limits, s.Limits, "which it has where none has room")

	for name, change := range map[string]func(*launch.Launcher, *openflow.TaskRecord){
		"another component": func(_ *launch.Launcher, r *openflow.TaskRecord) { r.Component = "psi" },
		"another provider":  func(_ *launch.Launcher, r *openflow.TaskRecord) { r.Provider = "acme:1@docker" },
		"more memory":       func(_ *launch.Launcher, r *openflow.TaskRecord) { r.MemoryBytes *= 2 },
		"another image": func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Program = func(_ context.Context, provider string) (openflow.Program, error) {
				return openflow.Program{Image: "sha256:other", Dialect: "toy", Provider: provider, Digest: "sha256:def"}, nil
			}
		},
		"other grants": func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Supply = func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error) {
				return openflow.TaskSupply{May: openflow.Confinement{Networks: []string{"lake"}}}, nil
			}
		},
	} {
		other, m := r, *l
		change(&m, &other)
		got, _, err := m.Spec(t.Context(), other)
		require.NoError(t, err, name)
		require.NotEqual(t, s.Resident.Group, got.Resident.Group, name)
	}
	other := r
	other.Key.Job, other.Key.Task = "K", "lr_1"
	got, _, err := l.Spec(t.Context(), other)
	require.NoError(t, err)
	require.Equal(t, s.Resident, got.Resident, "runs of other jobs share it")
	warm, err := l.Resident(t.Context(), openflow.TaskRecord{
		Component: r.Component, Provider: "openflow:0.1.0", Cores: 2, MemoryBytes: 1 << 30, Spec: openflow.TaskSpec{Resident: 4},
	}, openflow.Confinement{})
	require.NoError(t, err)
	require.Equal(t, s.Resident, warm, "so does one that was started before")

	for name, change := range map[string]func(*launch.Launcher, *openflow.TaskRecord){
		"the machine has none": func(l *launch.Launcher, _ *openflow.TaskRecord) { l.Residents.Most = 0 },
		"devices are its own":  func(_ *launch.Launcher, r *openflow.TaskRecord) { r.GPUIDs = []string{"0"} },
	} {
		other, m := r, *l
		change(&m, &other)
		got, _, err := m.Spec(t.Context(), other)
		require.NoError(t, err, name)
		require.Nil(t, got.Resident, name)
	}
}

func TestResidentsCheck(t *testing.T) {
	require.NoError(t, launch.DefaultResidents().Check())
	require.NoError(t, launch.Residents{Idle: time.Second}.Check(), "none at all")
	for _, wrong := range []launch.Residents{{Most: -1, Idle: 1}, {Most: 65, Idle: 1}, {Most: 1}} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(wrong.Check()), "%+v", wrong)
	}
}
