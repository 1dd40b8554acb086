package httpclient

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ErrNotBelieved is why a node that has shown a certificate is not spoken to.
var ErrNotBelieved = errors.New("its certificate is not one that is believed here")

// Known is how the node at one host is known in TLS. A certificate that has the public key of one that is given is believed,
// whatever host and date it names: a node renews its own and keeps the key. Any other must verify as the web has it.
type Known struct {
	Host   string                 // a name or an IP address
	PEM    func() ([]byte, error) // the certificates that are given, of nodes or of authorities; asked at each handshake
	System bool                   // the authorities of this machine count too
}

// TLS is that for [Options].
func (k Known) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: k.Host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection is what verifies: by key first, then as the web does
		VerifyConnection:   k.verify,
	}
}

func (k Known) verify(s tls.ConnectionState) error {
	text, err := k.PEM()
	if err != nil {
		return err
	}
	given, err := Certificates(text)
	if err != nil {
		return err
	}
	leaf, roots := s.PeerCertificates[0], x509.NewCertPool()
	for _, c := range given {
		if bytes.Equal(c.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
			return nil
		}
		roots.AddCert(c)
	}
	o := x509.VerifyOptions{DNSName: k.Host, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	if _, err = leaf.Verify(o); err != nil && k.System {
		o.Roots = nil
		_, err = leaf.Verify(o)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotBelieved, err)
	}
	return nil
}

// Certificates reads those in a text. None is an error.
func Certificates(text []byte) (list []*x509.Certificate, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, errors.New("no certificate in PEM")
	}
	return list, nil
}
