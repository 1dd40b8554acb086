package dialecttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
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
		return d.Client(peer.Link{Self: from, Peer: to, URL: url, Signer: named(from), HTTP: w.through()})
	}
	w.back = client(p.party, p.scheduler, serve(w.caller, p.scheduler))
	w.url = serve(w.party, p.party)
	w.to = client(p.scheduler, p.party, w.url)
	return w
}

// through is the client whose calls may be lost or repeated on the way.
func (w *world) through() *http.Client { return &http.Client{Transport: w.way} }

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
