package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"time"

	"openflow"
	"openflow/server"
	"openflow/site/doctor"
	"openflow/site/trust/certificates"
)

// Users is how the application layer speaks TLS. The zero value: none on loopback, where browsers would warn of a certificate that
// protects nothing, and elsewhere a certificate of the node's own making.
type Users struct {
	TLS         bool     // also on loopback
	Plain       bool     // nowhere, although others reach it
	Certificate string   // PEM file of what it shows; empty: one of its own making. TLS is then spoken on loopback too
	Key         string   // PEM file
	Names       []string // further hosts in a certificate of its own making
}

func (u Users) check() error {
	switch {
	case (u.Certificate == "") != (u.Key == ""):
		return openflow.Errorf(openflow.CodeInvalid, "a certificate for users and its key go together").WithHint("give --cert and --cert-key")
	case u.Plain && (u.TLS || u.Certificate != ""):
		return openflow.Errorf(openflow.CodeInvalid, "the application layer can speak TLS or not, and both is asked for").
			WithHint("leave --plain out; or --tls, --cert and --cert-key")
	}
	return nil
}

// secure is whether TLS is spoken at an address of that host.
func (u Users) secure(host string) bool {
	return u.TLS || u.Certificate != "" || !u.Plain && !openflow.ThisMachine(host)
}

// shown is what a listener shows, and what is known of that.
type shown interface {
	Show() *tls.Certificate
	State() (*x509.Certificate, error)
}

// usersFile has the certificate that the application layer shows. Programs on this machine know it by that, and people copy it for
// programs elsewhere.
const usersFile = "users.pem"

// bindUsers listens for users, and prepares what they are shown.
func (n *Node) bindUsers(ctx context.Context) (err error) {
	if n.application, err = server.Listen(ctx, "the application layer", n.config.Listen); err != nil {
		return err
	}
	n.onClose("application listener", ignoreClosed(n.application))
	host, _, err := net.SplitHostPort(n.config.Listen)
	if err != nil {
		return err
	}
	u := n.config.Users
	switch {
	case !u.secure(host) && openflow.ThisMachine(host):
		return nil
	case !u.secure(host):
		n.warnings = append(n.warnings, "users reach this node without TLS at "+n.config.Listen+": what they say there, tokens too, can be read on the way")
		return nil
	case u.Certificate != "":
		n.users, err = certificates.Open(u.Certificate, u.Key, n.home.Path(usersFile))
	default:
		n.users, err = certificates.OpenOwn(n.secretsDir(), n.home.Path(usersFile), namesOf(host, u.Names), time.Now)
	}
	return err
}

// namesOf are the hosts of a certificate for users: this machine for its own programs, where it listens, and what the operator adds.
// A node that listens everywhere is called by the machine's name.
func namesOf(host string, further []string) []string {
	names := append([]string{"localhost", "127.0.0.1", "::1"}, further...)
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return append(names, host)
	}
	if machine, err := os.Hostname(); err == nil && machine != "" {
		names = append(names, machine)
	}
	return names
}

// forUsers bounds what the users of the site hold. All who may call count as one. Browsers may know no TLS 1.3.
func (n *Node) forUsers() server.Bounds {
	b := server.Bounds{Connections: server.Connections(), Unknown: unknown(), Closes: true}
	if n.users != nil {
		b.TLS = &tls.Config{
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return n.users.Show(), nil },
		}
	}
	return b
}

// listeners are those of this node as the doctor looks at them.
func (n *Node) listeners() []doctor.Listener {
	list := []doctor.Listener{listener("users", n.application, n.users), listener("peers", n.partners, n.peersShown)}
	list[0].Plain, list[0].Own = n.users == nil, n.config.Users.Certificate == ""
	if n.plain != nil {
		plain := listener("peers without TLS", n.plain, nil)
		plain.Plain = true
		list = append(list, plain)
	}
	if n.packets != nil {
		packets := listener("peers' packets", n.packets, n.peersShown)
		packets.Plain = n.config.PlainPackets
		list = append(list, packets)
	}
	if n.workers != nil {
		workers := listener("workers", n.workers, nil)
		workers.Plain = n.config.PlainWorkers
		list = append(list, workers)
	}
	return list
}

func listener(of string, l net.Listener, s shown) doctor.Listener {
	found := doctor.Listener{Of: of, Address: l.Addr().String()}
	host, _, err := net.SplitHostPort(found.Address)
	found.Beyond = err != nil || !openflow.ThisMachine(host)
	if s == nil {
		return found
	}
	c, err := s.State()
	found.Err, found.Ends, found.Names = err, c.NotAfter, slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		found.Names = append(found.Names, ip.String())
	}
	return found
}
