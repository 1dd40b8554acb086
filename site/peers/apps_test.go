package peers

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/fateflow/signature"
	"openflow/site/apps"
	"openflow/site/trust"
)

// used remembers nonces for ever.
type used struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (u *used) UseNonce(_ context.Context, peer, nonce string, _ time.Time) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	fresh := !u.seen[peer+nonce]
	u.seen[peer+nonce] = true
	return fresh, nil
}

// signing is a site that knows party 9998 as one that signs with an app, and what that app's calls look like.
type signing struct {
	*testing.T
	Register
	tokens *apps.Register
	apps   *Apps
	app    openflow.App
	token  string
	now    time.Time
}

func newSigning(t *testing.T) *signing {
	s := &signing{T: t, Register: register(t), now: time.UnixMilli(1780000000123)}
	credentials, err := trust.LoadOrCreateCredentials(filepath.Join(t.TempDir(), "secrets"))
	require.NoError(t, err)
	seal, err := credentials.Seal()
	require.NoError(t, err)
	s.tokens = &apps.Register{Rows: s.Records, Seal: seal, Nonces: &used{seen: map[string]bool{}}, Now: func() time.Time { return s.now }}
	s.apps = &Apps{Tokens: s.tokens, Records: s.Records}
	require.NoError(t, s.AddSite(t.Context(), openflow.SiteRecord{
		Party: "9998", URL: "https://fate.example", Dialect: fateflow.Name, Profile: dialect.SiteSigned, Way: openflow.WayRouter,
	}))
	s.app, s.token, err = s.tokens.Add(t.Context(), openflow.App{Kind: openflow.AppSite, Name: "9998", Role: openflow.AppMayPeer})
	require.NoError(t, err)
	return s
}

// claim is one of an app.
func (s *signing) claim(app openflow.AppID, token, nonce string, at time.Time) dialect.AppClaim {
	return dialect.AppClaim{App: app, Nonce: nonce, Signed: at, By: func(of string) bool { return of == token }}
}

// call proves a request, and reads it as a handler would.
func (s *signing) call(c dialect.AppClaim, path, body string) (openflow.PartyID, error) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	party, err := s.apps.Prove(s.Context(), r, c)
	if err == nil {
		_, err = io.ReadAll(r.Body)
	}
	return party, err
}

// Whose a request is, the records of this site say. Each thing that is wrong has FATE-Flow's code.
func TestAppsOfPeers(t *testing.T) {
	s := newSigning(t)
	key := nodeKey(t).Public().String()
	require.NoError(t, s.AddSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: "https://a", Keys: []string{key}}))
	strong, strongToken, err := s.tokens.Add(t.Context(), openflow.App{Kind: openflow.AppSite, Name: "10000", Role: openflow.AppMayPeer})
	require.NoError(t, err)
	stranger, strangerToken, err := s.tokens.Add(t.Context(), openflow.App{Kind: openflow.AppSite, Name: "10001", Role: openflow.AppMayPeer})
	require.NoError(t, err)
	client, clientToken, err := s.tokens.Add(t.Context(), openflow.App{Kind: openflow.AppClient, Name: "ann", Role: openflow.AppMayManage})
	require.NoError(t, err)
	require.NoError(t, s.AddSite(t.Context(), openflow.SiteRecord{Party: "9997", URL: "https://b", Dialect: fateflow.Name, Profile: dialect.SiteSigned}))
	powerless, powerlessToken, err := s.tokens.Add(t.Context(), openflow.App{Kind: openflow.AppSite, Name: "9997"})
	require.NoError(t, err)

	for name, tc := range map[string]struct {
		claim dialect.AppClaim
		about openflow.Subject
		says  string
	}{
		"good":                          {claim: s.claim(s.app.ID, s.token, "1111", s.now)},
		"a minute ago":                  {claim: s.claim(s.app.ID, s.token, "1112", s.now.Add(-time.Minute))},
		"older":                         {s.claim(s.app.ID, s.token, "1113", s.now.Add(-61*time.Second)), openflow.AboutTime, "expired"},
		"from tomorrow":                 {s.claim(s.app.ID, s.token, "1114", s.now.Add(24*time.Hour)), openflow.AboutTime, "expired"},
		"an app that nobody knows":      {s.claim("11111111", s.token, "1115", s.now), openflow.AboutApp, "No found appid"},
		"another token":                 {s.claim(s.app.ID, strangerToken, "1116", s.now), "", "varify failed"},
		"a client's app":                {s.claim(client.ID, clientToken, "1117", s.now), openflow.AboutApp, "No found appid"},
		"an app without a role":         {s.claim(powerless.ID, powerlessToken, "1118", s.now), openflow.AboutApp, "flow permission grant"},
		"of a peer that has a key":      {s.claim(strong.ID, strongToken, "1119", s.now), "", "does not take a signature of an app for party 10000"},
		"of a party that is no peer":    {s.claim(stranger.ID, strangerToken, "1120", s.now), "", "does not take a signature of an app for party 10001"},
		"of another party by its token": {s.claim(strong.ID, s.token, "1121", s.now), "", "varify failed"},
	} {
		party, err := s.call(tc.claim, "/v2/partner/job/start", "{}")
		if tc.says == "" {
			require.NoError(t, err, name)
			require.Equal(t, openflow.PartyID("9998"), party, name)
			continue
		}
		var e *openflow.Error
		require.ErrorAs(t, err, &e, name)
		require.Equal(t, tc.about, e.Subject, name)
		require.ErrorContains(t, err, tc.says, name)
		require.Empty(t, party, name)
	}
	require.NoError(t, s.Records.DeleteSite(t.Context(), "9998"))
	_, err = s.call(s.claim(s.app.ID, s.token, "1122", s.now), "/v2/partner/job/start", "{}")
	require.ErrorContains(t, err, "No found appid", "what is removed proves nobody")
}

