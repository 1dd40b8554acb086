package native_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
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

func TestEveryMethodIsInTheTable(t *testing.T) {
	table := methods(t)
	for _, service := range []struct {
		prefix string
		of     reflect.Type
	}{{"", reflect.TypeFor[openflow.PartnerService]()}, {"Scheduler.", reflect.TypeFor[openflow.SchedulerService]()}} {
		for i := range service.of.NumMethod() {
			name := service.prefix + service.of.Method(i).Name
			found := false
			for key := range table {
				found = found || key == name || strings.HasPrefix(key, name+",")
			}
			require.True(t, found, "%s has no case", name)
		}
	}
}

func TestArgumentsArriveWhole(t *testing.T) {
	p := newPair(t)
	p.backend.task = openflow.TaskRecord{PartyStatus: openflow.TaskRunning}
	for name, m := range methods(t) {
		t.Run(name, func(t *testing.T) {
			p.backend.got = nil
			require.NoError(t, m.call(p.client))
			require.Empty(t, cmp.Diff(m.want, p.backend.got))
		})
	}
}

func TestErrorsArriveWhole(t *testing.T) {
	p := newPair(t)
	for name, m := range methods(t) {
		for _, code := range []openflow.Code{
			openflow.CodeInvalid, openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict,
			openflow.CodeRejected, openflow.CodeExhausted, openflow.CodeUnavailable, openflow.CodeCanceled, openflow.CodeDeadline,
			openflow.CodeUnimplemented, openflow.CodeInternal,
		} {
			sent := &openflow.Error{Code: code, Subject: openflow.AboutResource, Message: "2 of 4 cores", Hint: "wait"}
			p.backend.err = sent
			var got *openflow.Error
			require.ErrorAs(t, m.call(p.client), &got, "%s %s", name, code)
			want := *sent
			want.Party = "10000"
			if code == openflow.CodeInternal {
				want.Message, want.Hint = "only its own site knows why (internal)", "its operator finds that in the log of its node"
			}
			require.Empty(t, cmp.Diff(&want, got, cmpopts.IgnoreFields(openflow.Error{}, "Err")), "%s %s", name, code)
		}
	}
	p.backend.err = openflow.AtParty("777", openflow.Errorf(openflow.CodeRejected, "no"))
	_, err := p.client.Scheduler().CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(t)})
	require.ErrorContains(t, err, "at party 777", "the party where it happened, not the one that tells it")
}

// What a database, a file system or a network has said at a node stays there.
func TestForeignWordsStayAtTheirNode(t *testing.T) {
	p := newPair(t)
	for name, m := range methods(t) {
		for _, sent := range []error{
			openflow.Errorf(openflow.CodeNotFound, "open /home/ann/rows: %w", fs.ErrNotExist).WithHint("look into /home/ann"),
			openflow.Errorf(openflow.CodeExhausted, "catalogue: %w", openflow.Errorf(openflow.CodeExhausted, "%w", io.ErrShortWrite)),
			openflow.Errorf(openflow.CodeInternal, "a defect in /home/ann"),
			io.ErrUnexpectedEOF,
		} {
			p.backend.err = sent
			err := m.call(p.client)
			require.Equal(t, openflow.CodeOf(sent), openflow.CodeOf(err), "%s %v", name, sent)
			require.ErrorContains(t, err, "only its own site knows why")
			require.NotContains(t, err.Error(), "/home/ann")
			require.NotContains(t, err.Error(), "short write")
		}
		p.backend.err = openflow.Errorf(openflow.CodeInternal, "open /home/ann: %w", fs.ErrPermission).WithPublic("no disk")
		require.ErrorContains(t, m.call(p.client), "no disk", "what is marked is told")
	}
}

func TestAnswers(t *testing.T) {
	p := newPair(t)
	p.backend.created = openflow.Submitted{ID: "7", ModelID: "m", ModelVersion: "0"}
	got, err := p.client.Scheduler().CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(t)})
	require.NoError(t, err)
	require.Equal(t, p.backend.created, got)

	p.backend.task = openflow.TaskRecord{Status: openflow.TaskRunning, PartyStatus: openflow.TaskFailed, ErrorReport: "line 1\nline 2", Reason: "line 1",
		Cause: openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}}
	at, err := p.client.AskTask(t.Context(), taskK)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskStanding{Key: taskK, Status: openflow.TaskRunning, PartyStatus: openflow.TaskFailed, Cause: p.backend.task.Cause}, at)
	require.NoError(t, p.client.Probe(t.Context()))
}

