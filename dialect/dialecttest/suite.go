// Package dialecttest is the conformance suite of dialects. Two nodes in memory, "9999" and "10000", call each other in the
// dialect under test. Every story is told without a dialect first, as between the roles of one node, then in the dialect.
// Then it is told once more for each call and each fault: the caller repeats what has failed, as workflows do. In the end
// both nodes know the same each time. What a dialect says to users and containers is tested without a node.
package dialecttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/sdk/httpclient"
	"openflow/server/application"
	"openflow/server/base"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	jobK  = openflow.JobKey{Scheduler: guest.ID, Job: "202501020304050607080", Party: host}
	cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}
)

func run(name openflow.TaskName, version int) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: guest.ID, Job: jobK.Job, Task: name, Version: version, Party: host}
}

func dag() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host}, Stage: openflow.StageTrain,
		Conf: openflow.JobConf{Scheduler: guest.ID, Initiator: guest.ID},
		Tasks: []openflow.Task{
			{Name: "a", Component: "noop"}, {Name: "b", Component: "noop", DependsOn: []openflow.TaskName{"a"}},
		},
	}
}

// fault is what happens to one request on its way.
type fault string

// The faults. A lost request is never heard; of an unanswered one the answer is lost; a repeated one comes twice, byte for
// byte.
const (
	none       fault = ""
	lost       fault = "lost"
	unanswered fault = "unanswered"
	repeated   fault = "repeated"
)

// way carries requests, and does to the nth one what it is told.
type way struct {
	mu    sync.Mutex
	count int
	nth   int
	fault fault
}

var errLost = errors.New("the connection broke")

// RoundTrip implements http.RoundTripper.
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.count++
	f := none
	if w.count == w.nth {
		f = w.fault
	}
	w.mu.Unlock()
	if f == lost {
		return nil, errLost
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	send := func() (*http.Response, error) {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		return http.DefaultTransport.RoundTrip(again)
	}
	resp, err := send()
	if err != nil || f == none {
		return resp, err
	}
	if f == repeated {
		second, err := send()
		if err != nil {
			return nil, err
		}
		return resp, second.Body.Close()
	}
	return nil, errors.Join(errLost, resp.Body.Close())
}

// header is how a caller says who it is here. Signatures are tested where they are made.
const header = "X-Dialecttest-Party"

type named openflow.PartyID

// Sign implements peer.Signer.
func (n named) Sign(r *http.Request, _ openflow.PartyID, _ []byte) error {
	r.Header.Set(header, string(n))
	return nil
}

type believing struct{}

// Verify implements dialect.Verifier.
func (believing) Verify(_ context.Context, r *http.Request, _ []byte) (openflow.PartyID, error) {
	if id := openflow.PartyID(r.Header.Get(header)); id != "" {
		return id, nil
	}
	return "", openflow.Errorf(openflow.CodeUnauthorized, "nobody has signed")
}

// SignAnswer implements dialect.Signer.
func (believing) SignAnswer(answer, _ http.Header, _ int, _ []byte) {
	answer.Set("X-Dialecttest-Signed", "yes")
}

// world is two nodes and the way between them.
type world struct {
	*testing.T
	way         *way
	guest, host *party
	to, back    dialect.Client // of the host's node, of the guest's
	url         string         // of the host's node
}

func newWorld(t *testing.T, d dialect.Dialect, nth int, f fault) *world {
	t.Helper()
	w := &world{T: t, way: &way{nth: nth, fault: f}, guest: newParty(), host: newParty()}
	serve := func(p *party, id openflow.PartyID) string {
		r := chi.NewRouter()
		mounts := d.Interconnection(dialect.Node{
			Self: id, Partner: p, Scheduler: scheduler{p}, Tasks: tasks, Verifier: believing{}, Signer: believing{}, MaxBody: 1 << 20, Log: slog.New(slog.DiscardHandler),
		})
		for _, m := range mounts {
			r.Mount(m.Prefix, m.Router)
		}
		s := httptest.NewServer(r)
		t.Cleanup(s.Close)
		return s.URL
	}
	client := func(from, to openflow.PartyID, url string) dialect.Client {
		return d.Client(peer.Link{Self: from, Peer: to, URL: url, Signer: named(from), HTTP: &http.Client{Transport: w.way}})
	}
	w.back = client(host.ID, guest.ID, serve(w.guest, guest.ID))
	w.url = serve(w.host, host.ID)
	w.to = client(guest.ID, host.ID, w.url)
	return w
}

