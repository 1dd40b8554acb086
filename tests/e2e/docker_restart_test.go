package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine/enginetest"
	"openflow/sdk"
	"openflow/tests/env"
	"openflow/tests/images"
)

// A Docker daemon that is restarted without live-restore ends the containers of running tasks. That is no fault of
// theirs: a job that may retry goes on with a new version, and another one says what has happened.
func TestRestartOfDocker(t *testing.T) {
	daemon := enginetest.New(t)
	port := env.Ports(t, 1)[0]
	r := &reader{t: t, dir: t.TempDir(), environment: []string{"DOCKER_HOST=" + daemon.Host()}}
	home := filepath.Join(r.dir, "home")
	t.Cleanup(func() { r.do("bin/openflow uninstall --yes --home " + home) })
	r.start(fmt.Sprintf("bin/openflow server --party 9999 --listen 127.0.0.1:%d --home %s", port, home), "--components", env.Components(t))
	user := &env.Client{TB: t, URL: fmt.Sprintf("http://127.0.0.1:%d", port)}

	run := func(retries int) openflow.JobID {
		d := env.DAG(alone, env.Noop("a", env.Sleep(30_000)))
		d.Conf.AutoRetries = retries
		one := 1
		d.Conf.Cores = &one
		return user.Submit(d)
	}
	goes, fails := run(1), run(0)
	api, err := client.New(client.WithHost(daemon.Host()))
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	env.WaitUntil(t, env.Patience, "both containers run", func() (bool, string) { // their rows say so a moment before
		running, err := api.ContainerList(t.Context(), client.ContainerListOptions{})
		require.NoError(t, err)
		return len(running.Items) == 2, fmt.Sprintf("%+v", running.Items)
	})
	daemon.Stop()
	daemon.Start()
	user.WaitFor(goes, openflow.JobSuccess)
	rows := user.WaitFor(fails, openflow.JobFailed)
	require.Contains(t, rows[0].Reason, "the container runtime was restarted", user.TaskLog(env.Run(fails, "guest", "9999", "a")))
}

// How a component stands survives restarts of the daemon and of the node. A daemon that is away fails none. An image that is gone
// when the daemon is back does, and a job that needs it waits. It goes on when the archive is back, from which the image is loaded.
func TestComponentsSurviveRestarts(t *testing.T) {
	daemon := enginetest.New(t)
	port := env.Ports(t, 1)[0]
	r := &reader{t: t, dir: t.TempDir(), environment: []string{"DOCKER_HOST=" + daemon.Host()}}
	home := filepath.Join(r.dir, "home")
	t.Cleanup(func() { r.do("bin/openflow uninstall --yes --home " + home) })
	server := fmt.Sprintf("bin/openflow server --party 9999 --listen 127.0.0.1:%d --home %s", port, home)
	r.start(server, "--components", env.Components(t))
	user := &env.Client{TB: t, URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	registry := &sdk.Client{URL: user.URL}
	archive := images.Of(t, env.Acme(t, "9.0.0"))
	p, err := registry.RegisterProvider(t.Context(), sdk.Registration{Place: archive})
	require.NoError(t, err)
	standing := func() (string, *int64) {
		one, err := registry.Component(t.Context(), "noop", "acme")
		require.NoError(t, err)
		return one.State + " " + one.Reason, one.Since
	}
	becomes := func(text string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the component is "+text, func() (bool, string) {
			now, _ := standing()
			return strings.HasPrefix(now, text), now
		})
	}
	becomes("LOADED ")
	_, since := standing()
	sleep := env.Noop("a", env.Sleep(300_000))
	say := openflow.Task{
		Name: "say", Component: "noop", Parameters: openflow.Parameters{"word": "x"}, Conf: openflow.TaskConf{Provider: "acme"}, DependsOn: []openflow.TaskName{"a"},
	}
	id := user.Submit(env.DAG(alone, sleep, say))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)

	daemon.Stop()
	pause(t, 12*time.Second) // in which the node looks
	state, now := standing()
	require.Equal(t, "LOADED ", state, "a daemon that is away says nothing of a component")
	require.Equal(t, since, now)
	daemon.Start()

	away := archive + ".away"
	require.NoError(t, os.Rename(archive, away))
	api, err := client.New(client.WithHost(daemon.Host()))
	require.NoError(t, err)
	defer func() { require.NoError(t, api.Close()) }()
	_, err = api.ImageRemove(t.Context(), p.Digest, client.ImageRemoveOptions{Force: true})
	require.NoError(t, err)
	becomes("FAILED machine ")
	user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
	waits := func() {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the job waits for its component", func() (bool, string) {
			for _, row := range user.Tasks(id) {
				if row.TaskName == "say" {
					return strings.Contains(row.Reason, "lacks the archive of the image of provider acme:9.0.0") && user.Jobs(id)[0].Status == "waiting", row.Reason
				}
			}
			return false, "no row"
		})
	}
	waits()
	daemon.Stop()
	daemon.Start()
	node := r.running[len(r.running)-1].Process
	require.NoError(t, node.Kill())
	env.WaitUntil(t, env.Patience, "the node has ended", func() (bool, string) { return node.Signal(syscall.Signal(0)) != nil, "it runs" })
	r.start(server, "--components", env.Components(t))
	becomes("FAILED machine ")
	waits()
	require.NoError(t, os.Rename(away, archive))
	becomes("LOADED ")
	user.WaitForTask(id, "a", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
}
