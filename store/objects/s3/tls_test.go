package s3_test

import (
	"crypto/tls"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects/s3"
	"openflow/tests/authority"
)

// A server is believed by its certificate, and speaks TLS or is not spoken to.
func TestTLS(t *testing.T) {
	a, foreign := authority.New(t), authority.New(t)
	start := func(c *tls.Config) string {
		backend := s3mem.New()
		require.NoError(t, backend.CreateBucket(bucket))
		s := httptest.NewUnstartedServer(gofakes3.New(backend).Server())
		if c != nil {
			s.Listener = tls.NewListener(s.Listener, c)
		}
		s.Start()
		t.Cleanup(s.Close)
		return "s3://" + url.UserPassword("key", secret).String() + "@" + strings.TrimPrefix(s.URL, "http://") + "/" + bucket
	}
	secure, callers, plain := start(a.Config(t, false)), start(a.Config(t, true)), start(nil)
	client, stranger := a.Issue(t, "client"), foreign.Issue(t, "client")
	believing := "?ca=" + a.File
	showing := func(p authority.Pair) string { return believing + "&cert=" + p.Certificate + "&cert_key=" + p.Key }
	for name, tc := range map[string]struct {
		url   string
		codes []openflow.Code // none: they talk
	}{
		"the right authority":   {secure + believing, nil},
		"another authority":     {secure + "?ca=" + foreign.File, []openflow.Code{openflow.CodeUnavailable}},
		"those of this machine": {secure, []openflow.Code{openflow.CodeUnavailable}},
		"a server without TLS":  {plain + believing, []openflow.Code{openflow.CodeUnavailable}},
		// The server breaks off, or says "400 Bad Request" in clear, which comes first.
		"a caller without TLS":           {secure + "?tls=false", []openflow.Code{openflow.CodeUnavailable, openflow.CodeInternal}},
		"a caller with a certificate":    {callers + showing(client), nil},
		"a caller without a certificate": {callers + believing, []openflow.Code{openflow.CodeUnavailable}},
		"a caller with a stranger's":     {callers + showing(stranger), []openflow.Code{openflow.CodeUnavailable}},
		"no such file":                   {secure + "?ca=none.pem", []openflow.Code{openflow.CodeInvalid}},
		"files, and no TLS":              {plain + believing + "&tls=false", []openflow.Code{openflow.CodeInvalid}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what is refused is tried several times
			o, err := s3.ParseURL(tc.url)
			if err == nil {
				o.Spool = t.TempDir()
				_, err = s3.Open(t.Context(), o)
			}
			if len(tc.codes) == 0 {
				require.NoError(t, err)
				return
			}
			require.Contains(t, tc.codes, openflow.CodeOf(err), "%v", err)
		})
	}
}
