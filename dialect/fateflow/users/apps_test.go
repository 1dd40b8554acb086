package users_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/fateflow/signature"
	"openflow/dialect/native"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/apps"
	"openflow/site/registry"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// office is a site whose operator has a token, and whose users may sign as apps.
type office struct {
	t     *testing.T
	h     http.Handler
	rows  *catalogue.Catalogue
	now   time.Time
	nonce int
}

const officeToken = "the operator's token"

type memoryOfNonces map[string]bool

func (m memoryOfNonces) UseNonce(_ context.Context, peer, nonce string, _ time.Time) (bool, error) {
	defer func() { m[peer+nonce] = true }()
	return !m[peer+nonce], nil
}

func newOffice(t *testing.T) *office {
	dir := t.TempDir()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(dir, "rows.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	own := openflow.ProviderRecord{Name: "openflow", Version: "1", Kind: openflow.ProviderBuiltIn, Digest: "sha256:1"}
	require.NoError(t, rows.SetBuiltIn(t.Context(), own, []openflow.ComponentRecord{{Name: "psi", Form: "fate", Description: json.RawMessage(`{"component":{"name":"psi"}}`)}}))
	require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: "https://b", Dialect: "fate-flow"}))
	secrets, err := trust.LoadOrCreateCredentials(filepath.Join(dir, "secrets"))
	require.NoError(t, err)
	seal, err := secrets.Seal()
	require.NoError(t, err)
	o := &office{t: t, rows: rows, now: time.Now()}
	site := &application.Site{
		Catalogue: rows, Providers: &registry.Registry{Self: "9999", Rows: rows, Device: "process"}, Log: slog.New(slog.DiscardHandler),
		About:  func() application.About { return application.About{Party: "9999"} },
		Access: application.Access{Token: officeToken, Same: trust.SameToken},
		Apps:   &apps.Register{Rows: rows, Seal: seal, Nonces: memoryOfNonces{}, Now: func() time.Time { return o.now }},
	}
	o.h = server.Handler(site.Log, dialect.All{native.Dialect{}, fateflow.Dialect{}}.Application(site))
	return o
}

// answer is the envelope of an answer.
func (o *office) send(r *http.Request) wire.Envelope {
	o.t.Helper()
	w := httptest.NewRecorder()
	o.h.ServeHTTP(w, r)
	require.Equal(o.t, "application/json", w.Header().Get("Content-Type"), w.Body.String())
	var e wire.Envelope
	require.NoError(o.t, json.Unmarshal(w.Body.Bytes(), &e), w.Body.String())
	return e
}

