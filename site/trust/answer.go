package trust

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/dunglas/httpsfv"

	"openflow"
)

// SignAnswer adds to the header of an answer the proof that it is this node's, and the answer to that request. The
// request's signature, which is of that request only, is part of what is signed: RFC 9421, section 2.4.
func (s Signer) SignAnswer(answer, request http.Header, status int, body []byte) {
	answer.Set(HeaderParty, string(s.Party))
	answer.Set(HeaderDigest, digest(body))
	params := httpsfv.NewParams()
	params.Add("created", time.Now().Unix())
	params.Add("tag", tagAnswer)
	s.Key.sign(answer, ofAnswer(answer, request, status), params)
}

// ofAnswer is what a signature covers of an answer.
func ofAnswer(answer, request http.Header, status int) []component {
	asked, _, _ := signatureOf(request) // empty: the request was not signed, and nobody will believe the answer
	return []component{
		covered("@status", strconv.Itoa(status)), field(answer, HeaderDigest), field(answer, HeaderParty),
		member("signature", label, asked).ofRequest(),
	}
}

// VerifyAnswer checks that party from has given this answer to this request, with one of the keys that its record holds
// here. CodeUnauthorized: it has not, or not with that key; the message tells the operator of this site what to do.
func VerifyAnswer(keys []PublicKey, from openflow.PartyID, request, answer http.Header, status int, body []byte) error {
	s, err := readSignature(answer)
	if errors.Is(err, errUnsigned) {
		return unauthorized("the answer of party %s is not signed", from).
			WithHint("check that the address leads to the node of party %s: openflow site list", from)
	}
	if signer := answer.Get(HeaderParty); signer != string(from) {
		return unauthorized("the node that answers for party %s is that of party %q", from, printable(signer)).
			WithHint("check the address that is registered for party %s: openflow site list", from)
	}
	if _, _, unsigned := signatureOf(request); unsigned != nil {
		return unauthorized("the request to party %s was not signed, so its answer cannot be proven", from)
	}
	list := ofAnswer(answer, request, status)
	if err == nil && s.tag == tagAnswer && s.covers(list) && hasDigest(answer, body) && s.byOne(keys, list) {
		return nil
	}
	for _, k := range keys {
		if k.ID() == s.key || err != nil {
			return unauthorized("the signature of party %s on its answer does not verify: something on the way has changed it", from)
		}
	}
	return unauthorized("party %s signs with key %q, which is not the one in its record here (%s)", from, printable(s.key), named(keys)).
		WithHint("compare with what openflow site key prints there, with the short name; if its key has changed: openflow site rotate %s --key KEY", from)
}

// printable bounds what a stranger's header adds to a message.
func printable(s string) string { return s[:min(len(s), 64)] }
