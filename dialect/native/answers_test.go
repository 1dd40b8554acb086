package native_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

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
