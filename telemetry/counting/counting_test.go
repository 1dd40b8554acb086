package counting

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node/home"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/events/changes"
	"openflow/store/events/memory"
	"openflow/store/objects/folder"
	"openflow/telemetry/metrics"
)

func opened(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return rows
}

// scraped is the value of a metric, by the beginning of its line; empty: it is not told.
func scraped(t *testing.T, m *metrics.Metrics, begin string) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, begin); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// A run that ends is counted once, however often its end is recorded.
func TestEndsOfRunsAreCounted(t *testing.T) {
	rows, m := opened(t), metrics.New("test")
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	run := openflow.TaskRecord{Key: openflow.TaskKey{Scheduler: "9999", Job: "j", Task: "a", Party: guest}, Component: "noop"}
	require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{
		ID: "j", Party: guest, Scheduler: "9999", Status: openflow.JobReady, DAG: &openflow.DAG{},
	}, []openflow.TaskRecord{run}))
	runs := Runs{Rows: changes.Rows{Catalogue: rows, Events: memory.New(events.Keep), Log: slog.New(slog.DiscardHandler)}, Metrics: m}
	for i, want := range []bool{true, false} {
		changed, err := runs.FinishTask(t.Context(), run.Key, openflow.TaskEnd{Status: openflow.TaskFailed})
		require.NoError(t, err)
		require.Equal(t, want, changed, i)
	}
	require.Equal(t, "1", scraped(t, m, `openflow_task_duration_seconds_count{status="failed"} `))
}

func TestEndsOfJobsAreCounted(t *testing.T) {
	rows, m := opened(t), metrics.New("test")
	_, err := rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: "j", Initiator: "9999", DAG: &openflow.DAG{}})
	require.NoError(t, err)
	jobs := Jobs{rows, m}
	for _, to := range []openflow.JobStatus{openflow.JobRunning, openflow.JobSuccess, openflow.JobSuccess} {
		_, err := jobs.UpdateScheduledJob(t.Context(), "j", to, "")
		require.NoError(t, err)
	}
	require.Equal(t, "1", scraped(t, m, `openflow_job_duration_seconds_count{status="success"} `))
}

func TestObjectsAreToldOnceTheyAreCounted(t *testing.T) {
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	c := &Site{Rows: opened(t), Objects: store, Home: &home.Home{Free: func(string) (uint64, error) { return 7, nil }}}
	state := func(ctx context.Context) metrics.State {
		s, err := c.State(ctx)
		require.NoError(t, err)
		return s
	}
	require.Equal(t, int64(-1), state(t.Context()).ObjectBytes)
	require.Equal(t, int64(7), state(t.Context()).DiskFree)
	_, err = store.Put(t.Context(), strings.NewReader("four"))
	require.NoError(t, err)
	require.NoError(t, c.CountObjects(t.Context()))
	require.Positive(t, state(t.Context()).ObjectBytes)
}
