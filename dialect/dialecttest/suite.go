// Package dialecttest is the conformance suite of dialects. Two nodes in memory call each other in the dialect under test:
// that of a job's scheduler, and that of a party. Every story is told for each placement of the scheduler. It is told without
// a dialect first, as between the roles of one node, then in the dialect. Then it is told once more for each call and each
// fault: the caller repeats what has failed, as workflows do. In the end both nodes know the same each time. What a dialect
// says to users and containers is tested without a node.
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
	"openflow/store/document"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	jobK  = openflow.JobKey{Scheduler: guest.ID, Job: "202501020304050607080", Party: host}
	cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}
)

// placement says which of the two nodes is what.
type placement struct {
	scheduler openflow.PartyID
	party     openflow.PartyID // whose node the scheduler calls
	initiator openflow.PartyID
	roles     []openflow.Party // all parties of the job
}

// usual is the placement of what is not a story.
var usual = placement{scheduler: guest.ID, party: host.ID, initiator: guest.ID, roles: []openflow.Party{guest, host}}

// placements are those that two nodes can have. The scheduler of the last one takes no part, and its only party has two roles.
var placements = map[string]placement{
	"the initiator schedules": usual,
	"the partner schedules":   {scheduler: host.ID, party: guest.ID, initiator: guest.ID, roles: []openflow.Party{guest, host}},
	"a third party schedules": {
		scheduler: "10001", party: host.ID, initiator: host.ID, roles: []openflow.Party{{Role: openflow.RoleGuest, ID: host.ID}, host},
	},
}

// called are the parties that the called node is.
func (p placement) called() (list []openflow.Party) {
	for _, r := range p.roles {
		if r.ID == p.party {
			list = append(list, r)
		}
	}
	return list
}

func (p placement) job(party openflow.Party) openflow.JobKey {
	return openflow.JobKey{Scheduler: p.scheduler, Job: jobK.Job, Party: party}
}

func (p placement) run(name openflow.TaskName, version int, party openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: p.scheduler, Job: jobK.Job, Task: name, Version: version, Party: party}
}

// run is one of the usual placement.
func run(name openflow.TaskName, version int) openflow.TaskKey { return usual.run(name, version, host) }

func (p placement) dag() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: p.roles, Stage: openflow.StageTrain,
		Conf: openflow.JobConf{Scheduler: p.scheduler, Initiator: p.initiator},
		Tasks: []openflow.Task{
			{Name: "a", Component: "noop"}, {Name: "b", Component: "noop", DependsOn: []openflow.TaskName{"a"}},
		},
	}
}

// fault is what happens to one request on its way.
type fault string

// The faults. A lost request is never heard. Of an unanswered one the answer is lost. A repeated one comes twice, byte for
// byte. A late one is given up by its caller, and arrives after the next one has been answered.
const (
	none       fault = ""
	lost       fault = "lost"
	unanswered fault = "unanswered"
	repeated   fault = "repeated"
	late       fault = "late"
)

var faults = []fault{lost, unanswered, repeated, late}

// way carries requests, and does to the nth one what it is told.
type way struct {
	nodes map[string]http.Handler // by host
	mu    sync.Mutex
	count int
	nth   int
	fault fault
	due   func() // sends a request that is late
}

var errLost = errors.New("the connection broke")

// RoundTrip implements http.RoundTripper.
func (w *way) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	send := func() *http.Response {
		again := httptest.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, r.URL.RequestURI(), bytes.NewReader(body))
		again.Header = r.Header.Clone()
		answer := httptest.NewRecorder()
		w.nodes[r.URL.Host].ServeHTTP(answer, again)
		return answer.Result()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count++
	f := none
	if w.count == w.nth {
		f = w.fault
	}
	switch f {
	case lost:
		return nil, errLost
	case late:
		w.due = func() { send() }
		return nil, errLost
	case none, unanswered, repeated:
	}
	if w.due != nil {
		defer w.due()
		w.due = nil
	}
	answer := send()
	switch f {
	case unanswered:
		return nil, errLost
	case repeated:
		send()
	case none, lost, late:
	}
	return answer, nil
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
func (believing) Verify(_ context.Context, r *http.Request) (openflow.PartyID, error) {
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
	placement
	way           *way
	caller, party *party         // the scheduler's node, and the other one
	to, back      dialect.Client // of the other one, of the scheduler's
	url           string         // of the other one
}