// Whatever a broken or foreign node answers is its fault and worth another try, never a success.
func TestUnusableAnswers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"HTTP 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"HTTP 404": func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"HTML":     func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"nothing":  func(http.ResponseWriter, *http.Request) {},
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
		"hung up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"unknown status": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":1,"data":{"party_status":"finished"}}`)
		},
		"another version": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":2,"data":{"party_status":"success"}}`)
		},
		"data of a kind": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":1,"data":[]}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			srv := httptest.NewUnstartedServer(h)
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			srv.Start()
			defer srv.Close()
			p.client.URL, p.client.Verifier = srv.URL, nil // what is not signed is no answer anyway
			_, err := p.client.AskTask(t.Context(), taskK)
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "10000")
		})
	}
}

// Who speaks something else than TLS 1.3 at a peer's address answers, and not so that it can be used.
func TestAnswersInAnotherProtocol(t *testing.T) {
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	bare := httptest.NewServer(http.NotFoundHandler())
	defer bare.Close()
	other, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	go func() {
		for {
			c, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-Other\r\n")
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	for name, url := range map[string]string{
		"TLS 1.2": old.URL, "HTTP without TLS": "https" + strings.TrimPrefix(bare.URL, "http"), "no TLS at all": "https://" + other.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			p.client.URL, p.client.HTTP = url, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}}
			err := p.client.Probe(t.Context())
			require.ErrorIs(t, err, openflow.ErrUnusable, "%v", err)
			require.ErrorContains(t, err, "not in TLS as this node speaks it")
			require.Equal(t, "the node gives no answer that can be used", openflow.PublicText(err))
		})
	}
}

// A peer that does not say whom it takes the caller for has not refused its signature.
func TestSiteWithoutACaller(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"openflow":1,"data":{}}`)
	}))
	defer srv.Close()
	p := newPair(t)
	p.client.URL, p.client.Verifier = srv.URL, nil
	require.ErrorIs(t, p.client.Probe(t.Context()), openflow.ErrUnusable)
}

// A peer that neither grants a job's resources nor says why has not answered: what it holds is not known.
func TestResourcesThatAreNeitherGrantedNorRefused(t *testing.T) {
	for _, data := range []string{`null`, `{}`, `{"held":false}`, `{"held":null,"short":null}`} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":1,"data":`+data+`}`)
		}))
		p := newPair(t)
		p.client.URL, p.client.Verifier = srv.URL, nil
		_, open := p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: dag(t)})
		_, reserve := p.client.Reserve(t.Context(), jobK)
		for _, err := range []error{open, reserve} {
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%s: %v", data, err)
			require.ErrorIs(t, err, openflow.ErrUnusable)
			require.ErrorContains(t, err, "without saying whether the job has its resources")
		}
		srv.Close()
	}
}

// A wrong key in the record of a peer shows at every call, so before anything runs.
func TestAnswersAreProven(t *testing.T) {
	other, err := trust.LoadOrCreateKey(private(t))
	require.NoError(t, err)
	d, p := dag(t), newPair(t)
	calls := map[string]func() error{
		"open": func() error { return held(p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: d})) },
		"only record": func() error {
			return held(p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: d, Later: true}))
		},
		"schedule": func() error {
			_, err := p.client.Scheduler().CreateJob(t.Context(), "9999", openflow.Submission{DAG: d})
			return err
		},
		"probe": func() error { return p.client.Probe(t.Context()) },
		"tell":  func() error { return p.client.Tell(t.Context(), jobK, openflow.News{Reason: "why"}) },
		"open, and it is busy": func() error {
			p.backend.err = openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeExhausted, "busy"))
			defer func() { p.backend.err = nil }()
			err := held(p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: d}))
			if openflow.CodeOf(err) == openflow.CodeExhausted {
				return nil
			}
			return err
		},
	}
	right := p.client.Verifier
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			p.client.Verifier = right
			require.NoError(t, call())
			p.client.Verifier = known{other.Public()}
			err := call()
			require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
			require.ErrorContains(t, err, "at party 9999: party 10000 signs with key", "the record there does not fit")
			require.ErrorContains(t, err, other.Public().ID())
			require.ErrorContains(t, err, "openflow site rotate 10000")
		})
	}
}

