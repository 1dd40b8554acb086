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
	if err := n.bindPackets(ctx); err != nil {
		return err
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

// bindPackets listens for calls in packets.
func (n *Node) bindPackets(ctx context.Context) (err error) {
	if n.config.Packets == "" {
		return nil
	}
	if n.packets, err = server.Listen(ctx, "the listener for packets", n.config.Packets); err != nil {
		return err
	}
	n.onClose("packets' listener", ignoreClosed(n.packets))
	if host, _, err := net.SplitHostPort(n.config.Packets); n.config.PlainPackets && (err != nil || !openflow.ThisMachine(host)) {
		n.warnings = append(n.warnings, "peers can send packets to this node without TLS at "+n.config.Packets+": what they say there can be read and changed on the way")
	}
	return nil
}

// PacketsURL is the address that peers use whose calls come in packets, empty without one.
func (n *Node) PacketsURL() string {
	if n.packets == nil {
		return ""
	}
	return address(n.packets.Addr().String(), !n.config.PlainPackets)
}
