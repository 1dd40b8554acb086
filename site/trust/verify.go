package trust

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"openflow"
)

// Window is how far the clocks of two sites may be apart, and how long a signature is good.
const Window = 60 * time.Second

// KeySource knows the keys of peers.
type KeySource interface {
	// PublicKeys returns the keys that a party may sign with: the current one and, while they change, the next.
	// CodeNotFound: the party is not known.
	PublicKeys(ctx context.Context, party openflow.PartyID) ([]PublicKey, error)
}

// NonceStore remembers nonces, across restarts and replicas. The message store is one.
type NonceStore interface {
	// UseNonce records the nonce of a peer until that time and reports whether it was new.
	UseNonce(ctx context.Context, peer, nonce string, until time.Time) (bool, error)
}

// Verifier checks signed requests to one node. It is safe for concurrent use.
type Verifier struct {
	Self   openflow.PartyID
	Keys   KeySource
	Nonces NonceStore
	Now    func() time.Time // nil: time.Now
}

// Verify returns the party that signed r, before anything is read of its body. From then on r.Body ends well only if it is
// the one that was signed; see proven. It claims the nonce last, so a request that is refused for another reason leaves no
// trace. CodeUnauthorized: not proven. The message repeats what the caller has said, and tells the operator of the calling
// site what to do, but not who is known here. Errors of the key source and the nonce store come through with their codes.
func (v Verifier) Verify(ctx context.Context, r *http.Request) (openflow.PartyID, error) {
	c, err := readClaim(r.Header)
	if err != nil {
		return "", err
	}
	if c.to != v.Self {
		return "", unauthorized("the request is signed for party %s, which this is not", c.to).
			WithHint("check the URL that the calling site has for party %s", c.to)
	}
	if err := v.checkTime(c.created, c.expires); err != nil {
		return "", err
	}
	keys, err := v.Keys.PublicKeys(ctx, c.party)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return "", err
	}
	list := ofRequest(r)
	if !c.covers(list) {
		return "", unauthorized("the signature of party %s does not cover what it must", c.party).
			WithHint("nodes of the same version agree on it; something on the way may add or take headers %s*", transportPrefix)
	}
	sum, digested := saidDigest(r.Header)
	if !digested || !c.byOne(keys, list) {
		return "", unauthorized("the signature of party %s with key %q does not verify, or the party is not known here", c.party, printable(c.key)).
			WithHint("on party %s look at openflow site list. Exchange keys once: openflow site add %s --url URL --key KEY. If its key has changed: openflow site rotate %s --key KEY",
				c.to, c.party, c.party)
	}
	if shown, ok := Shown(r.TLS); ok && !slices.Contains(keys, shown) {
		return "", unauthorized("the request is of party %s, and the connection of somebody else, with key %s", c.party, shown.Named()).
			WithHint("each node calls for itself only; a gateway on the way needs a certificate of its own")
	}
	fresh, err := v.Nonces.UseNonce(ctx, string(c.party), c.nonce, c.created.Add(Window+2*time.Second))
	switch {
	case err != nil:
		return "", err
	case !fresh:
		return "", unauthorized("the request was received before").WithHint("sign every attempt anew")
	}
	r.Body = prove(r.Body, c.party, sum)
	return c.party, nil
}

// checkTime compares whole seconds, which is what signatures have.
func (v Verifier) checkTime(created, expires time.Time) error {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	here := now().Truncate(time.Second)
	if created.Before(here.Add(-Window)) || created.After(here.Add(Window)) || expires.Before(here) {
		return unauthorized("the request was signed at %s, here it is %s: more than %s apart",
			created.UTC().Format(time.RFC3339), here.UTC().Format(time.RFC3339), Window).
			WithHint("set the clocks of both sites, with NTP for instance")
	}
	return nil
}

// claim is what the headers of a request say, before any of it is proven.
type claim struct {
	signature
	party, to openflow.PartyID
}

func readClaim(h http.Header) (claim, error) {
	var c claim
	text := map[string]string{}
	for _, name := range []string{HeaderParty, HeaderTo, HeaderDigest, HeaderInput, HeaderSignature} {
		values := h.Values(name)
		if len(values) == 0 || values[0] == "" {
			return c, unauthorized("the request is not signed: it needs the header %s", name).
				WithHint("only nodes may call this interface; users call the application interface")
		}
		text[name] = values[0]
	}
	for _, name := range append(slices.Sorted(maps.Keys(transportHeaders(h))), HeaderParty, HeaderTo) {
		if len(h.Values(name)) > 1 { // which of them would be meant
			return c, unauthorized("the request is not signed correctly: header %s is there twice", printable(name))
		}
	}
	c.party, c.to = openflow.PartyID(text[HeaderParty]), openflow.PartyID(text[HeaderTo])
	for _, p := range []openflow.PartyID{c.party, c.to} {
		if err := openflow.CheckIdentifier("party_id", string(p)); err != nil {
			return c, unauthorized("the request is not signed correctly: %v", err)
		}
	}
	var err error
	if c.signature, err = readSignature(h); err != nil {
		return c, unauthorized("the request is not signed correctly: headers %s and %s hold no signature %q as RFC 9421 has it",
			HeaderInput, HeaderSignature, label)
	}
	if c.created.IsZero() || c.expires.IsZero() || c.tag != tagRequest {
		return c, unauthorized("the request is not signed correctly: its signature needs created, expires, and the tag %q", tagRequest)
	}
	if _, err := decodeExact(c.nonce, nonceBytes); err != nil {
		return c, unauthorized("the request is not signed correctly: its nonce is not %d bytes of base64url", nonceBytes)
	}
	return c, nil
}
