package e2e_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/docker/image"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
	"openflow/sdk"
	"openflow/tests/env"
)

// The same promises with containers. One pair of nodes serves them all, because a start costs seconds.
func TestDocker(t *testing.T) {
	requireDocker(t)
	list := sites(t, "docker", "9999", "10000")
	for _, s := range list {
		s.start(t)
	}
	t.Run("a computation of two sites", func(t *testing.T) {
		const rows, shared = 2000, 1300
		upload(t, list["9999"].as(t), list["10000"].as(t), rows, shared)
		id := list["9999"].as(t).Submit(intersection())
		for i, s := range []*site{list["9999"], list["10000"]} {
			s.as(t).WaitFor(id, openflow.JobSuccess)
			s.oneStartEach(t, s.as(t).Tasks(id))
			files := s.as(t).Archive("/v2/output/data/download", env.Run(id, string(pair[i].Role), s.party, "psi_0")...)
			require.Equal(t, shared+1, bytes.Count(files["output_data/0.csv"], []byte("\n")), "rows of %s", s.party)
		}
		nothingLeft(t, list)
	})

	killsMidTask(t, list)

	t.Run("kill -9 while containers talk", func(t *testing.T) {
		id := list["9999"].as(t).Submit(intersection())
		for i := 0; i < 30 && !ended(t, list, id); i++ { // on a slow machine little is done between two kills
			victim := list[[]string{"9999", "10000"}[i%2]]
			pause(t, time.Duration(100+(i*217)%400)*time.Millisecond)
			victim.kill(t)
			victim.start(t)
		}
		for _, s := range list {
			s.as(t).WaitFor(id, openflow.JobSuccess)
			s.oneStartEach(t, s.as(t).Tasks(id))
		}
		nothingLeft(t, list)
	})

	t.Run("kill -9 of a container", func(t *testing.T) {
		id := list["9999"].as(t).Submit(chain(300_000))
		for _, s := range list {
			s.as(t).WaitForTask(id, "a", openflow.TaskRunning)
		}
		running := list["10000"].ground.containers(t)
		require.Len(t, running, 1)
		list["10000"].ground.kill(t, running[0].Name)
		for _, s := range list {
			rows := s.as(t).WaitFor(id, openflow.JobFailed)
			require.Contains(t, rows[0].Reason, `task "a" failed at party 10000 (host): component noop failed (rejected): the program ended with exit code 137`)
		}
		nothingLeft(t, list)
	})

	t.Run("stop", func(t *testing.T) {
		id := list["9999"].as(t).Submit(chain(300_000))
		for _, s := range list {
			s.as(t).WaitForTask(id, "a", openflow.TaskRunning)
		}
		list["9999"].as(t).StopJob(id)
		for _, s := range list {
			s.as(t).WaitFor(id, openflow.JobCanceled)
		}
		nothingLeft(t, list)
	})

	t.Run("a program of another provider", func(t *testing.T) { anotherProvider(t, list) })
	t.Run("an image as FATE-Flow starts them", func(t *testing.T) { fateImage(t, list["9999"]) })
	t.Run("images of any vendor", func(t *testing.T) { anyVendorsImages(t, list) })
	t.Run("what a container is", func(t *testing.T) { containerIsConfined(t, list["9999"]) })
	t.Run("what a container reaches", func(t *testing.T) { containerReaches(t, list["9999"], list["10000"]) })
}

// anotherProvider registers a program at both sites and runs it beside built-in ones. What no image can be made of is refused,
// and so is a program that has changed.
func anotherProvider(t *testing.T, list map[string]*site) {
	paths := map[string]string{}
	for id, s := range list {
		registry := &sdk.Client{URL: s.url}
		script := filepath.Join(t.TempDir(), "script")
		require.NoError(t, os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec '%s' \"$@\"\n", env.Acme(t, "1.0.0")), 0o700))
		_, err := registry.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: script})
		require.ErrorContains(t, err, "no image can be made of the program")
		paths[id] = env.Acme(t, "1.0.0")
		_, err = registry.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: paths[id]})
		require.NoError(t, err)
	}
	user := list["9999"].as(t)
	greet := openflow.Task{Name: "greet_0", Component: "greet", Conf: openflow.TaskConf{Provider: "acme"}}
	dag := env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil), greet)
	id := user.Submit(dag)
	for _, s := range list {
		s.as(t).WaitFor(id, openflow.JobSuccess)
		ran := map[string]string{}
		for _, r := range s.as(t).Tasks(id) {
			ran[r.TaskName] = r.ProviderName
			require.Contains(t, r.ProgramDigest, "sha256:")
		}
		require.Regexp(t, "^openflow:.+@docker$", ran["a"])
		require.Equal(t, "acme:1.0.0@docker", ran["greet_0"])
	}
	require.NoError(t, os.WriteFile(paths["10000"], []byte("another"), 0o700))
	id = user.Submit(dag)
	list["10000"].as(t).WaitFor(id, openflow.JobFailed)
	reasons := ""
	for _, r := range list["10000"].as(t).Tasks(id) {
		reasons += r.Reason
	}
	require.Contains(t, reasons, "has changed since it was registered")
	user.WaitFor(id, openflow.JobFailed)
	nothingLeft(t, list)
}

