package peers

import (
	"context"
	"sync"
	"time"

	"openflow"
)

// Pace bounds how many calls and bytes a peer may send to this process: replicas of a node each allow as much. A peer may be
// ahead of its pace for a while, since jobs begin and end together. It is asked about proven peers only, so it knows no more
// names than there are records.
type Pace struct {
	Quota func(ctx context.Context, peer openflow.PartyID) (openflow.Quota, error) // what the operator has said
	Rule  openflow.Quota                                                           // of peers of which nothing is said
	Now   func() time.Time
	// Refused is told of a refusal, no more often than once in tellEvery for a peer; nil: nobody is.
	Refused func(ctx context.Context, peer openflow.PartyID, why error)

	mu    sync.Mutex
	peers map[openflow.PartyID]*allowance
}

const (
	// ahead is how far a peer may be ahead with calls: so many may come at once.
	ahead = 10 * time.Second
	// reread is how long a changed quota may be unknown to the pace.
	reread = 10 * time.Second
	// tellEvery is how often a peer's refusals are told of: what costs the peer nothing is to cost this site little.
	tellEvery = time.Minute
)

// allowance is what a peer may send at once.
type allowance struct {
	quota openflow.Quota
	read  time.Time // the quota
	at    time.Time // to which calls and bytes have grown
	calls float64
	bytes float64
	told  time.Time // of a refusal
}

// Call takes a call of so many bytes. CodeExhausted: too many.
func (p *Pace) Call(ctx context.Context, peer openflow.PartyID, bytes int64) error {
	return p.take(ctx, peer, 1, bytes)
}

// Message takes a message between containers, which counts by its bytes alone.
func (p *Pace) Message(ctx context.Context, peer openflow.PartyID, bytes int64) error {
	return p.take(ctx, peer, 0, bytes)
}

func (p *Pace) take(ctx context.Context, peer openflow.PartyID, calls float64, bytes int64) error {
	now := p.Now()
	q, err := p.quota(ctx, peer, now)
	if err != nil {
		return err
	}
	refused, tell := p.spend(peer, q, now, calls, bytes)
	if tell && p.Refused != nil {
		p.Refused(ctx, peer, refused)
	}
	if refused != nil {
		return refused
	}
	return nil
}

// spend takes what a peer has left, or refuses, and then says whether that is to be told.
func (p *Pace) spend(peer openflow.PartyID, q openflow.Quota, now time.Time, calls float64, bytes int64) (refused *openflow.Error, tell bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.peers[peer]
	defer func() {
		if tell = refused != nil && now.Sub(a.told) >= tellEvery; tell {
			a.told = now
		}
	}()
	perSecond, perMinute := float64(q.Calls), float64(q.Bytes)
	passed := max(now.Sub(a.at), 0).Seconds()
	a.at = now
	a.calls = min(a.calls+passed*perSecond, perSecond*ahead.Seconds())
	a.bytes = min(a.bytes+passed*perMinute/60, perMinute)
	switch {
	case q.Calls > 0 && a.calls < calls:
		return openflow.OverQuota(openflow.CodeExhausted, peer, "calls this site more often than its %d calls a second", q.Calls), false
	case q.Bytes > 0 && a.bytes <= 0: // the largest request is taken, too, and those after it wait for longer
		return openflow.OverQuota(openflow.CodeExhausted, peer, "sends this site more than its %s a minute", openflow.FormatBytes(q.Bytes)), false
	}
	a.calls -= calls
	a.bytes -= float64(bytes)
	return nil, false
}

// quota is what holds for a peer now. A refusal costs no look into the catalogue.
func (p *Pace) quota(ctx context.Context, peer openflow.PartyID, now time.Time) (openflow.Quota, error) {
	p.mu.Lock()
	a := p.peers[peer]
	if a != nil && now.Sub(a.read) < reread {
		defer p.mu.Unlock()
		return a.quota, nil
	}
	p.mu.Unlock()
	said, err := p.Quota(ctx, peer)
	if err != nil {
		return said, err
	}
	q := said.Or(p.Rule)
	p.mu.Lock()
	defer p.mu.Unlock()
	if a = p.peers[peer]; a == nil {
		if p.peers == nil {
			p.peers = map[openflow.PartyID]*allowance{}
		}
		a = &allowance{at: now, calls: float64(q.Calls) * ahead.Seconds(), bytes: float64(q.Bytes)}
		p.peers[peer] = a
	}
	a.quota, a.read = q, now
	return q, nil
}
