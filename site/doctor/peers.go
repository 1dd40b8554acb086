package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
)

// Peer is what a signed call to a peer, with the request to call back, has shown.
type Peer struct {
	Party openflow.PartyID
	URL   string
	Plain bool // it is called without TLS, over a network
	// Err is why the call was not answered with success; nil: the peer answers and takes this node for who it is.
	Err error
	// Answered says whether the peer's node answered at all, if only to refuse.
	Answered bool
	Clock    time.Duration        // how far the peer's clock is ahead of ours
	Timed    bool                 // the answer told the time
	Version  string               // empty: the peer does not say
	CallBack error                // why the peer does not reach this node, or is not known to it
	GrantAll bool                 // the node allows every peer everything
	Granted  []openflow.GrantKind // what kinds of grants the peer has here
	Unsigned bool                 // its jobs are taken without the mandate of their initiator
	Sources  []string             // from where its unsigned requests are taken; see openflow.ParseCallSource
	Trust    openflow.Trust       // how it proves who calls; empty: with a key of its own
	Way      openflow.PeerWay     // how calls get to it
	Called   bool                 // it has an app with which its calls are signed
	Calls    bool                 // it has given one for the calls to it
	Quota    openflow.Quota       // what holds for it
	Use      openflow.PeerUse
}

// The limits of clocks. Requests beyond the window are refused; the time in an answer has whole seconds.
const (
	window   = 60 * time.Second
	clockTip = 10 * time.Second
)

// Examine makes the checks of one peer, against this node's version.
func (p Peer) Examine(version string) []openflow.Finding {
	list := []openflow.Finding{p.reach(), p.reached(), p.keys(), p.clock(), p.version(version), p.grants(), p.jobs(), p.quota()}
	for _, source := range p.Sources {
		list = append(list, p.unsigned(source))
	}
	return append(list, p.proof()...)
}

// unsigned warns of a source of unsigned requests.
func (p Peer) unsigned(source string) openflow.Finding {
	check := "unsigned from " + source
	remedy := fmt.Sprintf("if its node can sign, take that back: openflow site rotate %s --key KEY, openflow site add %s --url URL --key KEY --unsigned-from=", p.Party, p.Party)
	s, err := openflow.ParseCallSource(source)
	switch {
	case err != nil:
		return fail(check, err.Error(), remedy)
	case s.Authority:
		return warn(check, fmt.Sprintf("whoever shows a certificate in the name of party %s, of an authority in --peer-ca, speaks as that party", p.Party), remedy)
	case s.Certificate != "":
		return warn(check, fmt.Sprintf("whoever shows that certificate speaks as party %s, and nothing proves what was said once the connection is over", p.Party), remedy)
	case s.Network.Addr().IsLoopback():
		return warn(check, fmt.Sprintf("every user and every proxy of this machine speaks as party %s", p.Party), remedy)
	}
	return warn(check, fmt.Sprintf("whoever can send from there, or is on the way, speaks as party %s: without TLS, and on the listener of --listen-plain only", p.Party),
		fmt.Sprintf("better know it by the certificate that it shows: openflow site add %s --url URL --unsigned-from sha256:…", p.Party))
}

// jobs is whether the peer's jobs prove whose they are.
func (p Peer) jobs() openflow.Finding {
	check := "jobs of " + string(p.Party)
	if !p.Unsigned {
		return ok(check, "are taken with the signature of their initiator only")
	}
	return warn(check, fmt.Sprintf("unsigned jobs are taken from party %s: anything its node says of whose job it is, is believed", p.Party),
		fmt.Sprintf("if its node runs openflow: openflow site add %s --url URL --key KEY --unsigned=false", p.Party))
}

