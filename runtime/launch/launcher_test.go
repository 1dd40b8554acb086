package launch_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
)

func launcher() *launch.Launcher {
	return &launch.Launcher{
		Node: "uuid", MachineCPUs: 4,
		Program: func(_ context.Context, provider string) (openflow.Program, error) {
			return openflow.Program{Image: "sha256:abc", Command: []string{"run"}, Dialect: "toy", Provider: provider, Digest: "sha256:def"}, nil
		},
		Base: func() launch.BaseLayer { return launch.BaseLayer{Host: "172.17.0.1", Port: 9380} },
		Supply: func(_ context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error) {
			return openflow.TaskSupply{
				Credential: "secret of " + string(r.Key.RunID()), ModelID: "J", ModelVersion: "0", Partitions: 8,
			}, nil
		},
		Told: func(speaks openflow.Dialect, r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error) {
			text, _ := r.Spec.Parameters["x"].(string)
			return []string{
				fmt.Sprintf("TOLD=%s: %s of %s for %s at %s:%d %s", speaks, r.Key.Task, g.Credential, r.Key.Scheduler, at.Host, at.Port, text),
				fmt.Sprintf("CORES=%d", at.Cores),
			}, nil
		},
	}
}

// record is a run of lr_0 at its host.
func record(t *testing.T) openflow.TaskRecord {
	t.Helper()
	host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	return openflow.TaskRecord{
		Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "lr_0", Party: host}, Component: "coordinated_lr",
		Provider: "openflow:0.1.0@docker", Cores: 2, MemoryBytes: 1 << 30,
	}
}

func env(t *testing.T, s driver.Spec, key string) string {
	t.Helper()
	for _, e := range s.Env {
		if v, ok := strings.CutPrefix(e, key+"="); ok {
			return v
		}
	}
	t.Fatalf("no %s in the environment", key)
	return ""
}

func TestSpec(t *testing.T) {
	r := record(t)
	s, of, err := launcher().Spec(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, openflow.Launch{Container: s.Name, Provider: "openflow:0.1.0@docker", Digest: "sha256:def"}, of)
	again, _, err := launcher().Spec(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, s, again, "a retry describes the same container")
	require.Equal(t, map[string]string{
		launch.LabelNode: "uuid", launch.LabelRun: "J_lr_0_0@9999@host_10000", launch.LabelScheduler: "9999", launch.LabelJob: "J",
	}, s.Labels)
	require.Equal(t, "2", env(t, s, "CORES"))
	require.Equal(t, "toy: lr_0 of secret of J_lr_0_0@9999@host_10000 for 9999 at 172.17.0.1:9380 ", env(t, s, "TOLD"))
	require.Equal(t, driver.Limits{CPUs: 2, MemoryBytes: 1 << 30, PIDs: 512}, s.Limits)
	require.Equal(t, "sha256:abc", s.Image)
	require.Equal(t, []string{"run"}, s.Command)

	l := launcher()
	l.Traced = func(context.Context, openflow.RunID) []string { return []string{"TRACEPARENT=00-1-2-01"} }
	traced, _, err := l.Spec(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, append(s.Env, "TRACEPARENT=00-1-2-01"), traced.Env)
	require.Equal(t, s.Made, traced.Made, "of the same, in another trace")

	more := r
	more.MemoryBytes++
	changed, _, err := launcher().Spec(t.Context(), more)
	require.NoError(t, err)
	require.Equal(t, s.Name, changed.Name)
	require.NotEqual(t, s.Made, changed.Made)
}

func TestGPUs(t *testing.T) {
	r := record(t)
	r.GPUs, r.GPUIDs = 2, []string{"0", "3"}
	s, _, err := launcher().Spec(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, []string{"0", "3"}, s.Limits.GPUs)
}

func TestCPUs(t *testing.T) {
	for name, tc := range map[string]struct {
		cores   int
		machine float64
		want    float64
		told    string
	}{
		"as many as asked":         {2, 4, 2, "2"},
		"never more than there is": {16, 4, 4, "4"},
		"an arbiter gets one":      {0, 4, 1, "1"},
		"machine not known":        {16, 0, 16, "16"},
		"half a machine":           {4, 0.5, 0.5, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := launcher(), record(t)
			l.MachineCPUs, r.Cores = tc.machine, tc.cores
			s, _, err := l.Spec(t.Context(), r)
			require.NoError(t, err)
			require.InDelta(t, tc.want, s.Limits.CPUs, 0)
			require.Equal(t, tc.told, env(t, s, "CORES"))
		})
	}
}

