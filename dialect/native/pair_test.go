package native_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/interconnection"
	"openflow/site/trust"
	"openflow/store/messages"
	"openflow/store/messages/sqlite"
)

var (
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	jobK  = openflow.JobKey{Scheduler: "9999", Job: "202501020304050607080", Party: host}
	taskK = openflow.TaskKey{Scheduler: "9999", Job: jobK.Job, Task: "psi_0", Version: 2, Party: host}
)

// backend is the services of party 10000: it notes what arrives and answers as told.
type backend struct {
	got     []any
	err     error
	task    openflow.TaskRecord
	created openflow.Submitted
	stopped openflow.Stopped
	ended   []openflow.EndedJob
	panics  bool
}

func (b *backend) take(args ...any) error {
	if b.panics {
		panic("a defect")
	}
	b.got = args
	return b.err
}

func (b *backend) Reserve(_ context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(b.take("reserve", k))
}
func (b *backend) Release(_ context.Context, k openflow.JobKey) error { return b.take("release", k) }
func (b *backend) Tell(_ context.Context, k openflow.JobKey, n openflow.News) error {
	return b.take("tell", k, n)
}
func (b *backend) StartTask(_ context.Context, o openflow.TaskStart) error {
	return b.take("start task", o)
}
func (b *backend) OpenJob(_ context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	r, err := openflow.Reserved(b.take("open", o))
	r.Held = r.Held && !o.Later
	return r, err
}
func (b *backend) AskTask(_ context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	return b.task.Standing(), b.take("ask", k)
}
func (b *backend) ReportTask(_ context.Context, caller openflow.PartyID, r openflow.Report) error {
	return b.take("report", caller, r)
}

// asPartner and asScheduler are backend under the two interfaces, which both have a StopJob.
type asPartner struct{ *backend }

func (b asPartner) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	return b.take("stop", k, end)
}

type asScheduler struct{ *backend }

func (b asScheduler) CreateJob(_ context.Context, caller openflow.PartyID, s openflow.Submission) (openflow.Submitted, error) {
	return b.created, b.take("schedule", caller, s)
}
func (b asScheduler) StopJob(_ context.Context, caller openflow.PartyID, id openflow.JobID, s openflow.JobStatus) (openflow.Stopped, error) {
	return b.stopped, b.take("stop", caller, id, s)
}

func (b asScheduler) RerunJob(_ context.Context, caller openflow.PartyID, id openflow.JobID) error {
	return b.take("rerun", caller, id)
}

func (b asScheduler) WakeJob(_ context.Context, caller openflow.PartyID, id openflow.JobID) error {
	return b.take("wake", caller, id)
}

func (b asScheduler) EndedJobs(_ context.Context, caller openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	return b.ended, b.take("ended", caller, ids)
}

type signer struct{ trust.Signer }

func (s signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	s.Signer.Sign(r, to, body, time.Now())
	return nil
}

type keys map[openflow.PartyID][]trust.PublicKey

func (k keys) PublicKeys(_ context.Context, p openflow.PartyID) ([]trust.PublicKey, error) {
	return k[p], nil
}

// known are the keys in the record of party 10000.
type known []trust.PublicKey

func (k known) VerifyAnswer(from openflow.PartyID, request, answer http.Header, status int, body []byte) error {
	return trust.VerifyAnswer(k, from, request, answer, status, body)
}

// sessions lets party 9999 send to one session.
type sessions struct{}

