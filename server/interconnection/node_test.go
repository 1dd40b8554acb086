package interconnection_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/server"
	"openflow/server/interconnection"
	"openflow/site/trust"
	"openflow/store/messages/sqlite"
)

// services counts what gets through to the domain, and as whom.
type services struct {
	openflow.PartnerService
	calls   int
	callers []openflow.PartyID
	last    any
}

func (s *services) seen(caller openflow.PartyID, what any) error {
	s.calls++
	s.callers, s.last = append(s.callers, caller), what
	return nil
}

func (s *services) OpenJob(_ context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	return openflow.Reservation{Held: !o.Later}, s.seen(o.Key.Scheduler, o)
}
func (s *services) Reserve(_ context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reservation{Held: true}, s.seen(k.Scheduler, k)
}
func (s *services) Release(_ context.Context, k openflow.JobKey) error {
	return s.seen(k.Scheduler, k)
}
func (s *services) Tell(_ context.Context, k openflow.JobKey, n openflow.News) error {
	return s.seen(k.Scheduler, n)
}
func (s *services) StopJob(_ context.Context, k openflow.JobKey, st openflow.JobEnd) error {
	return s.seen(k.Scheduler, st.Status)
}
func (s *services) StartTask(_ context.Context, o openflow.TaskStart) error {
	return s.seen(o.Scheduler, o.TaskKey)
}
func (s *services) AskTask(_ context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	return openflow.TaskStanding{PartyStatus: openflow.TaskRunning}, s.seen(k.Scheduler, k)
}

type schedulers struct{ *services }

func (s schedulers) CreateJob(_ context.Context, by openflow.PartyID, _ openflow.Submission) (openflow.Submitted, error) {
	return openflow.Submitted{ID: "1"}, s.seen(by, nil)
}
func (s schedulers) StopJob(_ context.Context, by openflow.PartyID, _ openflow.JobID, st openflow.JobStatus) (openflow.Stopped, error) {
	return openflow.Stopped{}, s.seen(by, st)
}
func (s schedulers) RerunJob(_ context.Context, by openflow.PartyID, id openflow.JobID) error {
	return s.seen(by, id)
}
func (s schedulers) WakeJob(_ context.Context, by openflow.PartyID, id openflow.JobID) error {
	return s.seen(by, id)
}
func (s schedulers) EndedJobs(_ context.Context, by openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	return nil, s.seen(by, ids)
}
func (s schedulers) ReportTask(_ context.Context, by openflow.PartyID, r openflow.Report) error {
	return s.seen(by, r)
}

type keys map[openflow.PartyID][]trust.PublicKey

func (k keys) PublicKeys(_ context.Context, p openflow.PartyID) ([]trust.PublicKey, error) {
	if k[p] == nil {
		return nil, openflow.Errorf(openflow.CodeNotFound, "not known")
	}
	return k[p], nil
}

// sessions knows which party may send to which session.
type sessions map[string]openflow.PartyID

func (s sessions) Admit(_ context.Context, from openflow.PartyID, session, _ string) (openflow.SessionID, error) {
	if s[session] != from {
		return "", openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	return openflow.SessionID(session), nil
}

// names are the same at both sides.
type names struct{}

func (names) Own(_ context.Context, _ openflow.PartyID, session, topic string) (string, string, error) {
	return session, topic, nil
}

// node is party 10000; parties 9999 and 8888 are its peers.
type node struct {
	t        *testing.T
	handler  http.Handler
	api      *interconnection.API
	services *services
	store    *sqlite.Store
	signers  map[openflow.PartyID]trust.Signer
	traced   int // requests whose trace was looked at
}

const maxBody = 64 << 10

func newNode(t *testing.T) *node {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	n := &node{t: t, services: &services{}, store: store, signers: map[openflow.PartyID]trust.Signer{}}
	known := keys{}
	for _, id := range []openflow.PartyID{"9999", "8888", "666"} {
		dir := t.TempDir()
		require.NoError(t, os.Chmod(dir, 0o700))
		key, err := trust.LoadOrCreateKey(dir)
		require.NoError(t, err)
		n.signers[id] = trust.Signer{Party: id, Key: key}
		if id != "666" {
			known[id] = []trust.PublicKey{key.Public()}
		}
	}
	log := slog.New(slog.DiscardHandler)
	n.api = &interconnection.API{Dialects: dialect.All{native.Dialect{}, fateflow.Dialect{}}, Node: dialect.Node{
		Signer:   trust.Signer{Party: "10000", Key: n.signers["666"].Key}, // any key is good here
		Verifier: trust.Verifier{Self: "10000", Keys: known, Nonces: store}, Partner: n.services,
		Scheduler: schedulers{n.services}, Log: log, Traced: n.trace,
	},
		Transport: &interconnection.Transport{Names: names{},
			Self: "10000", Store: store, Sessions: sessions{"s": "9999", "other": "8888"}, MaxBody: maxBody, Log: log,
		},
	}
	n.handler = server.Handler(log, n.api)
	return n
}

func (n *node) trace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { n.traced++; next.ServeHTTP(w, r) })
}

// signed is a request of a peer.
func (n *node) signed(by openflow.PartyID, path, body string, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	n.signers[by].Sign(r, "10000", []byte(body), time.Now())
	return r
}

func (n *node) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	return w
}

func (n *node) envelope(r *http.Request) wire.Envelope {
	n.t.Helper()
	w := n.do(r)
	require.Equal(n.t, http.StatusOK, w.Code)
	var e wire.Envelope
	require.NoError(n.t, json.Unmarshal(w.Body.Bytes(), &e), w.Body.String())
	if strings.HasPrefix(r.URL.Path, "/openflow/v1/") && e.Error != nil { // it has no numbers
		e.Code, e.Message = wire.CodeFor(openflow.Code(e.Error.Code), openflow.Subject(e.Error.Subject)), e.Error.Message
	}
	return e
}

func paths(t *testing.T, a *interconnection.API) []string {
	t.Helper()
	r := chi.NewRouter()
	a.Routes(r)
	var list []string
	require.NoError(t, chi.Walk(r, func(_, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		list = append(list, route)
		return nil
	}))
	slices.Sort(list)
	return list
}

type zeros struct{}

// invoke sends a message as a peer's node does, and returns the verdict.
func (n *node) invoke(by openflow.PartyID, header map[string]string, p ptp.PushInbound) (ptp.Result, error) {
	contentType, body := ptp.EncodePush(ptp.FormProtobuf, p)
	h := map[string]string{
		ptp.HeaderVersion: ptp.VersionPassThrough, ptp.HeaderSessionID: "s", ptp.HeaderTargetNodeID: "10000", ptp.HeaderURI: ptp.PushURI,
		ptp.HeaderTopic: p.Topic, "Content-Type": contentType,
	}
	for k, v := range header {
		h[k] = v
	}
	var list []string
	for k, v := range h {
		if v != "" {
			list = append(list, k, v)
		}
	}
	return n.verdict(n.do(n.signed(by, "/v1/interconn/chan/invoke", string(body), list...)))
}

func (n *node) verdict(w *httptest.ResponseRecorder) (ptp.Result, error) {
	n.t.Helper()
	out, err := ptp.DecodeReply(w.Header().Get("Content-Type"), w.Body.Bytes())
	require.NoError(n.t, err, w.Body.String())
	return ptp.ResultOf(out.Err()), out.Err()
}