func newWorld(t *testing.T, d dialect.Dialect, p placement, nth int, f fault) *world {
	t.Helper()
	w := &world{T: t, placement: p, way: &way{nodes: map[string]http.Handler{}, nth: nth, fault: f}, caller: newParty(), party: newParty()}
	serve := func(at *party, id openflow.PartyID) string {
		r := chi.NewRouter()
		mounts := d.Interconnection(dialect.Node{
			Self: id, Partner: at, Scheduler: scheduler{at}, Tasks: w.tasks, Verifier: believing{}, Signer: believing{}, Log: slog.New(slog.DiscardHandler),
		})
		for _, m := range mounts {
			r.Mount(m.Prefix, m.Router)
		}
		w.way.nodes[string(id)] = r
		return "http://" + string(id)
	}
	client := func(from, to openflow.PartyID, url string) dialect.Client {
		return d.Client(peer.Link{Self: from, Peer: to, URL: url, Signer: named(from), HTTP: &http.Client{Transport: w.way}})
	}
	w.back = client(p.party, p.scheduler, serve(w.caller, p.scheduler))
	w.url = serve(w.party, p.party)
	w.to = client(p.scheduler, p.party, w.url)
	return w
}

// tasks are those of the one job.
func (w *world) tasks(_ context.Context, scheduler openflow.PartyID, job openflow.JobID) (names []openflow.TaskName, err error) {
	if scheduler != w.scheduler || job != jobK.Job {
		return nil, openflow.Errorf(openflow.CodeNotFound, "job %s is not here", job)
	}
	for _, t := range w.dag().Tasks {
		names = append(names, t.Name)
	}
	return names, nil
}

