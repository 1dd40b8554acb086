package upkeep

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/launch"
	"openflow/site/admission"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/events/changes"
	"openflow/store/events/memory"
	"openflow/store/objects/folder"
)

// site is what upkeep looks after, with a clock that can be set back.
type site struct {
	Keeper
	runtime *fake.Runtime
	now     time.Time
}

func kept(t *testing.T) *site {
	t.Helper()
	s := &site{now: time.Now(), runtime: fake.New(func(driver.Spec) fake.Plan { return fake.Plan{Hold: make(chan struct{})} })}
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db"), Now: func() time.Time { return s.now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	s.Keeper = Keeper{
		Self: "9999", Keep: DefaultRetention(), Objects: store,
		Rows: changes.Rows{Catalogue: rows, Events: memory.New(events.Keep), Log: slog.New(slog.DiscardHandler)},
	}
	return s
}

func (s *site) addJob(t *testing.T, id openflow.JobID, scheduler openflow.PartyID) (openflow.JobKey, openflow.TaskKey) {
	t.Helper()
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	dag := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	job := openflow.JobRecord{ID: id, Party: guest, Scheduler: scheduler, Status: openflow.JobReady, DAG: dag}
	task := openflow.TaskRecord{Key: openflow.TaskKey{Scheduler: scheduler, Job: id, Task: "a", Party: guest}, Component: "noop"}
	require.NoError(t, s.Rows.CreateJob(t.Context(), job, []openflow.TaskRecord{task}))
	return job.Key(), task.Key
}

func (s *site) status(t *testing.T, k openflow.JobKey) openflow.JobStatus {
	t.Helper()
	j, err := s.Rows.Job(t.Context(), k)
	require.NoError(t, err)
	return j.Status
}

func TestForgottenJobsAreDropped(t *testing.T) {
	s := kept(t)
	s.now = s.now.Add(-2 * createdFor)
	forgotten, _ := s.addJob(t, "forgotten", "10000")
	own, _ := s.addJob(t, "own", "9999")
	waits, _ := s.addJob(t, "waits", "10000")
	_, err := s.Rows.UpdateJobStatus(t.Context(), waits, openflow.JobWaiting, "")
	require.NoError(t, err)
	s.now = time.Now()
	young, _ := s.addJob(t, "young", "10000")

	require.NoError(t, s.dropUnstarted(t.Context()))
	require.Equal(t, openflow.JobFailed, s.status(t, forgotten))
	require.Equal(t, openflow.JobReady, s.status(t, own), "its own workflow looks after it")
	require.Equal(t, openflow.JobWaiting, s.status(t, waits), "its scheduler may still ask for resources")
	require.Equal(t, openflow.JobReady, s.status(t, young))

	s.Keep.Unstarted = time.Minute
	require.NoError(t, s.dropUnstarted(t.Context()))
	require.Equal(t, openflow.JobFailed, s.status(t, waits))
}

