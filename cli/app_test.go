package cli_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/cli"
	"openflow/runtime/driver"
)

const addRoute = "POST /openflow/v1/user/app/add"

// What a command line of apps says goes to the node, and the token is shown once, with what its signature is worth.
func TestAppAdd(t *testing.T) {
	f, url := newFake(t, map[string]string{addRoute: `{"id":"40172236","kind":"client","name":"portal","role":"client","token":"aB3dE5gH7jK9mN1p"}`})
	r := run(t, "app", "add", "portal", "--plain", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.JSONEq(t, `{"kind":"client","name":"portal","role":"client","plain":true}`, f.got(addRoute))
	require.Contains(t, r.stdout, "aB3dE5gH7jK9mN1p")
	require.Contains(t, r.stderr, "MD5")
	require.Contains(t, r.stderr, "covers neither path nor body")

	f, url = newFake(t, map[string]string{addRoute: `{"id":"7","kind":"site","name":"10000","role":"site","token":"aB3dE5gH7jK9mN1p"}`})
	r = run(t, "app", "add", "10000", "--kind", "site", "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.JSONEq(t, `{"kind":"site","name":"10000","role":"site"}`, f.got(addRoute))
	require.Contains(t, r.stdout, "flow client create-partner")

	f, url = newFake(t, map[string]string{addRoute: `{"id":"40172236","kind":"partner","name":"10000"}`})
	r = run(t, "app", "add", "10000", "--kind", "partner", "--id", "40172236", "--app-token-file", writeFile(t, "token", "AbCdEfGhIjKlMnOp\n"), "--node", url)
	require.Zero(t, r.code, r.stderr)
	require.JSONEq(t, `{"kind":"partner","name":"10000","id":"40172236","token":"AbCdEfGhIjKlMnOp"}`, f.got(addRoute))
	require.NotContains(t, r.stdout+r.stderr, "AbCdEfGhIjKlMnOp", "the peer's token is shown to nobody")
}

func TestAppCommandsRefuse(t *testing.T) {
	_, url := newFake(t, nil)
	for name, args := range map[string][]string{
		"NAME is missing":                           {"app", "add"},
		"--kind \"other\" is not known":             {"app", "add", "x", "--kind", "other"},
		"needs --id and --app-token-file":           {"app", "add", "10000", "--kind", "partner", "--id", "1"},
		"--id and --app-token-file are for":         {"app", "add", "portal", "--id", "1"},
		"--plain is for the kind client":            {"app", "add", "10000", "--kind", "site", "--plain"},
		"--kind \"\" is not known":                  {"app", "remove", "portal", "--kind", ""},
		"\"node.example:9380\" is no address":       {"connect", "node.example:9380"},
		"is spoken to without TLS":                  {"connect", "http://node.example:9380"},
		"\"0.0.0.0:9380\" is no loopback address":   {"connect", "https://node.example:9380", "--listen", "0.0.0.0:9380"},
		"no such file or directory":                 {"connect", "https://node.example:9380", "--token-file", "missing"},
		"is open to other users of this machine":    {"connect", "https://node.example:9380", "--token-file", "/etc/hosts"},
		"\"http://127.0.0.1:0/?token=x\" is no add": {"connect", "http://127.0.0.1:0/?token=x"},
	} {
		r := run(t, append(args, "--node", url)...)
		require.NotZero(t, r.code, name)
		require.Contains(t, r.stderr, name)
	}
}

// A node that does not take the token says so at once, before anybody is told an address.
func TestConnectWithAWrongToken(t *testing.T) {
	_, url := newFake(t, map[string]string{"GET /openflow/v1/user/server/about": `!{"code":5003,"message":"this node needs a token","error":{"code":"unauthorized","message":"this node needs a token"}}`})
	r := run(t, "connect", url, "--token-file", writeFile(t, "token", "wrong"), "--listen", "127.0.0.1:0")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stderr, "needs a token")
	require.Empty(t, r.stdout)
}

// The command tells where FATE's clients find the node, passes on what they send with the token, and ends when it is told to.
func TestConnect(t *testing.T) {
	f, url := newFake(t, map[string]string{"GET /openflow/v1/user/server/about": `{"party_id":"9999"}`, "GET /v2/site/info/query": `{"party_id":"9999"}`})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	shown, out := io.Pipe()
	ended := make(chan int, 1)
	file := writeFile(t, "token", "the token\n")
	go func() {
		root := cli.NewRoot("v1", driver.Openers{})
		ended <- cli.Execute(ctx, root, []string{"connect", url, "--token-file", file, "--listen", "127.0.0.1:0", "-o", "json"}, out, io.Discard)
	}()
	var at struct {
		Address string `json:"address"`
		Node    string `json:"node"`
		PartyID string `json:"party_id"`
	}
	require.NoError(t, json.NewDecoder(shown).Decode(&at))
	go func() { _, _ = io.Copy(io.Discard, shown) }() // the rest of the document, and its end
	require.Equal(t, []string{url, "9999"}, []string{at.Node, at.PartyID})
	for _, token := range []string{"the token", "another one"} {
		require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
		answer, err := http.Get(at.Address + "/v2/site/info/query") //nolint:noctx // it is answered at once
		require.NoError(t, err)
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Contains(t, string(body), `"party_id":"9999"`)
		require.Equal(t, "Bearer "+token, f.headOf("GET /v2/site/info/query").Get("Authorization"))
	}
	stop()
	require.Zero(t, <-ended)
}
