package fateflow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	_ openflow.Slow           = (*Client)(nil)
)

// Slow implements openflow.Slow: FATE-Flow reports within the calls that it answers.
func (c *Client) Slow() {}

// Partner implements dialect.Client.
func (c *Client) Partner() openflow.PartnerService { return c }

// Examine implements dialect.Client. A node of FATE-Flow cannot be asked to call back.
func (c *Client) Examine(ctx context.Context, _ bool) (dialect.Seen, error) {
	return c.examine(ctx)
}

// Probe makes a call that says nothing, and looks for FATE-Flow's envelope in the answer.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.within(ctx, peer.CallTimeout, "/v2/partner/job/start", struct{}{})
	if code := openflow.CodeOf(err); code == openflow.CodeUnavailable || code == openflow.CodeUnauthorized || code == openflow.CodeUnimplemented {
		return err
	}
	return nil // it has refused what lacks every argument, in its own words
}

// patience is how long the answer to one call is awaited. FATE-Flow answers many only after calls of its own, each of which it tries
// for half a minute, and takes a repeat for a second call.
//
// Spec: fate-flow-api §0.8, part 7 #22.
const patience = 2 * time.Minute

// post sends one call and returns the answer's envelope.
func (c *Client) post(ctx context.Context, path string, body any) (wire.Envelope, error) {
	return c.within(ctx, patience, path, body)
}

func (c *Client) within(ctx context.Context, most time.Duration, path string, body any) (wire.Envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
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
	refusal := quoted(e)
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

// quoted is the refusal of a peer; nil: it has none. What a node of FATE-Flow says is marked as its words: every party of the job
// may read them, as it reads all that FATE-Flow's scheduler is told.
func quoted(e wire.Envelope) error {
	err := e.Err()
	var refusal *openflow.Error
	if e.Error != nil || !errors.As(err, &refusal) {
		return err
	}
	if e.Code == wire.ServerException && (strings.HasPrefix(e.Message, noTask) || strings.HasPrefix(e.Message, noRow)) {
		refusal.Code = openflow.CodeNotFound
	}
	refusal.Message = fmt.Sprintf("its node says %q (%d)", sentence(e.Message), e.Code)
	return refusal.WithPublic("%s", refusal.Message)
}

// How FATE-Flow says that it does not have a task, or a job.
//
// Spec: fate-flow-api §2.3.
const (
	noTask = "IndexError("
	noRow  = "Exception('can not found the "
)

// sentence is a text of a peer in one line: of a trace of Python the last one, which tells what was wrong.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if last := strings.LastIndex(text, "\n"); strings.HasPrefix(text, "Traceback") && last >= 0 {
		text = text[last:]
	}
	return cmp.Or(openflow.FirstLine(strings.Join(strings.Fields(text), " ")), "nothing")
}
