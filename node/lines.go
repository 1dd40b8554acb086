package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"

	"openflow"
	"openflow/server"
	"openflow/site/peers"
)

// openLines prepares what this node shows to its peers, and whom it believes.
func (n *Node) openLines(ctx context.Context) error {
	own, err := n.key.Certificate(n.config.Party)
	if err != nil {
		return err
	}
	n.lines = &peers.Lines{Own: own, Key: n.key.Public().ID()}
	if n.config.Certificate != "" || n.config.CertificateKey != "" {
		if n.lines.Own, err = tls.LoadX509KeyPair(n.config.Certificate, n.config.CertificateKey); err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "certificate for peers: %w", err).WithHint("give --peer-cert and --peer-cert-key, both in PEM")
		}
	}
	if n.config.Authorities != "" {
		text, err := os.ReadFile(n.config.Authorities)
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "--peer-ca: %w", err)
		}
		n.lines.Also = x509.NewCertPool()
		if !n.lines.Also.AppendCertsFromPEM(text) {
			return openflow.Errorf(openflow.CodeInvalid, "--peer-ca: %s holds no certificate in PEM", n.config.Authorities)
		}
	}
	if n.config.Plain == "" {
		return nil
	}
	if n.plain, err = server.Listen(ctx, "the interconnection layer without TLS", n.config.Plain); err != nil {
		return err
	}
	n.onClose("plain interconnection listener", ignoreClosed(n.plain))
	if host, _, err := net.SplitHostPort(n.config.Plain); err != nil || !loopback(host) {
		n.warnings = append(n.warnings, "peers can reach this node without TLS at "+n.config.Plain+": what they say there can be read on the way")
	}
	return nil
}