// FATE-Flow sends a request up to three times with one signature. These count, and nothing else that the signature would cover.
func TestSignatureIsOfOneRequest(t *testing.T) {
	s := newSigning(t)
	const path, body = "/v2/partner/task/start", `{"task_id":"1"}`
	c := s.claim(s.app.ID, s.token, "1234", s.now)
	for range 2 {
		_, err := s.call(c, path, body)
		require.NoError(t, err)
	}
	_, err := s.call(c, "/v2/partner/job/stop", body)
	require.ErrorContains(t, err, "received before", "another path")
	_, err = s.call(c, path, `{"task_id":"2"}`)
	require.ErrorContains(t, err, "another path or body")
	_, err = s.call(c, path, body)
	require.ErrorContains(t, err, "received before", "the third attempt was the one with another body")
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))

	other := &Apps{Tokens: s.tokens, Records: s.Records} // as another process of this site
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	_, err = other.Prove(t.Context(), r, c)
	require.ErrorContains(t, err, "received before")
	_, err = s.call(s.claim(s.app.ID, s.token, "1235", s.now), path, body)
	require.NoError(t, err, "a new signature")
}

// What is remembered of signatures is bounded.
func TestRememberedSignatures(t *testing.T) {
	var s sent
	for i := range remembered + 10 {
		require.NotNil(t, s.use(strings.Repeat("x", i%7)+time.Duration(i).String(), "p", true, time.Now().Add(time.Hour)))
		require.LessOrEqual(t, len(s.uses), remembered)
	}
	require.Nil(t, s.use("0s", "p", false, time.Now()), "it was forgotten")
}

// A record of such a peer needs no key and has no sources, and what it says of the way stays until something else is said.
func TestTrustAndWayOfARecord(t *testing.T) {
	s := newSigning(t)
	at := func() openflow.SiteRecord {
		r, err := s.Records.Site(t.Context(), "9998")
		require.NoError(t, err)
		return r
	}
	require.Equal(t, openflow.TrustSignature, at().Trust())
	require.NoError(t, s.AddSite(t.Context(), openflow.SiteRecord{Party: "9998", URL: "https://other.example"}))
	require.Equal(t, openflow.WayRouter, at().Way)
	require.NoError(t, s.AddSite(t.Context(), openflow.SiteRecord{Party: "9998", URL: "https://other.example", Way: openflow.WayPackets}))
	require.Equal(t, openflow.WayPackets, at().Way)
	require.Equal(t, openflow.TrustSignature, at().Trust())
	key := nodeKey(t).Public().String()
	for name, tc := range map[string]struct {
		record openflow.SiteRecord
		says   string
	}{
		"a way that is none":         {openflow.SiteRecord{Party: "9998", URL: "https://a", Way: "pigeons"}, "use one of direct, router, packets"},
		"packets of a native node":   {openflow.SiteRecord{Party: "10000", URL: "https://a", Keys: []string{key}, Way: openflow.WayPackets}, "use one of direct"},
		"a native node with an app":  {openflow.SiteRecord{Party: "10000", URL: "https://a", Profile: dialect.SiteSigned}, "no profile"},
		"an app and a source":        {openflow.SiteRecord{Party: "9998", URL: "https://a", Sources: []string{"10.0.0.7"}}, "signs its requests with an app"},
		"nothing that proves it":     {openflow.SiteRecord{Party: "9997", URL: "https://a", Dialect: fateflow.Name}, "--trust fate-site-signature"},
		"without TLS, unasked":       {openflow.SiteRecord{Party: "9997", URL: "http://fate.example:9370", Dialect: fateflow.Name, Profile: dialect.SiteSigned, Way: openflow.WayPackets}, "without TLS"},
		"back to nothing at all":     {openflow.SiteRecord{Party: "9998", URL: "https://a", Profile: dialect.Unsigned}, "nothing proves who calls"},
		"another dialect by packets": {openflow.SiteRecord{Party: "9998", URL: "https://a", Dialect: "native", Keys: []string{key}}, ""},
	} {
		require.ErrorContains(t, s.AddSite(t.Context(), tc.record), tc.says, name)
		require.Equal(t, openflow.WayPackets, at().Way, name)
		require.Equal(t, "https://other.example", at().URL, name)
	}
}

// A signature of FATE-Flow's form proves a peer through the dialect's routes, and the wrong destination is refused first.
func TestFormOfAClaim(t *testing.T) {
	s := newSigning(t)
	stamp := "1780000000123"
	h := http.Header{}
	h.Set(signature.HeaderApp, string(s.app.ID))
	h.Set(signature.HeaderNonce, "1234")
	h.Set(signature.HeaderTime, stamp)
	h.Set(signature.HeaderInitiator, "9998")
	h.Set(signature.HeaderSignature, signature.Of(s.app.ID, "", "9998", "1234", stamp, s.token))
	c, err := signature.ReadSite(h)
	require.NoError(t, err)
	party, err := s.call(dialect.AppClaim{App: c.App, Nonce: c.Nonce, Signed: c.Signed, By: c.By}, "/v2/partner/job/create", "{}")
	require.NoError(t, err)
	require.Equal(t, openflow.PartyID("9998"), party)
	h.Set(signature.HeaderInitiator, "")
	c, err = signature.ReadSite(h)
	require.NoError(t, err)
	_, err = s.call(dialect.AppClaim{App: c.App, Nonce: "9999", Signed: c.Signed, By: c.By}, "/v2/partner/job/create", "{}")
	require.ErrorContains(t, err, "varify failed", "the initiator is covered")
}