// String is everything that both nodes have come to know.
func (w *world) String() string { return w.party.String() + w.caller.String() }

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
func plain(t *testing.T, p placement) *world {
	w := &world{T: t, placement: p, caller: newParty(), party: newParty()}
	w.to, w.back = local{w.party}, local{w.caller}
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

// each does something for every party that the called node is.
func (w *world) each(do func(context.Context, openflow.Party) error) {
	w.Helper()
	for _, p := range w.called() {
		w.do(func(ctx context.Context) error { return do(ctx, p) })
	}
}

// open submits the job, where the called node is its initiator, and creates it there.
func (w *world) open() {
	w.Helper()
	if w.initiator == w.placement.party {
		w.do(func(ctx context.Context) error {
			got, err := w.back.Scheduler().CreateJob(ctx, w.initiator, openflow.Submission{
				DAG: w.dag(), ID: jobK.Job, Initiator: w.initiator, IdempotencyKey: "k", UserName: "ann",
			})
			if err == nil {
				require.Equal(w, openflow.Submitted{ID: jobK.Job, ModelID: "m", ModelVersion: "0"}, got)
			}
			return err
		})
	}
	w.each(func(ctx context.Context, p openflow.Party) error {
		r, err := w.to.Partner().OpenJob(ctx, openflow.JobOrder{Key: w.job(p), DAG: w.dag(), UserName: "ann ä"})
		if err == nil {
			require.True(w, r.Held, "%v", r.Err())
		}
		return err
	})
}

// start starts a version of a task, with the news of those that have ended.
func (w *world) start(name openflow.TaskName, version int, ended ...openflow.TaskUpdate) {
	w.Helper()
	w.each(func(ctx context.Context, p openflow.Party) error {
		return w.to.Partner().StartTask(ctx, openflow.TaskStart{
			TaskKey: w.run(name, version, p), StartsJob: name == "a" && len(ended) == 0, Ended: at(p, ended),
		})
	})
}

func (w *world) stop(status openflow.JobStatus, ended ...openflow.TaskUpdate) {
	w.Helper()
	w.each(func(ctx context.Context, p openflow.Party) error {
		return w.to.Partner().StopJob(ctx, w.job(p), openflow.JobEnd{Status: status, Reason: "why the job", Tasks: at(p, ended)})
	})
}

func (w *world) tell(n openflow.News) {
	w.Helper()
	w.each(func(ctx context.Context, p openflow.Party) error {
		news := n
		news.Tasks = at(p, n.Tasks)
		return w.to.Partner().Tell(ctx, w.job(p), news)
	})
}

// end is the news that a version of a task has ended.
func (w *world) end(name openflow.TaskName, version int, s openflow.TaskStatus) openflow.TaskUpdate {
	return openflow.TaskUpdate{Key: w.run(name, version, openflow.Party{}), Status: s, Reason: "why " + string(s), Progress: 50}
}

// at is news for one party.
func at(p openflow.Party, news []openflow.TaskUpdate) (list []openflow.TaskUpdate) {
	for _, u := range news {
		u.Key.Party = p
		list = append(list, u)
	}
	return list
}

// ends lets a run end, and tells its scheduler: pushed by the party, or pulled by the scheduler.
func (w *world) ends(name openflow.TaskName, version int, status openflow.TaskStatus, c openflow.Cause, push bool) {
	w.Helper()
	w.each(func(ctx context.Context, p openflow.Party) error {
		k := w.run(name, version, p)
		w.party.ends(k, status, c)
		if push {
			return w.back.Scheduler().ReportTask(ctx, p.ID, openflow.Report{Key: k, Status: status, Cause: c})
		}
		at, err := w.to.Partner().AskTask(ctx, k)
		if err == nil {
			require.Equal(w, k, at.Key)
			require.Equal(w, status, at.PartyStatus)
			require.Equal(w, c, at.Cause)
		}
		return err
	})
}

// stories are what two nodes do together.
func stories() map[string]func(w *world, push bool) {
	return map[string]func(*world, bool){
		"success": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.ends("a", 0, openflow.TaskSuccess, openflow.Cause{}, push)
			w.start("b", 0, w.end("a", 0, openflow.TaskSuccess))
			w.ends("b", 0, openflow.TaskSuccess, openflow.Cause{}, push)
			w.stop(openflow.JobSuccess, w.end("b", 0, openflow.TaskSuccess))
		},
		"failure": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.ends("a", 0, openflow.TaskFailed, cause, push)
			w.stop(openflow.JobFailed, w.end("a", 0, openflow.TaskFailed))
		},
		"timeout": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.ends("a", 0, openflow.TaskTimeout, openflow.Cause{Code: openflow.CodeDeadline}, push)
			w.stop(openflow.JobTimeout, w.end("a", 0, openflow.TaskTimeout))
		},
		"stop": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.do(func(ctx context.Context) error {
				got, err := w.back.Scheduler().StopJob(ctx, w.placement.party, jobK.Job, openflow.JobCanceled)
				if err == nil {
					require.Equal(w, openflow.JobCanceled, got.Status)
				}
				return err
			})
			w.stop(openflow.JobCanceled, w.end("a", 0, openflow.TaskCanceled))
			w.ends("a", 0, openflow.TaskCanceled, openflow.Cause{Code: openflow.CodeCanceled, Consequence: true}, push)
		},
		"another try": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.ends("a", 0, openflow.TaskFailed, cause, push)
			w.start("a", 1, w.end("a", 0, openflow.TaskFailed))
			w.ends("a", 1, openflow.TaskSuccess, openflow.Cause{}, push)
			w.stop(openflow.JobCanceled, w.end("a", 1, openflow.TaskSuccess))
		},
		"rerun": func(w *world, push bool) {
			w.open()
			w.start("a", 0)
			w.ends("a", 0, openflow.TaskFailed, cause, push)
			w.stop(openflow.JobFailed, w.end("a", 0, openflow.TaskFailed))
			w.do(func(ctx context.Context) error {
				return w.back.Scheduler().RerunJob(ctx, w.placement.party, jobK.Job)
			})
			w.tell(openflow.News{Status: openflow.JobWaiting, Reason: "why it waits"})
			w.each(func(ctx context.Context, p openflow.Party) error {
				r, err := w.to.Partner().Reserve(ctx, w.job(p))
				if err == nil {
					require.True(w, r.Held)
				}
				return err
			})
			w.start("a", 1)
			w.ends("a", 1, openflow.TaskSuccess, openflow.Cause{}, push)
			w.start("b", 0, w.end("a", 1, openflow.TaskSuccess))
			w.ends("b", 0, openflow.TaskSuccess, openflow.Cause{}, push)
			w.stop(openflow.JobSuccess, w.end("b", 0, openflow.TaskSuccess))
		},
		"a version that is told of": func(w *world, _ bool) {
			w.open()
			w.tell(openflow.News{Status: openflow.JobRunning, Progress: 10, Tasks: []openflow.TaskUpdate{
				{Key: w.run("a", 1, openflow.Party{}), Status: openflow.TaskWaiting},
			}})
			w.stop(openflow.JobFailed)
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
				for where, p := range placements {
					t.Run(name+", "+way+", "+where, func(t *testing.T) { story(t, d, p, tell, push) })
				}
			}
		}
	})
	t.Run("mandates", func(t *testing.T) { mandates(t, d) })
	t.Run("no room", func(t *testing.T) { noRoom(t, d) })
	t.Run("words of a party", func(t *testing.T) { partysWords(t, d) })
	t.Run("refusals", func(t *testing.T) { refusals(t, d) })
	t.Run("nonsense", func(t *testing.T) { nonsense(t, d) })
	t.Run("records", func(t *testing.T) { records(t, d) })
}

