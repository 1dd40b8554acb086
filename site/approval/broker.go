package approval

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"openflow"
)

// parseBroker reads "HOST:PORT MANAGEMENT-PORT FILE".
func parseBroker(text string) (b openflow.Broker, account string, err error) {
	parts := strings.Fields(text)
	if len(parts) != 3 || checkAddress(parts[0]) != nil || checkPort(parts[1]) != nil || !filepath.IsAbs(parts[2]) || filepath.Clean(parts[2]) != parts[2] {
		return b, "", openflow.Errorf(openflow.CodeInvalid, "%q does not describe a broker", openflow.Cut(text, 80)).
			WithHint("write the provider, the broker's host:port, the port of its management, and the file with its account, such as \"fate broker.example:5672 15672 /etc/openflow/broker.account\"")
	}
	host, _, _ := net.SplitHostPort(parts[0])
	return openflow.Broker{Address: parts[0], Management: net.JoinHostPort(host, parts[1])}, parts[2], nil
}

// parsePartner reads "PARTY HOST:PORT".
func parsePartner(text string) (party openflow.PartyID, address string, err error) {
	parts := strings.Fields(text)
	if len(parts) != 2 || checkAddress(parts[1]) != nil || openflow.CheckIdentifier("party", parts[0]) != nil {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%q does not say where the broker of a party is", openflow.Cut(text, 80)).
			WithHint("write the provider, the party, and host:port as this site's broker reaches it, such as \"fate 10000 broker.partner.example:5672\"")
	}
	return openflow.PartyID(parts[0]), parts[1], nil
}

func checkAddress(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err == nil {
		err = checkPort(port)
	}
	if err != nil || host == "" || len(host) > 253 || strings.ContainsAny(host, "/@?#%\\\"'") {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not host:port", openflow.Cut(text, 80))
	}
	return nil
}

func checkPort(text string) error {
	if n, err := strconv.ParseUint(text, 10, 16); err != nil || n == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not a port", openflow.Cut(text, 80))
	}
	return nil
}

// CheckBroker refuses what does not name a broker for a provider. Errors: CodeInvalid.
func CheckBroker(text string) error {
	e, err := parseEntry(text, "the broker")
	if err == nil {
		_, _, err = parseBroker(e.what)
	}
	return err
}

// CheckPartner refuses what does not name the broker of a party. Errors: CodeInvalid.
func CheckPartner(text string) error {
	e, err := parseEntry(text, "the party and its broker")
	if err == nil {
		_, _, err = parsePartner(e.what)
	}
	return err
}

// Broker is the broker that the tasks of a provider may use, and the file of its account; the first that the policy names. ok is
// false where it names none.
func Broker(p openflow.SitePolicy, provider string) (b openflow.Broker, account string, ok bool) {
	if provider == "" {
		return b, "", false
	}
	entries := of(p.Engines.RabbitMQ, provider)
	if len(entries) == 0 {
		return b, "", false
	}
	b, account, err := parseBroker(entries[0])
	if err != nil {
		return openflow.Broker{}, "", false // the policy was checked when it was read
	}
	b.Use = openflow.BrokerUse{Partners: map[openflow.PartyID]string{}, Shared: true}
	for _, text := range of(p.Engines.Partners, provider) {
		party, address, err := parsePartner(text)
		if err != nil || b.Use.Partners[party] != "" {
			continue
		}
		b.Use.Partners[party] = address
		b.Use.Shared = b.Use.Shared && address == b.Address
	}
	b.Use.Shared = b.Use.Shared && len(b.Use.Partners) > 0
	return b, account, true
}
