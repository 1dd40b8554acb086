package embedded

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"go.temporal.io/server/common/rpc/encryption"

	"openflow"
)

const internodeName = "internode.openflow.invalid"

// internodeTLS makes history, matching and the internal frontend speak to each other only. Those ports know no
// authorization, and whoever reaches them may do anything. The one key is made at start and exists in memory only.
type internodeTLS struct {
	server, client *tls.Config
	frontend       *tls.Config // nil: it has none
}

func newInternodeTLS() (*internodeTLS, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "internode key of the embedded temporal server: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: internodeName},
		DNSNames:     []string{internodeName},
		NotBefore:    now.Add(-24 * time.Hour), // the machine's clock may be set back
		NotAfter:     now.AddDate(100, 0, 0),   // the key dies with the process
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "internode certificate of the embedded temporal server: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "internode certificate of the embedded temporal server: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	certs := []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}
	return &internodeTLS{
		server: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: certs, ClientCAs: roots,
			ClientAuth: tls.RequireAndVerifyClientCert},
		client: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: certs, RootCAs: roots, ServerName: internodeName},
	}, nil
}

// loadFrontendTLS reads what the frontend shows to its clients; nil when it speaks no TLS.
func (o Options) loadFrontendTLS() (*tls.Config, error) {
	if o.Certificate == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "temporal server: certificate %s with key %s: %w", o.Certificate, o.Key, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, nil
}

// pinned is the client's side of frontendTLS in this process, which knows the one certificate that can be shown.
func pinned(frontend *tls.Config) *tls.Config {
	want := frontend.Certificates[0].Certificate[0]
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // the next line verifies
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, want) {
				return openflow.Errorf(openflow.CodeInternal, "temporal server: the frontend shows another certificate")
			}
			return nil
		},
	}
}

// The methods below implement encryption.TLSConfigProvider. An embedded frontend has no TLS: its token protects it.

func (t *internodeTLS) GetInternodeServerConfig() (*tls.Config, error) { return t.server.Clone(), nil }
func (t *internodeTLS) GetInternodeClientConfig() (*tls.Config, error) { return t.client.Clone(), nil }
func (t *internodeTLS) GetFrontendServerConfig() (*tls.Config, error)  { return t.frontend.Clone(), nil }
func (t *internodeTLS) GetFrontendClientConfig() (*tls.Config, error)  { return nil, nil }

// GetRemoteClusterClientConfig has nothing to give: there is one cluster, and it is this process.
func (t *internodeTLS) GetRemoteClusterClientConfig(string) (*tls.Config, error) { return nil, nil }

// GetExpiringCerts reports none: the certificate outlives the process.
func (t *internodeTLS) GetExpiringCerts(time.Duration) (expiring, expired encryption.CertExpirationMap, err error) {
	return nil, nil, nil
}
