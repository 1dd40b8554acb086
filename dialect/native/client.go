package native

import (
	"context"

	"openflow"
	"openflow/dialect/native/envelope"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
)

// NewClient returns a client of the peer at the end of a link. A success counts with the peer's signature only; a peer that
// refuses the caller does not sign.
func NewClient(l peer.Link) (c *verbs.Client) {
	c = verbs.NewClient(l, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		path := prefix + call
		answer, err := c.Do(ctx, path, "application/json", body, nil)
		if err != nil {
			return verbs.Answer{}, err
		}
		got := verbs.Answer{Header: answer.Header}
		var e envelope.Envelope
		if err := wire.Unmarshal(answer.Body, &e); err != nil {
			return got, c.Unreachable("answered %s with something that is no answer of openflow", path)
		}
		if e.Version != 0 && e.Error == nil || answer.Signed() {
			if err := c.Prove(answer); err != nil {
				return got, err
			}
		}
		if e.Version == 0 {
			e := openflow.Errorf(openflow.CodeUnauthorized, "the node answers in another dialect than its record says, and without a signature")
			e.Party = c.Peer
			return got, e.WithHint("see which it speaks: openflow site probe %s; and who is at its address: openflow site list", c.Peer)
		}
		if e.Version != envelope.Version {
			return got, c.Unreachable("answered %s in version %d of openflow's dialect, and this node speaks %d", path, e.Version, envelope.Version)
		}
		got.Data, got.Refusal = e.Data, e.Error
		return got, nil
	})
	return c
}