// tasks are those of the one job, which the guest's node schedules and in which both take part.
func tasks(_ context.Context, scheduler openflow.PartyID, job openflow.JobID) (names []openflow.TaskName, err error) {
	if scheduler != jobK.Scheduler || job != jobK.Job {
		return nil, openflow.Errorf(openflow.CodeNotFound, "job %s is not here", job)
	}
	for _, t := range dag().Tasks {
		names = append(names, t.Name)
	}
	return names, nil
}

// local is a node that is called without a dialect.
type local struct{ *party }

// Partner implements dialect.Client.
func (l local) Partner() openflow.PartnerService { return l.party }

// Scheduler implements dialect.Client.
func (l local) Scheduler() openflow.SchedulerService { return scheduler(l) }

// Examine implements dialect.Client.
func (local) Examine(context.Context, bool) (dialect.Seen, error) { return dialect.Seen{}, nil }

// Probe implements dialect.Client.
func (local) Probe(context.Context) error { return nil }

// plain is two nodes without a dialect between them.
func plain(t *testing.T) *world {
	w := &world{T: t, guest: newParty(), host: newParty()}
	w.to, w.back = local{w.host}, local{w.guest}
	return w
}

// do makes a call, and makes it again while that may help, as workflows do.
func (w *world) do(call func(context.Context) error) {
	w.Helper()
	var err error
	for range 3 {
		if err = call(w.Context()); err == nil || !openflow.CodeOf(err).Retryable() {
			break
		}
	}
	require.NoError(w, err)
}

func (w *world) open() {
	w.Helper()
	w.do(func(ctx context.Context) error {
		r, err := w.to.Partner().OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: dag(), UserName: "ann ä"})
		if err == nil {
			require.True(w, r.Held, "%v", r.Err())
		}
		return err
	})
}

func (w *world) start(o openflow.TaskStart) {
	w.Helper()
	w.do(func(ctx context.Context) error { return w.to.Partner().StartTask(ctx, o) })
}

func (w *world) stop(status openflow.JobStatus, tasks ...openflow.TaskUpdate) {
	w.Helper()
	w.do(func(ctx context.Context) error {
		return w.to.Partner().StopJob(ctx, jobK, openflow.JobEnd{Status: status, Reason: "why", Tasks: tasks})
	})
}

// ends lets a run end, and tells its scheduler: pushed by the party, or pulled by the scheduler.
func (w *world) ends(k openflow.TaskKey, status openflow.TaskStatus, c openflow.Cause, push bool) {
	w.Helper()
	w.host.ends(k, status, c)
	if push {
		w.do(func(ctx context.Context) error {
			return w.back.Scheduler().ReportTask(ctx, host.ID, openflow.Report{Key: k, Status: status, Cause: c})
		})
		return
	}
	w.do(func(ctx context.Context) error {
		at, err := w.to.Partner().AskTask(ctx, k)
		if err == nil {
			require.Equal(w, status, at.PartyStatus)
			require.Equal(w, c, at.Cause)
		}
		return err
	})
}

