package catalogue

import (
	"context"

	"openflow"
	"openflow/site/admission"
)

// The queue of a site is its jobs that were refused resources and have neither got them nor ended since. Its queries are
// answered by indices that hold nothing else, so they cost the same whatever number of jobs the catalogue has.
const (
	inQueue    = ` from job where waiting_since > 0 and end_time = 0`
	leaveQueue = `update job set waiting_since = 0, woken = 0 where ` + jobKey + ` and waiting_since > 0`
)

// claimRow is what the queue knows of a job.
type claimRow struct {
	keyRow
	needRow
	Priority int   `db:"priority"`
	Since    int64 `db:"waiting_since"`
	Asked    int64 `db:"asked"`
	Woken    int64 `db:"woken"`
}

var (
	claimColumns = columnsOf[claimRow]()

	toldClaims = `select ` + claimColumns.names + ` from job where woken > 0 and woken > $1 and end_time = 0`
	lateClaims = `select ` + claimColumns.names + inQueue + ` and waiting_since <= $1 and asked > $2
		order by job_id, scheduler, role, party limit $3`
	fittingClaims = `select ` + claimColumns.names + inQueue + ` and (cores <= $1 or cores = 0) and (memory <= $2 or memory = 0)
		and (gpus <= $3 or gpus = 0) and (woken = 0 or (woken <= $4 and 2 * woken - waiting_since <= $5))
		order by priority desc, job_id, scheduler, role, party limit $6`
)

// wakeBatch bounds how many jobs are told at once. What is still free then is offered in the next round.
const wakeBatch = 64

func scanClaim(from row) (admission.Claim, error) {
	r, err := claimColumns.scan(from)
	return admission.Claim{
		Job: r.key(), Need: r.resources(), Priority: r.Priority, Since: timeOf(r.Since), Asked: timeOf(r.Asked), Woken: timeOf(r.Woken),
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

// first reads the claims that an application has to respect: who has been told to come, and who is not to be passed.
func (t *tx) first(ctx context.Context, h admission.Horizon) ([]admission.Claim, error) {
	var s claims
	if err := t.each(ctx, toldClaims, s.add, h.Told.UnixMilli()); err != nil {
		return nil, err
	}
	err := t.each(ctx, lateClaims, s.add, h.Overdue.UnixMilli(), h.Silent.UnixMilli(), wakeBatch)
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
	var s claims
	for _, q := range []struct {
		query string
		args  []any
	}{
		{fittingClaims, append(amounts(free), h.Lost.UnixMilli(), h.Now.UnixMilli(), wakeBatch)},
		{lateClaims, []any{h.Overdue.UnixMilli(), h.Silent.UnixMilli(), wakeBatch}},
		{toldClaims, []any{h.Told.UnixMilli()}},
	} {
		if err := c.each(ctx, q.query, q.args, s.add); err != nil {
			return nil, classify("read the queue", err)
		}
		if len(s.list) == 0 {
			return nil, nil // nobody waits for what is free
		}
	}
	var keys []openflow.JobKey
	err = c.write(ctx, func(t *tx) error {
		keys = nil
		for _, claim := range rules.Next(free, s.list, timeOf(now)) {
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