// request comes from another machine over TLS, and proves nobody.
func request(method, path, body string) *http.Request {
	r := httptest.NewRequest(method, "https://node.example"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr, r.TLS = "203.0.113.7:4711", &tls.ConnectionState{}
	return r
}

// operator sends with the token.
func (o *office) operator(method, path, body string) wire.Envelope {
	o.t.Helper()
	r := request(method, path, body)
	r.Header.Set("Authorization", "Bearer "+officeToken)
	return o.send(r)
}

// app is one that signs.
type app struct {
	Name  string `json:"app_name"`
	ID    string `json:"app_id"`
	Token string `json:"app_token"`
	Type  string `json:"app_type"`
}

// client makes an app of a client over FATE's routes.
func (o *office) client(name, role string) (a app) {
	o.t.Helper()
	e := o.operator(http.MethodPost, "/v2/app/client/create", `{"app_name":"`+name+`"}`)
	require.NoError(o.t, e.Err())
	require.NoError(o.t, json.Unmarshal(e.Data, &a))
	if role != "" {
		e = o.operator(http.MethodPost, "/v2/permission/grant", `{"app_id":"`+a.ID+`","role":"`+role+`"}`)
		require.NoError(o.t, e.Err())
		require.JSONEq(o.t, `{"status":true}`, string(e.Data))
	}
	return a
}

// sign signs a request as FATE's client does, each time with another nonce.
func (o *office) sign(r *http.Request, a app, changes ...string) *http.Request {
	o.nonce++
	v := map[string]string{
		"appId": a.ID, "userName": "", "Nonce": strconv.Itoa(1000 + o.nonce), "Timestamp": strconv.FormatInt(o.now.Unix()*1000, 10), "token": a.Token,
	}
	for i := 0; i < len(changes); i += 2 {
		v[changes[i]] = changes[i+1]
	}
	sig := signature.Of(openflow.AppID(v["appId"]), v["userName"], "", v["Nonce"], v["Timestamp"], v["token"])
	for name, value := range v {
		if name != "token" {
			r.Header.Set(name, value)
		}
	}
	r.Header.Set("Signature", sig)
	if v["Signature"] != "" {
		r.Header.Set("Signature", v["Signature"])
	}
	return r
}

func (o *office) signed(a app, method, path, body string) wire.Envelope {
	o.t.Helper()
	return o.send(o.sign(request(method, path, body), a))
}

const siteRoute = "/v2/site/info/query"

func TestSignaturesOfApps(t *testing.T) {
	o := newOffice(t)
	portal := o.client("portal", "client")
	require.Equal(t, "client", portal.Type)
	require.Len(t, portal.ID, 8)
	require.NoError(t, o.signed(portal, http.MethodGet, siteRoute, "").Err())

	silent, other := o.client("silent", ""), o.client("other", "client")
	second := func(n int64) string { return strconv.FormatInt((o.now.Unix()+n)*1000, 10) }
	for name, tc := range map[string]struct {
		app     app
		changes []string
		code    int
	}{
		"old":                      {portal, []string{"Timestamp", second(-62)}, wire.RequestExpired},
		"of the future":            {portal, []string{"Timestamp", second(62)}, wire.RequestExpired},
		"within the window":        {portal, []string{"Timestamp", second(-58)}, wire.Success},
		"with a name":              {portal, []string{"userName", "anna"}, wire.Success},
		"unknown app":              {portal, []string{"appId", "00000000"}, wire.NoFoundAppID},
		"old, of an unknown app":   {portal, []string{"appId", "00000000", "Timestamp", second(-62)}, wire.RequestExpired},
		"wrong token":              {portal, []string{"token", other.Token}, wire.VerifyFailed},
		"no token":                 {portal, []string{"token", ""}, wire.VerifyFailed},
		"another's signature":      {portal, []string{"Signature", strings.Repeat("0", 32)}, wire.VerifyFailed},
		"no role":                  {silent, nil, wire.AuthenticationFail},
		"wrong token and no role":  {silent, []string{"token", "x"}, wire.VerifyFailed},
		"no app":                   {portal, []string{"appId", ""}, wire.InvalidParameter},
		"a short nonce":            {portal, []string{"Nonce", "12"}, wire.InvalidParameter},
		"a time that is none":      {portal, []string{"Timestamp", "soon"}, wire.InvalidParameter},
		"a signature that is none": {portal, []string{"Signature", "no hex"}, wire.InvalidParameter},
		"an endless name":          {portal, []string{"userName", strings.Repeat("x", 5000)}, wire.InvalidParameter},
	} {
		e := o.send(o.sign(request(http.MethodGet, siteRoute, ""), tc.app, tc.changes...))
		require.Equal(t, tc.code, e.Code, "%s: %s", name, e.Message)
		require.NotContains(t, e.Message, tc.app.Token, name)
	}

	// Who signs is proven by that or refused, whatever else it brings.
	both := o.sign(request(http.MethodGet, siteRoute, ""), portal, "token", "x")
	both.Header.Set("Authorization", "Bearer "+officeToken)
	require.Equal(t, wire.VerifyFailed, o.send(both).Code)
	// Who does not is treated as before.
	require.Equal(t, wire.VerifyFailed, o.send(request(http.MethodGet, siteRoute, "")).Code)
	require.NoError(t, o.operator(http.MethodGet, siteRoute, "").Err())

	// A signature counts once, on any route.
	r := o.sign(request(http.MethodGet, siteRoute, ""), portal)
	require.NoError(t, o.send(r).Err())
	e := o.send(r)
	require.Equal(t, wire.VerifyFailed, e.Code)
	require.Contains(t, e.Message, "received before")
	elsewhere := request(http.MethodPost, "/v2/job/queue/clean", "")
	elsewhere.Header = r.Header
	require.Equal(t, wire.VerifyFailed, o.send(elsewhere).Code)

	// A page in a browser that has got hold of a signature.
	page := o.sign(request(http.MethodGet, siteRoute, ""), portal)
	page.Header.Set("Origin", "https://evil.example")
	require.Equal(t, wire.NoPermission, o.send(page).Code)

	// An app that is removed is refused at once.
	require.NoError(t, o.operator(http.MethodPost, "/v2/app/client/delete", `{"app_id":"`+portal.ID+`"}`).Err())
	require.Equal(t, wire.NoFoundAppID, o.signed(portal, http.MethodGet, siteRoute, "").Code)
	require.NoError(t, o.signed(other, http.MethodGet, siteRoute, "").Err())
	// Our own routes know no such signature.
	w := httptest.NewRecorder()
	o.h.ServeHTTP(w, o.sign(request(http.MethodGet, "/openflow/v1/user/server/about", ""), other))
	require.Contains(t, w.Body.String(), "needs a token")
}

// Without TLS, whoever is on the way could use the signature for something else.
func TestSignaturesWithoutTLS(t *testing.T) {
	o := newOffice(t)
	portal := o.client("portal", "client")
	send := func(a app, from string, header ...string) int {
		r := o.sign(request(http.MethodGet, siteRoute, ""), a)
		r.TLS, r.RemoteAddr = nil, from
		if len(header) > 0 {
			r.Header.Set(header[0], header[1])
		}
		return o.send(r).Code
	}
	require.Equal(t, wire.Success, send(portal, "127.0.0.1:4711"))
	require.Equal(t, wire.AuthenticationFail, send(portal, "203.0.113.7:4711"))
	require.Equal(t, wire.AuthenticationFail, send(portal, "203.0.113.7:4711", "X-Forwarded-Proto", "https"), "anybody could say so")
	require.Equal(t, wire.AuthenticationFail, send(portal, "127.0.0.1:4711", "X-Forwarded-For", "203.0.113.7"))
	made := o.operator(http.MethodPost, "/openflow/v1/user/app/add", `{"kind":"client","name":"old","role":"client","plain":true}`)
	require.NoError(t, made.Err())
	var row struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}
	require.NoError(t, json.Unmarshal(made.Data, &row))
	require.Equal(t, wire.Success, send(app{ID: row.ID, Token: row.Token}, "203.0.113.7:4711"))
	e := o.operator(http.MethodPost, "/v2/permission/grant", `{"app_id":"`+row.ID+`","role":"super_client"}`)
	require.Equal(t, wire.RoleTypeError, e.Code, "its signatures would make apps for whoever is on the way")
}

