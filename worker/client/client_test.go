package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/dialect/native"
	"openflow/sdk/httpclient"
	"openflow/server"
	"openflow/server/base"
	"openflow/store/catalogue"
	"openflow/worker/client"
	"openflow/worker/form"
)

var (
	_ activities.TaskStore = (*client.Client)(nil)
	_ activities.LogStore  = (*client.Client)(nil)
)

const token = "the token of the workers"

// site is a node as its workers see it, on a real catalogue.
type site struct {
	rows *catalogue.Catalogue
	logs []string
	url  string
	told []string // of resident containers
}

// PutLog implements base.PoolLogs.
func (s *site) PutLog(_ context.Context, write func(stdout, stderr io.Writer) error) (string, error) {
	var b bytes.Buffer
	if err := write(&b, &b); err != nil || b.Len() == 0 {
		return "", err
	}
	s.logs = append(s.logs, b.String())
	return strings.Repeat("a", 64), nil
}

var guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}

func newSite(t *testing.T) *site {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	s := &site{rows: rows}
	log := slog.New(slog.DiscardHandler)
	h := httptest.NewServer(server.Handler(log, dialect.Mounts(native.Dialect{}.Base(&base.Site{Log: log, Pool: &base.Pool{
		Party: "9999", Namespace: "openflow", Store: rows, Logs: s, Residents: s,
		Check: func(given string) error {
			if given != token {
				return openflow.Errorf(openflow.CodeUnauthorized, "not our worker")
			}
			return nil
		},
		Supply: func(_ context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error) {
			return openflow.TaskSupply{Credential: "of " + string(r.Key.RunID()), ModelID: "J", ModelVersion: "0", Partitions: 3}, nil
		},
	}}))))
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

func (s *site) client() *client.Client {
	return &client.Client{URL: s.url, Token: token, HTTP: httpclient.New(httpclient.Options{})}
}

// task is a run with parameters that must arrive unchanged.
func (s *site) task(t *testing.T) openflow.TaskRecord {
	t.Helper()
	dag := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	job := openflow.JobRecord{ID: "J", Party: guest, Scheduler: "9999", Status: openflow.JobReady, DAG: dag}
	rec := openflow.TaskRecord{
		Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: guest}, Component: "noop", Cores: 2, MemoryBytes: 1 << 40,
		Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting,
		Spec: openflow.TaskSpec{Name: "a", Component: "noop", Parameters: openflow.Parameters{
			"big": json.Number("9007199254740993"), "none": nil, "list": []any{json.Number("0.1"), "ä <b>"},
		}, Conf: openflow.TaskConf{Timeout: time.Hour, Label: "gpu"}},
	}
	require.NoError(t, s.rows.CreateJob(t.Context(), job, []openflow.TaskRecord{rec}))
	rec, err := s.rows.Task(t.Context(), rec.Key)
	require.NoError(t, err)
	return rec
}

func TestRunOfAWorker(t *testing.T) {
	s := newSite(t)
	c, want := s.client(), s.task(t)

	about, err := c.Site(t.Context())
	require.NoError(t, err)
	require.Equal(t, form.Site{PartyID: "9999", Namespace: "openflow"}, about)

	got, err := c.Task(t.Context(), want.Key)
	require.NoError(t, err)
	require.Equal(t, want, got, "a row arrives as it is")
	supply, err := c.Supply(t.Context(), got)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSupply{Credential: "of J_a_0@9999@guest_9999", ModelID: "J", ModelVersion: "0", Partitions: 3}, supply)

	for _, changes := range []bool{true, false} {
		changed, err := c.StartTask(t.Context(), want.Key, openflow.Launch{Runtime: "docker", Container: "of-a", Provider: "acme:1@docker", Digest: "sha256:1"})
		require.NoError(t, err)
		require.Equal(t, changes, changed)
	}
	code := 7
	end := openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "exit code 7", ExitCode: &code, LogDigest: strings.Repeat("a", 64)}
	for _, changes := range []bool{true, false} {
		changed, err := c.FinishTask(t.Context(), want.Key, end)
		require.NoError(t, err)
		require.Equal(t, changes, changed)
	}
	got, err = c.Task(t.Context(), want.Key)
	require.NoError(t, err)
	require.Equal(t, []any{openflow.TaskFailed, "exit code 7", "of-a", "acme:1@docker", "sha256:1"},
		[]any{got.PartyStatus, got.Reason, got.ContainerName, got.Provider, got.ProgramDigest})
	require.Equal(t, 7, *got.ExitCode)

	_, err = c.FinishTask(t.Context(), want.Key, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "an end is final")
	_, err = c.Supply(t.Context(), got)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "an ended run needs nothing")
	_, err = c.TaskByRunID(t.Context(), "unknown")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestRegister(t *testing.T) {
	s := newSite(t)
	w := openflow.WorkerRecord{
		Machine: "m1", Name: "big", Labels: []string{"gpu"}, Runtime: "docker", Cores: 8, Version: "v", Running: []openflow.RunID{"x"},
		Started: time.UnixMilli(1_700_000_000_000).UTC(),
	}
	require.NoError(t, s.client().Register(t.Context(), w))
	list, err := s.rows.Workers(t.Context(), time.Now().Add(-time.Minute))
	require.NoError(t, err)
	require.Len(t, list, 1)
	w.Seen = list[0].Seen
	require.Equal(t, w, list[0])
	for _, bad := range []openflow.WorkerRecord{{Machine: "a/b"}, {Machine: "m", Labels: []string{"g pu"}}, {}} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.client().Register(t.Context(), bad)), "%+v", bad)
	}
}