// stories are what two nodes do together.
func stories() map[string]func(w *world, push bool) {
	end := func(k openflow.TaskKey, s openflow.TaskStatus) openflow.TaskUpdate {
		return openflow.TaskUpdate{Key: k, Status: s, Reason: "why", Progress: 50}
	}
	return map[string]func(*world, bool){
		"success": func(w *world, push bool) {
			w.open()
			w.start(openflow.TaskStart{TaskKey: run("a", 0), StartsJob: true})
			w.ends(run("a", 0), openflow.TaskSuccess, openflow.Cause{}, push)
			w.start(openflow.TaskStart{TaskKey: run("b", 0), Ended: []openflow.TaskUpdate{end(run("a", 0), openflow.TaskSuccess)}})
			w.ends(run("b", 0), openflow.TaskSuccess, openflow.Cause{}, push)
			w.stop(openflow.JobSuccess, end(run("b", 0), openflow.TaskSuccess))
		},
		"failure": func(w *world, push bool) {
			w.open()
			w.start(openflow.TaskStart{TaskKey: run("a", 0), StartsJob: true})
			w.ends(run("a", 0), openflow.TaskFailed, cause, push)
			w.stop(openflow.JobFailed, end(run("a", 0), openflow.TaskFailed))
		},
		"stop": func(w *world, _ bool) {
			w.open()
			w.start(openflow.TaskStart{TaskKey: run("a", 0), StartsJob: true})
			w.stop(openflow.JobCanceled, end(run("a", 0), openflow.TaskCanceled))
		},
		"rerun": func(w *world, push bool) {
			w.open()
			w.start(openflow.TaskStart{TaskKey: run("a", 0), StartsJob: true})
			w.ends(run("a", 0), openflow.TaskFailed, cause, push)
			w.start(openflow.TaskStart{TaskKey: run("a", 1), Ended: []openflow.TaskUpdate{end(run("a", 0), openflow.TaskFailed)}})
			w.ends(run("a", 1), openflow.TaskSuccess, openflow.Cause{}, push)
			w.stop(openflow.JobCanceled, end(run("a", 1), openflow.TaskSuccess))
		},
		"a version that is told of": func(w *world, _ bool) {
			w.open()
			w.do(func(ctx context.Context) error {
				return w.to.Partner().Tell(ctx, jobK, openflow.News{Status: openflow.JobRunning, Progress: 10, Tasks: []openflow.TaskUpdate{
					{Key: run("a", 1), Status: openflow.TaskWaiting},
				}})
			})
			w.stop(openflow.JobFailed)
		},
		"a scheduler elsewhere": func(w *world, _ bool) {
			s := w.back.Scheduler()
			w.do(func(ctx context.Context) error {
				got, err := s.CreateJob(ctx, host.ID, openflow.Submission{DAG: dag(), ID: jobK.Job, Initiator: host.ID, IdempotencyKey: "k", UserName: "ann"})
				if err == nil {
					require.Equal(w, openflow.Submitted{ID: jobK.Job, ModelID: "m", ModelVersion: "0"}, got)
				}
				return err
			})
			w.do(func(ctx context.Context) error { return s.RerunJob(ctx, host.ID, jobK.Job) })
			w.do(func(ctx context.Context) error {
				got, err := s.StopJob(ctx, host.ID, jobK.Job, openflow.JobCanceled)
				if err == nil {
					require.Equal(w, openflow.JobCanceled, got.Status)
				}
				return err
			})
		},
	}
}

// Run tests a dialect: what it is between nodes, for users and for containers, as far as it is spoken there.
func Run(t *testing.T, d dialect.Dialect) {
	if d.Client(peer.Link{}) != nil {
		betweenNodes(t, d)
	}
	t.Run("unknown routes", func(t *testing.T) { unknown(t, d) })
	t.Run("sessions", func(t *testing.T) { sessions(t, d) })
	if docs := d.Documents(); docs != nil {
		t.Run("documents", func(t *testing.T) { documents(t, docs) })
	}
	if tell := d.Container(); tell != nil {
		t.Run("containers", func(t *testing.T) { containers(t, tell) })
	}
}

func betweenNodes(t *testing.T, d dialect.Dialect) {
	t.Run("stories", func(t *testing.T) {
		for name, tell := range stories() {
			for way, push := range map[string]bool{"push": true, "pull": false} {
				t.Run(name+", "+way, func(t *testing.T) { story(t, d, tell, push) })
			}
		}
	})
	t.Run("no room", func(t *testing.T) { noRoom(t, d) })
	t.Run("refusals", func(t *testing.T) { refusals(t, d) })
	t.Run("records", func(t *testing.T) { records(t, d) })
}

func story(t *testing.T, d dialect.Dialect, tell func(*world, bool), push bool) {
	before := plain(t)
	tell(before, push)
	want := before.host.String() + before.guest.String()
	require.NotContains(t, want, "held=true", "what a job held is given back")
	whole := newWorld(t, d, 0, none)
	tell(whole, push)
	require.Equal(t, want, whole.host.String()+whole.guest.String())
	require.Positive(t, whole.way.count)
	for _, f := range []fault{lost, unanswered, repeated} {
		for nth := 1; nth <= whole.way.count; nth++ {
			w := newWorld(t, d, nth, f)
			tell(w, push)
			require.Equal(t, want, w.host.String()+w.guest.String(), "call %d is %s", nth, f)
		}
	}
}

// noRoom: that a job is created without its resources is an answer and not an error, and names the party.
func noRoom(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, 0, none)
	w.host.full = true
	partner := w.to.Partner()
	short := func(r openflow.Reservation, err error) {
		t.Helper()
		require.NoError(t, err)
		require.False(t, r.Held)
		require.NotNil(t, r.Short)
		require.Contains(t, []openflow.Code{openflow.CodeExhausted, openflow.CodeUnavailable}, r.Short.Code)
		require.Equal(t, host.ID, r.Short.Party)
		require.ErrorContains(t, r.Short, "0 of 4 cores are free")
	}
	short(partner.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: dag()}))
	short(partner.Reserve(t.Context(), jobK))
	w.host.full = false
	got, err := partner.Reserve(t.Context(), jobK)
	require.NoError(t, err)
	require.Equal(t, openflow.Reservation{Held: true}, got)
	require.NoError(t, partner.Release(t.Context(), jobK))
	require.Contains(t, w.host.String(), "held=false")
	later := jobK
	later.Job = "later"
	got, err = partner.OpenJob(t.Context(), openflow.JobOrder{Key: later, DAG: dag(), Later: true})
	require.NoError(t, err)
	require.Equal(t, openflow.Reservation{}, got)
}

