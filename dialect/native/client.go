package native

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native/envelope"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
)

// Client calls a peer of ours.
type Client struct{ *verbs.Client }

var _ dialect.Client = (*Client)(nil)

// NewClient returns a client of the peer at the end of a link.
func NewClient(l peer.Link) *Client {
	c := &Client{}
	c.Client = verbs.NewClient(l, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		_, got, err := c.exchange(ctx, call, body)
		return got, err
	})
	return c
}

// exchange carries a call, and returns the answer's header too, which is nil when there was none. A success counts with the
// peer's signature only; a peer that refuses the caller does not sign.
func (c *Client) exchange(ctx context.Context, call string, body []byte) (http.Header, verbs.Answer, error) {
	path := prefix + call
	answer, err := c.Do(ctx, path, "application/json", body, nil)
	if err != nil {
		return nil, verbs.Answer{}, err
	}
	var e envelope.Envelope
	if err := json.Unmarshal(answer.Body, &e); err != nil {
		return answer.Header, verbs.Answer{}, c.Unreachable("answered %s with something that is no answer of openflow", path)
	}
	if e.Version != 0 && e.Error == nil || answer.Header.Get(peer.SignatureHeader) != "" {
		if err := c.Prove(answer); err != nil {
			return answer.Header, verbs.Answer{}, err
		}
	}
	if e.Version == 0 {
		e := openflow.Errorf(openflow.CodeUnauthorized, "the node answers in another dialect than its record says, and without a signature")
		e.Party = c.Peer
		return answer.Header, verbs.Answer{}, e.WithHint("see which it speaks: openflow site probe %s; and who is at its address: openflow site list", c.Peer)
	}
	return answer.Header, verbs.Answer{Data: e.Data, Refusal: e.Error}, nil
}

// Examine asks the peer whom it takes this node for, and shows what can be seen of it on the occasion, also when it
// refuses. With callBack the peer also tries to reach this node in the same way.
func (c *Client) Examine(ctx context.Context, callBack bool) (seen dialect.Seen, err error) {
	begin := time.Now()
	var answer probed
	var header http.Header
	ask := verbs.NewClient(c.Link, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		var got verbs.Answer
		var err error
		header, got, err = c.exchange(ctx, call, body)
		return got, err
	})
	err = ask.Call(ctx, pathSite, probe{CallBack: callBack}, &answer)
	seen.Answered = header != nil
	if there, bad := http.ParseTime(header.Get("Date")); bad == nil {
		seen.Clock, seen.Timed = there.Sub(begin.Add(time.Since(begin)/2)), true
	}
	if err != nil {
		return seen, err
	}
	seen.Caller, seen.Version = openflow.Heard(answer.Caller), openflow.Heard(answer.Version)
	if answer.CallBack != nil {
		p := answer.CallBack.Heard()
		e := openflow.Errorf(cmp.Or(openflow.Code(p.Code), openflow.CodeInternal), "it answers, and does not reach this node: %s", p.Message)
		e.Party, e.Hint = c.Peer, p.Hint
		seen.CallBack = e
	}
	if seen.Caller != string(c.Self) {
		e := openflow.Errorf(openflow.CodeUnauthorized, "the node takes party %s for %q", c.Self, seen.Caller)
		e.Party = c.Peer
		return seen, e
	}
	return seen, nil
}

// Probe implements dialect.Client.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.Examine(ctx, false)
	return err
}
