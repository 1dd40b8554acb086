package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
)

// The headers of a signed request.
const (
	HeaderParty     = "x-openflow-party"     // who signs
	HeaderTo        = "x-openflow-to"        // whom it is for
	HeaderKey       = "x-openflow-key"       // PublicKey.ID of the signing key
	HeaderTime      = "x-openflow-time"      // milliseconds since 1970
	HeaderNonce     = "x-openflow-nonce"     // 16 random bytes, base64url
	HeaderSignature = "x-openflow-signature" // Ed25519, base64url
)

const (
	nonceBytes = 16
	// signedPrefix are further headers that are covered: those of the transport layer say whose message it is.
	signedPrefix = "x-ptp-"
	scheme       = "openflow-request-v1"
)

// Signer signs the requests of one node.
type Signer struct {
	Party openflow.PartyID
	Key   Key
}

// Sign adds the signature headers to r, a request to party to with that body, replacing earlier ones: a repeated request
// is signed again. Method, URL and x-ptp-* headers must be final.
func (s Signer) Sign(r *http.Request, to openflow.PartyID, body []byte, now time.Time) {
	h := r.Header
	h.Set(HeaderParty, string(s.Party))
	h.Set(HeaderTo, string(to))
	h.Set(HeaderKey, s.Key.Public().ID())
	h.Set(HeaderTime, strconv.FormatInt(now.UnixMilli(), 10))
	h.Set(HeaderNonce, randomText(nonceBytes))
	h.Del(HeaderSignature)
	h.Set(HeaderSignature, strictBase64.EncodeToString(ed25519.Sign(s.Key.private, signedText(r, body))))
}

// signedText is what is signed: one line per item, in this order. Host is not part of it because proxies change it; the
// destination party is, so that a peer cannot pass a request on to a third.
func signedText(r *http.Request, body []byte) []byte {
	var b strings.Builder
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n", scheme, method, path)
	for _, name := range []string{HeaderParty, HeaderTo, HeaderKey, HeaderTime, HeaderNonce} {
		fmt.Fprintf(&b, "%s\n", r.Header.Get(name))
	}
	for _, line := range transportHeaders(r.Header) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	sum := sha256.Sum256(body)
	b.WriteString(hex.EncodeToString(sum[:]))
	return []byte(b.String())
}

// transportHeaders renders the x-ptp-* headers in order of their names, values as they were sent. HTTP forbids line breaks
// in both, so lines cannot be confused.
func transportHeaders(h http.Header) []string {
	var lines []string
	for name, values := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, signedPrefix) {
			for i, v := range values {
				lines = append(lines, fmt.Sprintf("%s[%d]:%s", name, i, strings.TrimSpace(v)))
			}
		}
	}
	slices.Sort(lines)
	return lines
}
