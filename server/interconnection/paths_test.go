package interconnection_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spellings are other ways to write a path, some of which servers and proxies take for the same one.
func spellings(path string) []string {
	last := strings.LastIndexByte(path, '/')
	head, tail := path[:last], path[last+1:]
	return []string{
		path, path + "/", "/" + path, strings.ReplaceAll(path, "/", "//"), head + "//" + tail, head + "/./" + tail, head + "/x/../" + tail,
		head + "%2f" + tail, head + "%2F" + tail, head + "/%2e/" + tail, head + "/%2e%2e/" + head[strings.LastIndexByte(head, '/')+1:] + "/" + tail,
		head + "%252f" + tail, head + "/" + tail + "%00", head + "/" + tail + ";x=1", head + "/" + tail + "?x", head + "/" + tail + "%3Fx",
		strings.ToUpper(path), head + "\\" + tail, head + "/" + tail + ".json",
	}
}

// No spelling of a path leads past the signature: one that is not signed reaches nothing, and a signature of one path opens no
// other, whatever method the request claims to have.
func TestNoSpellingLeadsPastTheSignature(t *testing.T) {
	n := newNode(t)
	all := paths(t, n.api)
	require.NotEmpty(t, all)
	body := `{"job_id":"1","role":"host","party_id":"10000","task_id":"1_a","task_version":0,"status":"failed"}`
	other := func(path string) string { // of another dialect, or another verb
		if strings.HasPrefix(path, "/v2/") {
			return "/openflow/v1/node/job/release"
		}
		return "/v2/partner/job/start"
	}
	for _, path := range all {
		for _, spelt := range spellings(path) {
			for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodOptions, "post"} {
				r := httptest.NewRequest(method, "/", strings.NewReader(body))
				u, err := r.URL.Parse("http://example.com" + spelt)
				if err != nil {
					continue // no client can send it
				}
				r.URL, r.RequestURI = u, spelt
				r.Header.Set("X-HTTP-Method-Override", http.MethodPost)
				unsigned := r.Clone(t.Context())
				n.do(unsigned)
				require.Zero(t, n.services.calls, "%s %s, not signed", method, spelt)

				r.Body = io.NopCloser(strings.NewReader(body))
				for name, values := range n.signed("9999", other(path), body).Header {
					r.Header[name] = values
				}
				n.do(r)
				require.Zero(t, n.services.calls, "%s %s, signed for %s", method, spelt, other(path))
			}
		}
	}
	require.Zero(t, n.traced, "what an unproven caller says about traces is not read")
	n.do(n.signed("9999", "/v2/partner//job/start/", body))
	n.do(n.signed("9999", "/v2/partner/job/start", body))
	require.Positive(t, n.services.calls, "the body is one that gets through")
}
