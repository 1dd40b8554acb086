package residence_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/residence"
)

// reached is a new connection to a server.
func reached(t *testing.T, handler http.Handler) (net.Conn, string) {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // its server may have closed it
	return conn, address
}

// The proof is one that others can make too: an HMAC of what was asked.
func TestProof(t *testing.T) {
	b := newBench(1)
	r := httptest.NewRequest("GET", "/v1/proof?nonce=0123456789abcdef", nil)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, "it is asked by who does not show the secret")
	// printf 'GET /v1/proof?nonce=0123456789abcdef' | openssl dgst -sha256 -hmac secret
	require.JSONEq(t, `{"proof":"3a2e0c24df19d3ee0a20d006a020db74715fb05b3e318b7a9a01c32566d5ed96"}`, w.Body.String())
	for _, call := range []string{"GET /v1/proof", "GET /v1/proof?nonce=short", "GET /v1/proof?nonce=0123456789abcde%0a", "PUT /v1/proof?nonce=0123456789abcdef"} {
		method, target, _ := strings.Cut(call, " ")
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		require.Equal(t, http.StatusBadRequest, w.Code, call)
	}
	without := residence.New("", 1, nil)
	w = httptest.NewRecorder()
	without.ServeHTTP(w, httptest.NewRequest("GET", "/v1/proof?nonce=0123456789abcdef", nil))
	require.Equal(t, http.StatusUnauthorized, w.Code, "a server without a secret proves nothing")
}

// A connection that has proven that it leads to the container is one for requests.
func TestMeet(t *testing.T) {
	conn, address := reached(t, newBench(1))
	require.NoError(t, residence.Meet(t.Context(), conn, "secret"))
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/v1/live", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer secret")
	answer, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

// Whoever else answers at an address is not met, and hears nothing of the secret.
func TestWhoIsNotMet(t *testing.T) {
	other := residence.New("another secret", 1, nil)
	replayed := httptest.NewRecorder()
	newBench(1).ServeHTTP(replayed, httptest.NewRequest("GET", "/v1/proof?nonce=0123456789abcdef", nil))
	says := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	for name, handler := range map[string]http.Handler{
		"another container":       other,
		"one that asks back":      http.NotFoundHandler(),
		"one that agrees":         says("{}"),
		"a proof of another time": says(replayed.Body.String()),
		"no JSON":                 says("yes"),
		"much":                    says(strings.Repeat(" ", 1<<20)),
		"nests":                   says(strings.Repeat("[", 10_000)),
		"one that redirects":      http.RedirectHandler("/", http.StatusFound),
		"no HTTP":                 raw("hello"),
		"headers without end":     raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 100_000)),
		"one that hangs up":       raw(""),
		"a proof and then the end": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			newBench(1).ServeHTTP(w, r)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var heard []string
			conn, _ := reached(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				heard = append(heard, r.Header.Get("Authorization")+r.URL.String())
				handler.ServeHTTP(w, r)
			}))
			err := residence.Meet(t.Context(), conn, "secret")
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
			require.ErrorContains(t, err, "does not prove")
			require.Len(t, heard, 1)
			require.NotContains(t, heard[0], "secret")
		})
	}
	t.Run("one that is silent", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn, _ := reached(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}))
		require.ErrorIs(t, residence.Meet(ctx, conn, "secret"), context.Canceled)
		require.NoError(t, conn.Close())
	})
}
