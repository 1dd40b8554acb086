package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

// quotaRow is a row of the table quota.
type quotaRow struct {
	Party    string `db:"party"`
	Jobs     int    `db:"jobs"`
	Waiting  int    `db:"waiting"`
	Cores    int    `db:"cores"`
	Memory   int64  `db:"memory"`
	GPUs     int    `db:"gpus"`
	Calls    int    `db:"calls"`
	Bytes    int64  `db:"bytes"`
	Priority int    `db:"priority"`
}

var (
	quotaColumns = columnsOf[quotaRow]()
	saveQuota    = quotaColumns.save("quota", "party")
	readQuota    = `select ` + quotaColumns.names + ` from quota where party = $1`
)

const (
	deleteQuota = `delete from quota where party = $1`
	openJobs    = `select count(*) from job where peer = $1 and end_time = 0 and peer <> ''`
	places      = `select count(*)` + inQueue + ` and peer = $1`
	peerHolds   = `select cast(coalesce(sum(cores), 0) as bigint), cast(coalesce(sum(memory), 0) as bigint),
		cast(coalesce(sum(gpus), 0) as bigint) from job where peer = $1 and resource_in_use`
)

// SaveQuota records what a peer may use, in place of what it could before. Fields that are zero are the site's rule.
func (c *Catalogue) SaveQuota(ctx context.Context, peer openflow.PartyID, q openflow.Quota) error {
	if err := q.Check(); err != nil {
		return err
	}
	_, err := c.exec(ctx, saveQuota, quotaColumns.values(quotaRow{
		Party: string(peer), Jobs: q.Jobs, Waiting: q.Waiting, Cores: q.Cores, Memory: q.Memory, GPUs: q.GPUs, Calls: q.Calls, Bytes: q.Bytes,
		Priority: q.Priority,
	})...)
	return classify("save the quota of party "+string(peer), err)
}

// Quota is what the operator has said of a peer; zero: nothing.
func (c *Catalogue) Quota(ctx context.Context, peer openflow.PartyID) (openflow.Quota, error) {
	q, err := scanQuota(c.one(ctx, readQuota, string(peer)))
	return q, classify("read the quota of party "+string(peer), err)
}

func scanQuota(from row) (openflow.Quota, error) {
	r, err := quotaColumns.scan(from)
	if errors.Is(err, sql.ErrNoRows) {
		return openflow.Quota{}, nil
	}
	return openflow.Quota{
		Jobs: r.Jobs, Waiting: r.Waiting, Cores: r.Cores, Memory: r.Memory, GPUs: r.GPUs, Calls: r.Calls, Bytes: r.Bytes, Priority: r.Priority,
	}, err
}

// PeerUse is what a peer has here: jobs that have not ended, those of them in the queue, and what its jobs hold.
func (c *Catalogue) PeerUse(ctx context.Context, peer openflow.PartyID) (openflow.PeerUse, error) {
	var u openflow.PeerUse
	err := c.one(ctx, openJobs, string(peer)).Scan(&u.Jobs)
	if err == nil {
		err = c.one(ctx, places, string(peer)).Scan(&u.Waiting)
	}
	if err == nil {
		u.Held, err = scanNeed(c.one(ctx, peerHolds, string(peer)))
	}
	return u, classify("read what party "+string(peer)+" uses", err)
}

// one is a query of a single row, in a transaction or not.
type oneRow func(ctx context.Context, query string, args ...any) row

// quota is what holds for a peer.
func quotaFor(ctx context.Context, one oneRow, peer openflow.PartyID, rule openflow.Quota) (openflow.Quota, error) {
	q, err := scanQuota(one(ctx, readQuota, string(peer)))
	return q.Or(rule), err
}

// admits refuses so many more jobs of a peer, beside those whose rows are there, when that is too many. count is the query of
// those rows: openJobs of the jobs in which this site takes part, and scheduledOf of those that it schedules.
func admits(ctx context.Context, one oneRow, count string, peer openflow.PartyID, rule openflow.Quota, more int) error {
	if peer == "" {
		return nil
	}
	q, err := quotaFor(ctx, one, peer, rule)
	if err != nil || q.Jobs == 0 {
		return err
	}
	var open int
	if err := one(ctx, count, string(peer)).Scan(&open); err != nil {
		return err
	}
	if open+more > q.Jobs {
		return tooMany(peer, q.Jobs)
	}
	return nil
}

// MayAdmit is an early look at a job that is not here yet: AdmitJob has the last word. Errors: CodeExhausted (its peer has as many
// jobs as it may have), CodePermission (it is signed, and was deleted here).
func (c *Catalogue) MayAdmit(ctx context.Context, rule openflow.Quota, j openflow.JobRecord) error {
	err := error(nil)
	if j.Signed {
		err = notAgain(ctx, c.one, j.Key(), c.stamp())
	}
	if err == nil {
		err = admits(ctx, c.one, openJobs, j.Peer, rule, 1)
	}
	return classify("create "+j.Key().String(), err)
}

func tooMany(peer openflow.PartyID, most int) error {
	return openflow.About(openflow.AboutResource, openflow.OverQuota(openflow.CodeExhausted, peer, "has %d jobs under way at this site, which is as many as it may have", most))
}

// leftOf is what a peer's jobs may still take. ok is false where nothing bounds them.
func leftOf(ctx context.Context, one oneRow, peer openflow.PartyID, rule openflow.Quota) (left openflow.Resources, ok bool, err error) {
	if peer == "" {
		return left, false, nil
	}
	q, err := quotaFor(ctx, one, peer, rule)
	if err != nil {
		return left, false, err
	}
	held, err := scanNeed(one(ctx, peerHolds, string(peer)))
	return q.Holds().Minus(held), true, err
}
