package node

import (
	"context"
	"net"

	"openflow"
	"openflow/server"
	"openflow/site/peers"
	"openflow/site/trust"
	"openflow/site/trust/certificates"
)

// openLines prepares what this node shows to its peers, and whom it believes.
func (n *Node) openLines(ctx context.Context) error {
	own, err := n.key.Certificate(n.config.Party)
	if err != nil {
		return err
	}
	n.own = trust.Constant(own)
	n.lines = &peers.Lines{Own: n.own, Key: n.key.Public().Named()}
	if n.config.Certificate != "" || n.config.CertificateKey != "" {
		files, err := certificates.Open(n.config.Certificate, n.config.CertificateKey, "")
		if err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "certificate for peers: %w", err).WithHint("give --peer-cert and --peer-cert-key, both in PEM")
		}
		n.peersShown, n.lines.Own = files, files.Show
	}
	if n.config.Authorities != "" {
		if n.authorities, err = certificates.OpenRoots(n.config.Authorities); err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "--peer-ca: %w", err)
		}
		n.lines.Also = n.authorities.Pool
	}
	if n.config.Plain == "" {
		return nil
	}
	if n.plain, err = server.Listen(ctx, "the interconnection layer without TLS", n.config.Plain); err != nil {
		return err
	}
	n.onClose("plain interconnection listener", ignoreClosed(n.plain))
	if host, _, err := net.SplitHostPort(n.config.Plain); err != nil || !openflow.ThisMachine(host) {
		n.warnings = append(n.warnings, "peers can reach this node without TLS at "+n.config.Plain+": what they say there can be read on the way")
	}
	return nil
}
