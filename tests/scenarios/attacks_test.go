package scenarios_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/wire"
	"openflow/tests/env"
)

// impostor is a server without any key that stands at the address of party 10000, as far as party 9999 knows.
func impostor(t *testing.T, e *env.Env, answer func(path string) any) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(answer(r.URL.Path)) // a caller that has gone is its own business
	}))
	t.Cleanup(s.Close)
	e.Stop(t, "10000")
	user := e.As(t, "9999")
	user.OK(user.Post("/openflow/v1/user/site/add", map[string]any{"party_id": "10000", "url": s.URL, "key": e.Key(t, "10000").Public().String()}), nil)
}

// A server that answers every call of FATE-Flow's with success, and signs nothing, gets no job.
func TestImpostorGetsNoJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	impostor(t, e, func(string) any { return wire.Envelope{Message: "success"} })
	answer := e.As(t, "9999").TrySubmit(env.DAG(pair, env.Noop("a", nil)))
	require.Equal(t, wire.VerifyFailed, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "without a signature")
	e.NoCoresHeld(t)
}
