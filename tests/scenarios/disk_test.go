package scenarios_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/tests/env"
)

// onSmallDisk moves the home of a node to a disk of its own, which is small. Mounting one needs root, as make test does.
func onSmallDisk(t *testing.T, id string, mebibytes int, opts ...env.Option) *env.Env {
	t.Helper()
	backup, mounted := t.TempDir(), ""
	t.Cleanup(func() { // when the nodes have ended
		if mounted != "" {
			require.NoError(t, unix.Unmount(mounted, 0))
		}
	})
	e := env.New(t, opts...)
	e.Stop(t, id)
	home := e.Home(id)
	copyHome(t, home, backup)
	require.NoError(t, unix.Mount("tmpfs", home, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", mebibytes)), "a small disk is mounted as root")
	mounted = home
	copyHome(t, backup, home)
	e.Start(t, id)
	return e
}

// fill takes all room on the disk of a folder. more takes what has become free since, as a node's own database gives back
// pages now and then; free gives all of it back.
func fill(t *testing.T, folder string) (more, free func()) {
	t.Helper()
	name := filepath.Join(folder, "filler")
	more = func() {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		require.NoError(t, err)
		for size := 1 << 20; size > 0; size /= 16 {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
			require.True(t, errors.Is(err, unix.ENOSPC), "%v", err)
		}
		require.NoError(t, f.Close())
	}
	more()
	return more, func() { require.NoError(t, os.Remove(name)) }
}

// reserved counts the parts of its reserve that a node has.
func reserved(home string) (parts int) {
	for _, name := range []string{"reserve-1", "reserve-2"} {
		if _, err := os.Stat(filepath.Join(home, name)); err == nil {
			parts++
		}
	}
	return parts
}

// fillReserve goes on to fill a disk until the node has no room either that it gives up while it runs. A file is gone a moment before
// its room is free.
func fillReserve(t *testing.T, home string, more func()) {
	t.Helper()
	env.WaitUntil(t, env.Patience, "the node gives up a part of its reserve", func() (bool, string) {
		more()
		_, err := os.Stat(filepath.Join(home, "reserve-1"))
		return errors.Is(err, fs.ErrNotExist), fmt.Sprint(err)
	})
	env.WaitUntil(t, env.Patience, "the room of what was given up is free", func() (bool, string) {
		hidden := unnamed(t, home)
		return hidden < 16<<20, fmt.Sprint(hidden, " bytes")
	})
	more()
}

// unnamed is how much of a disk is taken by no file below its folder, in bytes.
func unnamed(t *testing.T, folder string) int64 {
	t.Helper()
	var disk unix.Statfs_t
	require.NoError(t, unix.Statfs(folder, &disk))
	left := int64(disk.Blocks-disk.Bfree) * disk.Bsize
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		var file unix.Stat_t
		if err == nil {
			err = unix.Lstat(path, &file)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		left -= file.Blocks * 512
		return err
	}))
	return left
}

// A disk that is full in mid-job is the reason of the job at the other party. Once there is room again the job goes on, and
// nothing stays held.
func TestDiskIsFullInMidJob(t *testing.T) {
	e := onSmallDisk(t, "10000", 256, env.Party("9999"), env.Party("10000"), env.Deadlines(slowCollect()))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	start := func() (id openflow.JobID, release func()) {
		release = e.Hold(t, "a")
		id = user.Submit(env.DAG(pair, env.Noop("a", nil)))
		e.Started(t, id, "a", pair...)
		return id, release
	}

	sick := holds("waiting for party 10000 (host): ", "(exhausted)") // whether it is seen to be full, or nearly so, is chance
	goesOn, release := start()
	more, free := fill(t, e.Home("10000"))
	fillReserve(t, e.Home("10000"), more)
	reasonAt(t, user, goesOn, env.Patience, "names the party whose disk is full", sick)
	waitingForPartners(t, user, 1)
	free()
	release()
	user.WaitFor(goesOn, openflow.JobSuccess)
	host.WaitFor(goesOn, openflow.JobSuccess)

	e.NoContainers(t)
	e.NoCoresHeld(t)
	user.WaitFor(user.Submit(env.DAG(pair, env.Noop("a", nil))), openflow.JobSuccess)
}

