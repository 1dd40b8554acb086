package catalogue

import (
	"context"
	"time"

	"openflow"
	"openflow/site/admission"
)

// The queue of a site is its jobs that were refused resources and have neither got them nor ended since. Its queries are
// answered by indices that hold nothing else, so they cost the same whatever number of jobs the catalogue has.
const (
	inQueue      = ` from job where waiting_since > 0 and end_time = 0`
	waitingPeers = `select distinct peer` + inQueue
	leaveQueue   = `update job set waiting_since = 0, woken = 0 where ` + jobKey + ` and waiting_since > 0`
)

// claimRow is what the queue knows of a job.
type claimRow struct {
	keyRow
	needRow
	Peer     string `db:"peer"`
	Age      int64  `db:"age"`
	Priority int    `db:"priority"`
	Since    int64  `db:"waiting_since"`
	Asked    int64  `db:"asked"`
	Woken    int64  `db:"woken"`
}

var (
	claimColumns = columnsOf[claimRow]()

	toldClaims = `select ` + claimColumns.names + ` from job where woken > 0 and woken > $1 and end_time = 0`
	// The claims of one peer, so that no number of its jobs hides those of another.
	lateClaims = `select ` + claimColumns.names + inQueue + ` and peer = $1 and waiting_since <= $2 and asked > $3
		and cores <= $4 and memory <= $5 and gpus <= $6 order by age limit $7`
	fittingClaims = `select ` + claimColumns.names + inQueue + ` and peer = $1 and (cores <= $2 or cores = 0) and (memory <= $3 or memory = 0)
		and (gpus <= $4 or gpus = 0) and (woken = 0 or (woken <= $5 and 2 * woken - waiting_since <= $6))
		order by priority desc, age limit $7`
)

// wakeBatch bounds how many jobs are told at once. What is still free then is offered in the next round.
const wakeBatch = 64

func scanClaim(from row) (admission.Claim, error) {
	r, err := claimColumns.scan(from)
	return admission.Claim{
		Job: r.key(), Peer: openflow.PartyID(r.Peer), Need: r.resources(), Age: r.Age, Priority: r.Priority, Since: timeOf(r.Since), Asked: timeOf(r.Asked), Woken: timeOf(r.Woken),
	}, err
}

// claims collects rows, each once.
type claims struct {
	list []admission.Claim
	seen map[openflow.JobKey]bool
}

func (s *claims) add(r row) error {
	c, err := scanClaim(r)
	if err != nil || s.seen[c.Job] {
		return err
	}
	if s.seen == nil {
		s.seen = map[openflow.JobKey]bool{}
	}
	s.seen[c.Job] = true
	s.list = append(s.list, c)
	return nil
}

// quotas are what the peers that have jobs in the queue may still take. One without a bound, as the site itself, is not in
// bounded.
type quotas struct {
	peers   []openflow.PartyID
	bounded map[openflow.PartyID]openflow.Resources
}

// eachRow reads every row of a query, in a transaction or not.
type eachRow func(query string, scan func(row) error, args ...any) error

// queuing reads them. The peers are read before the next query, since a transaction has one connection.
func queuing(ctx context.Context, one oneRow, each eachRow, rule openflow.Quota) (quotas, error) {
	q := quotas{bounded: map[openflow.PartyID]openflow.Resources{}}
	err := each(waitingPeers, func(r row) error {
		var peer openflow.PartyID
		err := r.Scan(&peer)
		q.peers = append(q.peers, peer)
		return err
	})
	for _, peer := range q.peers {
		if err != nil {
			return q, err
		}
		var left openflow.Resources
		var bounded bool
		if left, bounded, err = leftOf(ctx, one, peer, rule); bounded {
			q.bounded[peer] = left
		}
	}
	return q, err
}

// late are the arguments of lateClaims: what waits for jobs of its own peer only holds up nobody.
func (q quotas) late(peer openflow.PartyID, h admission.Horizon) []any {
	left, bounded := q.bounded[peer]
	if !bounded {
		left = openflow.Quota{}.Holds()
	}
	return append(append([]any{string(peer), h.Overdue.UnixMilli(), h.Silent.UnixMilli()}, amounts(left)...), wakeBatch)
}

