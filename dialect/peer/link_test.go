package peer_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/peer"
	"openflow/sdk/httpclient"
)

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// A node that refuses a certificate closes the connection while a request is still being sent. That is told as what it is.
func TestRefusedCertificateIsTold(t *testing.T) {
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	node.Config.ErrorLog = log.New(io.Discard, "", 0)
	node.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(tls.ConnectionState) error { return errors.New("whose is this?") },
	}
	node.StartTLS()
	defer node.Close()
	l := peer.Link{
		Self: "9999", Peer: "10000", URL: node.URL, Signer: unsigned{},
		HTTP: httpclient.New(httpclient.Options{TLS: node.Client().Transport.(*http.Transport).TLSClientConfig}),
	}
	body := make([]byte, 8<<20) // more than the network takes before the node has closed
	for range 20 {
		_, err := l.Do(t.Context(), "/", "application/octet-stream", body, nil)
		require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err), err)
		require.ErrorContains(t, err, "does not accept the key")
	}
}
