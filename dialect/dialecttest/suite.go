// Package dialecttest is the conformance suite of dialects. Two nodes in memory call each other in the dialect under test:
// that of a job's scheduler, and that of a party. Every story is told for each placement of the scheduler. It is told without
// a dialect first, as between the roles of one node, then in the dialect. Then it is told once more for each call and each
// fault: the caller repeats what has failed, as workflows do. In the end both nodes know the same each time. What a dialect
// says to users and containers is tested without a node.
package dialecttest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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
	t.Run("protocols", func(t *testing.T) { protocols(t, d) })
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

// protocols: what a party says of its programs arrives whole, also from one without room. So does what all have in common. Or
// neither does, and the dialect has no word for it.
func protocols(t *testing.T, d dialect.Dialect) {
	one := openflow.Protocol{Name: "acme/psi", Version: "1"}
	said := []openflow.Spoken{
		{Task: "a", Provider: openflow.ProviderRef{Name: "acme", Version: "1.2.0"}, Protocols: []openflow.Protocol{{Name: "acme/psi", Version: "2"}, one}},
		{Task: "b", Provider: openflow.ProviderRef{Name: "acme", Version: "1.2.0"}},
	}
	spoken := false
	for _, full := range []bool{false, true} {
		w := newWorld(t, d, usual, 0, none)
		w.party.says, w.party.full = said, full
		partner := w.to.Partner()
		got, err := partner.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: usual.dag()})
		require.NoError(t, err)
		if full {
			require.Equal(t, spoken, len(got.Spoken) > 0)
			continue
		}
		if spoken = len(got.Spoken) > 0; spoken {
			require.Equal(t, said, got.Spoken)
		}
		require.NoError(t, partner.StartTask(t.Context(), openflow.TaskStart{TaskKey: run("a", 0), StartsJob: true, Protocol: one}))
		if spoken {
			require.Equal(t, one, w.party.agreed[run("a", 0)])
		}
	}
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
	stranger := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named(""), HTTP: w.through()})
	_, err = stranger.Partner().Reserve(t.Context(), jobK)
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
	other := d.Client(peer.Link{Self: "666", Peer: host.ID, URL: w.url, Signer: named("666"), HTTP: w.through()})
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
