package attacks_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/site/trust"
	"openflow/tests/env"
)

// A page of another site has the browser of a user read, and so do, what only that user may: by images, frames, links and fetches.
func TestPageOfAnotherSiteReads(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	for _, path := range []string{
		"/openflow/v1/user/server/doctor", "/openflow/v1/user/site/check?party_id=9999", "/openflow/v1/user/site/probe?party_id=9999", "/v2/job/query", "/metrics",
	} {
		for _, h := range [][3]string{
			{"cross-site", "no-cors", "image"}, {"same-site", "no-cors", "script"}, {"cross-site", "navigate", "iframe"}, {"same-site", "cors", "empty"},
		} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL("10000")+path, nil)
			require.NoError(t, err)
			r.Header.Set("Sec-Fetch-Site", h[0])
			r.Header.Set("Sec-Fetch-Mode", h[1])
			r.Header.Set("Sec-Fetch-Dest", h[2])
			answer, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			require.Contains(t, string(body), "pages of another origin", "%s %v", path, h)
		}
	}
}

// Whatever else listens on this machine is shown the cookies of its browsers. It does not learn the token.
func TestCookieGivesTheTokenAway(t *testing.T) {
	e := env.New(t, env.Party("10000"), env.Token())
	token, err := trust.LoadOrCreateToken(e.Home("10000"))
	require.NoError(t, err)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.PostForm(e.URL("10000")+"/sign-in", url.Values{"token": {token}})
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	got := make(chan string, 1)
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Cookie") }))
	defer other.Close()
	answer, err = browser.Get(other.URL)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	cookie := <-got
	require.NotEmpty(t, cookie, "cookies know no ports")
	require.NotContains(t, cookie, token)
}