// An answer without a signature makes no job; a refusal needs none. What speaks another dialect is said to do so, and is
// not called in that instead.
func TestUnsignedAnswers(t *testing.T) {
	answer := `{"openflow":1,"data":{"held":true}}`
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = io.WriteString(w, answer)
	}))
	defer srv.Close()
	p, order := newPair(t), openflow.JobOrder{Key: jobK, DAG: dag(t)}
	p.client.URL = srv.URL
	err := held(p.client.OpenJob(t.Context(), order))
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.ErrorContains(t, err, "the answer of party 10000 is not signed")
	answer = `{"openflow":1,"error":{"code":"permission","message":"no grant"}}`
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(held(p.client.OpenJob(t.Context(), order))))
	for _, answer = range []string{`{"code":6000,"message":"unknown route"}`, `{"code":0,"message":"success"}`} {
		calls = 0
		err = held(p.client.OpenJob(t.Context(), order))
		require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
		require.ErrorContains(t, err, "in another dialect")
		require.ErrorContains(t, err, "openflow site probe 10000")
		require.Equal(t, 1, calls)
	}
}

// Unknown routes and panics are answered in the dialect's own envelope.
func TestUnknownRoutesAndPanics(t *testing.T) {
	p := newPair(t)
	answer := func(path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+path, strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, p.client.Signer.Sign(r, "10000", []byte(body)))
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return string(text)
	}
	require.Contains(t, answer("/openflow/v1/node/nothing", "{}"), `{"openflow":1,"error":{"code":"unimplemented","message":"no route POST /openflow/v1/node/nothing`)
	p.backend.panics = true
	require.Contains(t, answer("/openflow/v1/node/job/release", `{"job_id":"1","role":"host","party_id":"10000"}`), `{"openflow":1,"error":{"code":"internal"`)
}

// A participant speaks for itself: what it refuses is never said to be another party's refusal.
func TestParticipantBlamesNobodyElse(t *testing.T) {
	p := newPair(t)
	p.client.Verifier = nil
	p.backend.err = &openflow.Error{Code: openflow.CodeRejected, Party: "777", Message: "no", Mistakes: []openflow.Mistake{
		{Code: openflow.CodeRejected, Party: "777", Path: "dag", Message: "no"}, {Code: openflow.CodeInvalid, Message: "everybody's"},
	}}
	for name, m := range methods(t) {
		var got *openflow.Error
		require.ErrorAs(t, m.call(p.client), &got, name)
		if strings.HasPrefix(name, "Scheduler.") {
			require.Equal(t, openflow.PartyID("777"), got.Party, "%s: a scheduler passes on what others have said", name)
			continue
		}
		require.Equal(t, openflow.PartyID("10000"), got.Party, name)
		require.Equal(t, openflow.PartyID("10000"), got.Mistakes[0].Party, name)
		require.NotContains(t, fmt.Sprint(got, openflow.MistakesOf(got)), "777", name)
	}
}

// Whatever a node refuses with, an error of it is small.
func TestHugeRefusal(t *testing.T) {
	answer := `{"openflow":1,"error":{"code":"invalid","message":"` + strings.Repeat("y", 3<<20) + `"}}`
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer srv.Close()
	p := newPair(t)
	p.client.URL = srv.URL
	err := held(p.client.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: dag(t)}))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Less(t, len(err.Error()), 2<<10)
}

// A refusal without a code, or without a text, names its party once and says that it gives no reason.
func TestRefusalWithoutAText(t *testing.T) {
	for refusal, want := range map[string]string{
		`{}`:                            "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"","message":""}`:      "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"tired","message":""}`: "at party 10000: it refuses, and does not say why (internal)",
		`{"code":"permission"}`:         "at party 10000: it refuses, and does not say why (permission)",
		`{"message":"no"}`:              "at party 10000: no",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"openflow":1,"error":`+refusal+`}`)
		}))
		p := newPair(t)
		p.client.URL, p.client.Verifier = srv.URL, nil
		require.EqualError(t, p.client.Release(t.Context(), jobK), want, refusal)
		srv.Close()
	}
}