// reach is the way from this node to the peer.
func (p Peer) reach() openflow.Finding {
	check := "reach " + string(p.Party)
	if p.Answered && p.Plain {
		return warn(check, "answers at "+p.URL+" without TLS: what is said can be read and delayed on the way", "give its https address: openflow site add "+string(p.Party)+" --url https://HOST:PORT --key KEY")
	}
	if p.Answered {
		return ok(check, "answers at "+p.URL)
	}
	if p.unproven() { // it is not the way that is wrong
		return warn(check, "a node answers at "+p.URL+", and one side does not take the other for who it is", "mend what the check keys "+string(p.Party)+" shows")
	}
	return fail(check, fmt.Sprint(p.Err), "check that its node runs and that its address is right (openflow site list), and the firewall between")
}

// reached is the way back.
func (p Peer) reached() openflow.Finding {
	check := "reached by " + string(p.Party)
	switch {
	case !p.Answered || p.Err != nil:
		return warn(check, "not known: the peer could not be asked", "mend what the other checks of this peer show, then ask again")
	case openflow.CodeOf(p.CallBack) == openflow.CodeUnavailable || openflow.CodeOf(p.CallBack) == openflow.CodeDeadline:
		return fail(check, fmt.Sprint(p.CallBack),
			"its operator checks the address that it has for this node; here: the interconnection listener and the firewall")
	case openflow.CodeOf(p.CallBack) == openflow.CodeUnauthorized:
		return warn(check, "the peer calls back, and one side does not take the other for who it is", "mend what the check keys "+string(p.Party)+" shows")
	}
	if p.Trust == openflow.TrustSignature || p.Trust == openflow.TrustNone {
		return ok(check, "not known: a node of FATE-Flow cannot be asked to call back; its first call shows it")
	}
	return ok(check, "the peer calls back")
}

// keys is whether each side takes the other for who it is.
func (p Peer) keys() openflow.Finding {
	check := "keys " + string(p.Party)
	theirs := p.unproven()
	ours := openflow.CodeOf(p.CallBack) == openflow.CodeUnauthorized || openflow.CodeOf(p.CallBack) == openflow.CodeInvalid
	switch {
	case !p.Answered && !theirs:
		return warn(check, "not known: the peer does not answer", "ask again when it does")
	case theirs && p.Timed && p.Clock.Abs() > window:
		return warn(check, "not known: the clocks are too far apart for any signature", "set the clocks, then ask again")
	case theirs && !saidBy(p.Party, p.Err):
		return refused(check, p.Err, fmt.Sprintf("register here what openflow site key prints there: openflow site rotate %s --key KEY", p.Party))
	case theirs:
		return refused(check, p.Err, "give its operator the key that openflow site key prints")
	case p.Err != nil:
		return warn(check, fmt.Sprint(p.Err), "read the log of the peer's node")
	case ours:
		return fail(check, fmt.Sprint(p.CallBack), "register what openflow site key prints there: openflow site add or site rotate")
	}
	if p.Trust == openflow.TrustSignature || p.Trust == openflow.TrustNone {
		return ok(check, "the peer takes this node for who it is")
	}
	return ok(check, "each side takes the other's signature")
}

// unproven tells that a node has answered, if only in the handshake, and one of the two does not take the other for who it is.
func (p Peer) unproven() bool { return openflow.CodeOf(p.Err) == openflow.CodeUnauthorized }

// refused is a failure whose remedy is that of the error, where it has one.
func refused(check string, err error, remedy string) openflow.Finding {
	var e *openflow.Error
	if errors.As(err, &e) && e.Hint != "" {
		bare := *e
		bare.Hint = ""
		return fail(check, bare.Error(), e.Hint)
	}
	return fail(check, fmt.Sprint(err), remedy)
}

// saidBy tells whether a party has refused something, and not this node the party's answer.
func saidBy(party openflow.PartyID, err error) bool {
	var e *openflow.Error
	return !errors.As(err, &e) || e.Party == "" || e.Party == party
}