func TestLogs(t *testing.T) {
	s := newSite(t)
	c := s.client()
	large := strings.Repeat("0123456789abcdef", 1<<16)
	digest, err := c.PutLog(t.Context(), func(stdout, stderr io.Writer) error {
		_, err := io.WriteString(stdout, large)
		require.NoError(t, err)
		_, err = io.WriteString(stderr, "end")
		return err
	})
	require.NoError(t, err)
	require.Len(t, digest, 64)
	require.Equal(t, []string{large + "end"}, s.logs)

	digest, err = c.PutLog(t.Context(), func(io.Writer, io.Writer) error { return nil })
	require.NoError(t, err)
	require.Empty(t, digest, "nothing was written")

	_, err = c.PutLog(t.Context(), func(stdout, _ io.Writer) error {
		_, _ = io.WriteString(stdout, "half") // what counts is that it breaks off
		return openflow.Errorf(openflow.CodeNotFound, "no such container")
	})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "the writer's error comes through")
	require.Len(t, s.logs, 1, "half a log is none")
}

func TestRefusedAndUnreachable(t *testing.T) {
	s := newSite(t)
	stranger := s.client()
	stranger.Token = "another"
	_, err := stranger.Site(t.Context())
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	_, err = stranger.PutLog(t.Context(), func(stdout, _ io.Writer) error {
		_, err := io.WriteString(stdout, strings.Repeat("x", 1<<20))
		return err
	})
	require.Error(t, err)
	require.Empty(t, s.logs)

	for name, answer := range map[string]http.HandlerFunc{
		"not a node":  func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "welcome", http.StatusNotFound) },
		"breaks off":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no envelope": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
	} {
		h := httptest.NewServer(answer)
		defer h.Close()
		c := &client.Client{URL: h.URL, Token: token, HTTP: httpclient.New(httpclient.Options{})}
		_, err := c.Task(t.Context(), openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: guest})
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), name)
	}
}

// A node that is called at another of its listeners says that it has no such route; asking again would not help.
func TestAnotherListener(t *testing.T) {
	h := httptest.NewServer(server.Handler(slog.New(slog.DiscardHandler), server.Health{}))
	t.Cleanup(h.Close)
	_, err := (&client.Client{URL: h.URL, Token: token, HTTP: httpclient.New(httpclient.Options{})}).Site(t.Context())
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "--listen-workers")
}

func TestCheckURL(t *testing.T) {
	for text, good := range map[string]bool{
		"http://10.0.0.2:9390": true, "https://site.example": true, "http://10.0.0.2:9390/": true, "10.0.0.2:9390": false,
		"ftp://x": false, "http://": false, "http://x/path": false, "http://x?q=1": false, "http://u:p@x": false, "": false,
	} {
		_, err := client.CheckURL(text)
		require.Equal(t, good, err == nil, "%q: %v", text, err)
	}
}

// Serves implements base.PoolResidents: of psi alone.
func (s *site) Serves(_ context.Context, component string, _ openflow.ProviderRef) bool {
	return component == "psi"
}

// Serving implements base.PoolResidents.
func (s *site) Serving(_ context.Context, machine, component string, of openflow.ProviderRef, serving bool) error {
	s.told = append(s.told, fmt.Sprint(machine, " ", component, " ", of, " ", serving))
	return nil
}

// A machine asks whether it may have resident containers of a component, and tells which it has.
func TestResidents(t *testing.T) {
	s := newSite(t)
	acme := openflow.ProviderRef{Name: "acme", Version: "1.0+b"}
	for component, want := range map[string]bool{"psi": true, "lr": false} {
		may, err := s.client().Serves(t.Context(), component, acme)
		require.NoError(t, err)
		require.Equal(t, want, may)
	}
	require.Empty(t, s.told, "a question tells nothing")
	for _, serving := range []bool{true, false} {
		require.NoError(t, s.client().Serving(t.Context(), "m2", "psi", acme, serving))
	}
	require.Equal(t, []string{"m2 psi acme:1.0+b true", "m2 psi acme:1.0+b false"}, s.told)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.client().Serving(t.Context(), strings.Repeat("m", 1000), "psi", acme, true)))
}

func TestProvider(t *testing.T) {
	s := newSite(t)
	want := openflow.ProviderRecord{
		Name: "acme", Version: "1.0+b", Kind: openflow.ProviderProgram, Place: "/opt/acme", Digest: "sha256:1", Dialect: "toy", AddedBy: "ann",
		AddedAt: time.UnixMilli(1_700_000_000_000).UTC(),
	}
	require.NoError(t, s.rows.AddProvider(t.Context(), want, nil, openflow.Papers{}))
	got, err := s.client().Provider(t.Context(), "acme", "1.0+b")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = s.client().Provider(t.Context(), "acme", "2")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}
