package peers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"openflow"
	"openflow/sdk/httpclient"
	"openflow/site/trust"
)

// Lines are the connections to peers. Each peer has its own, because each is known by its own keys. Start reading at
// [Lines.To].
type Lines struct {
	Key     string                                    // this node's key, for messages
	Own     trust.Showing                             // what this node shows
	Also    trust.Authorities                         // those whose word counts besides the keys in records; nil: nobody's
	Through func(http.RoundTripper) http.RoundTripper // what every call goes through, such as tracing; nil: nothing

	mu sync.Mutex
	to map[openflow.PartyID]line
}

type line struct {
	host string
	keys []string
	grpc bool
	http *http.Client
}

// To is the client that reaches a peer, as its record is now. A record with other keys, or of another host, breaks the
// connections that were made by the earlier one, as soon as nobody uses them.
func (l *Lines) To(s openflow.SiteRecord) *http.Client {
	l.mu.Lock()
	defer l.mu.Unlock()
	host := ""
	if u, err := url.Parse(s.URL); err == nil {
		host = u.Hostname()
	}
	grpc := s.Way == openflow.WayPackets
	have, ok := l.to[s.Party]
	if ok && have.host == host && slices.Equal(have.keys, s.Keys) && have.grpc == grpc {
		return have.http
	}
	if ok {
		have.http.CloseIdleConnections()
	}
	keys, err := parseKeys(s.Keys)
	if err != nil {
		keys = nil // they were checked when they were recorded; without any, nobody is believed
	}
	made := line{host, slices.Clone(s.Keys), grpc, httpclient.New(httpclient.Options{TLS: trust.Calling(l.Own, s.Party, host, keys, l.Also), GRPC: grpc})}
	if l.Through != nil {
		made.http.Transport = l.Through(made.http.Transport)
	}
	if l.to == nil {
		l.to = map[openflow.PartyID]line{}
	}
	l.to[s.Party] = made
	return made.http
}

// Close breaks the connections that nobody uses.
func (l *Lines) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, to := range l.to {
		to.http.CloseIdleConnections()
	}
}

// secret tells whether what is said to an address can be read on the way, where the operator has not allowed that by name.
// The refusal names what allows it. Errors: CodeInvalid.
func secret(s openflow.SiteRecord, allow string) error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme == "https" || s.Plain || openflow.ThisMachine(u.Hostname()) {
		return nil // an address that is none is refused where it is read
	}
	return openflow.Errorf(openflow.CodeInvalid, "the address of party %s, %s, is without TLS: whoever is on the way can read and change what is said", s.Party, s.URL).
		WithHint("use https; or, where something else protects the way: %s", allow)
}

// addPlain allows a peer's address to be without TLS.
func addPlain(s openflow.SiteRecord) string {
	return fmt.Sprintf("openflow site add %s --url %s --key KEY --plain", s.Party, s.URL)
}

// Holder implements trust.Recorded: the peer whose key that is. CodeNotFound: nobody's.
func (k Keys) Holder(ctx context.Context, key trust.PublicKey) (openflow.PartyID, error) {
	s, err := k.Records.SiteByKey(ctx, key.String())
	return s.Party, err
}