func (p Peer) clock() openflow.Finding {
	check := "clock " + string(p.Party)
	apart := p.Clock.Abs().Round(time.Second)
	const remedy = "synchronise the clocks of both sites (NTP): signatures are good for a minute"
	switch {
	case !p.Timed:
		return warn(check, "not known: the peer did not tell its time", "ask again when it answers")
	case p.Clock.Abs() > window:
		return fail(check, fmt.Sprintf("its clock and ours are %s apart", apart), remedy)
	case p.Clock.Abs() >= clockTip:
		return warn(check, fmt.Sprintf("its clock and ours are %s apart", apart), remedy)
	}
	return ok(check, fmt.Sprintf("agrees to %s", max(apart, 2*time.Second)))
}

func (p Peer) version(own string) openflow.Finding {
	check := "version " + string(p.Party)
	switch p.Version {
	case "":
		return ok(check, "the peer does not tell its version; the protocol is what counts")
	case own:
		return ok(check, "both run "+own)
	}
	return warn(check, fmt.Sprintf("it runs %s, this node %s", p.Version, own), "both work together; update the older one at the next occasion")
}

// grants warns of a peer that may do nothing here, and of one whose jobs are refused although they may use something.
func (p Peer) grants() openflow.Finding {
	check, party := "grants "+string(p.Party), string(p.Party)
	may := func(kind openflow.GrantKind) bool { return slices.Contains(p.Granted, kind) }
	switch {
	case p.GrantAll:
		return ok(check, "it needs no grants, see grants")
	case len(p.Granted) == 0:
		return warn(check, "it is registered and may use nothing here, so its jobs are refused",
			fmt.Sprintf("if that is not meant so: openflow grant add %s --initiate --schedule --component NAME --table NAMESPACE/NAME", party))
	case may(openflow.GrantUse) && !may(openflow.GrantInitiate):
		return warn(check, "it may use what was granted, and may not initiate jobs here, so its jobs are refused",
			fmt.Sprintf("openflow grant add %s --initiate, and --schedule if it schedules them itself", party))
	}
	return ok(check, "it may do what was granted: openflow grant show "+party)
}

// Grants warns of a node that allows every peer everything.
func Grants(all bool) openflow.Finding {
	if all {
		return warn("grants", openflow.GrantsAll, "grant what each peer needs (openflow grant add), and start the node without --grant-all")
	}
	return ok("grants", "peers may do what grants say, and nothing else")
}

// quota is how much of what it may use the peer uses. At a bound, its next job waits or is refused.
func (p Peer) quota() openflow.Finding {
	check := "quota " + string(p.Party)
	var uses, full []string
	for _, b := range []struct {
		what       string
		used, most int64
		text       func(int64) string
	}{
		{"jobs", int64(p.Use.Jobs), int64(p.Quota.Jobs), number}, {"places in the queue", int64(p.Use.Waiting), int64(p.Quota.Waiting), number},
		{"cores", int64(p.Use.Held.Cores), int64(p.Quota.Cores), number}, {"memory", p.Use.Held.Memory, p.Quota.Memory, openflow.FormatBytes},
		{"GPUs", int64(p.Use.Held.GPUs), int64(p.Quota.GPUs), number},
	} {
		switch {
		case b.most > 0:
			uses = append(uses, fmt.Sprintf("%s of %s %s", b.text(b.used), b.text(b.most), b.what))
		case b.used > 0:
			uses = append(uses, b.text(b.used)+" "+b.what)
		}
		if b.most > 0 && b.used >= b.most {
			full = append(full, b.what)
		}
	}
	detail := cmp.Or(strings.Join(uses, ", "), "it uses nothing")
	if len(full) > 0 {
		return warn(check, "it uses all "+strings.Join(full, " and ")+" that it may: "+detail,
			fmt.Sprintf("see what its jobs do: openflow job list; to let it have more: openflow site limit %s", p.Party))
	}
	return ok(check, detail)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// Peers is the check that there are any.
func Peers(known []openflow.PartyID) openflow.Finding {
	if len(known) == 0 {
		return warn("peers", "no peers are known", "register one: openflow site add PARTY --url URL --key KEY")
	}
	names := make([]string, len(known))
	for i, id := range known {
		names[i] = string(id)
	}
	return ok("peers", strings.Join(names, ", "))
}