// What apps may: a client no page of apps and permissions, a super client these too, and neither changes itself or a super client.
func TestRolesOfApps(t *testing.T) {
	o := newOffice(t)
	portal, boss, second := o.client("portal", "client"), o.client("boss", "super_client"), o.client("second", "super_client")
	const bodies = `{"app_name":"x","app_id":"ID","role":"client","party_id":"10000","app_token":"AbCdEfGhIjKlMnOp","component":"psi"}`
	for _, path := range []string{
		"/v2/app/client/create", "/v2/app/client/delete", "/v2/app/site/create", "/v2/app/site/delete", "/v2/app/partner/create", "/v2/app/partner/delete",
		"/v2/permission/grant", "/v2/permission/delete", "/v2/permission/resource/grant", "/v2/permission/resource/delete",
	} {
		e := o.signed(portal, http.MethodPost, path, strings.ReplaceAll(bodies, "ID", boss.ID))
		require.Equal(t, wire.AuthenticationFail, e.Code, "%s: %s", path, e.Message)
	}
	for _, path := range []string{
		"/v2/app/client/query", "/v2/app/site/query?party_id=10000", "/v2/app/partner/query", "/v2/permission/query?app_id=" + portal.ID, "/v2/permission/role/query",
		"/v2/permission/resource/query?party_id=10000",
	} {
		require.Equal(t, wire.AuthenticationFail, o.signed(portal, http.MethodGet, path, "").Code, path)
		require.Equal(t, wire.Success, o.signed(boss, http.MethodGet, path, "").Code, path)
	}
	apps, err := o.rows.Apps(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, apps, 3, "what is refused changes nothing")

	for name, tc := range map[string]struct{ path, id, role string }{
		"deletes itself":             {"/v2/app/client/delete", boss.ID, ""},
		"deletes another super":      {"/v2/app/client/delete", second.ID, ""},
		"makes a super":              {"/v2/permission/grant", portal.ID, "super_client"},
		"lowers a super":             {"/v2/permission/grant", second.ID, "client"},
		"takes the role of a super":  {"/v2/permission/delete", second.ID, "super_client"},
		"takes the role from itself": {"/v2/permission/delete", boss.ID, "super_client"},
	} {
		e := o.signed(boss, http.MethodPost, tc.path, `{"app_id":"`+tc.id+`","role":"`+tc.role+`"}`)
		require.Equal(t, wire.NoPermission, e.Code, "%s: %s", name, e.Message)
	}
	made := o.signed(boss, http.MethodPost, "/v2/app/client/create", `{"app_name":"batch"}`)
	require.NoError(t, made.Err())
	var batch app
	require.NoError(t, json.Unmarshal(made.Data, &batch))
	require.NoError(t, o.signed(boss, http.MethodPost, "/v2/permission/grant", `{"app_id":"`+batch.ID+`","role":"client"}`).Err())
	require.NoError(t, o.signed(batch, http.MethodGet, siteRoute, "").Err())
	require.NoError(t, o.signed(boss, http.MethodPost, "/v2/permission/delete", `{"app_id":"`+batch.ID+`","role":"client"}`).Err())
	require.Equal(t, wire.AuthenticationFail, o.signed(batch, http.MethodGet, siteRoute, "").Code)

	// The audit names the app, whatever it calls itself.
	r := o.sign(request(http.MethodPost, "/v2/permission/resource/grant", `{"party_id":"10000","component":"psi"}`), boss)
	r.Header.Set("User-Name", "somebody else")
	require.NoError(t, o.send(r).Err())
	events, _, err := o.rows.Audit(t.Context(), catalogue.AuditFilter{Action: "grant/grant", Limit: 10})
	require.NoError(t, err)
	require.NotEmpty(t, events)
	require.Equal(t, "app boss ("+boss.ID+")", events[0].Actor)
}

