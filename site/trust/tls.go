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
	"strings"
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

// Authorities are those whose certificates an operator believes besides the node keys of peers; nil: none.
type Authorities = *x509.CertPool

// Accepting is how a node takes connections of peers, in TLS 1.3. They come only from who holds a key or certificate that a
// record here names, or a certificate of one of the authorities. own is what it shows.
func Accepting(own tls.Certificate, known Recorded, also Authorities) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert,
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
				if named, _ := known.Named(ctx, Fingerprint(c)); named { // otherwise what is wrong with it is told
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

// Calling is how a node calls one peer: TLS 1.3, and only to who holds one of these keys, or a certificate of one of the
// authorities. Such a certificate is for the host in the peer's address, which is a name or an IP address.
func Calling(own tls.Certificate, peer openflow.PartyID, host string, keys []PublicKey, also Authorities) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is what verifies: by key, not by name
		VerifyConnection: func(s tls.ConnectionState) error {
			key, ok := Shown(&s)
			if ok && slices.Contains(keys, key) {
				return nil
			}
			if !ok && also != nil {
				return certified(s, peer, host, also)
			}
			known := make([]string, len(keys))
			for i, k := range keys {
				known[i] = k.ID()
			}
			return unauthorized("party %s shows a certificate of key %q, which is not the one in its record here (%s)", peer, key.ID(), strings.Join(known, ", ")).
				WithHint("compare with what openflow site key prints there; if its key has changed: openflow site rotate %s --key KEY", peer)
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
	o.Roots, o.Intermediates = roots, x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(o)
	return err
}
