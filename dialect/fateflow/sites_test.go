package fateflow

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/signature"
	"openflow/dialect/peer"
)

// The sums are those of md5sum over the same texts.
func TestSignatureOfASite(t *testing.T) {
	const app, nonce, stamp, token = "40172236", "1234", "1780000000123", "AbCdEfGhIjKlMnOp"
	require.Equal(t, "4601292dbc55f6722fc9a90fb5b1e962", signature.Of(app, "", "9999", nonce, stamp, token), "a call that creates a job")
	require.Equal(t, "91906fb3b8560575f0e7ed5e3ffb5b0e", signature.Of(app, "", "", nonce, stamp, token), "any other")
}

// provers tells what a request claims.
type provers struct {
	claims []dialect.AppClaim
	others int
}

func (p *provers) Prove(_ context.Context, _ *http.Request, c dialect.AppClaim) (openflow.PartyID, error) {
	p.claims = append(p.claims, c)
	return "9998", nil
}

func (p *provers) Verify(context.Context, *http.Request) (openflow.PartyID, error) {
	p.others++
	return "", openflow.Errorf(openflow.CodeUnauthorized, "not signed")
}

// What this node sends as a site is what a site of FATE-Flow takes. There are five headers. The initiator is that of a job that is
// created, and empty in all other calls. The nonce has four digits, and no other call of that moment has it.
func TestCallsAreSignedAsASite(t *testing.T) {
	var got []http.Header
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header)
		_, _ = w.Write([]byte(`{"code":0,"message":"success"}`))
	}))
	defer there.Close()
	app := func(context.Context) (openflow.App, string, error) {
		return openflow.App{ID: "40172236"}, "AbCdEfGhIjKlMnOp", nil
	}
	link := peer.Link{Self: "9999", Peer: "9998", URL: there.URL, Profile: dialect.SiteSigned, HTTP: there.Client(), App: app}
	c := Dialect{}.Client(link).(*Client)
	_, err := c.send(t.Context(), "/v2/partner/job/create", map[string]any{}, "9999")
	require.NoError(t, err)
	for range 100 {
		_, err = c.send(t.Context(), "/v2/partner/job/start", map[string]any{}, "")
		require.NoError(t, err)
	}
	seen := map[string]bool{}
	for i, h := range got {
		claim, err := signature.ReadSite(h)
		require.NoError(t, err)
		require.True(t, claim.By("AbCdEfGhIjKlMnOp"))
		require.False(t, claim.By("AbCdEfGhIjKlMnOq"))
		require.Equal(t, map[bool]string{true: "9999", false: ""}[i == 0], claim.Initiator)
		require.Len(t, h.Values(headerInitiator), 1)
		require.Equal(t, claim.Initiator, h.Get(headerInitiator))
		require.Equal(t, "9998", h.Get(headerTo))
		require.Equal(t, "fateflow", h.Get(headerService))
		require.Empty(t, h.Get("Signature-Input"), "the header Signature is FATE's")
		require.Regexp(t, `^[1-9]\d{3}$`, claim.Nonce)
		require.False(t, seen[claim.Nonce])
		seen[claim.Nonce] = true
	}

	link.App = func(context.Context) (openflow.App, string, error) {
		return openflow.App{}, "", openflow.Errorf(openflow.CodeUnauthorized, "party 9998 has given this site no app")
	}
	err = Dialect{}.Client(link).Probe(t.Context())
	require.ErrorContains(t, err, "no app")
	require.Len(t, got, 101, "nothing was sent")
}

// A request that says that a site has signed it is proven by that or refused, and all others go their own way.
func TestClaimsOfSites(t *testing.T) {
	signed := func(change func(http.Header)) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/v2/partner/job/start", strings.NewReader("{}"))
		for name, value := range map[string]string{"appId": "40172236", "Nonce": "1234", "Timestamp": "1780000000123", "initiatorPartyId": "", "Signature": "91906fb3b8560575f0e7ed5e3ffb5b0e"} {
			r.Header.Set(name, value)
		}
		change(r.Header)
		return r
	}
	for name, tc := range map[string]struct {
		change func(http.Header)
		says   string
	}{
		"good":                    {func(http.Header) {}, ""},
		"for this site":           {func(h http.Header) { h.Set(headerTo, "10000") }, ""},
		"no initiator":            {func(h http.Header) { h.Del("initiatorPartyId") }, ""},
		"for another site":        {func(h http.Header) { h.Set(headerTo, "10001") }, `for party "10001"`},
		"no time":                 {func(h http.Header) { h.Del("Timestamp") }, "invalid parameter:timeStamp"},
		"no nonce":                {func(h http.Header) { h.Del("Nonce") }, "invalid parameter: Nonce"},
		"no signature":            {func(h http.Header) { h.Del("Signature") }, "invalid parameter: Signature"},
		"no app":                  {func(h http.Header) { h.Del("appId") }, "invalid parameter: appId"},
		"a time that is none":     {func(h http.Header) { h.Set("Timestamp", "-1") }, "invalid parameter:timeStamp"},
		"a long nonce":            {func(h http.Header) { h.Set("Nonce", strings.Repeat("1", 1<<16)) }, "invalid parameter: Nonce"},
		"two apps":                {func(h http.Header) { h.Add("appId", "40172237") }, "invalid parameter: appId"},
		"two initiators":          {func(h http.Header) { h.Add("initiatorPartyId", "1") }, "invalid parameter: initiatorPartyId"},
		"an app of a path":        {func(h http.Header) { h.Set("appId", "../1") }, "invalid parameter: appId"},
		"upper case":              {func(h http.Header) { h.Set("Signature", strings.ToUpper(h.Get("Signature"))) }, "invalid parameter: Signature"},
		"initiator that is large": {func(h http.Header) { h.Set("initiatorPartyId", strings.Repeat("9", 1<<16)) }, "invalid parameter: initiatorPartyId"},
	} {
		p := &provers{}
		party, err := bySite{"10000", p, p}.Verify(t.Context(), signed(tc.change))
		require.Zero(t, p.others, name)
		if tc.says == "" {
			require.NoError(t, err, name)
			require.Equal(t, openflow.PartyID("9998"), party)
			require.True(t, p.claims[0].By("AbCdEfGhIjKlMnOp"))
			continue
		}
		require.ErrorContains(t, err, tc.says, name)
		require.Empty(t, party, name)
		require.Empty(t, p.claims, name)
	}
	p := &provers{}
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/", nil),
		signed(func(h http.Header) { // as nodes like this one sign
			for _, name := range []string{"appId", "Nonce", "Timestamp", "initiatorPartyId"} {
				h.Del(name)
			}
		}),
	} {
		_, err := bySite{"10000", p, p}.Verify(t.Context(), r)
		require.ErrorContains(t, err, "not signed")
	}
	require.Equal(t, 2, p.others)
	_, err := bySite{"10000", p, nil}.Verify(t.Context(), signed(func(http.Header) {}))
	require.ErrorContains(t, err, "not signed", "a node without apps")
}
