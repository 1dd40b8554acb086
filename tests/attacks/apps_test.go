package attacks_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli/connect"
	"openflow/dialect/fateflow/signature"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// signedAs sends a request that FATE's client would have signed so, and returns the code of the answer.
func signedAs(t *testing.T, url string, app wire.App, nonce, stamp string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v2/site/info/query", nil)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"appId": app.ID, "userName": "", "Nonce": nonce, "Timestamp": stamp, "Signature": signature.Of(openflow.AppID(app.ID), "", "", nonce, stamp, app.Token),
	} {
		r.Header.Set(name, value)
	}
	return codeOf(t, r)
}

func codeOf(t *testing.T, r *http.Request) int {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var e wire.Envelope
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&e))
	return e.Code
}

// Somebody knows the ID of an app, which is no secret, and sends signatures without end. None of them uses up a nonce of the app, or
// what it may send. Its own holder, who floods the node, is refused while other apps are served.
func TestFloodOfSignatures(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Token())
	user := e.As(t, "9999")
	operator := &sdk.Client{URL: user.URL, Token: user.Token}
	var apps [2]wire.App
	for i, name := range []string{"portal", "batch"} {
		var err error
		apps[i], err = operator.AddApp(t.Context(), wire.App{Kind: "client", Name: wire.Text(name), Role: "client"})
		require.NoError(t, err)
	}
	stamp := func() string { return strconv.FormatInt(time.Now().UnixMilli(), 10) }
	now := stamp()
	forged := apps[0]
	forged.Token = "what somebody guesses"
	for i := range 300 {
		require.Equal(t, wire.VerifyFailed, signedAs(t, e.URL("9999"), forged, strconv.Itoa(1000+i), now))
	}
	for i := range 50 {
		require.Equal(t, wire.Success, signedAs(t, e.URL("9999"), apps[0], strconv.Itoa(1000+i), now), "the nonces are still the app's")
		require.Equal(t, wire.VerifyFailed, signedAs(t, e.URL("9999"), apps[0], strconv.Itoa(1000+i), now), "once each")
	}

	taken, begun := 0, time.Now()
	for i := 0; i < 5000; i++ {
		if code := signedAs(t, e.URL("9999"), apps[0], strconv.Itoa(1000+i), stamp()); code != wire.Success {
			require.Equal(t, wire.JobResourceBusy, code)
			break
		}
		taken++
	}
	require.Less(t, float64(taken), 500+50*time.Since(begun).Seconds()+1)
	require.Equal(t, wire.Success, signedAs(t, e.URL("9999"), apps[1], "1000", stamp()), "another app is served")
	user.OK(user.Get("/v2/site/info/query"), nil)
}

// A page of another site has the user's browser call the address of openflow connect, by its number or by a name of its own that it
// has pointed there. It reads nothing and changes nothing, although the token would be added.
func TestPageThroughConnect(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Token())
	user := e.As(t, "9999")
	ctx, stop := context.WithCancel(t.Context())
	l, err := connect.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	at, err := connect.NodeAddress(e.URL("9999"))
	require.NoError(t, err)
	done := make(chan error, 1)
	way := &connect.Way{Node: at, Token: func() (string, error) { return user.Token, nil }, Log: slog.New(slog.DiscardHandler)}
	go func() { done <- way.Serve(ctx, l) }()
	address := "http://" + l.Addr().String()
	send := func(method, path, body string, header ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			if header[i] == "Host" {
				r.Host = header[i+1]
				continue
			}
			r.Header.Set(header[i], header[i+1])
		}
		return codeOf(t, r)
	}
	const remove = `{"party_id":"10000"}`
	for name, header := range map[string][]string{
		"a fetch":               {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"},
		"a form":                {"Origin", "null", "Content-Type", "text/plain"},
		"a name that is theirs": {"Host", "evil.example", "Origin", "http://evil.example", "Sec-Fetch-Site", "same-origin"},
		"an older browser's":    {"Host", "evil.example:80"},
		"a page of this host":   {"Origin", "http://127.0.0.1:8000", "Sec-Fetch-Site", "same-site"},
	} {
		require.NotZero(t, send(http.MethodPost, "/openflow/v1/user/site/remove", remove, header...), name)
		require.NotZero(t, send(http.MethodGet, "/v2/site/info/query", "", header...), name)
	}
	sites, err := (&sdk.Client{URL: user.URL, Token: user.Token}).Sites(t.Context())
	require.NoError(t, err)
	require.Len(t, sites, 1)

	// What a program gets tells a page nothing: no header lets one read it.
	answer, err := http.Get(address + "/v2/site/info/query")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Empty(t, answer.Header.Get("Access-Control-Allow-Origin"))
	require.Zero(t, send(http.MethodGet, "/v2/site/info/query", ""))
	stop()
	require.NoError(t, <-done)
}
