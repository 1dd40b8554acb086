package scenarios_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// copyHome copies the home of a node that is stopped, with the modes that it has to have.
func copyHome(t *testing.T, from, to string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "cp", "-a", from+"/.", to).CombinedOutput()
	require.NoError(t, err, string(out))
}

// A scheduler that was restored from a backup does not know the jobs that came after it. They end at their parties by
// themselves soon after its return, and hold nothing.
func TestSchedulerIsRestoredFromABackup(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	user.WaitFor(user.Submit(env.DAG(pair, env.Noop("a", nil))), openflow.JobSuccess)
	backup := t.TempDir()
	e.Stop(t, "9999")
	copyHome(t, e.Home("9999"), backup)
	e.Start(t, "9999")

	running := user.Submit(long(pair))
	host.WaitForTask(running, "a", openflow.TaskRunning)
	e.Stop(t, "9999")
	env.EndTasks(t, e.Home("9999"))
	require.NoError(t, os.RemoveAll(e.Home("9999")))
	require.NoError(t, os.Mkdir(e.Home("9999"), 0o700))
	copyHome(t, backup, e.Home("9999"))
	e.Start(t, "9999")
	// The host asks for the job, or the workflow of the job asks for the run of the guest: whoever asks first says it.
	reasonAt(t, host, running, env.Patience, "says that party 9999 has lost it", holds("party 9999", "perhaps it was restored from a backup"))
	require.Equal(t, "failed", host.Jobs(running)[0].Status)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// An end that was told in vain, for as long as a scheduler tells it, is taken over all the same once the way is free.
func TestEndThatWasToldInVain(t *testing.T) {
	timing := env.Timing()
	timing.Undo = 3 * time.Second
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Proxied(), env.Deadlines(timing))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	id := user.Submit(long(pair))
	host.WaitForTask(id, "a", openflow.TaskRunning)
	e.Link(t, "10000", "9999").Inject(env.Every(env.Lost)) // so that it cannot ask either
	e.Link(t, "9999", "10000").Inject(env.Every(env.Lost))
	user.StopJob(id)
	reasonAt(t, user, id, env.Patience, "says that the end is not confirmed", holds("stopped by party 9999", "10000 (host)", "never confirmed by"))
	require.Equal(t, "running", host.Jobs(id)[0].Status)

	e.Link(t, "10000", "9999").Inject(nil)
	reasonAt(t, host, id, env.Patience, "is that of the end", func(s string) bool { return strings.HasPrefix(s, "stopped by party 9999") })
	require.Equal(t, "canceled", host.Jobs(id)[0].Status)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// A party whose partner has removed it while it was away still has a way to end its own part of their jobs.
func TestStopAtAPartyThatWasRemoved(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	id := user.Submit(long(pair))
	host.WaitForTask(id, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	user.OK(user.Post("/openflow/v1/user/site/remove", map[string]string{"party_id": "10000"}), nil)
	e.Start(t, "10000")
	reasonAt(t, host, id, env.Patience, "says that it is refused", holds("waiting for party 9999 (guest)", "does not know that party"))
	stopped := host.StopJob(id)
	require.Equal(t, openflow.JobCanceled, stopped.Status)
	require.Equal(t, openflow.RefusedByScheduler("9999"), host.WaitFor(id, openflow.JobCanceled)[0].Reason)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