// While the disk is nearly full, what was deleted makes room at once, and what an upload is about to name stays.
func TestDeletedObjectsMakeRoomOnAFullDisk(t *testing.T) {
	s := kept(t)
	dir := t.TempDir()
	store, err := folder.Open(dir)
	require.NoError(t, err)
	s.Objects = store
	put := func(text string, age time.Duration) string {
		ref, err := store.Put(t.Context(), strings.NewReader(text))
		require.NoError(t, err)
		path := filepath.Join(dir, "sha256", ref.Digest[:2], ref.Digest[2:])
		at := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, at, at))
		return ref.Digest
	}
	deleted, young, named := put("deleted", 2*scarceGrace), put("young", 0), put("named", 2*scarceGrace)
	require.NoError(t, s.Rows.SaveTable(t.Context(), openflow.TableRecord{Name: openflow.TableName{Namespace: "n", Name: "t"}, Object: named}))
	_, k := s.addJob(t, "running", "9999")
	require.NoError(t, s.Rows.ApplyJobResources(t.Context(), k.JobKey(), openflow.Resources{Cores: 8}, admission.Rules{}))
	require.NoError(t, s.Rows.ApplyTaskResources(t.Context(), k, 0, openflow.Quota{}))
	stored := put("stored by a run, whose node was down before it could name it", time.Hour)
	require.NoError(t, s.Rows.RecordUpload(t.Context(), k, stored))
	there := func(digest string) bool { _, err := store.Stat(t.Context(), digest); return err == nil }
	room := error(nil)
	s.Space = func() error { return room }
	require.NoError(t, s.reclaim(t.Context()))
	require.True(t, there(deleted), "there is room")
	room = errors.New("nearly full")
	require.NoError(t, s.reclaim(t.Context()))
	require.False(t, there(deleted))
	require.True(t, there(young))
	require.True(t, there(named))
	require.True(t, there(stored))
	_, err = s.Rows.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	s.Space = nil
	require.NoError(t, s.reclaim(t.Context()))
	require.True(t, there(stored), "objects that are elsewhere make no room here")
	s.Space = func() error { return room }
	require.NoError(t, s.reclaim(t.Context()))
	require.False(t, there(stored), "the run has ended")
}

// errRuntime is what a runtime says of a container that it cannot remove.
var errRuntime = openflow.Errorf(openflow.CodeUnavailable, "not now")

// stubborn is a runtime that cannot remove some containers, and lists no others than it can look at.
type stubborn struct{ driver.Runtime }

func (r stubborn) List(ctx context.Context, labels map[string]string) ([]driver.Status, error) {
	list, err := r.Runtime.List(ctx, labels)
	return list, errors.Join(err, errRuntime)
}

func (r stubborn) Stop(ctx context.Context, name string, grace time.Duration) error {
	if strings.HasPrefix(name, "a-stuck") {
		return errRuntime
	}
	return r.Runtime.Stop(ctx, name, grace)
}

// A container that cannot be looked at or removed keeps no other from going.
func TestOrphansThatCannotGoKeepNoOther(t *testing.T) {
	s := kept(t)
	for _, name := range []string{"a-stuck", "b-unreadable", "c-gone"} {
		_, err := s.runtime.Ensure(t.Context(), driver.Spec{Name: name, Image: "i", Labels: map[string]string{
			launch.LabelNode: "this-node", launch.LabelRun: name,
		}})
		require.NoError(t, err)
		require.NoError(t, s.runtime.Start(t.Context(), name))
	}
	o := Orphans{Runtime: stubborn{s.runtime}, Node: "this-node", Log: slog.New(slog.DiscardHandler), Find: func(_ context.Context, id openflow.RunID) (openflow.TaskRecord, error) {
		if id == "b-unreadable" {
			return openflow.TaskRecord{}, errStuck
		}
		return openflow.TaskRecord{}, openflow.Errorf(openflow.CodeNotFound, "nobody knows it")
	}}
	err := o.Sweep(t.Context())
	require.ErrorIs(t, err, errRuntime)
	require.ErrorIs(t, err, errStuck)
	require.ElementsMatch(t, []string{"a-stuck", "b-unreadable"}, s.containers(t))
}

// A party whose jobs are refused leaves no more than the newest of them.
func TestRefusedJobsDoNotPileUp(t *testing.T) {
	s := kept(t)
	var all []openflow.JobKey
	for i := range keptRefused + 3 {
		s.now = s.now.Add(time.Second)
		k, _ := s.addJob(t, openflow.JobID(fmt.Sprint("j", i)), "10000")
		_, err := s.Rows.UpdateJobStatus(t.Context(), k, openflow.JobFailed, "refused")
		require.NoError(t, err)
		all = append(all, k)
	}
	require.NoError(t, s.dropRefused(t.Context()))
	for i, k := range all {
		_, err := s.Rows.Job(t.Context(), k)
		require.Equal(t, i < 3, openflow.CodeOf(err) == openflow.CodeNotFound, "%s: %v", k.Job, err)
	}
}

