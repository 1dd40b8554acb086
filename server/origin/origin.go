// Package origin tells from where a request comes: from this machine, from which of its users, and from a page of whose.
//
// It refuses nothing but pages of others. Who may call is for the one to say who serves. Start reading at [Page].
package origin

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"openflow"
)

// ForwardedScheme is how a gateway that has ended TLS says so.
const ForwardedScheme = "X-Forwarded-Proto"

// Secret tells whether the browser has sent a request over TLS: to the node, or to a gateway that says so. Who says so of a request
// without TLS only harms himself.
func Secret(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get(ForwardedScheme), "https")
}

// fetchedBy is the header in which a browser tells whose page has made a request.
const fetchedBy = "Sec-Fetch-Site"

// Page refuses what a browser sends for a page of another origin. Programs send no Origin. Over TLS, a page of this host that
// has come without TLS is of another origin too: whoever is on the way may have written it. Errors: CodePermission.
func Page(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" { // as of a GET, which may do much too
		switch site := r.Header.Get(fetchedBy); site {
		case "", "none", "same-origin":
			return nil
		default:
			return foreign(site)
		}
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || u.Host != r.Host || Secret(r) && u.Scheme != "https" {
		return foreign(origin)
	}
	return nil
}

func foreign(origin string) error {
	return openflow.Errorf(openflow.CodePermission, "requests from pages of another origin (%s) are refused", origin)
}

// Loopback tells whether an address or host name, with or without port, is this machine's own. A name other than
// localhost does not count: it could be a foreign page's that has been pointed here.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// forwarding begins the headers of requests that a proxy has passed on. For whom, nobody here can know.
var forwarding = []string{"Forwarded", "Via", "X-Forwarded-", "X-Real-Ip", "X-Client-Ip", "X-Original-",
	"Cf-", "X-Envoy-", "True-Client-Ip", "X-Cluster-Client-Ip", "Proxy-Connection"}

// PassedOn tells whether a request says that a proxy has passed it on.
func PassedOn(h http.Header) bool {
	for name := range h {
		if slices.ContainsFunc(forwarding, func(begin string) bool { return strings.HasPrefix(name, begin) }) {
			return true
		}
	}
	return false
}