func story(t *testing.T, d dialect.Dialect, p placement, tell func(*world, bool), push bool) {
	before := plain(t, p)
	tell(before, push)
	want := before.String()
	require.NotContains(t, want, "held=true", "what a job held is given back")
	whole := newWorld(t, d, p, 0, none)
	tell(whole, push)
	require.Equal(t, want, whole.String())
	require.Positive(t, whole.way.count)
	for i, f := range faults {
		for nth := 1; nth <= whole.way.count; nth++ {
			if elsewhere := p.scheduler != usual.scheduler || !push; elsewhere && nth%len(faults) != i {
				continue // the calls are the same, so that one fault for each will do
			}
			w := newWorld(t, d, p, nth, f)
			tell(w, push)
			require.Equal(t, want, w.String(), "call %d is %s", nth, f)
		}
	}
}

// mandates: what the initiator has signed arrives at the scheduler and at each party byte for byte, with a job of which a hash is
// what it was. A job that nobody has signed arrives so.
func mandates(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, usual, 0, none)
	given := &openflow.Mandate{
		Text: []byte("{\"any\": \"<bytes>\"} \x00\xff"), Signature: bytes.Repeat([]byte{0xfe}, openflow.MandateSignature),
		Salt: bytes.Repeat([]byte{7}, openflow.MandateSalt),
	}
	hash := func(d *openflow.DAG) string {
		t.Helper()
		text, err := document.Hash(document.EncodeDAG(*d))
		require.NoError(t, err)
		return text
	}
	for name, m := range map[openflow.JobID]*openflow.Mandate{"signed": given, "unsigned": nil} {
		k, sent := jobK, wholeDAG()
		k.Job = name
		_, err := w.to.Partner().OpenJob(t.Context(), openflow.JobOrder{Key: k, DAG: sent.StrippedFor(host.ID), UserName: "ann", Mandate: m})
		require.NoError(t, err)
		got := w.party.jobs[k].order
		require.Equal(t, m, got.Mandate)
		require.Equal(t, "ann", got.UserName)
		require.Equal(t, hash(sent.StrippedFor(host.ID)), hash(got.DAG))

		_, err = w.back.Scheduler().CreateJob(t.Context(), host.ID, openflow.Submission{DAG: sent, ID: name, Initiator: host.ID, UserName: "ann", Mandate: m})
		if openflow.CodeOf(err) == openflow.CodeUnimplemented {
			continue // it has no word for it
		}
		require.NoError(t, err)
		sub := w.caller.taken[len(w.caller.taken)-1]
		require.Equal(t, m, sub.Mandate)
		require.Equal(t, hash(sent), hash(sub.DAG))
	}
}

// noRoom: that a job is created without its resources is an answer and not an error, and names the party.
func noRoom(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, usual, 0, none)
	w.party.full = true
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
	short(partner.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: usual.dag()}))
	short(partner.Reserve(t.Context(), jobK))
	w.party.full = false
	got, err := partner.Reserve(t.Context(), jobK)
	require.NoError(t, err)
	require.Equal(t, openflow.Reservation{Held: true}, got)
	require.NoError(t, partner.Release(t.Context(), jobK))
	require.Contains(t, w.party.String(), "held=false")
	later := jobK
	later.Job = "later"
	got, err = partner.OpenJob(t.Context(), openflow.JobOrder{Key: later, DAG: usual.dag(), Later: true})
	require.NoError(t, err)
	require.Equal(t, openflow.Reservation{}, got)
}

// partysWords: what a party asks its scheduler beside its reports arrives whole, or the dialect says that it has no word for it.
func partysWords(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, usual, 0, none)
	s, unspoken := w.back.Scheduler(), openflow.CodeUnimplemented
	if err := s.WakeJob(t.Context(), host.ID, jobK.Job); openflow.CodeOf(err) != unspoken {
		require.NoError(t, err)
		require.Equal(t, "wake 202501020304050607080 by 10000\n", w.caller.String())
	}
	if got, err := s.EndedJobs(t.Context(), host.ID, []openflow.JobID{jobK.Job, "2"}); openflow.CodeOf(err) != unspoken {
		require.NoError(t, err)
		require.Equal(t, []openflow.EndedJob{{ID: jobK.Job, Status: openflow.JobFailed, Reason: "why"}, {ID: "2"}}, got)
	}
}

