package trust

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"openflow"
)

const answerScheme = "openflow-answer-v1"

// SignAnswer adds to the header of an answer the proof that it is this node's, and the answer to that request. The
// request's signature, which is of that request only, is part of what is signed.
func (s Signer) SignAnswer(answer, request http.Header, status int, body []byte) {
	answer.Set(HeaderParty, string(s.Party))
	answer.Set(HeaderKey, s.Key.Public().ID())
	answer.Set(HeaderSignature, strictBase64.EncodeToString(ed25519.Sign(s.Key.private, answerText(answer, request, status, body))))
}

// answerText is what is signed of an answer: one line per item, in this order.
func answerText(answer, request http.Header, status int, body []byte) []byte {
	sum := sha256.Sum256(body)
	return fmt.Appendf(nil, "%s\n%s\n%s\n%s\n%s\n%s", answerScheme, answer.Get(HeaderParty), answer.Get(HeaderKey),
		request.Get(HeaderSignature), strconv.Itoa(status), hex.EncodeToString(sum[:]))
}

// VerifyAnswer checks that party from has given this answer to this request, with one of the keys that its record holds
// here. CodeUnauthorized: it has not, or not with that key; the message tells the operator of this site what to do.
func VerifyAnswer(keys []PublicKey, from openflow.PartyID, request, answer http.Header, status int, body []byte) error {
	signature, key := answer.Get(HeaderSignature), answer.Get(HeaderKey)
	if signature == "" {
		return unauthorized("the answer of party %s is not signed", from).
			WithHint("check that the address leads to the node of party %s: openflow site list", from)
	}
	if signer := answer.Get(HeaderParty); signer != string(from) {
		return unauthorized("the node that answers for party %s is that of party %q", from, printable(signer)).
			WithHint("check the address that is registered for party %s: openflow site list", from)
	}
	raw, err := decodeExact(signature, ed25519.SignatureSize)
	if err == nil && signedByOne(keys, claim{key: key, signature: raw}, answerText(answer, request, status, body)) {
		return nil
	}
	known := make([]string, len(keys))
	for i, k := range keys {
		if known[i] = k.ID(); err == nil && known[i] == key {
			return unauthorized("the signature of party %s on its answer does not verify: something on the way has changed it", from)
		}
	}
	return unauthorized("party %s signs with key %q, which is not the one in its record here (%s)", from, printable(key), strings.Join(known, ", ")).
		WithHint("compare with what openflow site key prints there; if its key has changed: openflow site rotate %s --key KEY", from)
}

// printable bounds what a stranger's header adds to a message.
func printable(s string) string { return s[:min(len(s), 64)] }
