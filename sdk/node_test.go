package sdk_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/sdk"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/registry"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/store/events/memory"
	"openflow/store/objects/folder"
)

var (
	guest = sdk.Guest("9999")
	host  = sdk.Host("10000")
)

// site is the real application layer on real stores. Only what lies behind it is played: jobs run when the test says so.
type site struct {
	tb      testing.TB
	rows    *catalogue.Catalogue
	objects *folder.Store
	events  *memory.Store
	seen    openflow.Submission
	next    openflow.JobID
	down    error // of peers
}

// start serves a node and returns a client of it. A token makes the node want one.
func start(tb testing.TB, token string) (*site, *sdk.Client) {
	tb.Helper()
	rows, err := catalogue.Open(tb.Context(), catalogue.Options{File: filepath.Join(tb.TempDir(), "rows.db")})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, rows.Close()) })
	store, err := folder.Open(tb.TempDir())
	require.NoError(tb, err)
	s := &site{tb: tb, rows: rows, objects: store, events: memory.New(20), next: "20260102150405000000"}
	own := openflow.ProviderRecord{Name: "openflow", Version: "1", Kind: openflow.ProviderBuiltIn, Digest: "sha256:1"}
	var offers []openflow.ComponentRecord
	for _, name := range []string{"lr", "psi"} {
		offers = append(offers, openflow.ComponentRecord{Name: name, Description: json.RawMessage(`{"component":{"name":"` + name + `"}}`)})
	}
	require.NoError(tb, rows.SetBuiltIn(tb.Context(), own, offers))
	log := slog.New(slog.DiscardHandler)
	api := &application.Site{
		Jobs: s, Providers: &registry.Registry{Self: "9999", Rows: rows, Device: "process"},
		Space: func() error { return nil }, Catalogue: rows, Objects: store, Sites: s, Logs: s, Events: s.events, NewID: func() openflow.JobID { return s.next }, Log: log,
		Access: application.Access{Token: token, Same: trust.SameToken},
		About: func() application.About {
			return application.About{Party: "9999", Version: "v1", Runtime: "process", PublicKey: "ed25519:k", Started: time.Now(), Warnings: []string{"w"}}
		},
	}
	ready := func() error { return nil }
	h := server.Handler(log, server.Health{Ready: ready}, dialect.All{native.Dialect{}, fateflow.Dialect{}}.Application(api))
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	tb.Cleanup(func() { require.NoError(tb, s.events.Close()) }) // before the server, which waits for the streams
	return s, &sdk.Client{URL: srv.URL, Token: token}
}

// serve answers everything with h.
func serve(tb testing.TB, h http.HandlerFunc) *sdk.Client {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return &sdk.Client{URL: srv.URL}
}

// SubmitJob creates the guest's rows, as the node's own partner service would.
func (s *site) SubmitJob(ctx context.Context, sub openflow.Submission) (openflow.Submitted, error) {
	s.seen = sub
	job := openflow.JobRecord{
		ID: s.next, Party: guest, Scheduler: "9999", Initiator: "9999", DAG: sub.DAG, ModelID: "m", ModelVersion: "0", UserName: sub.UserName,
	}
	var tasks []openflow.TaskRecord
	for _, spec := range sub.DAG.ForParty(guest) {
		tasks = append(tasks, openflow.TaskRecord{
			Key: openflow.TaskKey{Scheduler: "9999", Job: job.ID, Task: spec.Name, Party: guest}, Component: spec.Component, Spec: spec,
			SyncType: openflow.Callback,
		})
	}
	return openflow.Submitted{ID: job.ID, ModelID: "m", ModelVersion: "0", Warnings: []string{"mind the arbiter"}},
		s.rows.CreateJob(ctx, job, tasks)
}

// StopHere ends the job at this site, which only the user asks for.
func (s *site) StopHere(_ context.Context, scheduler openflow.PartyID, id openflow.JobID) (openflow.Stopped, error) {
	if id != s.next {
		return openflow.Stopped{}, openflow.Errorf(openflow.CodeNotFound, "job %s of %s has no part here", id, scheduler)
	}
	return openflow.Stopped{Status: openflow.JobCanceled, Reason: "stopped here", Stopping: []openflow.Party{guest}}, nil
}

