package trust_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// Where a request comes from is what this node has seen itself, and nothing that the request says.
func TestOriginOf(t *testing.T) {
	roots, given := authority(t, "9998")
	shown := parsed(t, given)
	past, future := shown.NotAfter.Add(time.Second), shown.NotBefore.Add(-time.Second)
	state := func(c *x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
	}
	for name, tc := range map[string]struct {
		change func(*http.Request)
		also   trust.Authorities
		now    time.Time
		come   []string // of the sources below
	}{
		"an address":                     {nil, nil, time.Now(), []string{"10.0.0.7", "10.0.0.0/24"}},
		"in the form of IPv6":            {func(r *http.Request) { r.RemoteAddr = "[::ffff:10.0.0.7]:1" }, nil, time.Now(), []string{"10.0.0.7", "10.0.0.0/24"}},
		"another address":                {func(r *http.Request) { r.RemoteAddr = "10.0.1.7:1" }, nil, time.Now(), nil},
		"no address":                     {func(r *http.Request) { r.RemoteAddr = "@" }, nil, time.Now(), nil},
		"a gateway says whose it is":     {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.7"); r.RemoteAddr = "10.9.9.9:1" }, nil, time.Now(), nil},
		"passed on, X-Forwarded-For":     {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.7") }, nil, time.Now(), nil},
		"passed on, X-Forwarded-Proto":   {func(r *http.Request) { r.Header["x-forwarded-proto"] = []string{"http"} }, nil, time.Now(), nil},
		"passed on, Forwarded":           {func(r *http.Request) { r.Header.Set("Forwarded", "for=10.0.0.7") }, nil, time.Now(), nil},
		"passed on, Via":                 {func(r *http.Request) { r.Header.Set("Via", "1.1 gateway") }, nil, time.Now(), nil},
		"passed on, X-Real-Ip":           {func(r *http.Request) { r.Header.Set("X-Real-Ip", "10.0.0.7") }, nil, time.Now(), nil},
		"passed on, empty":               {func(r *http.Request) { r.Header.Set("Via", "") }, nil, time.Now(), nil},
		"TLS ended before, by a gateway": {func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, nil, time.Now(), nil},
		"a certificate":                  {func(r *http.Request) { r.TLS = state(shown) }, nil, time.Now(), []string{"certificate"}},
		"of an authority":                {func(r *http.Request) { r.TLS = state(shown) }, roots, time.Now(), []string{"certificate", "authority"}},
		"of an authority, expired":       {func(r *http.Request) { r.TLS = state(shown) }, roots, past, nil},
		"of an authority, not yet":       {func(r *http.Request) { r.TLS = state(shown) }, roots, future, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "http://a/", nil)
			r.RemoteAddr = "10.0.0.7:4711"
			if tc.change != nil {
				tc.change(r)
			}
			o := trust.OriginOf(r, tc.also, tc.now)
			var come []string
			for _, name := range []string{"10.0.0.7", "10.0.0.0/24", "certificate", "authority"} {
				text := name
				if name == "certificate" {
					text = "sha256:" + trust.Fingerprint(shown)
				}
				s, err := openflow.ParseCallSource(text)
				require.NoError(t, err)
				if o.Comes(s, "9998") {
					come = append(come, name)
				}
				require.False(t, s.Authority && o.Comes(s, "9997"), "another party's name")
				require.False(t, s.Authority && o.Comes(s, ""))
			}
			require.Equal(t, tc.come, come)
		})
	}
}

// A request that says anything of a signature is signed, or refused.
func TestSigns(t *testing.T) {
	require.False(t, trust.Signs(http.Header{"Content-Type": {"application/json"}, "Initiator-Party-Id": {"9998"}}))
	for _, name := range []string{trust.HeaderParty, trust.HeaderTo, trust.HeaderInput, trust.HeaderSignature} {
		h := http.Header{}
		h.Set(name, "")
		require.True(t, trust.Signs(h), name)
	}
}