// first reads the claims that an application has to respect: who has been told to come, or is about to be, and who is not to
// be passed. The claim itself counts already as what its peer holds.
func (t *tx) first(
	ctx context.Context, claim admission.Claim, free openflow.Resources, rules admission.Rules, now time.Time,
) ([]admission.Claim, error) {
	each := func(query string, scan func(row) error, args ...any) error { return t.each(ctx, query, scan, args...) }
	q, err := queuing(ctx, t.one, each, rules.Quota)
	if err != nil {
		return nil, err
	}
	if left, bounded := q.bounded[claim.Peer]; bounded {
		q.bounded[claim.Peer] = left.Plus(claim.Need)
	}
	s, err := q.offered(each, free, rules.Horizon(now))
	if err == nil {
		err = q.heeded(each, &s, rules.Horizon(now))
	}
	return s.list, err
}

// NotWoken takes back that a job was told, because it could not be: its turn comes again.
func (c *Catalogue) NotWoken(ctx context.Context, k openflow.JobKey) error {
	_, err := c.exec(ctx, `update job set woken = 0 where `+jobKey+` and woken > 0`, keyArgs(k)...)
	return classify("update "+k.String(), err)
}

// NobodyWoken takes back whatever jobs were told and have not come for. A process begins with it: the one before may have
// died between choosing a job and telling it.
func (c *Catalogue) NobodyWoken(ctx context.Context) error {
	_, err := c.exec(ctx, `update job set woken = 0 where woken > 0`)
	return classify("update the queue", err)
}

// NextToWake chooses which of the jobs that wait here can have what they need now, in the order of their turns, and keeps
// that for them for a moment. A job that does not ask again is chosen anew, ever more rarely. It reads only while there is
// nothing to offer.
func (c *Catalogue) NextToWake(ctx context.Context, capacity openflow.Resources, rules admission.Rules) ([]openflow.JobKey, error) {
	now := c.stamp()
	used, err := c.CapacityUse(ctx)
	if err != nil {
		return nil, err
	}
	free := capacity.Minus(used)
	h := rules.Horizon(timeOf(now))
	each := func(query string, scan func(row) error, args ...any) error { return c.each(ctx, query, args, scan) }
	q, err := queuing(ctx, c.one, each, rules.Quota)
	if err != nil {
		return nil, classify("read the queue", err)
	}
	s, err := q.offered(each, free, h)
	if err != nil || len(s.list) == 0 {
		return nil, classify("read the queue", err) // or nobody waits for what is free
	}
	if err := q.heeded(each, &s, h); err != nil {
		return nil, classify("read the queue", err)
	}
	var keys []openflow.JobKey
	err = c.write(ctx, func(t *tx) error {
		keys = nil
		for _, claim := range rules.Next(free, q.bounded, s.list, timeOf(now)) {
			n, err := t.exec(ctx, `update job set woken = $5 where `+jobKey+` and waiting_since > 0 and woken <= $6`,
				keyArgs(claim.Job, now, h.Told.UnixMilli())...)
			if err != nil {
				return err
			}
			if n > 0 { // another replica has not been faster
				keys = append(keys, claim.Job)
			}
		}
		return nil
	})
	return keys, classify("choose waiting jobs", err)
}

// offered reads whose turn it may be.
func (q quotas) offered(each eachRow, free openflow.Resources, h admission.Horizon) (s claims, err error) {
	for _, peer := range q.peers {
		fits := free
		if left, bounded := q.bounded[peer]; bounded {
			fits = free.Min(left)
		}
		args := append(append([]any{string(peer)}, amounts(fits)...), h.Lost.UnixMilli(), h.Now.UnixMilli(), wakeBatch)
		if err := each(fittingClaims, s.add, args...); err != nil {
			return s, err
		}
	}
	return s, nil
}

// heeded adds whom they may have to respect: who is not to be passed, and who has been told.
func (q quotas) heeded(each eachRow, s *claims, h admission.Horizon) error {
	for _, peer := range q.peers {
		if err := each(lateClaims, s.add, q.late(peer, h)...); err != nil {
			return err
		}
	}
	return each(toldClaims, s.add, h.Told.UnixMilli())
}
