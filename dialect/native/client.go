package native

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/forms"
	"openflow/dialect/native/envelope"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// Client calls a peer of ours.
type Client struct{ peer.Link }

var (
	_ dialect.Client          = (*Client)(nil)
	_ openflow.PartnerService = (*Client)(nil)
)

// Partner implements dialect.Client.
func (c *Client) Partner() openflow.PartnerService { return c }

// call makes one call and reads the answer's data into into, unless that is nil.
func (c *Client) call(ctx context.Context, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, peer.CallTimeout)
	defer cancel()
	_, err := c.exchange(ctx, path, body, into)
	return err
}

// exchange is call in the caller's time, with the answer's header, which is nil when there was none. A success counts with the peer's signature
// only; a peer that refuses the caller does not sign.
func (c *Client) exchange(ctx context.Context, path string, body, into any) (seen http.Header, err error) {
	defer c.Ended(time.Now(), &err)
	path = prefix + path
	b, err := json.Marshal(body)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", path, err)
	}
	answer, err := c.Do(ctx, path, "application/json", b, nil)
	if err != nil {
		return nil, err
	}
	var e envelope.Envelope
	if err := json.Unmarshal(answer.Body, &e); err != nil {
		return answer.Header, c.Unreachable("answered %s with something that is not JSON", path)
	}
	refusal := e.Err()
	if e.Version != 0 && refusal == nil || answer.Header.Get(peer.SignatureHeader) != "" {
		if err := c.Prove(answer); err != nil {
			return answer.Header, err
		}
	}
	if e.Version == 0 {
		e := openflow.Errorf(openflow.CodeUnauthorized, "the node answers in another dialect than its record says, and without a signature")
		e.Party = c.Peer
		return answer.Header, e.WithHint("see which it speaks: openflow site probe %s; and who is at its address: openflow site list", c.Peer)
	}
	if refusal != nil {
		if !strings.HasPrefix(path, prefix+pathScheduled) {
			refusal = peer.OfItself(c.Peer, refusal)
		}
		return answer.Header, openflow.AtParty(c.Peer, refusal)
	}
	if into == nil {
		return answer.Header, nil
	}
	if err := json.Unmarshal(e.Data, into); err != nil {
		return answer.Header, c.Unreachable("answered %s with unreadable data: %v", path, err)
	}
	return answer.Header, nil
}

// Examine asks the peer whom it takes this node for, and shows what can be seen of it on the occasion, also when it
// refuses. With callBack the peer also tries to reach this node in the same way.
func (c *Client) Examine(ctx context.Context, callBack bool) (seen dialect.Seen, err error) {
	ctx, cancel := context.WithTimeout(ctx, peer.CallTimeout)
	defer cancel()
	begin := time.Now()
	var answer probed
	header, err := c.exchange(ctx, pathSite, probe{CallBack: callBack}, &answer)
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

// OpenJob implements openflow.PartnerService.
func (c *Client) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	dag, err := wire.EncodeDAG(o.DAG)
	if err != nil {
		return openflow.Reservation{}, err
	}
	return c.held(ctx, pathOpen, openJob{forms.PartnerCreateJob{
		JobRef: wire.Ref(o.Key.Job, o.Key.Party), DAG: dag, SchemaVersion: wire.Text(o.DAG.SchemaVersion), Kind: wire.Kind,
		UserName: o.UserName,
	}, o.Later})
}

// Reserve implements openflow.PartnerService.
func (c *Client) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return c.held(ctx, pathReserve, wire.Ref(k.Job, k.Party))
}

func (c *Client) held(ctx context.Context, path string, body any) (openflow.Reservation, error) {
	var answer reservation
	if err := c.call(ctx, path, body, &answer); err != nil {
		return openflow.Reservation{}, err
	}
	r := openflow.Reservation{Held: answer.Held}
	if answer.Short != nil {
		short := openflow.AtParty(c.Peer, peer.OfItself(c.Peer, envelope.Envelope{Error: answer.Short}.Err()))
		var err error
		if r, err = openflow.Reserved(openflow.About(openflow.AboutResource, short)); err != nil {
			return openflow.Reservation{}, err
		}
	}
	return r, nil
}

// Release implements openflow.PartnerService.
func (c *Client) Release(ctx context.Context, k openflow.JobKey) error {
	return c.call(ctx, pathRelease, wire.Ref(k.Job, k.Party), nil)
}

// Tell implements openflow.PartnerService.
func (c *Client) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	return c.call(ctx, pathTell, tell{
		wire.Ref(k.Job, k.Party), wire.Text(n.Status), n.Reason, n.Progress, forms.EncodeTaskUpdates(n.Tasks),
	}, nil)
}

// StopJob implements openflow.PartnerService.
func (c *Client) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	return c.call(ctx, pathStop, stop{wire.Ref(k.Job, k.Party), wire.Text(end.Status), end.Reason, forms.EncodeTaskUpdates(end.Tasks)}, nil)
}

// StartTask implements openflow.PartnerService.
func (c *Client) StartTask(ctx context.Context, o openflow.TaskStart) error {
	return c.call(ctx, pathStart, start{forms.TaskRefOf(o.TaskKey), o.StartsJob, forms.EncodeTaskUpdates(o.Ended)}, nil)
}

// AskTask implements openflow.PartnerService.
func (c *Client) AskTask(ctx context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	var answer forms.TaskState
	if err := c.call(ctx, pathAsk, forms.TaskRefOf(k), &answer); err != nil {
		return openflow.TaskStanding{Key: k}, err
	}
	at := answer.Decode(k)
	if !at.PartyStatus.Valid() {
		return at, c.Unreachable("told an unknown status %q of %s", answer.PartyStatus, k)
	}
	return at, nil
}
