package scenarios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
	"openflow/tests/env"
)

// reasonOfTask waits until the reason of a task's run at a party is as wanted.
func reasonOfTask(t *testing.T, user *env.Client, id openflow.JobID, task string, right func(string) bool) {
	t.Helper()
	env.WaitUntil(t, env.Patience, "the reason of task "+task+" at "+user.URL, func() (bool, string) {
		var last string
		for _, r := range user.Tasks(id) {
			if r.TaskName == task {
				last = r.Reason
			}
		}
		return right(last), last
	})
}

// sending starts an intersection whose programs wait until they are released, and then send messages.
func sending(t *testing.T, e *env.Env) (id openflow.JobID, release func()) {
	t.Helper()
	user := e.As(t, "9999")
	release = e.Hold(t, "psi_0")
	id = user.Submit(intersection())
	e.Started(t, id, "psi_0", pair...)
	return id, release
}

// A key that does not fit any more while a task sends messages ends no job, at whichever node it is wrong. The job and the task say
// which party it is, and the job goes on when it is mended.
func TestWrongKeyWhileMessagesAreSent(t *testing.T) {
	for name, c := range map[string]struct{ at, of string }{
		"the sender's record":   {"9999", "10000"},
		"the receiver's record": {"10000", "9999"},
	} {
		t.Run(name, func(t *testing.T) {
			e := env.New(t, env.Party("9999"), env.Party("10000"))
			user, host := e.As(t, "9999"), e.As(t, "10000")
			upload(t, user, host, 100, 60)
			id, release := sending(t, e)
			rotate(t, e.As(t, c.at), c.of, anotherKey(t))
			release()
			reasonAt(t, user, id, env.Patience, "names the party and the key", holds("waiting for party 10000 (host)", "do not accept each other's signatures"))
			reasonAt(t, host, id, env.Patience, "names the party and the key", holds("waiting for party 9999 (guest)", "do not accept each other's signatures"))
			reasonOfTask(t, user, id, "psi_0", holds("held up: its messages to party 10000 are refused since 20", "(unauthorized)", "key"))
			require.Equal(t, "running", user.Jobs(id)[0].Status)
			rotate(t, e.As(t, c.at), c.of, e.Key(t, c.of).Public().String())
			user.WaitFor(id, openflow.JobSuccess)
			host.WaitFor(id, openflow.JobSuccess)
		})
	}
}

// A key that may have leaked is changed in mid-job: the node stops, makes another, and its partner is told afterwards. The job goes
// on.
func TestKeyIsChangedAfterALeak(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	upload(t, user, host, 100, 60)
	id, release := sending(t, e)
	e.Stop(t, "10000")
	require.NoError(t, os.Remove(filepath.Join(e.Home("10000"), "node.key")))
	e.Start(t, "10000")
	release()
	reasonAt(t, user, id, env.Patience, "names the party and the key", holds("waiting for party 10000 (host)", "do not accept each other's signatures"))
	reasonOfTask(t, user, id, "psi_0", holds("held up: its messages to party 10000 are refused since 20", "(unauthorized)", "key"))
	rotate(t, user, "10000", e.Key(t, "10000").Public().String())
	user.WaitFor(id, openflow.JobSuccess)
	host.WaitFor(id, openflow.JobSuccess)
}

// A key is changed as docs/operations.md says: the partner is told first, and the file swapped. Nobody waits.
func TestKeyIsChangedAsPlanned(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	upload(t, user, host, 100, 60)
	id, release := sending(t, e)
	next := t.TempDir()
	require.NoError(t, os.Chmod(next, 0o700))
	key, err := trust.LoadOrCreateKey(next)
	require.NoError(t, err)
	user.OK(user.Post("/openflow/v1/user/site/rotate", map[string]any{"party_id": "10000", "key": key.Public().String()}), nil)
	e.Stop(t, "10000")
	require.NoError(t, os.Rename(filepath.Join(next, "node.key"), filepath.Join(e.Home("10000"), "node.key")))
	e.Start(t, "10000")
	release()
	user.WaitFor(id, openflow.JobSuccess)
	host.WaitFor(id, openflow.JobSuccess)
	rotate(t, user, "10000", key.Public().String())
	user.WaitFor(user.Submit(intersection()), openflow.JobSuccess)
}

// A party that was restored from a backup knows nothing of the job. Its messages are held up, and the job fails when the
// scheduler has asked: the party that has lost its run is named, and not the one that sent.
func TestReceiverIsRestoredFromABackup(t *testing.T) {
	timing := env.Timing()
	timing.Collect = 10 * time.Second
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Deadlines(timing))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	upload(t, user, host, 100, 60)
	backup, home := t.TempDir(), e.Home("10000")
	e.Stop(t, "10000")
	copyHome(t, home, backup)
	e.Start(t, "10000")
	id, release := sending(t, e)
	e.Stop(t, "10000")
	env.EndTasks(t, home)
	require.NoError(t, os.RemoveAll(home))
	require.NoError(t, os.Mkdir(home, 0o700))
	copyHome(t, backup, home)
	e.Start(t, "10000")
	release()
	why := user.WaitFor(id, openflow.JobFailed)[0].Reason
	require.Contains(t, why, "party 10000", "it is the one that has lost its run: "+fmt.Sprint(user.Tasks(id)))
	require.NotContains(t, why, "failed at party 9999")
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