// refusals: what a peer refuses keeps its code and names the peer, and an unproven caller is refused before all else.
func refusals(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, 0, none)
	_, err := w.to.Partner().AskTask(t.Context(), run("a", 0))
	var e *openflow.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.CodeNotFound, e.Code)
	require.Equal(t, host.ID, e.Party)
	w.open()
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(w.to.Partner().Tell(t.Context(), jobK, openflow.News{
		Tasks: []openflow.TaskUpdate{{Key: run("x", 0), Status: openflow.TaskFailed}},
	})))
	stranger := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named(""), HTTP: httpclient.New(httpclient.Options{})})
	_, err = stranger.Partner().Reserve(t.Context(), jobK)
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	other := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named("666"), HTTP: httpclient.New(httpclient.Options{})})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(other.Partner().StopJob(t.Context(), jobK, openflow.JobEnd{Status: openflow.JobFailed})),
		"a job is its scheduler's")
	gone := d.Client(peer.Link{Self: guest.ID, Peer: host.ID, URL: "http://127.0.0.1:1", Signer: named(guest.ID), HTTP: httpclient.New(httpclient.Options{})})
	require.ErrorIs(t, gone.Partner().Release(t.Context(), jobK), openflow.ErrAbsent)
	require.Error(t, gone.Probe(t.Context()))
	require.NoError(t, w.to.Probe(t.Context()), "it recognises itself")
}

// unknown: a route that is none is answered by the dialect, in the form of its other answers, whoever asks.
func unknown(t *testing.T, d dialect.Dialect) {
	log := slog.New(slog.DiscardHandler)
	for layer, mounts := range map[string]dialect.Mounts{
		"nodes":      d.Interconnection(dialect.Node{Verifier: believing{}, Signer: believing{}, Log: log}),
		"users":      d.Application(&application.Site{Log: log}),
		"containers": d.Base(&base.Site{Log: log, Pool: &base.Pool{}}),
	} {
		r := chi.NewRouter()
		mounts.Routes(r)
		for _, m := range mounts {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, m.Prefix+"/nothing", strings.NewReader("{}")))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"), layer)
			require.Contains(t, w.Body.String(), "no route POST "+m.Prefix+"/nothing", layer)
		}
	}
}

// records: a record of which only the dialect is said is completed, and what the dialect does not know is refused.
func records(t *testing.T, d dialect.Dialect) {
	all := dialect.All{d}
	for name, r := range map[string]openflow.SiteRecord{"nothing is said": {}, "the dialect is": {Dialect: d.Name()}} {
		got, err := all.Complete(r)
		require.NoError(t, err, name)
		versions, profiles := d.Speaks()
		require.Equal(t, openflow.SiteRecord{Dialect: d.Name(), Version: versions[0], Profile: profiles[0]}, got)
		again, err := all.Complete(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for name, r := range map[string]openflow.SiteRecord{"dialect": {Dialect: "latin"}, "version": {Version: "none"}, "profile": {Profile: "none"}} {
		_, err := all.Complete(r)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}

// sessions: the topics of all runs of a job are channels of their own, and each is found again. A dialect may leave out whose
// job it is, which the node then finds out.
func sessions(t *testing.T, d dialect.Dialect) {
	seen := map[dialect.Channel]bool{}
	for _, k := range []openflow.TaskKey{run("a", 0), run("a", 1), run("b", 0)} {
		for _, topic := range []string{"t", "t/u", ""} {
			c, err := d.Channel(k.SessionID(), topic)
			require.NoError(t, err)
			require.False(t, seen[c], "%v is two", c)
			seen[c] = true
			session, own, err := d.Own(c)
			require.NoError(t, err)
			require.Equal(t, topic, own)
			short, _, _ := strings.Cut(string(k.SessionID()), "@")
			require.Contains(t, []string{string(k.SessionID()), short}, session)
		}
	}
	_, err := d.Channel("no session", "t")
	require.True(t, err == nil || openflow.CodeOf(err) == openflow.CodeInvalid)
}
