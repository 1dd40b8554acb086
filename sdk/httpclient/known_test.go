package httpclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/sdk/httpclient"
)

// issued is a certificate for a host, by itself or by an authority.
type issued struct {
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (i issued) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.leaf.Raw})
}

func issue(t *testing.T, key *ecdsa.PrivateKey, by *issued, form *x509.Certificate) issued {
	t.Helper()
	if key == nil {
		var err error
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
	}
	signer := &issued{form, key}
	if by != nil {
		signer = by
	}
	form.SerialNumber, form.NotBefore, form.BasicConstraintsValid = big.NewInt(1), time.Now().Add(-48*time.Hour), true
	if form.NotAfter.IsZero() {
		form.NotAfter = time.Now().Add(time.Hour)
	}
	der, err := x509.CreateCertificate(rand.Reader, form, signer.leaf, key.Public(), signer.key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return issued{leaf, key}
}

// A node is known by the key in a certificate that is given, whatever that says of hosts and dates, or by the word of an authority
// for its host. Nobody else is believed.
func TestKnown(t *testing.T) {
	own := issue(t, nil, nil, &x509.Certificate{DNSNames: []string{"node.invalid"}, NotAfter: time.Now().Add(-24 * time.Hour)})
	renewed := issue(t, own.key, nil, &x509.Certificate{DNSNames: []string{"another.invalid"}})
	stranger := issue(t, nil, nil, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	authority := issue(t, nil, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	})
	named := issue(t, nil, &authority, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	elsewhere := issue(t, nil, &authority, &x509.Certificate{DNSNames: []string{"other.example"}})
	ended := issue(t, nil, &authority, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(-24 * time.Hour)})
	unread := errors.New("the file is gone")

	for name, tc := range map[string]struct {
		shown issued
		given []byte
		err   error // nil: they talk
	}{
		"its own, at another host, and past its end": {own, own.pem(), nil},
		"a renewed one with the same key":            {renewed, own.pem(), nil},
		"another key":                                {stranger, own.pem(), httpclient.ErrNotBelieved},
		"one of several that are given":              {own, append(stranger.pem(), own.pem()...), nil},
		"of an authority":                            {named, authority.pem(), nil},
		"of an authority, for another host":          {elsewhere, authority.pem(), httpclient.ErrNotBelieved},
		"of an authority, past its end":              {ended, authority.pem(), httpclient.ErrNotBelieved},
		"of an authority that is not given":          {named, own.pem(), httpclient.ErrNotBelieved},
		"what is given cannot be read":               {own, nil, unread},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.Listener = tls.NewListener(s.Listener, &tls.Config{
				MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{tc.shown.leaf.Raw}, PrivateKey: tc.shown.key}},
			})
			s.Start()
			defer s.Close()
			for _, system := range []bool{false, true} {
				client := httpclient.New(httpclient.Options{TLS: httpclient.Known{Host: "127.0.0.1", System: system, PEM: func() ([]byte, error) {
					if tc.given == nil {
						return nil, unread
					}
					return tc.given, nil
				}}.TLS()})
				resp, err := client.Get(strings.Replace(s.URL, "http:", "https:", 1))
				if err == nil {
					require.NoError(t, resp.Body.Close())
				}
				require.ErrorIs(t, err, tc.err)
			}
		})
	}
	for _, text := range []string{"", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		_, err := httpclient.Certificates([]byte(text))
		require.Error(t, err, text)
	}
}
