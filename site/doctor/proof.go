package doctor

import (
	"fmt"
	"strings"

	"openflow"
)

// proof is how the peer proves who calls, where that is not with a key of its own, and what is weak about it.
func (p Peer) proof() []openflow.Finding {
	check, party := "trust "+string(p.Party), p.Party
	switch p.Trust {
	case openflow.TrustSignature:
		switch {
		case !p.Called:
			return []openflow.Finding{fail(check, fmt.Sprintf("party %s has no app to sign its calls with, so they are refused", party),
				fmt.Sprintf("openflow app add %s --kind site, and give its operator what that prints", party))}
		case !p.Calls:
			return []openflow.Finding{fail(check, fmt.Sprintf("party %s has given this site no app to sign its calls with", party),
				fmt.Sprintf("its operator makes one (flow client create-site), then: openflow app add %s --kind partner --id ID --app-token-file FILE", party))}
		}
		detail, remedy := "its calls are signed with MD5, which covers neither path nor body", "if its node runs openflow, exchange keys: openflow site add, with --key"
		if !strings.HasPrefix(p.URL, "https:") {
			detail += "; and without TLS whoever is on the way can send another call in place of one"
			remedy = fmt.Sprintf("give its https address, or that of a gateway before it: openflow site add %s --url https://HOST:PORT --trust %s", party, p.Trust)
		}
		return []openflow.Finding{warn(check, detail, remedy)}
	case openflow.TrustNone:
		if p.Way == openflow.WayDirect || p.Way == "" {
			return nil // its sources are warned of
		}
		return []openflow.Finding{warn(check, fmt.Sprintf("whoever calls through the same router or bridge speaks as party %s", party),
			fmt.Sprintf("have both sites sign: openflow site add %s --url URL --trust %s --unsigned-from=", party, openflow.TrustSignature))}
	case openflow.TrustKey:
	}
	return nil
}
