package sdk_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
)

func TestFailuresToAnswer(t *testing.T) {
	gone := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	text := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello")) })
	cases := map[string]struct {
		client *sdk.Client
		code   openflow.Code
		says   string
	}{
		"nobody listens":         {&sdk.Client{URL: "http://127.0.0.1:1"}, openflow.CodeUnavailable, "--node"},
		"connection breaks":      {gone, openflow.CodeUnavailable, "does not answer"},
		"another server":         {text, openflow.CodeUnavailable, "is not a node"},
		"no address":             {&sdk.Client{URL: "127.0.0.1:9380"}, openflow.CodeInvalid, "cannot be used"},
		"no host in the address": {&sdk.Client{URL: "http:///"}, openflow.CodeInvalid, "cannot be used"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.client.Sites(t.Context())
			requireCode(t, c.code, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestHTTPErrorIsNoNode(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	_, err := c.Sites(t.Context())
	requireCode(t, openflow.CodeUnavailable, err)
	require.ErrorContains(t, err, "HTTP 502")
	requireCode(t, openflow.CodeUnavailable, c.Ready(t.Context()))
	_, err = c.OutputData(t.Context(), openflow.TaskKey{}, "", t.TempDir())
	requireCode(t, openflow.CodeUnavailable, err)
}

func TestErrorOfTheNodeKeepsCodePartyAndHint(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"code":5005,"message":"m","error":{"code":"permission","party":"10000","message":"no grant","hint":"ask"}}`))
	})
	_, err := c.Submit(t.Context(), sampleDAG(t), "")
	require.Equal(t, "at party 10000: no grant (ask)", err.Error())
	requireCode(t, openflow.CodePermission, err)
}

func TestCallerEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := c.Sites(ctx)
	require.ErrorIs(t, err, context.Canceled)
	requireCode(t, openflow.CodeCanceled, err)
}

func TestToken(t *testing.T) {
	_, c := start(t, "0123456789abcdef")
	_, err := c.Sites(t.Context())
	require.NoError(t, err)

	c.Token = "wrong"
	_, err = c.Sites(t.Context())
	requireCode(t, openflow.CodeUnauthorized, err)
	require.NoError(t, c.Healthz(t.Context()), "probes need no token")
}

func TestNodeTellsOfItself(t *testing.T) {
	_, c := start(t, "")
	about, err := c.About(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), time.UnixMilli(about.StartTime), time.Minute)
	about.StartTime = 0
	require.Equal(t, sdk.About{PartyID: "9999", Version: "v1", Runtime: "process", PublicKey: "ed25519:k", Warnings: []string{"w"}}, about)

	require.NoError(t, c.Ready(t.Context()))
	clock, err := c.Clock(t.Context())
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), clock, time.Minute)
}

func TestNotReadySaysWhy(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte("the node is starting\n"))
	})
	err := c.Ready(t.Context())
	requireCode(t, openflow.CodeUnavailable, err)
	require.ErrorContains(t, err, "the node is starting")
}

func TestSitesAndGrants(t *testing.T) {
	s, c := start(t, "")
	ctx := t.Context()
	require.NoError(t, c.AddSite(ctx, "10000", "http://h:1", "k1", sdk.Speech{Dialect: "fate-flow", Version: "2", Profile: "unsigned"}))
	speaks, err := c.ProbeSite(ctx, "10000")
	require.NoError(t, err)
	require.Equal(t, []sdk.Heard{{Dialect: "native", Version: "1", Speaks: true, Recorded: true}, {Dialect: "fate-flow", Version: "2", Error: "no"}}, speaks)
	require.NoError(t, c.RotateSite(ctx, "10000", "k2", false))
	sites, err := c.Sites(ctx)
	require.NoError(t, err)
	require.Len(t, sites, 1)
	require.Equal(t, []string{"k2", "k1"}, sites[0].Keys)
	require.Equal(t, "http://h:1", sites[0].URL)
	require.False(t, sites[0].Unsigned)
	require.NoError(t, c.AddSite(ctx, "10000", "http://h:1", "k1", sdk.Speech{Unsigned: new(true)}))
	sites, err = c.Sites(ctx)
	require.NoError(t, err)
	require.True(t, sites[0].Unsigned)

	require.Equal(t, wire.Quota{}, sites[0].Said)
	require.Equal(t, openflow.DefaultQuota(), sites[0].Limits.Decode())
	require.NoError(t, c.LimitSite(ctx, "10000", openflow.Quota{Cores: 5, Memory: 1 << 30}))
	sites, err = c.Sites(ctx)
	require.NoError(t, err)
	require.Equal(t, "cores 5, memory 1GiB", sites[0].Said.String())
	require.Equal(t, 5, sites[0].Limits.Cores)
	require.Equal(t, wire.PeerUse{Jobs: 3, Cores: 2}, sites[0].Uses)
	requireCode(t, openflow.CodeInvalid, c.LimitSite(ctx, "10000", openflow.Quota{Jobs: -1}))

	require.NoError(t, c.CheckSite(ctx, "10000"))
	s.down = openflow.Errorf(openflow.CodeUnauthorized, "unknown key")
	err = c.CheckSite(ctx, "10000")
	requireCode(t, openflow.CodeUnauthorized, err)
	require.ErrorContains(t, err, "at party 10000")

	refused := func(table openflow.GrantedTable, says string) {
		_, err := c.Grant(ctx, openflow.Grant{Kind: openflow.GrantUse, Initiator: "10000", Tables: []openflow.GrantedTable{table}})
		requireCode(t, openflow.CodeInvalid, err)
		require.ErrorContains(t, err, says)
	}
	granted := openflow.TableName{Namespace: "demo", Name: "t"}
	refused(openflow.GrantedTable{Name: granted}, "no table demo/t at this site (upload it first (openflow data upload); there is none yet)")
	var content bytes.Buffer
	meta, err := tables.ParseMeta([]byte(`{"match_id_name":"id"}`))
	require.NoError(t, err)
	_, err = tables.FromCSV(ctx, strings.NewReader("id,x\n1,2\n"), meta, &content)
	require.NoError(t, err)
	ref, err := s.objects.Put(ctx, &content)
	require.NoError(t, err)
	require.NoError(t, s.rows.SaveTable(ctx, openflow.TableRecord{Name: granted, Object: ref.Digest}))
	refused(openflow.GrantedTable{Name: openflow.TableName{Namespace: "demo", Name: "T"}}, "it has: demo/t")
	refused(openflow.GrantedTable{Name: granted, Columns: []string{"id", "y"}}, `table demo/t has no column "y" (it has: id, sample_id, x)`)
	refused(openflow.GrantedTable{Name: granted, Columns: []string{"x"}}, "its rows are found by column id, which the grant does not give")
	_, err = c.Grant(ctx, openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "10000", Until: time.Unix(1, 0)})
	requireCode(t, openflow.CodeInvalid, err)
	require.ErrorContains(t, err, "a grant until 1970-01-01T00:00:01Z allows nothing")
	use := openflow.Grant{
		Kind: openflow.GrantUse, Initiator: "10000", Components: []openflow.GrantedComponent{{Name: "psi", Provider: "acme", Version: "1"}},
		Tables: []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "demo", Name: "t"}, Columns: []string{"id", "x"}}},
		Models: []openflow.ModelRef{{ID: "m"}}, Purpose: "churn study", Partners: []openflow.PartyID{"10001"}, Uses: 5, Until: time.UnixMilli(4e12).UTC(),
		Limits: []openflow.ParameterLimit{{Component: "psi", Parameter: "curve_type", Relation: "=", Values: []string{"p256"}}},
	}
	made, err := c.Grant(ctx, openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "10000"}, use)
	require.NoError(t, err)
	require.Len(t, made, 2)
	use.ID, use.By, use.Made = made[1].ID, made[1].By, made[1].Made
	require.Equal(t, use, made[1], "nothing is lost on the way")
	gone, err := c.Revoke(ctx, made[0].ID)
	require.NoError(t, err)
	require.Equal(t, made[0], gone)
	grants, err := c.Grants(ctx, "10000")
	require.NoError(t, err)
	require.Equal(t, []openflow.Grant{use}, grants)
	_, err = c.Grant(ctx, openflow.Grant{Kind: openflow.GrantUse, Initiator: "10000"})
	requireCode(t, openflow.CodeInvalid, err)
	_, err = c.Revoke(ctx, made[0].ID)
	requireCode(t, openflow.CodeNotFound, err)

	require.NoError(t, c.RotateSite(ctx, "10000", "k3", true))
	require.NoError(t, c.RemoveSite(ctx, "10000"))
	sites, err = c.Sites(ctx)
	require.NoError(t, err)
	require.Empty(t, sites)
}
