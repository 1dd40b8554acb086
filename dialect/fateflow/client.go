package fateflow

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// Client calls a peer that takes FATE-Flow's own calls only: each verb makes the calls, in the order, that FATE-Flow's
// scheduler makes. Such a peer answers a repeat of some calls with a refusal, and starts a process for every repeat of
// task/start; what follows from that is handled here, so that every verb may be repeated. A repeat of StartTask says that
// it is one. One that does not, as after a crash of this node, starts the task again at a peer that takes a repeated "running".
//
// FATE-Flow signs no answers. A node of ours that is called in this dialect does, and a signature that is there must fit.
//
// Spec: fate-flow-api §2.3, §2.5, §2.7.
type Client struct{ peer.Link }

var (
	_ dialect.Client          = (*Client)(nil)
	_ openflow.PartnerService = (*Client)(nil)
)

// Partner implements dialect.Client.
func (c *Client) Partner() openflow.PartnerService { return c }

// Examine implements dialect.Client. A node of FATE-Flow cannot be asked to call back.
func (c *Client) Examine(ctx context.Context, _ bool) (dialect.Seen, error) {
	return c.examine(ctx)
}

// Probe makes a call that says nothing, and looks for FATE-Flow's envelope in the answer.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.post(ctx, "/v2/partner/job/start", struct{}{})
	if code := openflow.CodeOf(err); code == openflow.CodeUnavailable || code == openflow.CodeUnauthorized || code == openflow.CodeUnimplemented {
		return err
	}
	return nil // it has refused what lacks every argument, in its own words
}

// post sends one call and returns the answer's envelope.
func (c *Client) post(ctx context.Context, path string, body any) (wire.Envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, peer.CallTimeout)
	defer cancel()
	return c.send(ctx, path, body, "")
}

func (c *Client) tell(ctx context.Context, path string, body any) error {
	_, err := c.post(ctx, path, body)
	return err
}

// send makes one call in the caller's time. initiator is who submitted the job that the call creates, empty in all other
// calls; FATE-Flow reads it, and who it is for, from headers (fate-flow-api §0.6.2, §0.8.1).
func (c *Client) send(ctx context.Context, path string, body any, initiator openflow.PartyID) (e wire.Envelope, err error) {
	defer c.Ended(time.Now(), &err)
	b, err := json.Marshal(body)
	if err != nil {
		return e, openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", path, err)
	}
	header := http.Header{headerInitiator: {string(initiator)}, headerTo: {string(c.Peer)}, headerService: {"fateflow"}}
	answer, err := c.Do(ctx, path, "application/json", b, header)
	if err != nil {
		return e, err
	}
	if answer.Signed() {
		if err := c.Prove(answer); err != nil {
			return e, err
		}
	}
	var code struct {
		Code *int `json:"code"`
	}
	if err := wire.Unmarshal(answer.Body, &e); err != nil || wire.Unmarshal(answer.Body, &code) != nil || code.Code == nil {
		return e, c.Unreachable("answered %s with something that is not an answer of FATE-Flow", path)
	}
	e = e.Heard()
	refusal := e.Err()
	if strings.HasPrefix(path, "/v2/partner/") { // a scheduler passes on what others have said
		refusal = peer.OfItself(c.Peer, refusal)
	}
	return e, openflow.AtParty(c.Peer, refusal)
}

// unmarshal reads the data of an answer, and leaves what is taken of a peer's words.
func unmarshal(data []byte, into any) error {
	if err := wire.Unmarshal(data, into); err != nil {
		return err
	}
	_, err := wire.Hear(into)
	return err
}
