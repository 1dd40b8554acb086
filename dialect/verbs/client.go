// Package verbs is what two nodes say to each other, with one call for each verb of the domain's partner and scheduler
// interfaces, and one that asks who is there. A dialect that says no more than this carries the calls: it brings a prefix and
// an envelope. [Client] makes the calls and [Mount] serves them. Start reading at [Exchange].
package verbs

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"openflow"
	"openflow/dialect/forms"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// The calls, as the ends of their paths.
const (
	site      = "/site"
	open      = "/job/open"
	reserve   = "/job/reserve"
	release   = "/job/release"
	tell      = "/job/tell"
	stop      = "/job/stop"
	start     = "/task/start"
	ask       = "/task/ask"
	scheduled = "/scheduled" // begins those of a scheduler, which passes on what others have said
	schedule  = scheduled + "/create"
	end       = scheduled + "/stop"
	rerun     = scheduled + "/rerun"
	wake      = scheduled + "/wake"
	ended     = scheduled + "/ended"
	report    = scheduled + "/report"
)

// Exchange carries a call with a body of JSON to the peer, once, and returns what the peer has answered. An error is that
// it has given no answer that can be used: peer.Link makes such errors.
type Exchange func(ctx context.Context, call string, body []byte) (Answer, error)

// Answer is what a peer has said: data, or why it refuses.
type Answer struct {
	Header  http.Header // of what has answered, also beside an error; nil: nothing has
	Data    json.RawMessage
	Refusal *wire.Problem
}

// Client calls a peer.
type Client struct {
	peer.Link
	exchange Exchange
}

var _ openflow.PartnerService = (*Client)(nil)

// NewClient returns a client of the peer at the end of a link.
func NewClient(l peer.Link, e Exchange) *Client { return &Client{l, e} }

// Partner is the peer as a participant.
func (c *Client) Partner() openflow.PartnerService { return c }

// call makes one call and reads the answer's data into into, unless that is nil. It takes no longer than peer.CallTimeout.
// A call that is none of the verbs is one of the dialect's own.
func (c *Client) call(ctx context.Context, call string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, peer.CallTimeout)
	defer cancel()
	return c.carry(ctx, call, body, into)
}

// carry is Call in the caller's time.
func (c *Client) carry(ctx context.Context, call string, body, into any) (err error) {
	defer c.Ended(time.Now(), &err)
	b, err := json.Marshal(body)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", call, err)
	}
	answer, err := c.exchange(ctx, call, b)
	if err != nil {
		return err
	}
	if refusal := forms.Refusal(answer.Refusal); refusal != nil {
		if !strings.HasPrefix(call, scheduled) {
			refusal = peer.OfItself(c.Peer, refusal)
		}
		return openflow.AtParty(c.Peer, refusal)
	}
	if into == nil {
		return nil
	}
	if err := wire.Unmarshal(answer.Data, into); err != nil {
		return c.Unreadable(call, err)
	}
	if _, err := wire.Hear(into); err != nil {
		return c.Unreadable(call, err)
	}
	return nil
}

// OpenJob implements openflow.PartnerService.
func (c *Client) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	body, err := forms.EncodeOrder(o)
	if err != nil {
		return openflow.Reservation{}, err
	}
	return c.held(ctx, open, openJob{body, o.Later}, o.Later)
}

// Reserve implements openflow.PartnerService.
func (c *Client) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return c.held(ctx, reserve, wire.Ref(k.Job, k.Party), false)
}

// held asks for resources, unless that comes later. A peer that neither grants them nor says why has not answered.
func (c *Client) held(ctx context.Context, call string, body any, later bool) (openflow.Reservation, error) {
	var answer reservation
	if err := c.call(ctx, call, body, &answer); err != nil {
		return openflow.Reservation{}, err
	}
	if answer.Short == nil && !answer.Held && !later {
		return openflow.Reservation{}, c.Unreachable("answered %s without saying whether the job has its resources", call)
	}
	spoken, err := forms.DecodeSpoken(answer.Spoken)
	if err != nil {
		return openflow.Reservation{}, c.Unreadable(call, err)
	}
	if answer.Short == nil {
		return openflow.Reservation{Held: answer.Held, Spoken: spoken}, nil
	}
	short := openflow.AtParty(c.Peer, peer.OfItself(c.Peer, forms.Refusal(answer.Short)))
	got, err := openflow.Reserved(openflow.About(openflow.AboutResource, short))
	got.Spoken = spoken
	return got, err
}

// Release implements openflow.PartnerService.
func (c *Client) Release(ctx context.Context, k openflow.JobKey) error {
	return c.call(ctx, release, wire.Ref(k.Job, k.Party), nil)
}

// Tell implements openflow.PartnerService.
func (c *Client) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	return c.call(ctx, tell, tellJob{
		wire.Ref(k.Job, k.Party), wire.Text(n.Status), n.Reason, forms.Percent(n.Progress), forms.EncodeTaskUpdates(n.Tasks),
	}, nil)
}

// StopJob implements openflow.PartnerService.
func (c *Client) StopJob(ctx context.Context, k openflow.JobKey, e openflow.JobEnd) error {
	return c.call(ctx, stop, stopJob{wire.Ref(k.Job, k.Party), wire.Text(e.Status), e.Reason, forms.EncodeTaskUpdates(e.Tasks)}, nil)
}

// StartTask implements openflow.PartnerService.
func (c *Client) StartTask(ctx context.Context, o openflow.TaskStart) error {
	return c.call(ctx, start, startTask{forms.TaskRefOf(o.TaskKey), o.StartsJob, wire.Protocol(o.Protocol), forms.EncodeTaskUpdates(o.Ended)}, nil)
}

// AskTask implements openflow.PartnerService.
func (c *Client) AskTask(ctx context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	var answer forms.TaskAnswer
	if err := c.call(ctx, ask, forms.TaskRefOf(k), &answer); err != nil {
		return openflow.TaskStanding{Key: k}, err
	}
	at := answer.Decode(k)
	if !at.PartyStatus.Valid() {
		return at, c.Unreachable("told an unknown status %q of %s", answer.PartyStatus, k)
	}
	return at, nil
}
