package attacks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/httpclient"
	"openflow/site/trust"
	"openflow/tests/env"
)

// attacker is a peer that a node knows. It says whatever it likes, signed with its own key.
type attacker struct {
	t        *testing.T
	env      *env.Env
	Party    openflow.PartyID
	Victim   openflow.PartyID
	url      string
	identity trust.Signer
}

// attack has a party of e, whose node need not run, call the node of another.
func attack(t *testing.T, e *env.Env, from, victim string) *attacker {
	t.Helper()
	return &attacker{
		t: t, env: e, Party: openflow.PartyID(from), Victim: openflow.PartyID(victim), url: e.PeersURL(victim),
		identity: trust.Signer{Party: openflow.PartyID(from), Key: e.Key(t, from)},
	}
}

// Sign implements peer.Signer.
func (a *attacker) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	a.identity.Sign(r, to, body, time.Now())
	return nil
}

// calls are well-formed calls in our own dialect, with contents of the attacker's choice.
func (a *attacker) calls() *verbs.Client {
	return native.NewClient(peer.Link{Self: a.Party, Peer: a.Victim, URL: a.url, HTTP: httpclient.New(httpclient.Options{}), Signer: a})
}

// post sends any body to any path, signed, and returns the answer.
func (a *attacker) post(path string, body any) (status int, answer []byte) {
	a.t.Helper()
	text, ok := body.([]byte)
	if !ok {
		var err error
		text, err = json.Marshal(body)
		require.NoError(a.t, err)
	}
	r, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.url+path, bytes.NewReader(text))
	require.NoError(a.t, err)
	r.Header.Set("Content-Type", "application/json")
	require.NoError(a.t, a.Sign(r, a.Victim, text))
	resp, err := http.DefaultClient.Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	require.NoError(a.t, err)
	return resp.StatusCode, answer
}

// send sends a request that is signed already, and returns the answer's body.
func (a *attacker) send(r *http.Request) string {
	a.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	require.NoError(a.t, err)
	return string(answer)
}
