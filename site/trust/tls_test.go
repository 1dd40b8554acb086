package trust_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// spoken is what becomes of one connection: nil, or the first error at either side. TLS 1.3 tells a client of a refused
// certificate only when it reads.
func spoken(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	refused := make(chan error, 1)
	go func() {
		far, err := l.Accept()
		if err != nil {
			refused <- err
			return
		}
		defer far.Close()
		c := tls.Server(far, server)
		err = c.HandshakeContext(t.Context())
		if err == nil {
			_, err = c.Write([]byte("hello"))
		}
		refused <- err
	}()
	near, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	text := make([]byte, 5)
	_, err = io.ReadFull(tls.Client(near, client), text)
	_ = near.Close() // what it said has been read, or it has refused
	if said := <-refused; err == nil {
		err = said
	}
	return err
}

func certificate(t *testing.T, k trust.Key, party openflow.PartyID) tls.Certificate {
	t.Helper()
	c, err := k.Certificate(party)
	require.NoError(t, err)
	return c
}

// authority is one of an operator's own, and a certificate that it has given for that name.
func authority(t *testing.T, name string, addresses ...net.IP) (trust.Authorities, tls.Certificate) {
	t.Helper()
	make := func(form, by *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if signer == nil {
			by, signer = form, key
		}
		form.SerialNumber, form.NotBefore, form.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, form, by, key.Public(), signer)
		require.NoError(t, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return c, key
	}
	root, key := make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	leaf, own := make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: addresses, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, root, key)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return func() *x509.CertPool { return pool }, tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: own}
}

// records are those of a site whose peers hold keys, and of one whose certificate has that fingerprint.
type records struct {
	holder      func(trust.PublicKey) (openflow.PartyID, error)
	certificate string
	away        error // of the database
}

func (r records) Holder(_ context.Context, k trust.PublicKey) (openflow.PartyID, error) {
	return r.holder(k)
}

func (r records) Named(_ context.Context, fingerprint string) (bool, error) {
	return r.certificate != "" && r.certificate == fingerprint, r.away
}

func parsed(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	require.NoError(t, err)
	return leaf
}

// Two nodes talk when each holds the key that the other has in its records, and in no other case.
func TestConnectionsOfPeers(t *testing.T) {
	host, guest, stranger := newKey(t), newKey(t), newKey(t)
	roots, given := authority(t, "bank.example", net.IPv4(192, 0, 2, 1))
	_, forged := authority(t, "bank.example")
	named, caller := authority(t, "fate.example") // nobody believes that authority, and a record names the certificate
	_, other := authority(t, "fate.example")
	known := records{certificate: trust.Fingerprint(parsed(t, caller)), holder: func(k trust.PublicKey) (openflow.PartyID, error) {
		if k == guest.Public() {
			return "9999", nil
		}
		return "", openflow.Errorf(openflow.CodeNotFound, "nobody has this key")
	}}
	pinned := []trust.PublicKey{newKey(t).Public(), host.Public()} // while the key changes, there are two
	away := records{away: openflow.Errorf(openflow.CodeUnavailable, "the database is away"), holder: known.holder}
	acceptingOf := func(known records, also trust.Authorities) *tls.Config {
		return trust.Accepting(trust.Constant(certificate(t, host, "10000")), known, also)
	}
	accepting := func(also trust.Authorities) *tls.Config { return acceptingOf(known, also) }
	callingAt := func(host string, own tls.Certificate, keys []trust.PublicKey, also trust.Authorities) *tls.Config {
		c := trust.Calling(trust.Constant(own), "10000", host, keys, also)
		c.ServerName = host // as net/http does
		return c
	}
	calling := func(own tls.Certificate, keys []trust.PublicKey, also trust.Authorities) *tls.Config {
		return callingAt("bank.example", own, keys, also)
	}
	of := func(own tls.Certificate) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert}
	}
	nobody := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true} //nolint:gosec // an attacker verifies nothing
	old := calling(certificate(t, guest, "9999"), pinned, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	ours := certificate(t, guest, "9999")
	at := func(host string) *tls.Config { return callingAt(host, ours, nil, roots) }

	for name, c := range map[string]struct {
		server, client *tls.Config
		talk           bool
	}{
		"each other's keys":                      {accepting(nil), calling(ours, pinned, nil), true},
		"a caller that nobody knows":             {accepting(nil), calling(certificate(t, stranger, "9999"), pinned, nil), false},
		"a caller without a certificate":         {accepting(nil), nobody, false},
		"a node with another key":                {of(certificate(t, stranger, "10000")), calling(ours, pinned, nil), false},
		"a node of which no key is known":        {of(certificate(t, host, "10000")), calling(ours, nil, nil), false},
		"TLS 1.2":                                {accepting(nil), old, false},
		"a caller with an authority's word":      {accepting(roots), calling(given, pinned, nil), true},
		"a caller with a forged word":            {accepting(roots), calling(forged, pinned, nil), false},
		"a caller whose authority nobody trusts": {accepting(nil), calling(given, pinned, nil), false},
		"a caller whose certificate is recorded": {accepting(nil), calling(caller, pinned, nil), true},
		"while the records are away":             {acceptingOf(away, nil), calling(other, pinned, nil), true}, // each request is proven
		"beside those of an authority":           {accepting(roots), calling(caller, pinned, nil), true},
		"a caller with another certificate":      {accepting(nil), calling(other, pinned, nil), false},
		"the recorded one proves no node":        {of(caller), calling(ours, pinned, nil), false},
		"unless its authority is believed":       {of(caller), callingAt("fate.example", ours, pinned, named), true},
		"a gateway with an authority's word":     {of(given), calling(ours, pinned, roots), true},
		"a gateway with a forged word":           {of(forged), calling(ours, pinned, roots), false},
		"a gateway of another name":              {of(given), at("other.example"), false},
		"a gateway at its IP address":            {of(given), at("192.0.2.1"), true},
		"a gateway of another IP address":        {of(given), at("192.0.2.2"), false},
		"an address without a host":              {of(given), at(""), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := spoken(t, c.server, c.client)
			require.Equal(t, c.talk, err == nil, "%v", err)
		})
	}
}