// What FATE's operator does with apps, in FATE's forms. No answer but the one that makes it shows a token.
func TestRoutesOfApps(t *testing.T) {
	o := newOffice(t)
	data := func(method, path, body string) string {
		e := o.operator(method, path, body)
		require.NoError(t, e.Err(), path)
		require.Equal(t, "success", e.Message)
		return string(e.Data)
	}
	portal := o.client("portal", "")
	require.Len(t, portal.Token, 32)
	var site app
	require.NoError(t, json.Unmarshal([]byte(data(http.MethodPost, "/v2/app/site/create", `{"party_id":"10000"}`)), &site))
	require.Equal(t, []string{"10000", "site"}, []string{site.Name, site.Type})
	partner := `{"party_id":"10000","app_id":"40172236","app_token":"AbCdEfGhIjKlMnOp"}`
	for range 2 {
		require.JSONEq(t, partner, data(http.MethodPost, "/v2/app/partner/create", partner), "a repeat is the same")
	}
	for path, want := range map[string]string{
		"/v2/app/client/query":                      `"app_id":"` + portal.ID + `"`,
		"/v2/app/client/query?app_id=" + portal.ID:  `"app_name":"portal"`,
		"/v2/app/client/query?app_name=portal":      `"app_type":"client"`,
		"/v2/app/site/query?party_id=10000":         `"app_id":"` + site.ID + `"`,
		"/v2/app/partner/query":                     `"app_id":"40172236"`,
		"/v2/app/partner/query?party_id=10000":      `"party_id":"10000"`,
		"/v2/permission/role/query":                 `["client","super_client","site"]`,
		"/v2/permission/query?app_id=" + portal.ID:  `{}`,
		"/v2/app/client/query?app_name=nobody":      `[]`,
		"/v2/app/site/query?party_id=10001":         `[]`,
		"/v2/app/client/query?app_id=" + site.ID:    `[]`,
		"/v2/permission/resource/query?party_id=10": `"component":[]`,
	} {
		got := data(http.MethodGet, path, "")
		require.Contains(t, got, want, path)
		for _, secret := range []string{"token", portal.Token, site.Token, "AbCdEfGhIjKlMnOp"} {
			require.NotContains(t, got, secret, path)
		}
	}
	for _, tc := range []struct{ id, role string }{{portal.ID, "client"}, {site.ID, "site"}, {portal.ID, "super_client"}} {
		require.JSONEq(t, `{"status":true}`, data(http.MethodPost, "/v2/permission/grant", `{"app_id":"`+tc.id+`","role":"`+tc.role+`"}`))
	}
	var may map[string][][3]string
	require.NoError(t, json.Unmarshal([]byte(data(http.MethodGet, "/v2/permission/query?app_id="+portal.ID, "")), &may))
	require.Equal(t, []string{"super_client"}, slices.Collect(maps.Keys(may)), "an app has one role")
	require.Contains(t, may["super_client"], [3]string{"super_client", "/v2/job/submit", "POST"})
	require.Contains(t, may["super_client"], [3]string{"super_client", "/v2/app/client/create", "POST"})
	require.JSONEq(t, `{"status":false}`, data(http.MethodPost, "/v2/permission/delete", `{"app_id":"`+portal.ID+`","role":"client"}`), "it has another")
	require.JSONEq(t, `{"status":true}`, data(http.MethodPost, "/v2/permission/grant", `{"app_id":"`+portal.ID+`","role":"client"}`))
	require.NotContains(t, data(http.MethodGet, "/v2/permission/query?app_id="+portal.ID, ""), "/v2/app/")
	require.Contains(t, data(http.MethodGet, "/v2/permission/query?app_id="+site.ID, ""), `["site","/v2/partner/*","POST"]`)

	for path, body := range map[string]string{
		"/v2/app/client/delete": `{"app_id":"` + portal.ID + `"}`, "/v2/app/site/delete": `{"party_id":"10000"}`, "/v2/app/partner/delete": `{"party_id":"10000"}`,
	} {
		require.JSONEq(t, `{"status":true}`, data(http.MethodPost, path, body), path)
		require.JSONEq(t, `{"status":false}`, data(http.MethodPost, path, body), "%s: it is gone", path)
	}
	apps, err := o.rows.Apps(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, apps)
}

