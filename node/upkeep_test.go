package node

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/catalogue"
	"openflow/docker"
	"openflow/docker/driver"
	"openflow/docker/fake"
	"openflow/events"
	"openflow/events/memory"
	"openflow/objects/folder"
)

// kept is a node with what upkeep touches, whose clock can be set back.
func kept(t *testing.T) (*Node, *time.Time) {
	t.Helper()
	now := time.Now()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db"), Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	n := &Node{
		machine: machine{
			home: &home{identity: identity{Node: "this-node"}}, log: slog.New(slog.DiscardHandler),
			runtime: fake.New(func(driver.Spec) fake.Plan { return fake.Plan{Hold: make(chan struct{})} }),
		},
		config:  Config{Party: "9999", Retention: DefaultRetention(), Log: slog.New(slog.DiscardHandler)},
		rows:    rows,
		events:  memory.New(events.Keep),
		objects: store,
	}
	return n, &now
}

func (n *Node) addJob(t *testing.T, id openflow.JobID, scheduler openflow.PartyID) (openflow.JobKey, openflow.TaskKey) {
	t.Helper()
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	dag := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	job := openflow.JobRecord{ID: id, Party: guest, Scheduler: scheduler, Status: openflow.JobReady, DAG: dag}
	task := openflow.TaskRecord{Key: openflow.TaskKey{Scheduler: scheduler, Job: id, Task: "a", Party: guest}, Component: "noop"}
	require.NoError(t, n.rows.CreateJob(t.Context(), job, []openflow.TaskRecord{task}))
	return job.Key(), task.Key
}

func (n *Node) status(t *testing.T, k openflow.JobKey) openflow.JobStatus {
	t.Helper()
	j, err := n.rows.Job(t.Context(), k)
	require.NoError(t, err)
	return j.Status
}

func TestForgottenJobsAreDropped(t *testing.T) {
	n, now := kept(t)
	*now = now.Add(-2 * createdFor)
	forgotten, _ := n.addJob(t, "forgotten", "10000")
	own, _ := n.addJob(t, "own", "9999")
	waits, _ := n.addJob(t, "waits", "10000")
	_, err := n.rows.UpdateJobStatus(t.Context(), waits, openflow.JobWaiting, "")
	require.NoError(t, err)
	*now = time.Now()
	young, _ := n.addJob(t, "young", "10000")

	require.NoError(t, n.dropUnstarted(t.Context()))
	require.Equal(t, openflow.JobFailed, n.status(t, forgotten))
	require.Equal(t, openflow.JobReady, n.status(t, own), "its own workflow looks after it")
	require.Equal(t, openflow.JobWaiting, n.status(t, waits), "its scheduler may still ask for resources")
	require.Equal(t, openflow.JobReady, n.status(t, young))

	n.config.Retention.Unstarted = time.Minute
	require.NoError(t, n.dropUnstarted(t.Context()))
	require.Equal(t, openflow.JobFailed, n.status(t, waits))
}

func TestOldJobsAreForgottenAndTheRestKept(t *testing.T) {
	n, now := kept(t)
	*now = now.Add(-n.config.Retention.Jobs - time.Hour)
	var old []openflow.JobKey
	for i := range dropBatch + 1 { // more than one round
		k, _ := n.addJob(t, openflow.JobID("old-"+time.Duration(i).String()), "10000")
		_, err := n.rows.UpdateJobStatus(t.Context(), k, openflow.JobFailed, "")
		require.NoError(t, err)
		old = append(old, k)
	}
	open, _ := n.addJob(t, "open", "10000")
	require.NoError(t, n.rows.RememberScheduler(t.Context(), "old", "10000"))
	*now = time.Now()
	require.NoError(t, n.rows.RememberScheduler(t.Context(), "young", "10000"))
	require.NoError(t, n.dropOld(t.Context()))
	for id, want := range map[openflow.JobID]openflow.PartyID{"old": "", "young": "10000"} {
		got, err := n.rows.SchedulerOf(t.Context(), "9999", id)
		require.Equal(t, want, got, "%s: %v", id, err)
	}
	for _, k := range old {
		_, err := n.rows.Job(t.Context(), k)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
	require.Equal(t, openflow.JobReady, n.status(t, open), "a job that has not ended is never forgotten")
}

func TestOrphansGoAndOthersStay(t *testing.T) {
	n, now := kept(t)
	container := func(name, node string, execution openflow.ExecutionID) {
		_, err := n.runtime.Ensure(t.Context(), driver.Spec{Name: name, Image: "i", Labels: map[string]string{
			docker.LabelNode: node, docker.LabelExecution: string(execution),
		}})
		require.NoError(t, err)
		require.NoError(t, n.runtime.Start(t.Context(), name))
	}
	_, running := n.addJob(t, "running", "9999")
	*now = now.Add(-2 * sweepEvery)
	_, ended := n.addJob(t, "ended", "9999")
	_, err := n.rows.FinishTask(t.Context(), ended, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	*now = time.Now()
	_, justEnded := n.addJob(t, "just-ended", "9999")
	_, err = n.rows.FinishTask(t.Context(), justEnded, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)

	container("running", "this-node", running.ExecutionID())
	container("ended", "this-node", ended.ExecutionID())
	container("just-ended", "this-node", justEnded.ExecutionID())
	container("unknown", "this-node", "nobody_knows_0@9999@guest_9999")
	container("foreign", "another-node", "nobody_knows_0@9999@guest_9999")

	require.NoError(t, n.sweepOrphans(t.Context()))
	require.ElementsMatch(t, []string{"running", "just-ended", "foreign"}, n.containers(t))
}

func (n *Node) containers(t *testing.T) []string {
	t.Helper()
	list, err := n.runtime.List(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

func TestUpkeepStopsWithItsContext(t *testing.T) {
	n, _ := kept(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{}, 1)
	n.every(ctx, time.Hour, "test", func(context.Context) error { ran <- struct{}{}; return nil })
	<-ran
	cancel()
	n.upkeep.Wait()
}
