package openflow

// Trust is how a peer proves that it is the one that calls.
type Trust string

// The kinds of trust. What a peer may do is not among them: grants say that.
const (
	// TrustKey is a signature with a key of the peer's own, over all of a request: what nodes like this one make.
	TrustKey Trust = "key"
	// TrustSignature is FATE-Flow's signature of a site: an MD5 sum under the token of an app that both sides have. It covers neither
	// path nor body, so that it is as good as the way is.
	//
	// Spec: fate-flow-api §0.6.2.
	TrustSignature Trust = "fate-site-signature"
	// TrustNone is nothing at all: a request is known by where it comes from, see CallSource.
	TrustNone Trust = "none"
)

// Trust is how the peer proves who calls. A record says TrustSignature by its profile.
func (s SiteRecord) Trust() Trust {
	switch {
	case s.Profile == string(TrustSignature):
		return TrustSignature
	case len(s.Keys) > 0:
		return TrustKey
	}
	return TrustNone
}

// PeerWay is how calls get to a peer. The zero value says nothing, and means WayDirect.
type PeerWay string

// The ways.
//
// Spec: fate-flow-api §0.8.
const (
	WayDirect  PeerWay = "direct"  // HTTP, to the node itself
	WayRouter  PeerWay = "router"  // HTTP, to an address of many parties, where the header dest-party-id tells whom a call is for
	WayPackets PeerWay = "packets" // gRPC, in packets of FATE's bridges, whose headers tell the same
)

// String is the way that is meant.
func (w PeerWay) String() string {
	if w == "" {
		return string(WayDirect)
	}
	return string(w)
}
