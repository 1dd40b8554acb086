// Package authority is one that signs certificates for tests, and what a server of a test shows with them.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates.
type Authority struct {
	File string // its own certificate, in PEM

	dir  string
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair are the PEM files of a certificate and its key.
type Pair struct {
	Certificate, Key string

	key *ecdsa.PrivateKey
}

// New makes an authority, which is gone with the test.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{dir: t.TempDir()}
	form := &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	p := a.sign(t, "ca", form)
	a.File, a.key, a.leaf = p.Certificate, p.key, form
	return a
}

// Issue signs a certificate for servers on 127.0.0.1 and for clients of that name.
func (a *Authority) Issue(t testing.TB, name string) Pair {
	t.Helper()
	return a.sign(t, name, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *Authority) sign(t testing.TB, name string, form *x509.Certificate) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	require.NoError(t, err)
	form.SerialNumber, form.NotBefore, form.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	by, signer := a.leaf, a.key
	if by == nil {
		by, signer = form, key
	}
	der, err := x509.CreateCertificate(rand.Reader, form, by, key.Public(), signer)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	p := Pair{filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"), key}
	require.NoError(t, os.WriteFile(p.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(p.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return p
}

// Config is what a server shows with a certificate of the authority. callers: those of them alone are let in who show one too.
func (a *Authority) Config(t testing.TB, callers bool) *tls.Config {
	t.Helper()
	p := a.Issue(t, "server")
	shown, err := tls.LoadX509KeyPair(p.Certificate, p.Key)
	require.NoError(t, err)
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{shown}}
	if callers {
		text, err := os.ReadFile(a.File)
		require.NoError(t, err)
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		c.ClientCAs.AppendCertsFromPEM(text)
	}
	return c
}

// Front is the address of one who speaks TLS in front of a server that does not, until the test ends.
func Front(t testing.TB, to string, c *tls.Config) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", c)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // it carries nothing more
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go carry(from, to)
		}
	}()
	return l.Addr().String()
}

// carry passes on what both ends say, until either has ended.
func carry(from net.Conn, to string) {
	defer func() { _ = from.Close() }() // it has ended
	if from.(*tls.Conn).Handshake() != nil {
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }() // as above
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{from, far}, {far, from}} {
		go func() {
			_, _ = io.Copy(way[0], way[1]) // both see the end of it
			done <- struct{}{}
		}()
	}
	<-done
}
