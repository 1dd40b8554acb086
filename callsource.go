package openflow

import (
	"encoding/hex"
	"net/netip"
	"strings"
)

// CallSource is from where requests of a peer come that nobody has signed: a network, the certificate that the caller shows, or any
// certificate with the peer's name of an authority that this site believes. One of the three is said.
type CallSource struct {
	Network     netip.Prefix
	Certificate string // SHA-256 of it, in hex
	Authority   bool
}

// MaxCallSources bounds the sources of a peer. All of them are looked at for every unsigned request.
const MaxCallSources = 16

// The widest networks that a source may be: those of one institution. Whoever is in a wider one is nobody in particular.
const (
	widest4 = 16
	widest6 = 48
)

const authoritySource = "authority"

// ParseCallSource reads an address, a network such as "10.0.0.0/24", "sha256:" with 64 hex digits, or "authority". Errors: CodeInvalid.
func ParseCallSource(text string) (CallSource, error) {
	bad := func(format string, args ...any) (CallSource, error) {
		return CallSource{}, Errorf(CodeInvalid, format, args...).
			WithHint("write an address like 10.0.0.7, a network like 10.0.0.0/24, sha256: and 64 hex digits, or %s", authoritySource)
	}
	if text == authoritySource {
		return CallSource{Authority: true}, nil
	}
	if sum, hashed := strings.CutPrefix(text, digestPrefix); hashed {
		sum = strings.ToLower(strings.ReplaceAll(sum, ":", ""))
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 {
			return bad("%q is no fingerprint of a certificate", Cut(text, 120))
		}
		return CallSource{Certificate: sum}, nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return bad("%q is no place from which requests come", Cut(text, 120))
		}
		network = netip.PrefixFrom(address, address.BitLen())
	}
	if network.Addr().Is4In6() {
		return bad("write %q as an address of IPv4", Cut(text, 120))
	}
	network = network.Masked()
	if widest := map[bool]int{true: widest4, false: widest6}[network.Addr().Is4()]; network.Bits() < widest {
		return bad("the network %s is wider than one institution's, which has /%d at most", network, widest)
	}
	return CallSource{Network: network}, nil
}

// String is what ParseCallSource reads.
func (s CallSource) String() string {
	switch {
	case s.Authority:
		return authoritySource
	case s.Certificate != "":
		return digestPrefix + s.Certificate
	case s.Network.IsSingleIP():
		return s.Network.Addr().String()
	}
	return s.Network.String()
}

// ParseCallSources reads the sources of a peer.
func ParseCallSources(texts []string) ([]CallSource, error) {
	if len(texts) > MaxCallSources {
		return nil, Errorf(CodeInvalid, "a peer has %d sources of unsigned requests, and %d are allowed", len(texts), MaxCallSources)
	}
	list := make([]CallSource, len(texts))
	for i, text := range texts {
		var err error
		if list[i], err = ParseCallSource(text); err != nil {
			return nil, err
		}
	}
	return list, nil
}
