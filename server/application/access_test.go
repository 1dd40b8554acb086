package application_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

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
		code   int // 0: let through
	}{
		// Without a token: loopback, both ways.
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
		// Pages of another origin.
		"own page":                       {method: "POST", header: header("Origin", "http://127.0.0.1:9380", "Sec-Fetch-Site", "same-origin")},
		"another page":                   {method: "POST", header: header("Origin", "http://evil.example"), code: wire.NoPermission},
		"another page reads":             {header: header("Origin", "http://evil.example"), code: wire.NoPermission},
		"another port of this machine":   {method: "POST", header: header("Origin", "http://127.0.0.1:8000"), code: wire.NoPermission},
		"page from a file":               {method: "POST", header: header("Origin", "null"), code: wire.NoPermission},
		"origin that is none":            {method: "POST", header: header("Origin", "://"), code: wire.NoPermission},
		"cross-site post without origin": {method: "POST", header: header("Sec-Fetch-Site", "cross-site"), code: wire.NoPermission},
		"link on another page":           {header: header("Sec-Fetch-Site", "cross-site")},
		// With a token.
		"bearer":                      {token: token, header: header("Authorization", "Bearer "+token)},
		"bearer from afar":            {token: token, from: "10.0.0.7:1", host: "node.example", header: header("Authorization", "Bearer "+token)},
		"cookie":                      {token: token, header: header("Cookie", "openflow_token="+token)},
		"query":                       {token: token, query: "?token=" + token},
		"query over an old cookie":    {token: token, query: "?token=" + token, header: header("Cookie", "openflow_token=old")},
		"none":                        {token: token, code: wire.VerifyFailed},
		"none, on loopback":           {token: token, from: "127.0.0.1:1", code: wire.VerifyFailed},
		"wrong bearer":                {token: token, header: header("Authorization", "Bearer nope"), code: wire.VerifyFailed},
		"part of it":                  {token: token, header: header("Authorization", "Bearer t0ke"), code: wire.VerifyFailed},
		"empty bearer":                {token: token, header: header("Authorization", "Bearer "), code: wire.VerifyFailed},
		"another scheme":              {token: token, header: header("Authorization", "Basic "+token), code: wire.VerifyFailed},
		"wrong bearer, right query":   {token: token, query: "?token=" + token, header: header("Authorization", "Bearer nope"), code: wire.VerifyFailed},
		"wrong cookie":                {token: token, header: header("Cookie", "openflow_token=nope"), code: wire.VerifyFailed},
		"right token, another page":   {token: token, method: "POST", header: header("Authorization", "Bearer "+token, "Origin", "http://evil.example"), code: wire.NoPermission},
		"right cookie, another page":  {token: token, method: "POST", header: header("Cookie", "openflow_token="+token, "Origin", "http://evil.example"), code: wire.NoPermission},
		"right token, page with port": {token: token, method: "POST", host: "node.example:9380", header: header("Authorization", "Bearer "+token, "Origin", "https://node.example:9380")},
	} {
		t.Run(name, func(t *testing.T) {
			access := application.Access{Token: tc.token, Same: trust.SameToken}
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
			require.Equal(t, tc.code == 0, through, "metrics, profiles and the UI have the same door")
			require.Equal(t, map[int]int{0: 200, wire.VerifyFailed: 401, wire.NoPermission: 403}[tc.code], plain.Code)
		})
	}
}

func itoa(code int) string {
	return map[int]string{wire.VerifyFailed: "5003", wire.NoPermission: "5005"}[code]
}

// A browser that came with the token in the address keeps it as a cookie that scripts and other sites cannot use.
func TestCookie(t *testing.T) {
	access := application.Access{Token: "t0ken", Same: trust.SameToken}
	h := access.Known(refuse)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ui?token=t0ken", nil))
	cookies := w.Result().Cookies()
	require.Len(t, cookies, 1)
	require.Equal(t, "t0ken", cookies[0].Value)
	require.True(t, cookies[0].HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookies[0].SameSite)
	require.Equal(t, "/", cookies[0].Path)

	again := httptest.NewRequest(http.MethodGet, "/ui/x", nil)
	again.AddCookie(cookies[0])
	w = httptest.NewRecorder()
	h.ServeHTTP(w, again)
	require.Empty(t, w.Body.String())
	require.Empty(t, w.Header().Get("Set-Cookie"))

	other := httptest.NewRequest(http.MethodGet, "/ui?token=planted", nil)
	other.Header.Set("Authorization", "Bearer t0ken")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, other)
	require.False(t, strings.Contains(w.Header().Get("Set-Cookie"), "planted"), "only a token that was checked is kept")
}