// What these routes are sent that is wrong. The answer names the field, and nothing has changed.
func TestBadInputOfApps(t *testing.T) {
	o := newOffice(t)
	portal := o.client("portal", "client")
	require.NoError(t, o.operator(http.MethodPost, "/v2/app/site/create", `{"party_id":"10000"}`).Err())
	require.NoError(t, o.operator(http.MethodPost, "/v2/app/partner/create", `{"party_id":"10000","app_id":"1","app_token":"AbCdEfGhIjKlMnOp"}`).Err())
	before, err := o.rows.Apps(t.Context(), "")
	require.NoError(t, err)
	long := strings.Repeat("x", 10_000)
	for _, tc := range []struct {
		path, body string
		code       int
		says       string
	}{
		{"/v2/app/client/create", ``, wire.InvalidParameter, ""},
		{"/v2/app/client/create", `{}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `[]`, wire.InvalidParameter, ""},
		{"/v2/app/client/create", `{"app_name":7}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `{"app_name":null}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `{"app_name":"../../etc"}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `{"app_name":"a b"}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `{"app_name":"` + long + `"}`, wire.InvalidParameter, "app_name"},
		{"/v2/app/client/create", `{"app_name":"portal"}`, wire.InvalidParameter, "portal"},
		{"/v2/app/client/create", `{"app_name":"` + strings.Repeat(long, 2000) + `"}`, wire.InvalidParameter, "larger than"},
		{"/v2/app/client/delete", `{}`, wire.InvalidParameter, "app_id"},
		{"/v2/app/client/delete", `{"app_id":{}}`, wire.InvalidParameter, "app_id"},
		{"/v2/app/site/create", `{}`, wire.InvalidParameter, "party_id"},
		{"/v2/app/site/create", `{"party_id":"10 000"}`, wire.InvalidParameter, "party_id"},
		{"/v2/app/site/create", `{"party_id":"10000"}`, wire.InvalidParameter, "10000"},
		{"/v2/app/site/delete", `{"party_id":"../x"}`, wire.InvalidParameter, "party_id"},
		{"/v2/app/partner/create", `{"party_id":"10001"}`, wire.InvalidParameter, "app_id"},
		{"/v2/app/partner/create", `{"party_id":"10001","app_id":"1","app_token":"short"}`, wire.InvalidParameter, "app_token"},
		{"/v2/app/partner/create", `{"party_id":"10001","app_id":"1","app_token":7}`, wire.InvalidParameter, "app_token"},
		{"/v2/app/partner/create", `{"party_id":"10001","app_id":"a/b","app_token":"AbCdEfGhIjKlMnOp"}`, wire.InvalidParameter, "app_id"},
		{"/v2/app/partner/create", `{"party_id":"10001","app_id":"1","app_token":"` + long + `"}`, wire.InvalidParameter, "app_token"},
		{"/v2/app/partner/create", `{"party_id":"10000","app_id":"1","app_token":"AbCdEfGhIjKlMnOq"}`, wire.InvalidParameter, "10000"},
		{"/v2/app/partner/delete", `{"party_id":true}`, wire.InvalidParameter, "party_id"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `"}`, wire.InvalidParameter, "role"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `","role":"root"}`, wire.InvalidParameter, "role[root]"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `","role":""}`, wire.InvalidParameter, "role"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `","role":"` + long + `"}`, wire.InvalidParameter, "role"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `","role":"site"}`, wire.RoleTypeError, "role"},
		{"/v2/permission/grant", `{"app_id":"` + portal.ID + `","role":"worker"}`, wire.RoleTypeError, "role"},
		{"/v2/permission/grant", `{"app_id":"00000000","role":"client"}`, wire.NoFoundAppID, "00000000"},
		{"/v2/permission/grant", `{"app_id":"'; drop table app; --","role":"client"}`, wire.NoFoundAppID, "app_id"},
		{"/v2/permission/delete", `{"app_id":"00000000","role":"client"}`, wire.NoFoundAppID, "00000000"},
		{"/v2/permission/delete", `{"app_id":"` + portal.ID + `","role":"root"}`, wire.InvalidParameter, "role[root]"},
		{"/v2/permission/resource/grant", `{"party_id":"10000","component":"nothing"}`, wire.PermissionOperate, "nothing"},
		{"/v2/permission/resource/grant", `{"party_id":"10000","dataset":[{"name":"x","namespace":"y"}]}`, wire.InvalidParameter, "y/x"},
		{"/v2/permission/resource/grant", `{"party_id":"10000","dataset":{"name":"x"}}`, wire.InvalidParameter, "dataset"},
		{"/v2/permission/resource/grant", `{"component":"psi"}`, wire.InvalidParameter, "party_id"},
		{"/v2/permission/resource/delete", `{"party_id":"10000"}`, wire.InvalidParameter, "component"},
	} {
		e := o.operator(http.MethodPost, tc.path, tc.body)
		require.Equal(t, tc.code, e.Code, "%s %s: %s", tc.path, openflow.Cut(tc.body, 200), e.Message)
		require.Contains(t, e.Message, tc.says, "%s %s", tc.path, openflow.Cut(tc.body, 200))
		require.Less(t, len(e.Message), 2000, tc.path)
	}
	for path, says := range map[string]string{
		"/v2/app/site/query": "party_id", "/v2/app/site/query?party_id=a/b": "party_id", "/v2/app/partner/query?party_id=a%00": "party_id",
		"/v2/permission/query": "app_id", "/v2/permission/query?app_id=%27": "app_id", "/v2/permission/resource/query": "party_id",
	} {
		e := o.operator(http.MethodGet, path, "")
		require.Equal(t, wire.InvalidParameter, e.Code, path)
		require.Contains(t, e.Message, says, path)
	}
	require.Equal(t, wire.NoFoundAppID, o.operator(http.MethodGet, "/v2/permission/query?app_id=0", "").Code)
	after, err := o.rows.Apps(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, before, after)
	grants, err := o.rows.Grants(t.Context(), "10000")
	require.NoError(t, err)
	require.Empty(t, grants)
}

