package catalogue

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"reflect"
	"strings"

	"openflow"
	"openflow/store/document"
)

// grantRow is a row of the table access_grant.
type grantRow struct {
	ID        string `db:"id"`
	Kind      string `db:"kind"`
	Initiator string `db:"initiator"`
	Scheduler string `db:"scheduler"`
	Uses      int    `db:"uses"`
	Used      int    `db:"used"`
	Until     int64  `db:"until"`
	Made      int64  `db:"create_time"`
	By        string `db:"made_by"`
	Purpose   string `db:"purpose"`
	Terms     string `db:"terms"` // JSON
}

// useRow is a row of the table grant_use: a job was created here on a grant.
type useRow struct {
	Job       string `db:"job_id"`
	Scheduler string `db:"scheduler"`
	Grant     string `db:"grant_id"`
}

var (
	grantColumns = columnsOf[grantRow]()
	insertGrant  = grantColumns.insert("access_grant")
	useColumns   = columnsOf[useRow]()
	insertUse    = useColumns.insert("grant_use") + ` on conflict do nothing`
)

func scanGrant(from row) (openflow.Grant, error) {
	r, err := grantColumns.scan(from)
	if err != nil {
		return openflow.Grant{}, err
	}
	g := openflow.Grant{
		ID: openflow.GrantID(r.ID), Kind: openflow.GrantKind(r.Kind), Initiator: openflow.PartyID(r.Initiator),
		Scheduler: openflow.PartyID(r.Scheduler), Uses: r.Uses, Used: r.Used, Until: timeOf(r.Until), Made: timeOf(r.Made), By: r.By,
		Purpose: r.Purpose,
	}
	var terms document.GrantTerms
	err = decode("grant "+r.ID, r.Terms, &terms)
	terms.DecodeInto(&g)
	return g, err
}

// maxGrants bounds the grants of a site: every decision reads those of its initiator and scheduler.
const maxGrants = 10_000

// AddGrant allows something to peers, and returns the grant with its ID. One that says the same and counts no uses is that
// grant. Errors: CodeInvalid, CodeExhausted (there are too many).
func (c *Catalogue) AddGrant(ctx context.Context, g openflow.Grant) (openflow.Grant, error) {
	if err := g.Check(); err != nil {
		return g, err
	}
	terms, err := encode("the grant", document.EncodeTerms(g))
	if err != nil {
		return g, err
	}
	g.Used, g.Made, g.Until = 0, timeOf(orNow(g.Made, c.stamp())), timeOf(millis(g.Until))
	g.ID = openflow.GrantID("g-" + strings.ToLower(rand.Text()[:8]))
	err = c.write(ctx, func(t *tx) error {
		have, err := t.grants(ctx, `where kind = $1 and initiator = $2 and scheduler = $3`, string(g.Kind), string(g.Initiator), string(g.Scheduler))
		if err != nil {
			return err
		}
		for _, h := range have {
			same := h
			same.ID, same.Made, same.By, same.Used = g.ID, g.Made, g.By, g.Used
			if g.Uses == 0 && reflect.DeepEqual(document.EncodeTerms(same), document.EncodeTerms(g)) && same.Purpose == g.Purpose &&
				same.Uses == 0 && same.Until.Equal(g.Until) {
				g = h
				return nil
			}
		}
		var n int
		if err := t.one(ctx, `select count(*) from access_grant`).Scan(&n); err != nil {
			return err
		}
		if n >= maxGrants {
			return openflow.Errorf(openflow.CodeExhausted, "there are %d grants here", n).WithHint("openflow grant remove takes back what is not needed")
		}
		_, err = t.exec(ctx, insertGrant, grantColumns.values(grantRow{
			ID: string(g.ID), Kind: string(g.Kind), Initiator: string(g.Initiator), Scheduler: string(g.Scheduler), Uses: g.Uses,
			Until: millis(g.Until), Made: millis(g.Made), By: g.By, Purpose: g.Purpose, Terms: terms,
		})...)
		return err
	})
	return g, classify("add a grant", err)
}

func (t *tx) grants(ctx context.Context, where string, args ...any) (grants []openflow.Grant, err error) {
	err = t.each(ctx, `select `+grantColumns.names+` from access_grant `+where, func(r row) error {
		g, err := scanGrant(r)
		grants = append(grants, g)
		return err
	}, args...)
	return grants, err
}