func TestUnreachable(t *testing.T) {
	p := newPair(t)
	p.client.URL = "http://127.0.0.1:1"
	err := p.client.Release(t.Context(), jobK)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "does not answer at http://127.0.0.1:1")
	require.ErrorContains(t, err, "connection refused")
	require.ErrorContains(t, err, "openflow doctor")
	require.ErrorIs(t, openflow.AtParty("10000", err), openflow.ErrAbsent)
	require.ErrorIs(t, p.client.Reach(t.Context()), openflow.ErrAbsent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(p.client.Release(ctx, jobK)), "the caller's own end is not the peer's fault")
	p.client.URL = "http://[broken"
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(p.client.Release(t.Context(), jobK)))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(p.client.Reach(t.Context())))
	p.client.URL = p.url
	require.NoError(t, p.client.Reach(t.Context()))
}

func TestPush(t *testing.T) {
	p := newPair(t)
	m := peer.Outgoing{Session: "s", Topic: "guest-9999~host-10000~t", ID: "1", Payload: []byte{0, 1, 2}}
	for range 2 {
		require.NoError(t, p.client.Push(t.Context(), m))
	}
	c := messages.Channel{Session: "s", Topic: m.Topic}
	got, ok, err := p.store.Pop(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, m.Payload, got.Payload)
	require.Equal(t, "9999", got.Source, "as proven, whatever a header says")
	_, ok, err = p.store.Pop(t.Context(), c, "", 0)
	require.NoError(t, err)
	require.False(t, ok, "the repeat was one message")

	for name, tc := range map[string]struct {
		change func(*peer.Outgoing)
		want   ptp.Result
	}{
		"another session": {func(m *peer.Outgoing) { m.Session = "other" }, ptp.ResultForbidden},
		"too large":       {func(m *peer.Outgoing) { m.Payload = make([]byte, 1<<16+1) }, ptp.ResultTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			bad := m
			tc.change(&bad)
			err := p.client.Push(t.Context(), bad)
			require.Error(t, err)
			require.Equal(t, tc.want, ptp.ResultOf(err))
			require.ErrorContains(t, err, "10000")
		})
	}
}

// A peer that does not take our signature says so in its own dialect, and no repeat would help.
func TestPushThatIsNotProven(t *testing.T) {
	p := newPair(t)
	key, err := trust.LoadOrCreateKey(private(t))
	require.NoError(t, err)
	p.client.Signer = signer{trust.Signer{Party: "9999", Key: key}}
	err = p.client.Push(t.Context(), peer.Outgoing{Session: "s", Topic: "t"})
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "signature")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(p.client.Probe(t.Context())))
}

// Every call is told of, with how it went: whoever measures sees failures too.
func TestCallsAreToldOf(t *testing.T) {
	p := newPair(t)
	var told []error
	p.client.Called = func(peer openflow.PartyID, took time.Duration, err error) {
		require.Equal(t, openflow.PartyID("10000"), peer)
		require.Positive(t, took)
		told = append(told, err)
	}
	require.NoError(t, p.client.Release(t.Context(), jobK))
	require.NoError(t, p.client.Push(t.Context(), peer.Outgoing{Session: "s", Topic: "t"}))
	p.backend.err = openflow.Errorf(openflow.CodeRejected, "no")
	require.Error(t, p.client.Release(t.Context(), jobK))
	require.Len(t, told, 3)
	require.NoError(t, errors.Join(told[:2]...))
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(told[2]))
}

// A party ends its part of a job by this answer, so it counts with a signature only, and only for the jobs asked for.
func TestEndedJobs(t *testing.T) {
	p := newPair(t)
	told := []openflow.EndedJob{{ID: "1", Status: openflow.JobFailed, Reason: "why"}, {ID: "2"}}
	p.backend.ended = append(told, openflow.EndedJob{ID: "not-asked", Status: openflow.JobFailed}, openflow.EndedJob{ID: "3", Status: openflow.JobRunning})
	ask := func() ([]openflow.EndedJob, error) {
		return p.client.Scheduler().EndedJobs(t.Context(), "9999", []openflow.JobID{"1", "2", "3"})
	}
	got, err := ask()
	require.NoError(t, err)
	require.Equal(t, told, got)

	p.backend.ended = append(make([]openflow.EndedJob, openflow.MaxEndedJobs), told...)
	got, err = ask()
	require.NoError(t, err)
	require.Empty(t, got, "an answer is not read for longer than the longest question")

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"openflow":1,"data":[{"job_id":"1"}]}`))
	}))
	defer other.Close()
	p.client.URL = other.URL
	got, err = ask()
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	require.Empty(t, got)
}
