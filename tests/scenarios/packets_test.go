package scenarios_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/fateflow/packets"
	"openflow/dialect/fateflow/signature"
	"openflow/node"
	"openflow/sdk"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// Two nodes call each other as sites of FATE-Flow do: signed with each other's apps, in packets of gRPC. A job runs so in push and
// pull. Whoever else reaches the listener, such as a container of this machine, is told nothing and changes nothing.
func TestSitesInPackets(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Deadlines(slowCollect()), env.Configure(func(c *node.Config) { c.Packets = "127.0.0.1:0" }))
	two := [][2]string{{"9999", "10000"}, {"10000", "9999"}}
	tokens := map[string]wire.App{} // of the app with which a party calls the other
	for _, pair := range two {
		made, err := (&sdk.Client{URL: e.URL(pair[1])}).AddApp(t.Context(), wire.App{Kind: "site", Name: wire.Text(pair[0]), Role: "site"})
		require.NoError(t, err)
		tokens[pair[0]] = made
		_, err = (&sdk.Client{URL: e.URL(pair[0])}).AddApp(t.Context(), wire.App{Kind: "partner", Name: wire.Text(pair[1]), ID: made.ID, Token: made.Token})
		require.NoError(t, err)
		require.NoError(t, (&sdk.Client{URL: e.URL(pair[0])}).AddSite(t.Context(), openflow.PartyID(pair[1]), e.Node(t, pair[1]).PacketsURL(), e.Key(t, pair[1]).Public().String(),
			sdk.Speech{Dialect: fateflow.Name, Profile: string(openflow.TrustSignature), Way: openflow.WayPackets}))
	}
	for _, pair := range two {
		require.NoError(t, (&sdk.Client{URL: e.URL(pair[0])}).CheckSite(t.Context(), openflow.PartyID(pair[1])))
		sites, err := (&sdk.Client{URL: e.URL(pair[0])}).Sites(t.Context())
		require.NoError(t, err)
		require.Equal(t, "packets", sites[0].Way)
		require.Equal(t, "fate-site-signature", sites[0].Trust)
	}
	for _, mode := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
		d := env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a"))
		d.Conf.SyncType = mode
		id := e.As(t, "9999").Submit(d)
		for _, p := range pair {
			e.As(t, string(p.ID)).WaitFor(id, openflow.JobSuccess)
		}
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)

	// Without TLS and a key, as FATE's bridges come.
	e.Stop(t, "10000")
	e.Reconfigure("10000", func(c *node.Config) { c.PlainPackets = true })
	e.Start(t, "10000")
	strangers := &http.Client{Transport: packets.Way{Through: httpclient.New(httpclient.Options{GRPC: true}).Transport, Peer: "10000", Most: 1 << 20}}
	call := func(path, body string, header map[string]string) wire.Envelope {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Node(t, "10000").PacketsURL()+path, bytes.NewBufferString(body))
		require.NoError(t, err)
		for name, value := range header {
			r.Header.Set(name, value)
		}
		resp, err := strangers.Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		var answer wire.Envelope
		require.NoError(t, json.Unmarshal(text, &answer), string(text))
		return answer
	}
	signed := func(app wire.App, nonce string) map[string]string {
		stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
		return map[string]string{
			signature.HeaderApp: app.ID, signature.HeaderNonce: nonce, signature.HeaderTime: stamp, signature.HeaderInitiator: "",
			signature.HeaderSignature: signature.Of(openflow.AppID(app.ID), "", "", nonce, stamp, app.Token),
		}
	}
	const path, nothing = "/v2/partner/task/collect", "{}"
	good := signed(tokens["9999"], "1111")
	require.Equal(t, wire.InvalidParameter, call(path, nothing, good).Code, "it is known, and lacks its arguments")
	require.Equal(t, wire.InvalidParameter, call(path, nothing, good).Code, "the repeat of a caller that has heard nothing")
	require.Equal(t, wire.VerifyFailed, call(path, `{"job_id":"1"}`, good).Code, "that signature with another body")
	require.Equal(t, wire.VerifyFailed, call("/v2/partner/job/stop", nothing, good).Code, "and with another path")
	require.Equal(t, wire.VerifyFailed, call(path, nothing, nil).Code)
	require.Equal(t, wire.NoFoundAppID, call(path, nothing, signed(tokens["10000"], "1112")).Code, "the app of another direction")
	require.Equal(t, wire.FunctionRestricted, call("/v2/job/submit", nothing, signed(tokens["9999"], "1113")).Code)
	require.Equal(t, wire.FunctionRestricted, call("/openflow/v1/node/job/open", nothing, signed(tokens["9999"], "1114")).Code)
	late := signed(tokens["9999"], "1115")
	late[signature.HeaderTime] = strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10)
	require.Equal(t, wire.RequestExpired, call(path, nothing, late).Code)
}