// containerIsConfined looks at a task's real container.
func containerIsConfined(t *testing.T, s *site) {
	g := s.ground.(*dockerGround)
	id := s.as(t).Submit(env.DAG(env.Parties("guest "+s.party), env.Noop("a", env.Sleep(300_000))))
	s.as(t).WaitForTask(id, "a", openflow.TaskRunning)
	running := g.containers(t)
	require.Len(t, running, 1)
	answer, err := g.api.ContainerInspect(t.Context(), running[0].Name, client.ContainerInspectOptions{})
	require.NoError(t, err)
	c := answer.Container
	require.True(t, c.HostConfig.ReadonlyRootfs)
	require.False(t, c.HostConfig.Privileged)
	require.Equal(t, []string{"ALL"}, []string(c.HostConfig.CapDrop))
	require.Contains(t, c.HostConfig.SecurityOpt, "no-new-privileges")
	require.NotContains(t, []string{"", "0", "root"}, c.Config.User)
	require.Equal(t, "SIGTERM", c.Config.StopSignal, "whatever the image says")
	require.Equal(t, []string{"NONE"}, c.Config.Healthcheck.Test)
	require.Empty(t, c.HostConfig.Binds)
	require.Empty(t, c.HostConfig.PortBindings)
	require.Positive(t, c.HostConfig.Memory)
	require.Positive(t, c.HostConfig.NanoCPUs)
	require.Len(t, c.NetworkSettings.Networks, 1)
	require.Contains(t, c.NetworkSettings.Networks, g.network(t))
	network, err := g.api.NetworkInspect(t.Context(), g.network(t), client.NetworkInspectOptions{})
	require.NoError(t, err)
	require.True(t, network.Network.Internal, "there is no way out")
	s.as(t).StopJob(id)
	s.as(t).WaitFor(id, openflow.JobCanceled)
	nothingLeft(t, map[string]*site{s.party: s})
}

// containerReaches puts a program on a node's network that tries doors.
func containerReaches(t *testing.T, own, other *site) {
	g := own.ground.(*dockerGround)
	rt := g.open(t)
	defer func() { require.NoError(t, rt.Close()) }()
	probe := loadProbe(t, rt)
	foreign := other.ground.(*dockerGround).open(t)
	defer func() { require.NoError(t, foreign.Close()) }()
	theirs, err := foreign.Gateway(t.Context())
	require.NoError(t, err)
	ours, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	open, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "0.0.0.0:0") // as a careless service of the host
	require.NoError(t, err)
	defer func() { require.NoError(t, open.Close()) }()
	_, openPort, err := net.SplitHostPort(open.Addr().String())
	require.NoError(t, err)

	doors := map[string]struct {
		address string
		open    bool
	}{
		"the node's base layer":                      {fmt.Sprintf("%s:%d", engine.HostAlias, own.basePort(t)), true},
		"the other node's base layer":                {fmt.Sprintf("%s:%d", theirs, other.basePort(t)), false},
		"the own node's application layer":           {ours.String() + own.url[strings.LastIndex(own.url, ":"):], false},
		"a service of the host":                      {net.JoinHostPort(ours.String(), openPort), false},
		"a service of the host, by another address":  {net.JoinHostPort(theirs.String(), openPort), false},
		"the internet":                               {"1.1.1.1:443", false},
		"its own loopback, where nobody is, is shut": {"127.0.0.1:" + openPort, false},
	}
	for name, d := range doors {
		t.Run(name, func(t *testing.T) {
			spec := driver.Spec{
				Name: "openflow-probe-" + strings.ToLower(rand.Text()[:8]), Image: probe, Command: []string{"dial", d.address},
			}
			_, err := rt.Ensure(t.Context(), spec)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context(), spec.Name))
			st, err := rt.Wait(t.Context(), spec.Name)
			require.NoError(t, err)
			require.NoError(t, rt.Remove(t.Context(), spec.Name))
			require.Equal(t, d.open, st.ExitCode == 0, "exit code %d from dialing %s", st.ExitCode, d.address)
		})
	}
}

// loadProbe has the daemon hold a program that dials.
func loadProbe(t *testing.T, rt *engine.Runtime) string {
	t.Helper()
	binary, err := os.ReadFile(runtimetest.Build(t))
	require.NoError(t, err)
	img, err := image.Build(binary, image.Options{})
	require.NoError(t, err)
	id, err := rt.LoadImage(t.Context(), bytes.NewReader(img.Tar))
	require.NoError(t, err)
	return id
}