// nonsense: whatever else than a node may stand at the address, a call that gets such an answer has not been done. The error
// names the peer, and is told apart from a refusal.
func nonsense(t *testing.T, d dialect.Dialect) {
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) } // who has gone needs no answer
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, h := range map[string]http.HandlerFunc{
		"nothing": body(""), "null": body("null"), "a list": body("[]"), "a text": body(`"ok"`), "a number": body("0"), "an empty object": body("{}"),
		"of somebody else": body(`{"status":"ok","result":[1]}`), "a page": body("<html>"), "two answers": body("{} {}"),
		"204": status(http.StatusNoContent), "401": status(http.StatusUnauthorized), "404": status(http.StatusNotFound), "502": status(http.StatusBadGateway),
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"packed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "\x1f\x8b") // who has gone needs no answer
		},
		"broken off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{") // who has gone needs no answer
		},
	} {
		srv := httptest.NewUnstartedServer(h)
		srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		srv.Start()
		c := d.Client(peer.Link{
			Self: guest.ID, Peer: host.ID, URL: srv.URL, Signer: named(guest.ID), Verifier: doubting{}, HTTP: httpclient.New(httpclient.Options{}),
		})
		for call, err := range everyCall(t.Context(), c) {
			if openflow.CodeOf(err) == openflow.CodeUnimplemented {
				continue // the dialect has no word for it
			}
			var e *openflow.Error
			require.ErrorAs(t, err, &e, "%s answers %s", name, call)
			require.Contains(t, []openflow.Code{openflow.CodeUnavailable, openflow.CodeUnauthorized}, e.Code, "%s answers %s: %v", name, call, err)
			require.NotEmpty(t, e.Party, "%s answers %s", name, call)
			require.NotEmpty(t, e.Hint, "%s answers %s: what is to be done? %v", name, call, err)
		}
		require.Error(t, c.Probe(t.Context()), name)
		srv.Close()
	}
}

// doubting believes no answer.
type doubting struct{}

// VerifyAnswer implements peer.Verifier.
func (doubting) VerifyAnswer(openflow.PartyID, http.Header, http.Header, int, []byte) error {
	return openflow.Errorf(openflow.CodeUnauthorized, "the answer is not signed").WithHint("check the address")
}

// everyCall makes each call to a peer once.
func everyCall(ctx context.Context, c dialect.Client) map[string]error {
	s, p := c.Scheduler(), c.Partner()
	end := openflow.TaskUpdate{Key: run("a", 0), Status: openflow.TaskFailed, Progress: 50}
	errs := map[string]error{
		"release": p.Release(ctx, jobK),
		"start":   p.StartTask(ctx, openflow.TaskStart{TaskKey: run("a", 0)}),
		"tell":    p.Tell(ctx, jobK, openflow.News{Status: openflow.JobRunning, Tasks: []openflow.TaskUpdate{end}}),
		"stop":    p.StopJob(ctx, jobK, openflow.JobEnd{Status: openflow.JobFailed}),
		"rerun":   s.RerunJob(ctx, guest.ID, jobK.Job),
		"wake":    s.WakeJob(ctx, guest.ID, jobK.Job),
		"report":  s.ReportTask(ctx, guest.ID, openflow.Report{Key: run("a", 0), Status: openflow.TaskSuccess}),
	}
	_, errs["open"] = p.OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: usual.dag()})
	_, errs["reserve"] = p.Reserve(ctx, jobK)
	_, errs["ask"] = p.AskTask(ctx, run("a", 0))
	_, errs["create"] = s.CreateJob(ctx, guest.ID, openflow.Submission{DAG: usual.dag(), ID: jobK.Job})
	_, errs["stop at the scheduler"] = s.StopJob(ctx, guest.ID, jobK.Job, openflow.JobCanceled)
	_, errs["which have ended"] = s.EndedJobs(ctx, guest.ID, []openflow.JobID{jobK.Job})
	return errs
}

// refusals: what a peer refuses keeps its code and names the peer, and an unproven caller is refused before all else.
func refusals(t *testing.T, d dialect.Dialect) {
	w := newWorld(t, d, usual, 0, none)
	_, err := w.to.Partner().AskTask(t.Context(), run("a", 0))
	var e *openflow.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.CodeNotFound, e.Code)
	require.Equal(t, host.ID, e.Party)
	w.open()
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(w.to.Partner().Tell(t.Context(), jobK, openflow.News{
		Tasks: []openflow.TaskUpdate{{Key: run("x", 0), Status: openflow.TaskFailed}},
	})))
	stranger := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named(""), HTTP: &http.Client{Transport: w.way}})
	_, err = stranger.Partner().Reserve(t.Context(), jobK)
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	other := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named("666"), HTTP: &http.Client{Transport: w.way}})
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