func (sessions) Admit(_ context.Context, from openflow.PartyID, session, _ string) (openflow.SessionID, error) {
	if from != "9999" || session != "s" {
		return "", openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	return openflow.SessionID(session), nil
}

// names are the same at both sides.
type names struct{}

func (names) Own(_ context.Context, _ openflow.PartyID, session, topic string) (string, string, error) {
	return session, topic, nil
}

// pair is a client of party 9999 and the real interconnection layer of party 10000.
type pair struct {
	client  *verbs.Client
	backend *backend
	store   *sqlite.Store
	url     string
	prober  *prober
}

func newPair(t *testing.T) *pair {
	t.Helper()
	key, err := trust.LoadOrCreateKey(private(t))
	require.NoError(t, err)
	its, err := trust.LoadOrCreateKey(private(t))
	require.NoError(t, err)
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Options: messages.Options{MessageBytes: 1 << 16, SessionBytes: 1 << 18}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	b, log := &backend{}, slog.New(slog.DiscardHandler)
	back := &prober{}
	api := &interconnection.API{
		Dialects: dialect.All{native.Dialect{}},
		Node: dialect.Node{
			Verifier: trust.Verifier{Self: "10000", Keys: keys{"9999": {key.Public()}}, Nonces: store}, Partner: asPartner{b},
			Signer:    trust.Signer{Party: "10000", Key: its},
			Scheduler: asScheduler{b}, Prober: back, Version: "v7", Log: log,
			Space: func() error { return back.full },
		},
		Transport: &interconnection.Transport{Names: names{}, Self: "10000", Store: store, Sessions: sessions{}, MaxBody: 1 << 20, Log: log},
	}
	srv := httptest.NewServer(server.Handler(log, api))
	t.Cleanup(srv.Close)
	return &pair{native.NewClient(peer.Link{
		Self: "9999", Peer: "10000", URL: srv.URL, Signer: signer{trust.Signer{Party: "9999", Key: key}}, HTTP: httpclient.New(httpclient.Options{}),
		Verifier: known{its.Public()},
	}), b, store, srv.URL, back}
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

func dag(t *testing.T) *openflow.DAG {
	t.Helper()
	doc, err := os.ReadFile("../../sdk/wire/testdata/dag/flow-5.1.yaml")
	require.NoError(t, err)
	d, err := wire.ParseDAG(doc)
	require.NoError(t, err)
	return d
}

type method struct {
	call func(*verbs.Client) error
	want []any // what arrives at the other side
}

// methods is every method of both services.
func methods(t *testing.T) map[string]method {
	d, ctx := dag(t), t.Context()
	end := openflow.TaskUpdate{Key: taskK, Status: openflow.TaskFailed, Reason: "why", Progress: 50}
	start := openflow.TaskStart{TaskKey: taskK, StartsJob: true, Ended: []openflow.TaskUpdate{end}}
	stop := openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why", Tasks: []openflow.TaskUpdate{end}}
	news := openflow.News{Status: openflow.JobWaiting, Reason: "why", Progress: 50, Tasks: []openflow.TaskUpdate{
		end, {Key: taskK, Status: openflow.TaskRunning}, {Key: taskK, Status: openflow.TaskWaiting},
	}}
	report := openflow.Report{Key: taskK, Status: openflow.TaskFailed, Cause: openflow.Cause{Text: "exit code 7", Code: openflow.CodeRejected, Consequence: true}}
	sub := openflow.Submission{DAG: d, Initiator: "9999", ID: jobK.Job, IdempotencyKey: "k", UserName: "u ä"}
	return map[string]method{
		"OpenJob, later": {
			func(c *verbs.Client) error {
				return held(c.OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: d, UserName: "u ä", Later: true}))
			},
			[]any{"open", openflow.JobOrder{Key: jobK, DAG: d, UserName: "u ä", Later: true}},
		},
		"OpenJob": {
			func(c *verbs.Client) error {
				return held(c.OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: d, UserName: "u ä"}))
			},
			[]any{"open", openflow.JobOrder{Key: jobK, DAG: d, UserName: "u ä"}},
		},
		"Reserve": {func(c *verbs.Client) error { return held(c.Reserve(ctx, jobK)) }, []any{"reserve", jobK}},
		"Release": {func(c *verbs.Client) error { return c.Release(ctx, jobK) }, []any{"release", jobK}},
		"Tell, start": {
			func(c *verbs.Client) error { return c.Tell(ctx, jobK, openflow.News{Status: openflow.JobRunning}) },
			[]any{"tell", jobK, openflow.News{Status: openflow.JobRunning}},
		},
		"Tell, everything": {func(c *verbs.Client) error { return c.Tell(ctx, jobK, news) }, []any{"tell", jobK, news}},
		"Tell, reason only": {
			func(c *verbs.Client) error { return c.Tell(ctx, jobK, openflow.News{Reason: "why"}) },
			[]any{"tell", jobK, openflow.News{Reason: "why"}},
		},
		"StopJob": {
			func(c *verbs.Client) error { return c.StopJob(ctx, jobK, stop) },
			[]any{"stop", jobK, stop},
		},
		"Scheduler.RerunJob": {
			func(c *verbs.Client) error { return c.Scheduler().RerunJob(ctx, "9999", jobK.Job) }, []any{"rerun", openflow.PartyID("9999"), jobK.Job},
		},
		"Scheduler.WakeJob": {
			func(c *verbs.Client) error { return c.Scheduler().WakeJob(ctx, "9999", jobK.Job) }, []any{"wake", openflow.PartyID("9999"), jobK.Job},
		},
		"Scheduler.EndedJobs": {
			func(c *verbs.Client) error {
				_, err := c.Scheduler().EndedJobs(ctx, "9999", []openflow.JobID{jobK.Job, "other"})
				return err
			}, []any{"ended", openflow.PartyID("9999"), []openflow.JobID{jobK.Job, "other"}},
		},
		"StartTask": {
			func(c *verbs.Client) error { return c.StartTask(ctx, start) }, []any{"start task", start},
		},
		"AskTask": {
			func(c *verbs.Client) error { _, err := c.AskTask(ctx, taskK); return err },
			[]any{"ask", taskK},
		},
		"Scheduler.CreateJob": {
			func(c *verbs.Client) error { _, err := c.Scheduler().CreateJob(ctx, "9999", sub); return err },
			[]any{"schedule", openflow.PartyID("9999"), sub},
		},
		"Scheduler.StopJob": {
			func(c *verbs.Client) error {
				_, err := c.Scheduler().StopJob(ctx, "9999", jobK.Job, openflow.JobTimeout)
				return err
			},
			[]any{"stop", openflow.PartyID("9999"), jobK.Job, openflow.JobTimeout},
		},
		"Scheduler.ReportTask": {
			func(c *verbs.Client) error { return c.Scheduler().ReportTask(ctx, "9999", report) },
			[]any{"report", openflow.PartyID("9999"), report},
		},
	}
}

func held(r openflow.Reservation, err error) error {
	if err == nil {
		err = r.Err()
	}
	return err
}