// A certificate that copies a known key, without the private half, opens nothing: a handshake proves possession.
func TestCopiedCertificateIsNone(t *testing.T) {
	host, guest, thief := newKey(t), newKey(t), newKey(t)
	copied := certificate(t, guest, "9999")
	copied.PrivateKey = certificate(t, thief, "9999").PrivateKey
	known := records{holder: func(trust.PublicKey) (openflow.PartyID, error) { return "9999", nil }}
	client := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, Certificates: []tls.Certificate{copied}} //nolint:gosec // as above
	require.Error(t, spoken(t, trust.Accepting(trust.Constant(certificate(t, host, "10000")), known, nil), client))
}

// A machine of a pool talks to the node whose key its token names, to a gateway that an authority vouches for, and to nobody else.
func TestConnectionsOfWorkers(t *testing.T) {
	node, stranger := newKey(t), newKey(t)
	roots, given := authority(t, "gateway.example", net.IPv4(192, 0, 2, 1))
	_, forged := authority(t, "gateway.example")
	of := func(own tls.Certificate) *tls.Config { return trust.Serving(trust.Constant(own)) }
	itself, another := of(certificate(t, node, "9999")), of(certificate(t, stranger, "9999"))
	old := trust.Joining("h", node.Public(), nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, c := range map[string]struct {
		server, client *tls.Config
		talk           bool
	}{
		"the node":                          {itself, trust.Joining("192.0.2.7", node.Public(), nil), true},
		"another node":                      {another, trust.Joining("192.0.2.7", node.Public(), nil), false},
		"a node, and a token alone":         {itself, trust.Joining("192.0.2.7", trust.PublicKey{}, nil), false},
		"a node, and authorities":           {another, trust.Joining("gateway.example", node.Public(), roots), false},
		"TLS 1.2":                           {itself, old, false},
		"a gateway":                         {of(given), trust.Joining("gateway.example", node.Public(), roots), true},
		"a gateway at its IP address":       {of(given), trust.Joining("192.0.2.1", trust.PublicKey{}, roots), true},
		"a gateway of another name":         {of(given), trust.Joining("other.example", node.Public(), roots), false},
		"a gateway that nobody vouches for": {of(given), trust.Joining("gateway.example", node.Public(), nil), false},
		"a gateway unknown to this machine": {of(given), trust.Joining("gateway.example", trust.PublicKey{}, nil), false},
		"a forged gateway":                  {of(forged), trust.Joining("gateway.example", node.Public(), roots), false},
		"an address without a host":         {of(given), trust.Joining("", node.Public(), roots), false},
	} {
		t.Run(name, func(t *testing.T) {
			err := spoken(t, c.server, c.client)
			require.Equal(t, c.talk, err == nil, "%v", err)
		})
	}
}
