package attacks_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/runtime/process"
	"openflow/sdk"
	"openflow/server/application"
	"openflow/site/trust"
	"openflow/site/trust/certificates"
	"openflow/tests/env"
)

// encrypted is a node whose users are spoken to in TLS.
func encrypted(c *node.Config) { c.Users.TLS = true }

// users is a client of a node that knows it by a file of certificates.
func users(t *testing.T, url, file, token string) *sdk.Client {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	known, err := sdk.Trusting(url, text)
	require.NoError(t, err)
	return &sdk.Client{URL: url, Token: token, HTTP: known}
}

// Who stands at the address of the application layer, with a certificate of its own, hears no token. Nor does a server that is asked
// without TLS by mistake.
func TestServerAtTheAddressOfTheUsers(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Configure(encrypted))
	n := e.Node(t, "9999")
	require.True(t, strings.HasPrefix(n.URL(), "https://"))
	file := filepath.Join(n.Home(), "users.pem")
	about, err := users(t, n.URL(), file, "").About(t.Context())
	require.NoError(t, err)
	require.Equal(t, "9999", about.PartyID)

	other := filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(other, 0o700))
	forged, err := certificates.OpenOwn(other, filepath.Join(other, "users.pem"), []string{"localhost", "127.0.0.1"}, time.Now)
	require.NoError(t, err)
	asked := 0
	impostor := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	impostor.Listener = tls.NewListener(impostor.Listener, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*forged.Show()}})
	impostor.Start()
	defer impostor.Close()
	_, err = users(t, strings.Replace(impostor.URL, "http:", "https:", 1), file, "t0ken").About(t.Context())
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "%v", err)
	require.Zero(t, asked)

	_, err = (&sdk.Client{URL: strings.Replace(n.URL(), "https:", "http:", 1)}).About(t.Context())
	require.ErrorContains(t, err, "TLS", "the node answers nothing without TLS")
}

// A browser that has signed in over TLS sends the token back over TLS only, and a page that has come without TLS is another origin.
func TestTokenOfABrowserOverTLS(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Configure(encrypted), env.Configure(func(c *node.Config) { c.Token = true }))
	n := e.Node(t, "9999")
	token, err := trust.LoadOrCreateToken(n.Home())
	require.NoError(t, err)
	browser := over()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	signIn := func(origin string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL()+application.SignIn, strings.NewReader(url.Values{"token": {token}}.Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		resp, err := browser.Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	resp := signIn(n.URL())
	require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	require.Len(t, resp.Cookies(), 1)
	require.True(t, resp.Cookies()[0].Secure)
	resp = signIn(strings.Replace(n.URL(), "https:", "http:", 1))
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	require.Empty(t, resp.Cookies())
}

// shownAt is the certificate that a listener shows in a handshake of that version.
func shownAt(t *testing.T, address string, own ...tls.Certificate) (*x509.Certificate, error) {
	t.Helper()
	d := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, Certificates: own}} //nolint:gosec // an attacker verifies nothing
	c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "https://"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }() // it was looked at
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// Certificates of an operator's that are replaced are shown without a restart, to users and to peers. The doctor tells until when.
func TestCertificatesThatChange(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put := func(name string) *x509.Certificate {
		home := filepath.Join(t.TempDir(), "home")
		require.NoError(t, os.Mkdir(home, 0o700))
		own, err := certificates.OpenOwn(home, filepath.Join(home, "users.pem"), []string{name + ".example"}, time.Now)
		require.NoError(t, err)
		require.NoError(t, os.Rename(filepath.Join(home, certificates.KeyFile), at(name+".key")))
		require.NoError(t, os.Rename(filepath.Join(home, "users.pem"), at(name+".pem")))
		return own.Show().Leaf
	}
	first := map[string]*x509.Certificate{"users": put("users"), "peers": put("peers")}
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		if c.Party == "9999" {
			c.Users.Certificate, c.Users.Key = at("users.pem"), at("users.key")
			c.Certificate, c.CertificateKey, c.Authorities = at("peers.pem"), at("peers.key"), at("peers.pem")
		}
	}))
	n := e.Node(t, "9999")
	addresses := map[string]string{"users": n.URL(), "peers": n.InterconnectionURL()}
	showing := func(want map[string]*x509.Certificate) {
		for of, address := range addresses {
			c, err := shownAt(t, address, shows(t, e, "10000"))
			require.NoError(t, err)
			require.Equal(t, want[of].Raw, c.Raw, of)
		}
	}
	showing(first)
	second := map[string]*x509.Certificate{"users": put("users"), "peers": put("peers")}
	showing(second)

	found, err := users(t, n.URL(), filepath.Join(n.Home(), "users.pem"), "").Doctor(t.Context())
	require.NoError(t, err)
	told := map[string]string{}
	for _, f := range found {
		told[f.Name] = f.Status + " " + f.Detail
	}
	until := "until " + second["users"].NotAfter.UTC().Format(time.DateOnly)
	for _, check := range []string{"listener of users", "listener of peers", "authorities of peers"} {
		require.Contains(t, told[check], "ok ", check)
		require.Contains(t, told[check], until, check)
	}
}

// worker tries to join a node's pool.
func worker(t *testing.T, site, token string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	w, err := node.StartWorker(ctx, node.WorkerConfig{
		Site: site, Token: token, Home: filepath.Join(t.TempDir(), "worker"), Runtime: process.Opener{}, Cores: 1, Log: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		return w.Close(ctx)
	}
	return err
}

// Who stands at the address of a node's listener for workers, without the node's key, hears no worker token. Nor does who reads on
// the way, since a worker calls no other machine without TLS.
func TestServerAtTheAddressOfTheWorkers(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Pooled())
	_, token, err := trust.LoadOrCreateWorkerToken(e.Home("9999"))
	require.NoError(t, err)
	handed := trust.HandOut(token, e.Key(t, "9999").Public())
	asked := 0
	impostor := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	impostor.Listener = tls.NewListener(impostor.Listener, &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{shows(t, e, "10000")}})
	impostor.Start()
	defer impostor.Close()
	at := strings.Replace(impostor.URL, "http:", "https:", 1)
	for name, given := range map[string]string{"with the node's key": handed, "without": token} {
		err := worker(t, at, given)
		require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), "%s: %v", name, err)
	}
	require.Zero(t, asked)
	require.ErrorContains(t, worker(t, "http://192.0.2.1:9391", handed), "is without TLS")

	// The listener itself speaks TLS 1.3 and shows the node's key.
	site := e.Node(t, "9999").WorkersURL()
	c, err := shownAt(t, site)
	require.NoError(t, err)
	key, ok := trust.Shown(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}})
	require.True(t, ok)
	require.Equal(t, e.Key(t, "9999").Public(), key)
	conn, err := net.Dial("tcp", strings.TrimPrefix(site, "https://"))
	require.NoError(t, err)
	old := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}) //nolint:gosec // an attacker verifies nothing
	require.Error(t, old.HandshakeContext(t.Context()))
	require.NoError(t, conn.Close())
	require.ErrorContains(t, worker(t, site, trust.HandOut(strings.Repeat("x", len(token)), e.Key(t, "9999").Public())), "worker token is not that of this node")
}