// The same of our own routes, which the command line calls.
func TestBadInputOfOurRoutesOfApps(t *testing.T) {
	o := newOffice(t)
	o.client("portal", "client")
	for _, tc := range []struct{ path, body, code, says string }{
		{"/app/add", `{}`, "invalid", "party_id"},
		{"/app/add", `{"kind":"client"}`, "invalid", "app_name"},
		{"/app/add", `{"kind":7,"name":"x"}`, "invalid", "kind"},
		{"/app/add", `{"kind":"robot","name":"x"}`, "invalid", "robot"},
		{"/app/add", `{"kind":"client","name":{}}`, "invalid", "name"},
		{"/app/add", `{"kind":"client","name":"a/b"}`, "invalid", "app_name"},
		{"/app/add", `{"kind":"client","name":"x","role":"site"}`, "invalid", "role"},
		{"/app/add", `{"kind":"client","name":"x","role":"super_client","plain":true}`, "invalid", "without TLS"},
		{"/app/add", `{"kind":"client","name":"x","id":"1"}`, "invalid", "id"},
		{"/app/add", `{"kind":"client","name":"x","token":"AbCdEfGhIjKlMnOp"}`, "invalid", "token"},
		{"/app/add", `{"kind":"client","name":"portal"}`, "conflict", "portal"},
		{"/app/add", `{"kind":"partner","name":"10000","id":"1"}`, "invalid", "app_token"},
		{"/app/add", `{"kind":"partner","name":"10000","id":"1","token":"AbCdEfGhIjKlMnOp","role":"client"}`, "invalid", "role"},
		{"/app/add", `[1]`, "invalid", ""},
		{"/app/remove", `{"kind":"client","name":"nobody"}`, "not_found", "nobody"},
		{"/app/remove", `{"kind":"site","name":"portal"}`, "not_found", "portal"},
		{"/app/remove", `{}`, "not_found", ""},
	} {
		e := o.operator(http.MethodPost, "/openflow/v1/user"+tc.path, tc.body)
		require.NotNil(t, e.Error, tc.body)
		require.Equal(t, tc.code, e.Error.Code, "%s: %s", tc.body, e.Error.Message)
		require.Contains(t, e.Error.Message, tc.says, tc.body)
	}
	require.Equal(t, "invalid", o.operator(http.MethodGet, "/openflow/v1/user/app/list?kind=robot", "").Error.Code)
	apps, err := o.rows.Apps(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, apps, 1)
}
