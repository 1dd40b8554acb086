package application_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/site/trust"
)

// refuse is how a dialect may answer: whoever refuses, the table of codes is the domain's.
func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	_ = json.NewEncoder(w).Encode(wire.Failure(err)) // into memory
}

func TestAccess(t *testing.T) {
	const token = "t0ken"
	session := signIn(t, token)
	header := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	for name, tc := range map[string]struct {
		token  string
		method string // GET when empty
		from   string // 127.0.0.1 when empty
		host   string // 127.0.0.1:9380 when empty
		query  string
		header http.Header
		tls    bool
		owner  *owner // of the calling program; nil: the node's own user
		code   int    // 0: let through
		page   bool   // it is let through to pages all the same
	}{
		// Without a token: loopback, both ways, and a program of the node's user or root.
		"loopback":                   {},
		"loopback, IPv6":             {from: "[::1]:1", host: "[::1]:9380"},
		"loopback, IPv6, no port":    {from: "[::1]:1", host: "[::1]"},
		"localhost":                  {host: "localhost:9380"},
		"LocalHost":                  {host: "LocalHost"},
		"another machine":            {from: "10.0.0.7:1", code: wire.VerifyFailed},
		"rebound name":               {host: "evil.example:9380", code: wire.VerifyFailed},
		"name that begins so":        {host: "localhost.evil.example", code: wire.VerifyFailed},
		"address that begins so":     {host: "127.0.0.1.evil.example", code: wire.VerifyFailed},
		"machine's other address":    {host: "10.0.0.7:9380", code: wire.VerifyFailed},
		"token where none is needed": {header: header("Authorization", "Bearer x")},
		"root":                       {owner: &owner{0, true}},
		"another user":               {owner: &owner{os.Geteuid() + 4711, true}, code: wire.VerifyFailed},
		"nobody knows who":           {owner: &owner{}, code: wire.VerifyFailed},
		// A proxy on this machine, run by the node's user, that says what it is.
		"forwarded":         {header: header("Forwarded", "for=10.0.0.7"), code: wire.VerifyFailed},
		"forwarded for":     {header: header("X-Forwarded-For", "127.0.0.1"), code: wire.VerifyFailed},
		"forwarded, empty":  {header: header("X-Forwarded-For", ""), code: wire.VerifyFailed},
		"forwarded scheme":  {header: header("X-Forwarded-Proto", "http"), code: wire.VerifyFailed},
		"via":               {header: header("Via", "1.1 proxy"), code: wire.VerifyFailed},
		"real address":      {header: header("X-Real-IP", "127.0.0.1"), code: wire.VerifyFailed},
		"forwarded, token":  {token: token, header: header("X-Forwarded-For", "10.0.0.7", "Authorization", "Bearer "+token)},
		"other user, token": {token: token, owner: &owner{os.Geteuid() + 4711, true}, header: header("Authorization", "Bearer "+token)},
		// Pages of another origin.
		"own page":                       {method: "POST", header: header("Origin", "http://127.0.0.1:9380", "Sec-Fetch-Site", "same-origin")},
		"another page":                   {method: "POST", header: header("Origin", "http://evil.example"), code: wire.NoPermission},
		"another page reads":             {header: header("Origin", "http://evil.example"), code: wire.NoPermission},
		"another port of this machine":   {method: "POST", header: header("Origin", "http://127.0.0.1:8000"), code: wire.NoPermission},
		"page from a file":               {method: "POST", header: header("Origin", "null"), code: wire.NoPermission},
		"origin that is none":            {method: "POST", header: header("Origin", "://"), code: wire.NoPermission},
		"cross-site post without origin": {method: "POST", header: header("Sec-Fetch-Site", "cross-site"), code: wire.NoPermission},
		"cross-site get":                 {header: header("Sec-Fetch-Site", "cross-site"), code: wire.NoPermission},
		"get of another port":            {header: header("Sec-Fetch-Site", "same-site"), code: wire.NoPermission},
		"link on another page":           {header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), code: wire.NoPermission, page: true},
		"frame of another page":          {header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"), code: wire.NoPermission},
		"form of another page":           {method: "POST", header: header("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), code: wire.NoPermission},
		"address that somebody typed":    {header: header("Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")},
		// With a token.
		"bearer":                      {token: token, header: header("Authorization", "Bearer "+token)},
		"bearer from afar":            {token: token, from: "10.0.0.7:1", host: "node.example", header: header("Authorization", "Bearer "+token)},
		"cookie":                      {token: token, header: header("Cookie", "openflow_session="+session)},
		"query":                       {token: token, query: "?token=" + token, code: wire.VerifyFailed},
		"query beside a right bearer": {token: token, query: "?token=" + token, header: header("Authorization", "Bearer "+token), code: wire.VerifyFailed},
		"query where none is needed":  {query: "?token=" + token, code: wire.VerifyFailed},
		"none":                        {token: token, code: wire.VerifyFailed},
		"none, on loopback":           {token: token, from: "127.0.0.1:1", code: wire.VerifyFailed},
		"wrong bearer":                {token: token, header: header("Authorization", "Bearer nope"), code: wire.VerifyFailed},
		"part of it":                  {token: token, header: header("Authorization", "Bearer t0ke"), code: wire.VerifyFailed},
		"empty bearer":                {token: token, header: header("Authorization", "Bearer "), code: wire.VerifyFailed},
		"another scheme":              {token: token, header: header("Authorization", "Basic "+token), code: wire.VerifyFailed},
		"wrong bearer, right query":   {token: token, query: "?token=" + token, header: header("Authorization", "Bearer nope"), code: wire.VerifyFailed},
		"the token as a cookie":       {token: token, header: header("Cookie", "openflow_session="+token), code: wire.VerifyFailed},
		"session of another token":    {token: "another", header: header("Cookie", "openflow_session="+session), code: wire.VerifyFailed},
		"session that lasts longer":   {token: token, header: header("Cookie", "openflow_session=9"+session), code: wire.VerifyFailed},
		"session as a bearer":         {token: token, header: header("Authorization", "Bearer "+session), code: wire.VerifyFailed},
		"wrong cookie":                {token: token, header: header("Cookie", "openflow_session=nope"), code: wire.VerifyFailed},
		"right token, another page":   {token: token, method: "POST", header: header("Authorization", "Bearer "+token, "Origin", "http://evil.example"), code: wire.NoPermission},
		"right cookie, another page":  {token: token, method: "POST", header: header("Cookie", "openflow_session="+session, "Origin", "http://evil.example"), code: wire.NoPermission},
		// Over TLS, to the node or to a gateway that says so.
		"TLS, own page":                      {tls: true, method: "POST", header: header("Origin", "https://127.0.0.1:9380")},
		"TLS, page of this host without TLS": {tls: true, method: "POST", header: header("Origin", "http://127.0.0.1:9380"), code: wire.NoPermission},
		"gateway, own page":                  {token: token, method: "POST", host: "node.example", header: header("Authorization", "Bearer "+token, "X-Forwarded-Proto", "https", "Origin", "https://node.example")},
		"gateway, page without TLS":          {token: token, method: "POST", host: "node.example", header: header("Authorization", "Bearer "+token, "X-Forwarded-Proto", "https", "Origin", "http://node.example"), code: wire.NoPermission},
		"TLS, cookie":                        {tls: true, token: token, header: header("Cookie", "__Host-openflow_session="+session)},
		"TLS, cookie that was set without":   {tls: true, token: token, header: header("Cookie", "openflow_session="+session), code: wire.VerifyFailed},
		"right token, page with port":        {token: token, method: "POST", host: "node.example:9380", header: header("Authorization", "Bearer "+token, "Origin", "https://node.example:9380")},
	} {
		t.Run(name, func(t *testing.T) {
			access := application.Access{Token: tc.token, Same: trust.SameToken, Owner: func(*http.Request) (int, bool) {
				if tc.owner == nil {
					return os.Geteuid(), true
				}
				return tc.owner.uid, tc.owner.known
			}}
			through := false
			next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				through = true
				_, _ = io.WriteString(w, "{}")
			})
			h := access.Known(refuse)(next)
			method := tc.method
			if method == "" {
				method = http.MethodGet
			}
			r := httptest.NewRequest(method, "/v2/job/query"+tc.query, nil)
			r.RemoteAddr, r.Host = tc.from, tc.host
			if r.RemoteAddr == "" {
				r.RemoteAddr = "127.0.0.1:40000"
			}
			if r.Host == "" {
				r.Host = "127.0.0.1:9380"
			}
			if tc.header != nil {
				r.Header = tc.header
			}
			if tc.tls {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, tc.code == 0, through, w.Body.String())
			if tc.code != 0 {
				require.Contains(t, w.Body.String(), `"code":`+itoa(tc.code))
				require.NotContains(t, w.Body.String(), token)
				require.Empty(t, w.Header().Get("Set-Cookie"))
			}
			plain := httptest.NewRecorder()
			through = false
			access.Plain(next).ServeHTTP(plain, r)
			if tc.page {
				tc.code = 0
			}
			require.Equal(t, tc.code == 0, through, "metrics, profiles and the UI have the same door, to which a link may lead")
			require.Equal(t, map[int]int{0: 200, wire.VerifyFailed: 401, wire.NoPermission: 403}[tc.code], plain.Code)
		})
	}
}