// StopJob ends the job at once.
func (s *site) RerunJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	if id != s.next {
		return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "no job %s here", id))
	}
	_, err := s.rows.UpdateJobStatus(ctx, s.key(), openflow.JobWaiting, "")
	return err
}

func (s *site) StopJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) (openflow.Stopped, error) {
	if id != s.next {
		return openflow.Stopped{}, openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "no job %s here", id))
	}
	_, err := s.rows.UpdateJobStatus(ctx, s.key(), openflow.JobCanceled, "stopped")
	return openflow.Stopped{Status: openflow.JobCanceled, Reason: "stopped"}, err
}

func (s *site) key() openflow.JobKey {
	return openflow.JobKey{Scheduler: "9999", Job: s.next, Party: guest}
}

func (s *site) become(status openflow.JobStatus, reason string) {
	s.tb.Helper()
	changed, err := s.rows.UpdateJobStatus(s.tb.Context(), s.key(), status, reason)
	require.NoError(s.tb, err)
	require.True(s.tb, changed)
	s.tell(openflow.Event{Scheduler: "9999", Job: s.next, Party: guest, Status: string(status), Reason: reason})
}

func (s *site) tell(e openflow.Event) {
	s.tb.Helper()
	e.At = time.Now()
	require.NoError(s.tb, s.events.Publish(s.tb.Context(), e))
}

func (s *site) task(name openflow.TaskName) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: "9999", Job: s.next, Task: name, Party: guest}
}

func (s *site) TaskLog(_ context.Context, t openflow.TaskRecord, w io.Writer) error {
	_, err := io.WriteString(w, "log of "+string(t.Key.Task)+"\n")
	return err
}

func (s *site) AddSite(ctx context.Context, r openflow.SiteRecord) error {
	return s.rows.SaveSite(ctx, r)
}

func (s *site) TakeUnsigned(ctx context.Context, id openflow.PartyID, on bool) error {
	r, err := s.rows.Site(ctx, id)
	if err != nil {
		return err
	}
	r.Unsigned = on
	return s.rows.SaveSite(ctx, r)
}

func (s *site) ProbeSite(context.Context, openflow.PartyID) ([]openflow.HeardDialect, error) {
	return []openflow.HeardDialect{{Dialect: "native", Version: "1", Recorded: true}, {Dialect: "fate-flow", Version: "2", Err: openflow.Errorf(openflow.CodeUnavailable, "no\nanswer")}}, nil
}

func (s *site) RemoveSite(ctx context.Context, id openflow.PartyID) error {
	return s.rows.DeleteSite(ctx, id)
}

func (s *site) LimitSite(ctx context.Context, id openflow.PartyID, q openflow.Quota) error {
	return s.rows.SaveQuota(ctx, id, q)
}

func (s *site) LimitsOf(ctx context.Context, id openflow.PartyID) (said, holds openflow.Quota, use openflow.PeerUse, err error) {
	said, err = s.rows.Quota(ctx, id)
	return said, said.Or(openflow.DefaultQuota()), openflow.PeerUse{Jobs: 3, Held: openflow.Resources{Cores: 2}}, err
}

func (s *site) RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error {
	r, err := s.rows.Site(ctx, id)
	if err != nil {
		return err
	}
	if r.Keys = append([]string{key}, r.Keys...); final {
		r.Keys = []string{key}
	}
	return s.rows.SaveSite(ctx, r)
}

func (s *site) CheckSite(_ context.Context, id openflow.PartyID) error {
	return openflow.AtParty(id, s.down)
}

func sampleDAG(tb testing.TB) *openflow.DAG {
	tb.Helper()
	p := sdk.NewPipeline(guest, host)
	reader := p.AddTask("reader_0", "reader").
		SetAt(guest, openflow.Parameters{"namespace": "demo", "name": "guest"}).
		SetAt(host, openflow.Parameters{"namespace": "demo", "name": "host"})
	p.AddTask("psi_0", "psi").Data("input_data", reader.Output("output_data"))
	dag, err := p.DAG()
	require.NoError(tb, err)
	return dag
}

func requireCode(tb testing.TB, want openflow.Code, err error) {
	tb.Helper()
	require.Equalf(tb, want, openflow.CodeOf(err), "error: %v", err)
}

func raw(text string) json.RawMessage { return json.RawMessage(text) }
