package changes

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/site/admission"
	"openflow/site/partner"
	"openflow/store/catalogue"
	"openflow/store/document"
	"openflow/store/events"
	"openflow/store/events/memory"
)

// told is an empty catalogue whose changes are told.
func told(t *testing.T) Rows {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return Rows{rows, memory.New(events.Keep), slog.New(slog.DiscardHandler)}
}

// heard are the events until one tells of the job named "last".
func heard(t *testing.T, rows Rows, change func(Rows)) (list []openflow.Event) {
	t.Helper()
	sub, err := rows.Events.Subscribe(t.Context(), "")
	require.NoError(t, err)
	change(rows)
	require.NoError(t, rows.Events.Publish(t.Context(), openflow.Event{Job: "last"}))
	for {
		e, err := sub.Next(t.Context())
		require.NoError(t, err)
		if e.Job == "last" {
			return list
		}
		e.ID, e.At = "", time.Time{}
		list = append(list, e)
	}
}

// Whatever users see of a job and its runs is told when it changes.
func TestChangesAreTold(t *testing.T) {
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	dag := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	job := openflow.JobRecord{ID: "1", Party: guest, Scheduler: "9999", Cores: 4, DAG: dag}
	run := openflow.TaskRecord{Key: openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Party: guest}, Component: "noop"}
	again := run
	again.Key.Version = 1
	half := 50
	rows := told(t)
	ofJob := func(e openflow.Event) openflow.Event {
		e.Scheduler, e.Job, e.Party = "9999", "1", guest
		return e
	}
	ofRun := func(status, reason string) openflow.Event {
		return ofJob(openflow.Event{Task: "a", Status: status, Reason: reason})
	}
	for _, tc := range []struct {
		name   string
		change func(context.Context, Rows) error
		want   openflow.Event
	}{
		{"the job is created", func(ctx context.Context, c Rows) error {
			return c.CreateJob(ctx, job, []openflow.TaskRecord{run})
		}, ofJob(openflow.Event{Status: "ready"})},
		{"it waits", func(ctx context.Context, c Rows) error {
			_, err := c.UpdateJobStatus(ctx, job.Key(), openflow.JobWaiting, "why")
			return err
		}, ofJob(openflow.Event{Status: "waiting", Reason: "why"})},
		{"for another reason", func(ctx context.Context, c Rows) error { return c.SetJobReason(ctx, job.Key(), "how") },
			ofJob(openflow.Event{Reason: "how"})},
		{"it runs", func(ctx context.Context, c Rows) error {
			_, err := c.UpdateJobStatus(ctx, job.Key(), openflow.JobRunning, "")
			return err
		}, ofJob(openflow.Event{Status: "running"})},
		{"it has come that far", func(ctx context.Context, c Rows) error {
			_, err := c.SetJobProgress(ctx, job.Key(), half)
			return err
		}, ofJob(openflow.Event{Progress: &half})},
		{"it says what it waits for while it runs", func(ctx context.Context, c Rows) error {
			_, err := c.SetRunningReason(ctx, job.Key(), "waiting for task a")
			return err
		}, ofJob(openflow.Event{Reason: "waiting for task a"})},
		{"a run waits for a machine", func(ctx context.Context, c Rows) error {
			_, err := (&activities.Placing{Tasks: c, Workers: nobody{}}).TellWait(ctx, activities.TaskOrder{Run: document.EncodeRun(run.Key)})
			return err
		}, ofRun("", "no worker")},
		{"the run begins", func(ctx context.Context, c Rows) error {
			_, err := c.StartTask(ctx, run.Key, openflow.Launch{Runtime: "process", Container: "x"})
			return err
		}, ofRun("running", "")},
		{"its federated status changes", func(ctx context.Context, c Rows) error {
			_, err := c.SetTaskStatus(ctx, run.Key, openflow.TaskSuccess)
			return err
		}, ofRun("", "")},
		{"it is to end", func(ctx context.Context, c Rows) error {
			return c.MarkTaskKilled(ctx, run.Key, openflow.TaskCanceled, "stopped")
		}, ofRun("", "stopped")},
		{"it has ended", func(ctx context.Context, c Rows) error {
			_, err := c.FinishTask(ctx, run.Key, openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "no luck"})
			return err
		}, ofRun("failed", "no luck")},
		{"there is another run", func(ctx context.Context, c Rows) error { return c.AddTask(ctx, again) },
			ofJob(openflow.Event{Task: "a", Version: 1})},
	} {
		got := heard(t, rows, func(c Rows) { require.NoError(t, tc.change(t.Context(), c), tc.name) })
		require.Equal(t, []openflow.Event{tc.want}, got, tc.name)
	}
}

// nobody is a pool without workers.
type nobody struct{}

func (nobody) Workers(context.Context, string) ([]openflow.WorkerRecord, error) { return nil, nil }

// What the catalogue itself writes down when it refuses a job is told too.
func TestRefusalIsTold(t *testing.T) {
	rows := told(t)
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	capacity := openflow.Resources{Cores: 4}
	apply := func(id openflow.JobID, store partner.Store) error {
		job := openflow.JobRecord{ID: id, Party: guest, Scheduler: "9999", Cores: 4, DAG: &openflow.DAG{SchemaVersion: "1"}}
		require.NoError(t, rows.Catalogue.CreateJob(t.Context(), job, nil))
		return store.ApplyJobResources(t.Context(), job.Key(), capacity, admission.Rules{})
	}
	require.NoError(t, apply("1", rows))
	got := heard(t, rows, func(c Rows) {
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(apply("2", c)))
	})
	row, err := rows.Job(t.Context(), openflow.JobKey{Scheduler: "9999", Job: "2", Party: guest})
	require.NoError(t, err)
	require.Contains(t, row.Reason, "needs 4 cores, 0 of 4 are free")
	require.Equal(t, []openflow.Event{{Scheduler: "9999", Job: "2", Party: guest, Status: "ready", Reason: row.Reason}}, got)
}