// Grant returns a grant. CodeNotFound: there is none of that ID.
func (c *Catalogue) Grant(ctx context.Context, id openflow.GrantID) (openflow.Grant, error) {
	g, err := scanGrant(c.one(ctx, `select `+grantColumns.names+` from access_grant where id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return g, notFound("there is no grant %q here", openflow.Cut(string(id), 80))
	}
	return g, classify("read grant "+string(id), err)
}

// DeleteGrant takes a grant back, and returns it. CodeNotFound: there is none of that ID.
func (c *Catalogue) DeleteGrant(ctx context.Context, id openflow.GrantID) (openflow.Grant, error) {
	g, err := c.Grant(ctx, id)
	if err != nil {
		return g, err
	}
	_, err = c.exec(ctx, `delete from access_grant where id = $1`, string(id))
	return g, classify("delete grant "+string(id), err)
}

// Grants lists what is granted to a party, as an initiator or as a scheduler, oldest first; with an empty party, all grants.
func (c *Catalogue) Grants(ctx context.Context, p openflow.PartyID) ([]openflow.Grant, error) {
	w := &where{}
	if p != "" {
		w.add("(initiator = ? or scheduler = ?)", string(p), string(p))
	}
	return c.grantsWhere(ctx, w)
}

// GrantsFor lists the grants that can permit a job of these two something.
func (c *Catalogue) GrantsFor(ctx context.Context, initiator, scheduler openflow.PartyID) ([]openflow.Grant, error) {
	w := &where{}
	w.add("initiator in ('', ?) and scheduler in ('', ?)", string(initiator), string(scheduler))
	return c.grantsWhere(ctx, w)
}

// GrantsOfJob lists the grants on which a job was created here that are still there, and tells how many there were.
func (c *Catalogue) GrantsOfJob(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) (grants []openflow.Grant, were int, err error) {
	err = c.one(ctx, `select count(*) from grant_use where scheduler = $1 and job_id = $2`, string(scheduler), string(job)).Scan(&were)
	if err != nil || were == 0 {
		return nil, were, classify("read the grants of job "+string(job), err)
	}
	w := &where{}
	w.add("id in (select grant_id from grant_use where scheduler = ? and job_id = ?)", string(scheduler), string(job))
	grants, err = c.grantsWhere(ctx, w)
	return grants, were, err
}

func (c *Catalogue) grantsWhere(ctx context.Context, w *where) (grants []openflow.Grant, err error) {
	err = c.each(ctx, `select `+grantColumns.names+` from access_grant`+w.String()+` order by create_time, id`, w.args, func(r row) error {
		g, err := scanGrant(r)
		grants = append(grants, g)
		return err
	})
	return grants, classify("list grants", err)
}

// UseGrants has a job that is here go on on these grants, and no longer on those that are gone or have expired. Each is used
// once by a job, however often that is said. Errors: CodePermission (one has no use left, has expired or is gone; then
// nothing changes).
func (c *Catalogue) UseGrants(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID, ids []openflow.GrantID) error {
	return classify("use grants for job "+string(job), c.write(ctx, func(t *tx) error {
		if _, err := t.exec(ctx, forgetOver, string(scheduler), string(job), t.c.stamp()); err != nil {
			return err
		}
		return t.useGrants(ctx, scheduler, job, ids)
	}))
}

// useGrants counts one use of each grant for a job, unless it has counted before: for another role of this site in the job, or
// for its scheduling. The row of a use has the key that two transactions cannot both make, and the grant's row changes
// only while it has a use left, so the last use is one job's.
func (t *tx) useGrants(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID, ids []openflow.GrantID) error {
	for _, id := range ids {
		n, err := t.exec(ctx, insertUse, useColumns.values(useRow{string(job), string(scheduler), string(id)})...)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		n, err = t.exec(ctx, `update access_grant set used = used + 1 where id = $1 and (uses = 0 or used < uses)
			and (until = 0 or until > $2)`, string(id), t.c.stamp())
		if err != nil {
			return err
		}
		if n == 0 {
			return t.noUse(ctx, id)
		}
	}
	return nil
}

// noUse tells why a grant cannot be used.
func (t *tx) noUse(ctx context.Context, id openflow.GrantID) error {
	g, err := scanGrant(t.one(ctx, `select `+grantColumns.names+` from access_grant where id = $1`, string(id)))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return openflow.Errorf(openflow.CodePermission, "grant %s has been taken back", id)
	case err != nil:
		return err
	}
	return g.NoUse()
}

const (
	// forgetUses follows the deletion of a job's row: what it has used counts on, but nobody asks any more whether it has.
	forgetUses = `delete from grant_use where job_id = $1
		and not exists (select 1 from job where job.job_id = grant_use.job_id and job.scheduler = grant_use.scheduler)
		and not exists (select 1 from scheduled_job where scheduled_job.job_id = grant_use.job_id)`
	// forgetOver takes from a job the grants that allow nothing any more. They stay used.
	forgetOver = `delete from grant_use where scheduler = $1 and job_id = $2
		and not exists (select 1 from access_grant where id = grant_id and (until = 0 or until > $3))`
)
