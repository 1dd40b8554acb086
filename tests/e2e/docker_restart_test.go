package e2e_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine/enginetest"
	"openflow/tests/env"
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