// A disk that is nearly full takes no messages. The tasks whose messages are refused, and their jobs, say so at all parties. The
// node's doctor fails, and its log has one line.
func TestMessagesFindNoRoom(t *testing.T) {
	e := onSmallDisk(t, "10000", 384, env.Party("9999"), env.Party("10000"), env.Deadlines(slowCollect()))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	upload(t, user, host, 100, 60)
	release := e.Hold(t, "psi_0")
	id := user.Submit(intersection())
	e.Started(t, id, "psi_0", pair...)
	most, err := os.Create(filepath.Join(e.Home("10000"), "most"))
	require.NoError(t, err)
	var space unix.Statfs_t
	require.NoError(t, unix.Statfs(e.Home("10000"), &space))
	require.NoError(t, unix.Fallocate(int(most.Fd()), 0, 0, int64(space.Bavail)*space.Bsize-60<<20))
	require.NoError(t, most.Close())
	release()

	here, there := "its node has no room, and takes no messages, outputs or tasks until there is (exhausted)", "party 10000 says “its disk is nearly full"
	reasonAt(t, user, id, env.Patience, "names the party and what it has no room for", holds("waiting for party 10000 (host): since 20", here, there))
	reasonAt(t, host, id, env.Patience, "names itself", holds("waiting for party 10000 (host): since 20", here, "MiB left, so nothing new is taken"))
	reasonOfTask(t, user, id, "psi_0", holds("held up: its messages to party 10000 are refused since 20", "(exhausted)", "its disk is nearly full"))
	reasonOfTask(t, host, id, "psi_0", holds("held up: ", "are refused since 20", "(exhausted)", "MiB left, so nothing new is taken"))
	require.NotContains(t, user.Jobs(id)[0].Reason, e.Home("10000"))
	require.Contains(t, fmt.Sprint(e.Node(t, "10000").Examine(t.Context())), "{disk FAIL")
	logged := func(line string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the log has "+line, func() (bool, string) {
			return strings.Contains(e.Log("10000"), line), ""
		})
		require.Equal(t, 1, strings.Count(e.Log("10000"), line), "once")
	}
	logged(`msg="the disk is nearly full"`)

	require.NoError(t, os.Remove(most.Name()))
	user.WaitFor(id, openflow.JobSuccess)
	host.WaitFor(id, openflow.JobSuccess)
	logged(`msg="the disk has room again"`)
}

// At a node whose disk has no byte left, though it has given up what it may while it runs, a job is stopped and data deleted
// without a restart. The job's reason says what is wrong, at its own party too.
func TestEndingOnAFullDisk(t *testing.T) {
	e := onSmallDisk(t, "10000", 384, env.Party("9999"), env.Party("10000"), env.Deadlines(slowCollect()))
	user, host, home := e.As(t, "9999"), e.As(t, "10000"), e.Home("10000")
	env.WaitUntil(t, env.Patience, "the node has its reserve", func() (bool, string) { n := reserved(home); return n == 2, fmt.Sprint(n) })
	require.Zero(t, host.Upload("n", "t", `{"delimiter": ",", "match_id_name": "id"}`, strings.NewReader("id,x\n1,2\n")).Code)
	release := e.Hold(t, "a")
	id := user.Submit(env.DAG(pair, env.Noop("a", nil)))
	e.Started(t, id, "a", pair...)
	more, free := fill(t, home)
	fillReserve(t, home, more)
	reasonAt(t, host, id, env.Patience, "names itself", holds("waiting for party 10000 (host): since 20", "is full: it has"))

	more()
	host.OK(host.Post("/v2/table/delete", map[string]string{"namespace": "n", "name": "t"}), nil)
	more()
	host.OK(host.Post("/openflow/v1/user/job/stop-here", map[string]string{"job_id": string(id)}), nil)
	host.WaitFor(id, openflow.JobCanceled)
	require.Equal(t, 1, reserved(home), "there is something left for a start")
	e.Restart(t, "10000")
	free()
	release()
	user.WaitFor(id, openflow.JobCanceled)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// A node whose disk has filled up starts again: it says so, takes nothing new, and has jobs stopped and data deleted. Once
// there is room it is as before, reserve and all.
func TestNodeStartsOnAFullDisk(t *testing.T) {
	const id = "10000"
	e := onSmallDisk(t, id, 384, env.Party("9999"), env.Party(id), env.Deadlines(slowCollect()))
	home := e.Home(id)
	whole := func() (bool, string) { n := reserved(home); return n == 2, fmt.Sprint(n) }
	env.WaitUntil(t, env.Patience, "the node has its reserve", whole)
	host := e.As(t, id)
	require.Zero(t, host.Upload("n", "t", `{"delimiter": ",", "match_id_name": "id"}`, strings.NewReader("id,x\n1,2\n")).Code)
	release := e.Hold(t, "a")
	job := e.As(t, "9999").Submit(env.DAG(pair, env.Noop("a", nil)))
	e.Started(t, job, "a", pair...)
	more, free := fill(t, home)
	fillReserve(t, home, more)

	e.Stop(t, id)
	e.Start(t, id)
	require.Zero(t, reserved(home))
	require.Contains(t, fmt.Sprint(e.Node(t, id).Warnings()), "was full at the start")
	err := e.Node(t, id).Ready()
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.ErrorContains(t, err, "nothing new is taken")
	refused := host.TrySubmit(env.DAG(pair[1:], env.Noop("b", nil)))
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(refused.Err()), "%v", refused.Err())
	require.NotZero(t, host.Upload("n", "u", `{"delimiter": ",", "match_id_name": "id"}`, strings.NewReader("id,x\n1,2\n")).Code)
	found := e.Node(t, id).Examine(t.Context())
	require.Contains(t, fmt.Sprint(found), "nothing new is taken")

	host.StopJob(job)
	host.WaitFor(job, openflow.JobCanceled)
	release()
	host.OK(host.Post("/v2/table/delete", map[string]string{"namespace": "n", "name": "t"}), nil)
	free()
	env.WaitUntil(t, env.Patience, "the reserve is whole again", whole)
	require.NoError(t, e.Node(t, id).Ready())
	e.NoContainers(t)
	e.NoCoresHeld(t)
	host.WaitFor(host.Submit(env.DAG(pair, env.Noop("c", nil))), openflow.JobSuccess)
}
