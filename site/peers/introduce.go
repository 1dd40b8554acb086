package peers

import (
	"context"
	"time"

	"openflow"
)

// Named is a peer that the start of a node names, beside what this node has recorded of that party.
type Named struct {
	Peer
	Record  openflow.SiteRecord
	Known   bool      // there is a record
	Removed time.Time // when the party was removed that is no peer now; zero: never
}

// Look finds what is recorded of a peer that the start names.
func (r Register) Look(ctx context.Context, p Peer) (Named, error) {
	n := Named{Peer: p}
	var err error
	if n.Record, err = r.Records.Site(ctx, p.Party); openflow.CodeOf(err) != openflow.CodeNotFound {
		n.Known = err == nil
		return n, err
	}
	n.Removed, err = r.Records.SiteRemoved(ctx, p.Party)
	return n, err
}

// Introduce registers a peer that the start of a node names, and tells whether it did. Whoever has a record keeps it as it is, and
// whoever was removed stays so: an operator has said that since. The audit has a row for what was registered.
func (r Register) Introduce(ctx context.Context, p Peer) (registered bool, err error) {
	n, err := r.Look(ctx, p)
	if err != nil || n.Known || !n.Removed.IsZero() {
		return false, err
	}
	made, err := r.Dialects.Complete(openflow.SiteRecord{Party: p.Party, URL: p.URL, Keys: []string{p.Key}, Plain: p.Plain, AddedAt: time.Now()})
	if err != nil {
		return false, err
	}
	_, err = r.Records.ChangeSite(ctx, p.Party, func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
		if registered = !known; known { // another server of this party was faster
			return have, nil
		}
		return made, nil
	})
	if err != nil || !registered {
		return false, err
	}
	return true, r.Records.AppendAudit(ctx, openflow.AuditEvent{
		Actor: "openflow server --peer", Action: "site/add", Subject: string(p.Party), Detail: openflow.SiteRecord{}.Changes(made),
	})
}
