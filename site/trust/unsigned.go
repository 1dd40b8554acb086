package trust

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"openflow"
)

// Signs tells whether a request says that it is signed. One that does is proven by its signature or refused, wherever it comes from.
func Signs(h http.Header) bool {
	for _, name := range []string{HeaderParty, HeaderTo, HeaderInput, HeaderSignature} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// Origin is from where a request comes, as far as this node has seen it itself.
type Origin struct {
	Address     netip.Addr // of the caller; not valid: somebody may be between
	Certificate string     // that the caller has proven to hold: its SHA-256 in hex; empty: none that is good now
	Name        string     // in that certificate, where one of the authorities has made it for a client
}

// OriginOf looks at the connection of a request. An address counts only where nothing says that somebody has passed the
// request on: no header does, and the connection is without TLS. On a connection with TLS the certificate tells more.
func OriginOf(r *http.Request, also Authorities, now time.Time) Origin {
	if r.TLS == nil {
		if passedOn(r.Header) {
			return Origin{}
		}
		at, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return Origin{}
		}
		return Origin{Address: at.Addr().Unmap().WithZone("")}
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return Origin{}
	}
	c := r.TLS.PeerCertificates[0]
	if now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return Origin{}
	}
	o := Origin{Certificate: Fingerprint(c)}
	if chained(*r.TLS, also, asClient) == nil {
		o.Name = c.Subject.CommonName
	}
	return o
}

// Fingerprint names a certificate.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// passedOn tells whether a request says that it has come through somebody else.
func passedOn(h http.Header) bool {
	for name := range h {
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "x-forwarded"), strings.HasPrefix(lower, "cf-"), strings.HasPrefix(lower, "x-envoy-"):
			return true
		case lower == "forwarded", lower == "via", lower == "x-real-ip", lower == "true-client-ip", lower == "x-client-ip",
			lower == "x-original-forwarded-for", lower == "x-cluster-client-ip", lower == "proxy-connection":
			return true
		}
	}
	return false
}

// Comes tells whether a request of that origin comes from a source of the unsigned requests of a party.
func (o Origin) Comes(from openflow.CallSource, party openflow.PartyID) bool {
	switch {
	case from.Authority:
		return o.Name != "" && o.Name == string(party)
	case from.Certificate != "":
		return o.Certificate == from.Certificate
	}
	return o.Address.IsValid() && from.Network.Contains(o.Address)
}

type unsignedKey struct{}

// Unsigned marks what is done for a request that nobody has signed, and that is taken of a party for where it comes from.
func Unsigned(ctx context.Context, from openflow.PartyID) context.Context {
	return context.WithValue(ctx, unsignedKey{}, from)
}

// unsigned tells whether the request of a party that something is done for is such a one.
func unsigned(ctx context.Context, from openflow.PartyID) bool {
	id, marked := ctx.Value(unsignedKey{}).(openflow.PartyID)
	return marked && id == from
}

// asClient is for what a caller shows.
var asClient = x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}

// leaf is what the other side of a connection has proven to hold.
func leaf(s tls.ConnectionState) *x509.Certificate {
	if len(s.PeerCertificates) == 0 {
		return nil
	}
	return s.PeerCertificates[0]
}
