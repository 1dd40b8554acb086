package trust

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"time"

	"openflow"
)

// holds is how long a certificate of a node key says that it holds. The key is what counts, and what ends it is its
// removal from the records of the peers; so no date may end it before.
const holds = 100 * 365 * 24 * time.Hour

// Certificate makes the certificate by which a node shows its key in a TLS handshake. It is made anew at each start, since
// nobody compares certificates: peers compare the key.
func (k Key) Certificate(of openflow.PartyID) (tls.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	form := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"openflow"}, CommonName: string(of)},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(holds), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, k.private.Public(), k.private)
	if err != nil {
		return tls.Certificate{}, openflow.Errorf(openflow.CodeInternal, "certificate of the node's key: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k.private, Leaf: leaf}, err
}

// Shown is the node key that the other side of a connection has proven to hold. ok is false where it has shown none, or a
// certificate that somebody else has signed, as a gateway does.
func Shown(s *tls.ConnectionState) (key PublicKey, ok bool) {
	if s == nil || len(s.PeerCertificates) == 0 {
		return PublicKey{}, false
	}
	c := s.PeerCertificates[0]
	raw, ok := c.PublicKey.(ed25519.PublicKey)
	return PublicKey{string(raw)}, ok && bytes.Equal(c.RawIssuer, c.RawSubject)
}

// Showing tells what this side shows in a handshake that begins now. What is shown may change: a certificate is renewed.
type Showing func() *tls.Certificate

// Constant shows the same certificate at all times.
func Constant(c tls.Certificate) Showing { return func() *tls.Certificate { return &c } }

// server is what a listener shows, whatever the caller asks for.
func (s Showing) server(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s(), nil }

// client is what a caller shows: nothing where the other side says that it would not take it.
func (s Showing) client(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c := s()
	if asked.SupportsCertificate(c) != nil {
		return new(tls.Certificate), nil
	}
	return c, nil
}

// Authorities are those whose certificates an operator believes now, besides the node keys of peers; nil: nobody's.
type Authorities func() *x509.CertPool

// Accepting is how a node takes connections of peers, in TLS 1.3. They come only from who holds a key or certificate that a
// record here names, or a certificate of one of the authorities. own is what it shows.
func Accepting(own Showing, known Recorded, also Authorities) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: own.server, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			ctx, cancel := context.WithTimeout(context.Background(), lookup)
			defer cancel()
			if key, ok := Shown(&s); ok {
				if _, err := known.Holder(ctx, key); openflow.CodeOf(err) != openflow.CodeNotFound {
					return nil // where the records cannot be read now, the signature of each request decides
				}
			}
			err := chained(s, also, asClient)
			if c := leaf(s); err != nil && c != nil {
				if named, unread := known.Named(ctx, Fingerprint(c)); named || unread != nil { // otherwise what is wrong with it is told
					return nil
				}
			}
			return err
		},
		NextProtos: []string{"http/1.1"}, SessionTicketsDisabled: true, // a key that is removed opens no further connection
	}
}

// Recorded tells who may open a connection, by the records of peers.
type Recorded interface {
	// Holder tells whose key one is; CodeNotFound: nobody's.
	Holder(ctx context.Context, key PublicKey) (openflow.PartyID, error)
	// Named tells whether a record names the certificate with that fingerprint.
	Named(ctx context.Context, fingerprint string) (bool, error)
}

// lookup bounds how long a handshake waits for the records.
const lookup = 5 * time.Second

// Calling is how a node calls one peer, in TLS 1.3. It talks only to who holds one of these keys, or a certificate of one of the
// authorities for the host in the peer's address, which is a name or an IP address.
func Calling(own Showing, peer openflow.PartyID, host string, keys []PublicKey, also Authorities) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, GetClientCertificate: own.client,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is what verifies: by key, not by name
		VerifyConnection: func(s tls.ConnectionState) error {
			key, ok := Shown(&s)
			if ok && slices.Contains(keys, key) {
				return nil
			}
			if !ok && also != nil {
				return certified(s, peer, host, also)
			}
			if key == (PublicKey{}) {
				return unauthorized("party %s shows a certificate that is not of a node's key", peer).
					WithHint("if an authority certifies it, give --peer-ca; if not, the address leads to something else: openflow site list")
			}
			return unauthorized("party %s shows a certificate of key %s, which is not the one in its record here (%s)", peer, key.Named(), named(keys)).
				WithHint("compare with what openflow site key prints there; if its key has changed: openflow site rotate %s --key KEY; "+
					"if not, the address leads to another node: openflow site list", peer)
		},
	}
}

// certified verifies what a server shows whose certificate is not of a node's key.
func certified(s tls.ConnectionState, peer openflow.PartyID, host string, roots Authorities) error {
	if host == "" { // or else any name would do
		return unauthorized("the address of party %s names no host", peer)
	}
	err := chained(s, roots, x509.VerifyOptions{DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err == nil {
		return nil
	}
	return unauthorized("the certificate at the address of party %s is of none of its keys, and does not verify: %v", peer, err).
		WithHint("if something stands before its node, see that its certificate is of an authority in --peer-ca and for %s", host)
}

// chained verifies a certificate as the web does, where the operator has named authorities.
func chained(s tls.ConnectionState, roots Authorities, o x509.VerifyOptions) error {
	if roots == nil || len(s.PeerCertificates) == 0 {
		return unauthorized("the certificate is of no key that this site knows").
			WithHint("exchange keys once: openflow site key there, openflow site add here")
	}
	o.Roots, o.Intermediates = roots(), x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}

// Serving is how a node takes connections of its own programs: those of its pool's machines. It shows its key, and a token in each
// request says who calls.
func Serving(own Showing) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: own.server, NextProtos: []string{"h2", "http/1.1"}}
}

// Joining is how a machine of a pool calls its node, in TLS 1.3. It talks only to who holds the key that came with the machine's
// token, or a certificate of one of the authorities for that host. Without a key and authorities, those of this machine count.
func Joining(host string, pin PublicKey, also Authorities) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is what verifies: by key, not by name
		VerifyConnection: func(s tls.ConnectionState) error {
			key, ok := Shown(&s)
			if ok && pin != (PublicKey{}) && key == pin {
				return nil
			}
			roots := also
			if roots == nil && pin == (PublicKey{}) {
				roots = func() *x509.CertPool { return nil } // the system's
			}
			if !ok && roots != nil && host != "" {
				err := chained(s, roots, x509.VerifyOptions{DNSName: host, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
				if err == nil {
					return nil
				}
				return unauthorized("the certificate of the site at %s does not verify: %v", host, err).
					WithHint("name those who have given it with --ca, or call the node itself with a token of openflow site worker-token")
			}
			if pin == (PublicKey{}) {
				return unauthorized("the site at %s shows its node key, and the token does not say which that is", host).
					WithHint("take the token that the node's operator prints: openflow site worker-token --home DIR")
			}
			return unauthorized("what answers at %s does not hold the key %s that the token names", host, pin.Named()).
				WithHint("check the address; if the node's key has changed, print the token anew: openflow site worker-token --home DIR")
		},
	}
}
