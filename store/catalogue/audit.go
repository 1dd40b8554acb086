package catalogue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/google/uuid"

	"openflow"
)

// auditRow is a row of the table audit.
type auditRow struct {
	ID        string `db:"id"`
	Time      int64  `db:"time"`
	Actor     string `db:"actor"`
	Action    string `db:"action"`
	Subject   string `db:"subject"`
	Detail    string `db:"detail"`
	Party     string `db:"party"`
	Outcome   string `db:"outcome"`
	Authority string `db:"authority"`
	Grants    string `db:"grants"` // separated by blanks
	Repeats   int    `db:"repeats"`
}

var (
	auditColumns = columnsOf[auditRow]()
	insertAudit  = auditColumns.insert("audit") + ` on conflict (id) do nothing`
	countAudit   = auditColumns.insert("audit") + ` on conflict (id) do update set repeats = audit.repeats + 1,
		time = excluded.time, subject = excluded.subject, detail = excluded.detail`
)

// AppendAudit adds an event to the record. An event whose ID is there already changes nothing. Who changed what is never
// changed or removed. Decisions about jobs of peers are bounded, because peers cause them; see RecordDecision.
func (c *Catalogue) AppendAudit(ctx context.Context, e openflow.AuditEvent) error {
	r, err := c.rowOfAudit(e)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, insertAudit, auditColumns.values(r)...)
	return classify("append audit event", err)
}

func (c *Catalogue) rowOfAudit(e openflow.AuditEvent) (auditRow, error) {
	if e.Actor == "" || e.Action == "" {
		return auditRow{}, openflow.Errorf(openflow.CodeInvalid, "audit event on %q names no actor or no action", e.Subject)
	}
	if e.ID == "" {
		id, err := uuid.NewV7() // grows with time, so events of one millisecond keep their order
		if err != nil {
			return auditRow{}, openflow.Errorf(openflow.CodeInternal, "audit event: make an ID: %w", err)
		}
		e.ID = id.String()
	}
	grants := make([]string, len(e.Grants))
	for i, g := range e.Grants {
		grants[i] = string(g)
	}
	return auditRow{
		ID: e.ID, Time: orNow(e.Time, c.stamp()), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail,
		Party: string(e.Party), Outcome: string(e.Outcome), Authority: e.Authority, Grants: strings.Join(grants, " "), Repeats: e.Count,
	}, nil
}

// How many decisions are kept. A refusal costs a peer nothing, so its refusals of a day are few rows, and the rows of all
// peers are bounded: a row has a few KiB at most. The oldest go, at the next round of upkeep.
const (
	dayRefusals  = 100 // of one peer in a day, each of its own kind; further ones are one row, which counts them
	maxRefusals  = 10_000
	maxPermitted = 100_000
	maxTold      = 1 << 10 // bytes of a text of a decision
)

// RecordDecision adds a decision about what a peer asked for. Refusals of a day that are alike are one event, whose count,
// time and subject follow the last.
func (c *Catalogue) RecordDecision(ctx context.Context, e openflow.AuditEvent) error {
	e.Detail, e.Subject, e.Authority = openflow.Cut(e.Detail, maxTold), openflow.Cut(e.Subject, maxTold), openflow.Cut(e.Authority, maxTold)
	if e.Outcome != openflow.OutcomeRefused {
		return c.AppendAudit(ctx, e)
	}
	day := timeOf(orNow(e.Time, c.stamp())).Truncate(24 * time.Hour)
	alike := func(texts ...string) string {
		sum := sha256.Sum256([]byte(strings.Join(append(texts, string(e.Party), day.Format(time.DateOnly)), "\x00")))
		return "refused-" + hex.EncodeToString(sum[:16])
	}
	e.ID, e.Count = alike(e.Actor, e.Action, e.Authority, e.Detail), 1
	err := c.write(ctx, func(t *tx) error {
		r, err := c.rowOfAudit(e)
		if err != nil {
			return err
		}
		var known, rows int
		if err := t.one(ctx, `select count(*) from audit where id = $1`, r.ID).Scan(&known); err != nil {
			return err
		}
		if err := t.one(ctx, `select count(*) from audit where outcome = 'refused' and party = $1 and time >= $2`, r.Party, millis(day)).Scan(&rows); err != nil {
			return err
		}
		if known == 0 && rows >= dayRefusals {
			r.ID, r.Action, r.Authority, r.Detail = alike(), "refusals", "", "further refusals of that day, of many kinds; this is the last: "+openflow.Cut(r.Detail, maxTold/2)
		}
		_, err = t.exec(ctx, countAudit, auditColumns.values(r)...)
		return err
	})
	return classify("record a decision", err)
}

// TrimDecisions forgets the oldest decisions beyond those that are kept.
func (c *Catalogue) TrimDecisions(ctx context.Context) error {
	for outcome, most := range map[openflow.Outcome]int64{openflow.OutcomeRefused: maxRefusals, openflow.OutcomeDone: maxPermitted} {
		_, err := c.exec(ctx, `delete from audit where outcome = $1 and time < (select min(time) from
			(select time from audit where outcome = $1 order by time desc limit $2) as newest)`, string(outcome), most)
		if err != nil {
			return classify("forget old decisions", err)
		}
	}
	return nil
}

// AuditFilter selects audit events; the zero value selects all.
type AuditFilter struct {
	Actor   string
	Action  string
	Subject string

	// Parts of texts, whatever their case.
	ActorContains   string
	ActionContains  string
	SubjectContains string

	Party   openflow.PartyID // that asked for a decision
	Outcome openflow.Outcome // of a decision

	Since, Until time.Time // from the one on, and before the other; zero: open
	Limit        int       // 0: all
	After        string
}

// Audit lists events, newest first; next is the cursor for the page after, empty at the end.
func (c *Catalogue) Audit(ctx context.Context, f AuditFilter) (events []openflow.AuditEvent, next string, err error) {
	w := &where{}
	w.equal("actor", f.Actor)
	w.equal("action", f.Action)
	w.equal("subject", f.Subject)
	w.equal("party", string(f.Party))
	w.equal("outcome", string(f.Outcome))
	w.contains("actor", f.ActorContains)
	w.contains("action", f.ActionContains)
	w.contains("subject", f.SubjectContains)
	if !f.Since.IsZero() {
		w.add("time >= ?", millis(f.Since))
	}
	if !f.Until.IsZero() {
		w.add("time < ?", millis(f.Until))
	}
	if f.After != "" {
		after, err := parseCursor(f.After, 1)
		if err != nil {
			return nil, "", err
		}
		w.add("(time, id) < (?, ?)", after.Time, after.Keys[0])
	}
	err = c.each(ctx, `select `+auditColumns.names+` from audit`+w.String()+` order by time desc, id desc`+
		limits(f.Limit, 0), w.args, func(r row) error {
		e, err := auditColumns.scan(r)
		event := openflow.AuditEvent{
			ID: e.ID, Time: timeOf(e.Time), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail,
			Party: openflow.PartyID(e.Party), Outcome: openflow.Outcome(e.Outcome), Authority: e.Authority, Count: e.Repeats,
		}
		for _, id := range strings.Fields(e.Grants) {
			event.Grants = append(event.Grants, openflow.GrantID(id))
		}
		events = append(events, event)
		return err
	})
	if err != nil {
		return nil, "", classify("list audit events", err)
	}
	if f.Limit > 0 && len(events) == f.Limit {
		last := events[len(events)-1]
		next, err = cursor{Time: millis(last.Time), Keys: []string{last.ID}}.String()
	}
	return events, next, err
}
