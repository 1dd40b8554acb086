// Package signature is how FATE-Flow's clients and sites sign a request: with MD5, over an app and a moment, under the app's token.
//
// It covers neither method nor path nor body: whoever is on the way can have another request count in place of the one that was
// signed. Only TLS keeps them off. It decides nothing; who may call is for the one to say who serves. Start reading at [Read].
//
// Spec: fate-flow-api §0.6.1, §0.6.2; part 7 #16.
package signature

import (
	"crypto/md5" //nolint:gosec // the specification names it
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openflow"
)

// The headers of a signature. HTTP knows no case.
const (
	HeaderApp       = "appId"
	HeaderUser      = "userName"         // of clients; may be empty
	HeaderInitiator = "initiatorPartyId" // of sites; empty on most calls
	HeaderNonce     = "Nonce"
	HeaderTime      = "Timestamp"
	HeaderSignature = "Signature"
)

// Bounds of what a header holds, in bytes. The nonce has as many as FATE-Flow asks for.
const (
	nonceBytes = 4
	maxUser    = 256
	maxDigits  = 15 // milliseconds until the year 33658
)

// Claim is what the headers of a request say, before anything of it is proven.
type Claim struct {
	App       openflow.AppID
	User      string // of a client
	Initiator string // of a site
	Nonce     string
	Signed    time.Time

	stamp, signature string // as they came
}

// Of is the signature of these values under a token. user is empty for sites, and initiator for clients.
//
// Spec: fate-flow-api §0.6.1.
func Of(app openflow.AppID, user, initiator, nonce, stamp, token string) string {
	return sum(sum(string(app)+user+initiator+nonce+stamp) + token)
}

func sum(text string) string {
	s := md5.Sum([]byte(text)) //nolint:gosec // the specification names it
	return hex.EncodeToString(s[:])
}

// By reports whether the claim was signed with that token. It takes the same time whatever differs.
func (c Claim) By(token string) bool {
	want := Of(c.App, c.User, c.Initiator, c.Nonce, c.stamp, token)
	return subtle.ConstantTimeCompare([]byte(want), []byte(c.signature)) == 1
}

// Signs tells whether a request says that it is signed so. One that does is proven by its signature or refused.
func Signs(h http.Header) bool {
	return len(h.Values(HeaderApp)) > 0 || len(h.Values(HeaderSignature)) > 0 && len(h.Values(HeaderNonce)) > 0
}

// Read reads what a client has signed. Everything is within bounds before a byte of it is hashed. Errors: CodeInvalid, which names
// the header.
//
// Spec: fate-flow-api §0.6.1.
func Read(h http.Header) (Claim, error) { return read(h, HeaderUser) }

// ReadSite is Read of what a site has signed.
//
// Spec: fate-flow-api §0.6.2.
func ReadSite(h http.Header) (Claim, error) { return read(h, HeaderInitiator) }

func read(h http.Header, about string) (c Claim, err error) {
	values := map[string]string{}
	for _, name := range []string{HeaderApp, HeaderNonce, HeaderTime, HeaderSignature, about} {
		all := h.Values(name)
		switch {
		case len(all) > 1:
			return c, wrong(about, name, "it is there twice")
		case len(all) == 1:
			values[name] = all[0]
		}
		if values[name] == "" && name != about {
			return c, wrong(about, name, "it is missing")
		}
	}
	c = Claim{App: openflow.AppID(values[HeaderApp]), Nonce: values[HeaderNonce], stamp: values[HeaderTime], signature: values[HeaderSignature]}
	if openflow.CheckIdentifier(HeaderApp, string(c.App)) != nil {
		return c, wrong(about, HeaderApp, "it is no app's")
	}
	if text := values[about]; len(text) > maxUser || !utf8.ValidString(text) || strings.ContainsFunc(text, openflow.Hidden) {
		return c, wrong(about, about, "it is longer than 256 bytes, or holds what cannot be seen")
	}
	if about == HeaderUser {
		c.User = values[about]
	} else {
		c.Initiator = values[about]
	}
	if len(c.Nonce) != nonceBytes || strings.ContainsFunc(c.Nonce, notLetter) {
		return c, wrong(about, HeaderNonce, "it has to have four digits or letters")
	}
	if len(c.signature) != 2*md5.Size || strings.ContainsFunc(c.signature, notHex) {
		return c, wrong(about, HeaderSignature, "it has to have 32 digits of lower-case hex")
	}
	ms, err := strconv.ParseUint(c.stamp, 10, 63)
	if err != nil || len(c.stamp) > maxDigits {
		return c, wrong(about, HeaderTime, "it has to be a time in milliseconds")
	}
	c.Signed = time.UnixMilli(int64(ms))
	return c, nil
}

// wrong says which header is wrong, in FATE-Flow's words: it has other ones for sites.
func wrong(about, name, why string) error {
	if about == HeaderInitiator {
		said := map[string]string{HeaderTime: "invalid parameter:timeStamp"}[name]
		if said == "" {
			said = "invalid parameter: " + name
		}
		return openflow.Errorf(openflow.CodeInvalid, "%s: %s", said, why).
			WithHint("a call of a site has the headers appId, Nonce, Timestamp, Signature and initiatorPartyId; see docs/security.md")
	}
	return openflow.Errorf(openflow.CodeInvalid, "Invalid parameter: name[%s]: %s", name, why).
		WithHint("a signed request has the headers appId, userName, Nonce, Timestamp and Signature; see docs/security.md")
}

func notLetter(c rune) bool {
	return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
}

func notHex(c rune) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') }
