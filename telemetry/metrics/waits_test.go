package metrics_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
	"openflow/site/admission"
	"openflow/store/catalogue"
	"openflow/store/document"
	"openflow/telemetry/metrics"
	"openflow/workflows/plan"
)

var host = openflow.Party{Role: openflow.RoleHost, ID: "10000"}

type directory struct {
	openflow.Directory
	partner openflow.PartnerService
}

func (d directory) Partner(context.Context, openflow.PartyID) (openflow.PartnerService, error) {
	return d.partner, nil
}

// reason is what users read while the job "1" waits for that party.
func reason(t *testing.T, p openflow.PartnerService) string {
	t.Helper()
	s := activities.Scheduling{Self: "9999", Directory: directory{partner: p}}
	g, err := s.ApplyResources(t.Context(), activities.PartyCall{Job: "1", Party: document.Party(host)})
	require.NoError(t, err)
	a := plan.Admit([]plan.ReserveAnswer{g.Decode()})
	require.NotEmpty(t, a.Wait, "%+v", a)
	return a.Wait
}

// site is a party as far as its catalogue answers.
type site struct {
	openflow.PartnerService
	rows     *catalogue.Catalogue
	capacity openflow.Resources
	rules    admission.Rules
}

func (s site) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(s.rows.ApplyJobResources(ctx, k, s.capacity, s.rules))
}

// add records a job that needs that much, and reports what the site says when it asks for it.
func (s site) add(t *testing.T, id openflow.JobID, need openflow.Resources) error {
	t.Helper()
	j := openflow.JobRecord{
		ID: id, Party: host, Scheduler: "9999", Cores: need.Cores, Memory: need.Memory, GPUs: need.GPUs,
		DAG: &openflow.DAG{SchemaVersion: "1"},
	}
	require.NoError(t, s.rows.CreateJob(t.Context(), j, nil))
	r, err := s.Reserve(t.Context(), j.Key())
	require.NoError(t, err)
	return r.Err()
}

func newSite(t *testing.T, patience time.Duration) site {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return site{rows: rows, capacity: openflow.Resources{Cores: 8, Memory: 8 << 30, GPUs: 1}, rules: admission.Rules{Patience: patience}}
}

// The reasons are those that the parties' catalogues and the clients of their nodes really write.
func TestWaitClassOfBusyParties(t *testing.T) {
	for name, need := range map[string]openflow.Resources{
		"one core": {Cores: 1}, "cores": {Cores: 8}, "memory": {Memory: 1 << 30}, "a GPU": {GPUs: 1}, "everything": {Cores: 2, Memory: 1, GPUs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, time.Hour)
			require.NoError(t, s.add(t, "0", s.capacity))
			require.Error(t, s.add(t, "1", need))
			text := reason(t, s)
			require.Equal(t, "resources", metrics.WaitClass(text), text)
		})
	}
	t.Run("kept for another job", func(t *testing.T) {
		s := newSite(t, 0)
		require.NoError(t, s.add(t, "00", openflow.Resources{Cores: 1}))
		require.Error(t, s.add(t, "01", openflow.Resources{Cores: 8}))
		require.Error(t, s.add(t, "1", openflow.Resources{Cores: 1}))
		text := reason(t, s)
		require.Contains(t, text, "is kept for jobs that come first")
		require.Equal(t, "resources", metrics.WaitClass(text), text)
	})
}

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

func TestWaitClassOfPartiesElsewhere(t *testing.T) {
	own, fates := native.Dialect{}, fateflow.Dialect{}
	refuses := func(err error) http.Handler { // as a native node
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"openflow": 1, "error": wire.Failure(err).Error}) // a map of texts
		})
	}
	says := func(err error) http.Handler {
		return envelope.Writer{Log: slog.New(slog.DiscardHandler)}.JSON(func(*http.Request) (any, error) { return nil, err })
	}
	for name, tc := range map[string]struct {
		answers http.Handler // nil: nobody does
		as      dialect.Dialect
		want    string
	}{
		"nobody answers":  {nil, own, "partner"},
		"a proxy answers": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }), own, "partner"},
		"another service": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }), own, "partner"},
		"it is starting":  {refuses(openflow.Errorf(openflow.CodeUnavailable, "the node is starting or stopping")), own, "partner"},
		"a node of FATE-Flow that is busy": {
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var err error
				if r.URL.Path == "/v2/partner/job/resource/apply" {
					err = openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeExhausted, "apply failed"))
				}
				says(err).ServeHTTP(w, r)
			}), fates, "resources",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tc.answers)
			defer s.Close()
			if tc.answers == nil {
				s.Close()
			}
			text := reason(t, tc.as.Client(peer.Link{Self: "9999", Peer: "10000", URL: s.URL, Signer: unsigned{}, HTTP: s.Client()}).Partner())
			require.Equal(t, tc.want, metrics.WaitClass(text), text)
		})
	}
	require.Equal(t, "other", metrics.WaitClass(""), "a job that has not asked yet")
	require.Equal(t, "partner", metrics.WaitClass("waiting for party 10000 (host): it has not answered since 2026-01-02T15:04:05Z"), "a job that runs")
}