func TestOldJobsAreForgottenAndTheRestKept(t *testing.T) {
	s := kept(t)
	s.now = s.now.Add(-s.Keep.Jobs - time.Hour)
	var old []openflow.JobKey
	for i := range dropBatch + 1 { // more than one round
		k, _ := s.addJob(t, openflow.JobID("old-"+time.Duration(i).String()), "10000")
		_, err := s.Rows.UpdateJobStatus(t.Context(), k, openflow.JobFailed, "")
		require.NoError(t, err)
		old = append(old, k)
	}
	open, _ := s.addJob(t, "open", "10000")
	require.NoError(t, s.Rows.RememberScheduler(t.Context(), "old", "10000"))
	s.now = time.Now()
	require.NoError(t, s.Rows.RememberScheduler(t.Context(), "young", "10000"))
	require.NoError(t, s.dropOld(t.Context()))
	for id, want := range map[openflow.JobID]openflow.PartyID{"old": "", "young": "10000"} {
		got, err := s.Rows.SchedulerOf(t.Context(), "9999", id)
		require.Equal(t, want, got, "%s: %v", id, err)
	}
	for _, k := range old {
		_, err := s.Rows.Job(t.Context(), k)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
	require.Equal(t, openflow.JobReady, s.status(t, open), "a job that has not ended is never forgotten")
}

func TestOrphansGoAndOthersStay(t *testing.T) {
	s := kept(t)
	container := func(name, node string, run openflow.RunID) {
		_, err := s.runtime.Ensure(t.Context(), driver.Spec{Name: name, Image: "i", Labels: map[string]string{
			launch.LabelNode: node, launch.LabelRun: string(run),
		}})
		require.NoError(t, err)
		require.NoError(t, s.runtime.Start(t.Context(), name))
	}
	_, running := s.addJob(t, "running", "9999")
	s.now = s.now.Add(-2 * SweepEvery)
	_, ended := s.addJob(t, "ended", "9999")
	_, err := s.Rows.FinishTask(t.Context(), ended, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	s.now = time.Now()
	_, justEnded := s.addJob(t, "just-ended", "9999")
	_, err = s.Rows.FinishTask(t.Context(), justEnded, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)

	container("running", "this-node", running.RunID())
	container("ended", "this-node", ended.RunID())
	container("just-ended", "this-node", justEnded.RunID())
	container("unknown", "this-node", "nobody_knows_0@9999@guest_9999")
	container("foreign", "another-node", "nobody_knows_0@9999@guest_9999")

	early := func(name string, run openflow.TaskKey) {
		_, err := s.runtime.Ensure(t.Context(), driver.Spec{Name: name, Image: "x", Labels: map[string]string{
			launch.LabelNode: "this-node", launch.LabelRun: string(run.RunID()),
		}})
		require.NoError(t, err)
	}
	_, comes := s.addJob(t, "comes", "10000")
	early("early", comes)
	stopped, never := s.addJob(t, "stopped", "10000")
	_, err = s.Rows.UpdateJobStatus(t.Context(), stopped, openflow.JobCanceled, "")
	require.NoError(t, err)
	early("never-started", never)

	o := Orphans{
		Runtime: s.runtime, Node: "this-node", Age: OrphanAge(false), Find: s.Rows.TaskByRunID, Ended: s.Rows.JobEnded,
		Log: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, o.Sweep(t.Context()))
	require.ElementsMatch(t, []string{"running", "just-ended", "foreign", "early"}, s.containers(t))
}

func (s *site) containers(t *testing.T) []string {
	t.Helper()
	list, err := s.runtime.List(t.Context(), nil)
	require.NoError(t, err)
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

func TestRoundsEnd(t *testing.T) {
	r := Begin(slog.New(slog.DiscardHandler))
	ran, ended := make(chan struct{}, 1), false
	r.Every(time.Hour, "test", func(context.Context) error { ran <- struct{}{}; return errors.New("it is tried again") })
	r.Run(func(ctx context.Context) { <-ctx.Done(); ended = true })
	<-ran
	r.End()
	require.True(t, ended)
}
