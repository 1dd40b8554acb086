package trust

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"

	"openflow"
)

// The headers of our own that a signed message carries.
const (
	HeaderParty = "x-openflow-party" // who signs
	HeaderTo    = "x-openflow-to"    // whom a request is for
)

const (
	nonceBytes = 16
	// transportPrefix is of the headers that say whose message to a container a request brings. All of them are covered.
	transportPrefix = "x-ptp-"
	// The tags say what a signature is for: RFC 9421, section 2.3.
	tagRequest = "openflow-request"
	tagAnswer  = "openflow-answer"
)

// Signer signs the requests of one node.
type Signer struct {
	Party openflow.PartyID
	Key   Key
}

// Sign adds the signature headers to r, a request to party to with that body, replacing earlier ones: a repeated request
// is signed again. Method, URL and x-ptp-* headers must be final.
func (s Signer) Sign(r *http.Request, to openflow.PartyID, body []byte, now time.Time) {
	r.Header.Set(HeaderParty, string(s.Party))
	r.Header.Set(HeaderTo, string(to))
	r.Header.Set(HeaderDigest, digest(body))
	params := httpsfv.NewParams()
	params.Add("created", now.Unix())
	params.Add("expires", now.Add(Window).Unix())
	params.Add("nonce", randomText(nonceBytes))
	params.Add("tag", tagRequest)
	s.Key.sign(r.Header, ofRequest(r), params)
}

// ofRequest is what a signature covers of a request. The authority is not part of it because proxies change it; the
// destination party is, so that a peer cannot pass a request on to a third.
func ofRequest(r *http.Request) []component {
	method, path := r.Method, r.URL.EscapedPath()
	if method == "" {
		method = http.MethodGet
	}
	if path == "" {
		path = "/"
	}
	list := []component{
		covered("@method", method), covered("@path", path), covered("@query", "?"+r.URL.RawQuery),
		field(r.Header, HeaderDigest), field(r.Header, HeaderParty), field(r.Header, HeaderTo),
	}
	transport := transportHeaders(r.Header)
	for _, name := range slices.Sorted(maps.Keys(transport)) {
		list = append(list, field(transport, name))
	}
	return list
}

// transportHeaders are the x-ptp-* headers.
func transportHeaders(h http.Header) http.Header {
	found := http.Header{}
	for name, values := range h {
		if strings.HasPrefix(strings.ToLower(name), transportPrefix) {
			for _, v := range values {
				found.Add(name, v)
			}
		}
	}
	return found
}
