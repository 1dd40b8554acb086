package fateflow

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// asked is the call with which a peer is examined. FATE-Flow has no route for the question. This one only reads, and lacks every
// argument: a site that takes our signature, or asks for none, refuses it for that.
const asked = "/v2/partner/task/collect"

// unsigned is how FATE-Flow asks for a signature: it names the header that it misses first.
//
// Spec: fate-flow-api §0.6.2.
var unsigned = regexp.MustCompile(`^(?i)invalid parameter: ?(appId|timeStamp|Nonce|Signature)`)

// examine makes a call that does nothing, and reads from the answer whether the peer is there and takes this node for who it is.
func (c *Client) examine(ctx context.Context) (seen dialect.Seen, err error) {
	ctx, cancel := context.WithTimeout(ctx, peer.CallTimeout)
	defer cancel()
	begin := time.Now()
	defer c.Ended(begin, &err)
	header := http.Header{headerInitiator: {""}, headerTo: {string(c.Peer)}, headerService: {"fateflow"}}
	answer, err := c.Do(ctx, asked, "application/json", []byte("{}"), header)
	if err != nil {
		return seen, err
	}
	if there, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		seen.Clock, seen.Timed = there.Sub(begin.Add(time.Since(begin)/2)), true
	}
	var e wire.Envelope
	var code struct {
		Code *int `json:"code"`
	}
	if wire.Unmarshal(answer.Body, &e) != nil || wire.Unmarshal(answer.Body, &code) != nil || code.Code == nil {
		return seen, c.Unreachable("answers %s with something that is not an answer of FATE-Flow, as a web server or a router does that knows no such party", asked)
	}
	seen.Answered, seen.Caller = true, string(c.Self)
	if answer.Signed() {
		if err := c.Prove(answer); err != nil {
			return seen, err
		}
	}
	return seen, openflow.AtParty(c.Peer, c.judged(ctx, e.Heard()))
}

// judged is what is wrong, by the answer to a call that lacks every argument; nil: nothing is.
//
// Spec: fate-flow-api §0.4, §0.6.2.
func (c *Client) judged(ctx context.Context, e wire.Envelope) error {
	refusal := e.Err()
	var said *openflow.Error
	if !errors.As(refusal, &said) {
		return refusal
	}
	wrong := func(code openflow.Code, about openflow.Subject, text, hint string, args ...any) error {
		return openflow.About(about, openflow.Errorf(code, "%s (it says %q, %d)", text, openflow.Cut(e.Message, 200), e.Code).WithHint(hint, args...))
	}
	ours := e.Error != nil // a node like this one says what to do
	switch {
	case e.Code == wire.InvalidParameter && unsigned.MatchString(e.Message) && c.Profile != dialect.SiteSigned:
		return wrong(openflow.CodeUnauthorized, openflow.AboutApp, "its node asks for the signature of a site, and this one makes none for it",
			"openflow site add %s --url URL --dialect fate-flow --trust %s", c.Peer, dialect.SiteSigned)
	case e.Code == wire.InvalidParameter && !unsigned.MatchString(e.Message):
		return nil
	case ours:
		return refusal
	case e.Code == wire.RequestExpired:
		return wrong(openflow.CodeUnauthorized, openflow.AboutTime, "its node takes this one's signature for one of another time", "set the clocks of both sites, with NTP for instance")
	case e.Code == wire.NoFoundAppID:
		return wrong(openflow.CodeUnauthorized, openflow.AboutApp, "its node knows no app "+c.appID(ctx)+", with which this one signs",
			"its operator makes an app for party %s (flow client create-site --party-id %s); then here: openflow app remove %s --kind partner, openflow app add %s --kind partner --id ID --app-token-file FILE",
			c.Self, c.Self, c.Peer, c.Peer)
	case e.Code == wire.VerifyFailed:
		return wrong(openflow.CodeUnauthorized, openflow.AboutApp, "its node does not take the signature of app "+c.appID(ctx),
			"the token is another one there: openflow app remove %s --kind partner, openflow app add %s --kind partner --id ID --app-token-file FILE", c.Peer, c.Peer)
	case e.Code == wire.AuthenticationFail:
		return wrong(openflow.CodeUnauthorized, openflow.AboutApp, "its node takes the signature, and app "+c.appID(ctx)+" has no role there",
			"the operator there grants it with: flow permission grant --app-id %s -r site", c.appID(ctx))
	case e.Code == wire.SiteIsStandalone:
		return wrong(openflow.CodeUnimplemented, openflow.AboutSite, "its site is standalone, and works with no other",
			"its operator gives it computing and federation engines in service_conf.yaml, and federated_mode MULTIPLE")
	}
	return refusal
}

// appID is the app with which this node signs for the peer.
func (c *Client) appID(ctx context.Context) string {
	if c.App == nil {
		return ""
	}
	app, _, err := c.App(ctx)
	if err != nil {
		return "ID"
	}
	return string(app.ID)
}
