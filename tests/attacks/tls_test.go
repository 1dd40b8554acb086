package attacks_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// shows is what one side of a connection shows: the certificate of a party's node key.
func shows(t *testing.T, e *env.Env, party string) tls.Certificate {
	t.Helper()
	c, err := e.Key(t, party).Certificate(openflow.PartyID(party))
	require.NoError(t, err)
	return c
}

// over is a client that shows that certificate, if any, and believes everybody.
func over(own ...tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: own}, //nolint:gosec // an attacker verifies nothing
	}}
}

// A server that holds another key than the peer's stands at the peer's address. It answers everything with success, and gets
// neither a request nor a job.
func TestServerWithAnotherKey(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	e.Stop(t, "10000")
	asked := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		_ = json.NewEncoder(w).Encode(wire.Envelope{Message: "success"}) // who has gone needs no answer
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{shows(t, e, "10001")}}
	s.StartTLS()
	defer s.Close()
	user := e.As(t, "9999")
	user.OK(user.Post("/openflow/v1/user/site/add", map[string]any{"party_id": "10000", "url": s.URL, "key": e.Key(t, "10000").Public().String()}), nil)
	answer := user.TrySubmit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
	require.Equal(t, wire.VerifyFailed, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "is not the one in its record")
	require.Zero(t, asked, "nothing is said to a server that has not proven who it is")
	e.NoCoresHeld(t)
}

// Who holds no key that the node knows gets no connection to its interconnection layer.
func TestConnectionOfAStranger(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	stranger, err := trust.LoadOrCreateKey(t.TempDir() + "/stranger")
	require.NoError(t, err)
	forged, err := stranger.Certificate("10000") // with the name of a known party
	require.NoError(t, err)
	for name, client := range map[string]*http.Client{"without a certificate": over(), "with a certificate of its own": over(forged)} {
		resp, err := client.Get(e.SecureURL("9999") + "/readyz")
		if err == nil {
			_ = resp.Body.Close() // the test has failed
		}
		require.ErrorContains(t, err, "tls:", name)
	}
	resp, err := over(shows(t, e, "10000")).Get(e.SecureURL("9999") + "/readyz")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

// A peer that has got hold of another's signed request cannot pass it on over a connection of its own.
func TestRequestOfAnotherThanTheConnection(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	body := []byte(`{}`)
	send := func(connection string) wire.Problem {
		a := attack(t, e, "10000", "9999")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.SecureURL("9999")+"/openflow/v1/node/site", bytes.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		require.NoError(t, a.Sign(r, "9999", body))
		resp, err := over(shows(t, e, connection)).Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		var answer struct{ Error wire.Problem }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		return answer.Error
	}
	refused := send("10001")
	require.Equal(t, string(openflow.CodeUnauthorized), refused.Code)
	require.Contains(t, refused.Message, "the connection of somebody else")
	require.Empty(t, send("10000").Code, "over its own")
}

// An address without TLS on another machine is refused, unless the operator allows it by name. Then doctor warns.
func TestAddressWithoutTLS(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	add := func(url string, plain bool) wire.Envelope {
		return user.Post("/openflow/v1/user/site/add", map[string]any{
			"party_id": "10000", "url": url, "key": e.Key(t, "10000").Public().String(), "plain": plain,
		})
	}
	for _, url := range []string{"http://192.0.2.1:9390", "http://bank.example", "http://[2001:db8::1]:80", "HTTP://bank.example"} {
		require.ErrorContains(t, add(url, false).Err(), "without TLS", url)
	}
	require.NoError(t, add("http://192.0.2.1:9390", true).Err(), "by name")
	require.NoError(t, add("http://127.0.0.1:9390", false).Err(), "on this machine")
	require.NoError(t, add("https://bank.example", false).Err())
}

// A gateway that ends TLS, with a certificate that the operator believes, carries calls, and still cannot answer for the node
// behind it.
func TestGatewayCannotLie(t *testing.T) {
	var lies atomic.Bool
	var behind atomic.Pointer[httputil.ReverseProxy]
	gateway := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { behind.Load().ServeHTTP(w, r) }))
	defer gateway.Close()
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: gateway.Certificate().Raw})
	require.NoError(t, os.WriteFile(authorities, text, 0o600))
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.Authorities = authorities
		for i, p := range c.Peers {
			if p.Party == "10000" {
				c.Peers[i].URL = gateway.URL
			}
		}
	}))
	to, err := url.Parse(e.PeersURL("10000"))
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		if lies.Load() {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(`{"openflow":1}`)), -1
			r.Header.Del("Content-Length")
		}
		return nil
	}
	behind.Store(proxy)
	user, job := e.As(t, "9999"), env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil))
	user.WaitFor(user.Submit(job), openflow.JobSuccess)
	lies.Store(true)
	answer := user.TrySubmit(job)
	require.Equal(t, wire.VerifyFailed, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "something on the way has changed it")
	e.NoCoresHeld(t)
}
