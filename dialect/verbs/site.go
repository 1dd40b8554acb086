package verbs

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// whoIsThere is the body of /site: the peer is to call back when CallBack is set.
type whoIsThere struct {
	CallBack bool `json:"call_back,omitempty"`
}

// thisSite answers it: whom the peer takes the caller for, and what came of calling back.
type thisSite struct {
	Caller   string        `json:"caller"`
	CallBack *wire.Problem `json:"call_back,omitempty"` // why the peer does not reach the caller; absent when it does
	NoRoom   *wire.Problem `json:"no_room,omitempty"`   // the peer takes nothing new now, for lack of room; absent when it does
	Version  string        `json:"version,omitempty"`   // what the peer's node runs
}

// Examine implements dialect.Client: it asks the peer whom it takes this node for, and shows what can be seen of it on the
// occasion, also when it refuses. With callBack the peer also tries to reach this node in the same way.
func (c *Client) Examine(ctx context.Context, callBack bool) (seen dialect.Seen, err error) {
	begin := time.Now()
	var answer thisSite
	var header http.Header
	ask := NewClient(c.Link, func(ctx context.Context, call string, body []byte) (Answer, error) {
		got, err := c.exchange(ctx, call, body)
		header = got.Header
		return got, err
	})
	err = ask.call(ctx, site, whoIsThere{CallBack: callBack}, &answer)
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
	if answer.NoRoom != nil {
		p := answer.NoRoom.Heard()
		e := openflow.Errorf(openflow.CodeExhausted, "%s", p.Message)
		e.Party, e.Err = c.Peer, openflow.ErrNoRoom
		seen.NoRoom = e
	}
	switch seen.Caller {
	case string(c.Self):
	case "":
		return seen, c.Unreachable("answered %s without saying whom it takes this node for", site)
	default:
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

// site tells a verified peer whom it has reached, so that it can check an address before it trusts it. It calls back when
// asked, so that an operator sees from one side whether both directions work.
func (s service) site(r *http.Request) (any, error) {
	var b whoIsThere
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	answer := thisSite{Caller: string(dialect.Caller(r)), Version: s.Version}
	if s.Space != nil {
		if err := s.Space(); err != nil {
			answer.NoRoom = wire.Failure(openflow.ForPartners(err)).Error
		}
	}
	if b.CallBack {
		if err := s.Prober.Probe(r.Context(), dialect.Caller(r)); err != nil {
			answer.CallBack = wire.Failure(s.Told(r, err)).Error
		}
	}
	return answer, nil
}
