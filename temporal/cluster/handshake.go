package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"

	"google.golang.org/grpc/credentials"
)

// handshakes are TLS credentials that remember how the last handshake ended: gRPC tells its callers the text only.
type handshakes struct {
	credentials.TransportCredentials
	last *atomic.Pointer[tls.CertificateVerificationError] // nil: the certificate was good, or none was shown
}

func newHandshakes(c *tls.Config) handshakes {
	return handshakes{credentials.NewTLS(c), &atomic.Pointer[tls.CertificateVerificationError]{}}
}

// ClientHandshake implements credentials.TransportCredentials.
func (h handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	var bad *tls.CertificateVerificationError
	errors.As(err, &bad)
	h.last.Store(bad)
	return conn, info, err
}

// Clone implements credentials.TransportCredentials. Connections share what is remembered.
func (h handshakes) Clone() credentials.TransportCredentials {
	return handshakes{h.TransportCredentials.Clone(), h.last}
}

// cause is the cluster's certificate where that is why err was all there was to get, and err otherwise.
func (h handshakes) cause(err error) error {
	if h.last == nil {
		return err
	}
	if bad := h.last.Load(); bad != nil && err != nil {
		return bad
	}
	return err
}
