package httpclient_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/sdk/httpclient"
)

// What a client sends goes to the address that it was given, and nowhere else.
func TestCredentialsStayAtTheirAddress(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the client went elsewhere") }))
	defer elsewhere.Close()
	node := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer node.Close()
	client := httpclient.New(httpclient.Options{})
	require.Nil(t, client.Transport.(*http.Transport).Proxy, "a proxy of the environment")
	resp, err := client.Get(node.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusTemporaryRedirect, resp.StatusCode)
}

func TestProxy(t *testing.T) {
	asked := make(chan string, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.Host }))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	require.NoError(t, err)
	resp, err := httpclient.New(httpclient.Options{Proxy: http.ProxyURL(at)}).Get("http://node.example:9380/")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "node.example:9380", <-asked)
}

// A node that takes a request and says nothing is given up.
func TestPatience(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	_, err := httpclient.New(httpclient.Options{Patience: 20 * time.Millisecond}).Get(silent.URL) //nolint:bodyclose // there is none
	require.ErrorContains(t, err, "timeout awaiting response headers")
}

// What is sent on packed arrives packed, as a worker of a pool passes it on to its containers.
func TestNoCompression(t *testing.T) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("asked", r.Header.Get("Accept-Encoding")) }))
	defer node.Close()
	resp, err := httpclient.New(httpclient.Options{}).Get(node.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Empty(t, resp.Header.Get("asked"))
}