func TestNamesOfContainers(t *testing.T) {
	k := record(t).Key
	name := launch.Name(k)
	require.NoError(t, driver.ValidateName(name))
	require.True(t, strings.HasPrefix(name, "of-host-10000-lr_0-0-"), name)
	seen := map[string]bool{name: true}
	for what, other := range map[string]string{
		"scheduler":           launch.Name(openflow.TaskKey{Scheduler: "9998", Job: k.Job, Task: k.Task, Party: k.Party}),
		"job":                 launch.Name(openflow.TaskKey{Scheduler: "9999", Job: "K", Task: k.Task, Party: k.Party}),
		"task":                launch.Name(openflow.TaskKey{Scheduler: "9999", Job: k.Job, Task: "lr_1", Party: k.Party}),
		"version":             launch.Name(openflow.TaskKey{Scheduler: "9999", Job: k.Job, Task: k.Task, Version: 1, Party: k.Party}),
		"role":                launch.Name(openflow.TaskKey{Scheduler: "9999", Job: k.Job, Task: k.Task, Party: openflow.Party{Role: openflow.RoleGuest, ID: "10000"}}),
		"cut apart otherwise": launch.Name(openflow.TaskKey{Scheduler: "9999", Job: "J_lr", Task: "0", Party: k.Party}),
	} {
		require.False(t, seen[other], "another %s is another container", what)
		seen[other] = true
	}
	long := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: openflow.TaskName(strings.Repeat("t", 128)), Party: openflow.Party{Role: openflow.RoleArbiter, ID: openflow.PartyID(strings.Repeat("p", 128))}}
	require.NoError(t, driver.ValidateName(launch.Name(long)))
}

func TestSpecRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*launch.Launcher, *openflow.TaskRecord)
		code   openflow.Code
		text   string
	}{
		"too large": {func(_ *launch.Launcher, r *openflow.TaskRecord) {
			r.Spec.Parameters = openflow.Parameters{"x": strings.Repeat("x", 130<<10)}
		}, openflow.CodeInvalid, "its configuration has"},
		"no configuration": {func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Told = func(openflow.Dialect, openflow.TaskRecord, openflow.TaskSupply, openflow.Place) ([]string, error) {
				return nil, openflow.Errorf(openflow.CodeInvalid, "cannot be encoded")
			}
		}, openflow.CodeInvalid, "cannot be encoded"},
		"job not found": {func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Supply = func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error) {
				return openflow.TaskSupply{}, openflow.Errorf(openflow.CodeNotFound, "no job")
			}
		}, openflow.CodeNotFound, "no job"},
		"not by the policy": {func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Supply = func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error) {
				return openflow.TaskSupply{}, openflow.Errorf(openflow.CodePermission, "not for this site")
			}
			l.Program = func(context.Context, string) (openflow.Program, error) {
				t.Fatal("its image is brought back, which the policy does not let run")
				return openflow.Program{}, nil
			}
		}, openflow.CodePermission, "not for this site"},
		"program changed": {func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Program = func(context.Context, string) (openflow.Program, error) {
				return openflow.Program{}, openflow.Errorf(openflow.CodeConflict, "it has changed")
			}
		}, openflow.CodeConflict, "it has changed"},
		"database": {func(l *launch.Launcher, _ *openflow.TaskRecord) {
			l.Supply = func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error) {
				return openflow.TaskSupply{}, errors.New("locked")
			}
		}, openflow.CodeInternal, "locked"},
	} {
		t.Run(name, func(t *testing.T) {
			l, r := launcher(), record(t)
			tc.change(l, &r)
			_, _, err := l.Spec(t.Context(), r)
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.text)
		})
	}
}

// The largest configuration that is accepted still fits what the system allows for one string.
func TestLargestConfigurationFits(t *testing.T) {
	l, r := launcher(), record(t)
	for size := 118 << 10; ; size -= 64 {
		r.Spec.Parameters = openflow.Parameters{"x": strings.Repeat("x", size)}
		s, _, err := l.Spec(t.Context(), r)
		if err == nil {
			require.NoError(t, s.Validate())
			return
		}
	}
}
