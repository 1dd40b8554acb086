package users_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/folders"
	"openflow/store/catalogue"
	"openflow/store/objects/folder"
)

// desk is FATE's routes of the site 9999 on a catalogue and a store of their own. It has job j1 as guest and the logs that it is
// given.
type desk struct {
	t       testing.TB
	url     string
	rows    *catalogue.Catalogue
	objects *folder.Store
	exports string
	logs    map[openflow.TaskName]string
	stopped []openflow.JobID
}

// TaskLog implements application.Logs.
func (d *desk) TaskLog(_ context.Context, t openflow.TaskRecord, w io.Writer) error {
	_, err := io.WriteString(w, d.logs[t.Key.Task])
	return err
}

// stops ends jobs when they are stopped.
type stops struct {
	openflow.JobService
	*desk
}

func (s stops) StopJob(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) (openflow.Stopped, error) {
	s.stopped = append(s.stopped, id)
	jobs, err := s.rows.JobRows(ctx, scheduler, id)
	for _, j := range jobs {
		if err == nil {
			_, err = s.rows.UpdateJobStatus(ctx, j.Key(), openflow.JobCanceled, "stopped")
		}
	}
	return openflow.Stopped{Status: openflow.JobCanceled}, err
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	store, err := folder.Open(t.TempDir())
	require.NoError(t, err)
	d := &desk{t: t, rows: rows, objects: store, exports: filepath.Join(t.TempDir(), "exports"), logs: map[openflow.TaskName]string{}}
	var jobs atomic.Int64
	site := &application.Site{
		Jobs: stops{desk: d}, Space: func() error { return nil }, Catalogue: rows, Objects: store, Log: slog.New(slog.DiscardHandler),
		Exports: d.exports, Uploads: folders.Folders{Home: t.TempDir()}, Logs: d,
		NewID: func() openflow.JobID { return openflow.JobID(fmt.Sprintf("id%d", jobs.Add(1))) },
		About: func() application.About { return application.About{Party: "9999", Host: "127.0.0.1", Port: 9380} },
	}
	srv := httptest.NewServer(server.Handler(site.Log, dialect.All{fateflow.Dialect{}}.Application(site)))
	t.Cleanup(srv.Close)
	d.url = srv.URL
	return d
}

// job records a job with these tasks, all of one status, at the guest; the host 10000 takes part too unless others are said.
func (d *desk) job(id openflow.JobID, status openflow.TaskStatus, partners []openflow.Party, tasks ...openflow.TaskName) {
	d.t.Helper()
	if partners == nil {
		partners = []openflow.Party{{Role: openflow.RoleHost, ID: "10000"}}
	}
	dag := &openflow.DAG{SchemaVersion: "2.2.0", Parties: append([]openflow.Party{guest}, partners...), Stage: openflow.StageDefault}
	for _, name := range tasks {
		dag.Tasks = append(dag.Tasks, openflow.Task{Name: name, Component: "noop"})
	}
	job := openflow.JobRecord{
		ID: id, Party: guest, Scheduler: "9999", Initiator: "9999", Status: openflow.JobRunning, DAG: dag, ModelID: string(id), ModelVersion: "0",
		StartTime: time.UnixMilli(1_800_000_000_000), Reason: "the printer is on fire",
	}
	if status.Terminal() {
		job.Status, job.EndTime = openflow.JobStatus(status), time.UnixMilli(1_800_000_009_000)
	}
	var records []openflow.TaskRecord
	for i, spec := range dag.ForParty(guest) {
		records = append(records, openflow.TaskRecord{
			Key:    openflow.TaskKey{Scheduler: "9999", Job: id, Task: spec.Name, Party: guest},
			Status: status, PartyStatus: status, Component: "noop", Provider: "openflow:1@local", Spec: spec,
			StartTime: time.UnixMilli(1_800_000_001_000 + int64(i)), EndTime: time.UnixMilli(1_800_000_002_000 + int64(i)),
		})
	}
	require.NoError(d.t, d.rows.CreateJob(d.t.Context(), job, records))
}

// call sends a request, of a method and a path with its query, and returns code, data and message.
func (d *desk) call(route, body string) wire.Envelope {
	d.t.Helper()
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	require.NoError(d.t, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	return d.send(r)
}

func (d *desk) send(r *http.Request) wire.Envelope {
	d.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(d.t, err)
	defer func() { require.NoError(d.t, resp.Body.Close()) }()
	require.Equal(d.t, http.StatusOK, resp.StatusCode)
	require.Equal(d.t, "application/json", resp.Header.Get("Content-Type"))
	var e wire.Envelope
	require.NoError(d.t, json.NewDecoder(resp.Body).Decode(&e))
	return e
}

// form posts a multipart form with a file.
func (d *desk) form(path string, file []byte, fields ...part) wire.Envelope {
	d.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for _, f := range fields {
		require.NoError(d.t, form.WriteField(f.name, f.value))
	}
	if file != nil {
		w, err := form.CreateFormFile("file", "models.zip")
		require.NoError(d.t, err)
		_, err = w.Write(file)
		require.NoError(d.t, err)
	}
	require.NoError(d.t, form.Close())
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodPost, d.url+path, &body)
	require.NoError(d.t, err)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return d.send(r)
}

// data reads the data of an answer that must be good.
func (d *desk) data(e wire.Envelope, into any) {
	d.t.Helper()
	require.Zero(d.t, e.Code, e.Message)
	require.NoError(d.t, json.Unmarshal(e.Data, into))
}
