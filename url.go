package openflow

import (
	"net/netip"
	"net/url"
	"strings"
)

// StraySecret reports whether u, which text was parsed to, may show a secret outside of USER:PASSWORD@. An @ elsewhere
// means that the password has a character which ends the host, so its rest would be shown as something else.
func StraySecret(text string, u *url.URL) bool {
	n := strings.Count(text, "@")
	return n > 1 || n == 1 && u.User == nil
}

// ThisMachine reports whether a host, a name or an IP address, is this machine's own for sure: what is said to it is heard by
// nobody on the way.
func ThisMachine(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
