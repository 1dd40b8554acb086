package attacks_test

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
	"openflow/tests/env"
)

// standIn stops a node and stands at its address, with its key: it answers every call as it likes, signed. A handler that
// returns nil says success.
func standIn(t *testing.T, e *env.Env, id string, answer func(path string) any) {
	t.Helper()
	e.Stop(t, id)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", strings.TrimPrefix(e.SecureURL(id), "https://"))
	require.NoError(t, err)
	signer := trust.Signer{Party: openflow.PartyID(id), Key: e.Key(t, id)}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := answer(r.URL.Path)
		if said == nil {
			said = map[string]any{"openflow": 1, "data": map[string]any{"held": true}}
		}
		body, err := json.Marshal(said)
		if err != nil {
			t.Errorf("answer: %v", err)
			return
		}
		signer.SignAnswer(w.Header(), r.Header, http.StatusOK, body)
		_, _ = w.Write(body) // a caller that has gone is its own business
	}))
	require.NoError(t, s.Listener.Close())
	s.Listener = l
	s.TLS = &tls.Config{Certificates: []tls.Certificate{shows(t, e, id)}, MinVersion: tls.VersionTLS13}
	s.StartTLS()
	t.Cleanup(s.Close)
}