// owner is whose program calls.
type owner struct {
	uid   int
	known bool
}

func itoa(code int) string {
	return map[int]string{wire.VerifyFailed: "5003", wire.NoPermission: "5005"}[code]
}

// signIn is the session of a browser that has been given the token.
func signIn(t *testing.T, token string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, application.SignIn, strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w, routes := httptest.NewRecorder(), chi.NewRouter()
	application.SignInPage{Access: application.Access{Token: token, Same: trust.SameToken}}.Routes(routes)
	routes.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	require.Len(t, cookies, 1)
	return cookies[0].Value
}

// A session ends, whatever the browser does.
func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		session := signIn(t, "t0ken")
		access := application.Access{Token: "t0ken", Same: trust.SameToken}
		calls := func() int {
			r, w := httptest.NewRequest(http.MethodGet, "/ui", nil), httptest.NewRecorder()
			r.AddCookie(&http.Cookie{Name: "openflow_session", Value: session})
			access.Plain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
			return w.Code
		}
		require.Equal(t, http.StatusOK, calls())
		time.Sleep(13 * time.Hour) // of the bubble
		require.Equal(t, http.StatusUnauthorized, calls())
	})
}

// A browser gets a session in a cookie that scripts and other sites cannot use, for what was typed into the page of this node.
func TestSignIn(t *testing.T) {
	page := application.SignInPage{Access: application.Access{Token: "t0ken", Same: trust.SameToken}, To: "/ui"}
	routes := chi.NewRouter()
	page.Routes(routes)
	routes.Mount("/ui", page.Access.Plain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	do := func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		routes.ServeHTTP(w, r)
		return w.Result()
	}
	typed := func(token string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, application.SignIn, strings.NewReader(url.Values{"token": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r
	}
	got := do(httptest.NewRequest(http.MethodGet, application.SignIn, nil))
	require.Equal(t, http.StatusOK, got.StatusCode)
	got = do(typed("t0ken"))
	require.Equal(t, http.StatusSeeOther, got.StatusCode)
	require.Equal(t, "/ui", got.Header.Get("Location"))
	cookies := got.Cookies()
	require.Len(t, cookies, 1)
	require.NotContains(t, cookies[0].Value, "t0ken", "something else on this host gets it too")
	require.Positive(t, cookies[0].MaxAge)
	require.True(t, cookies[0].HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookies[0].SameSite)
	require.Equal(t, "/", cookies[0].Path)
	again := httptest.NewRequest(http.MethodGet, "/ui", nil)
	again.AddCookie(cookies[0])
	require.Equal(t, http.StatusOK, do(again).StatusCode)

	for scheme, over := range map[string]func(*http.Request){
		"TLS":                       func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
		"a gateway that has had it": func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") },
	} {
		r := typed("t0ken")
		over(r)
		cookies = do(r).Cookies()
		require.Len(t, cookies, 1, scheme)
		require.True(t, cookies[0].Secure, scheme)
		require.Equal(t, "__Host-openflow_session", cookies[0].Name, "a browser takes it over TLS only, from this host only")
		require.Equal(t, "/", cookies[0].Path)
		again = httptest.NewRequest(http.MethodGet, "/ui", nil)
		over(again)
		again.AddCookie(cookies[0])
		require.Equal(t, http.StatusOK, do(again).StatusCode, scheme)
	}

	foreign := typed("t0ken")
	foreign.Header.Set("Origin", "http://evil.example")
	inAddress := httptest.NewRequest(http.MethodPost, application.SignIn+"?token=t0ken", nil)
	for name, r := range map[string]*http.Request{
		"wrong": typed("nope"), "none": typed(""), "a page of another origin": foreign, "in the address": inAddress,
		"a long one": typed(strings.Repeat("t0ken", 1<<12)), "nothing": httptest.NewRequest(http.MethodGet, "/ui", nil),
	} {
		got := do(r)
		require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.StatusCode, name)
		require.Empty(t, got.Cookies(), name)
	}
}
