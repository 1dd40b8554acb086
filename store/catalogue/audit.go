package catalogue

import (
	"context"
	"time"

	"github.com/google/uuid"

	"openflow"
)

// auditRow is a row of the table audit.
type auditRow struct {
	ID      string `db:"id"`
	Time    int64  `db:"time"`
	Actor   string `db:"actor"`
	Action  string `db:"action"`
	Subject string `db:"subject"`
	Detail  string `db:"detail"`
}

var (
	auditColumns = columnsOf[auditRow]()
	insertAudit  = auditColumns.insert("audit") + ` on conflict (id) do nothing`
)

// AppendAudit adds an event to the record. An event whose ID is there already changes nothing; the record has no other
// change, and no deletion.
func (c *Catalogue) AppendAudit(ctx context.Context, e openflow.AuditEvent) error {
	if e.Actor == "" || e.Action == "" {
		return openflow.Errorf(openflow.CodeInvalid, "audit event on %q names no actor or no action", e.Subject)
	}
	if e.ID == "" {
		id, err := uuid.NewV7() // grows with time, so events of one millisecond keep their order
		if err != nil {
			return openflow.Errorf(openflow.CodeInternal, "audit event: make an ID: %w", err)
		}
		e.ID = id.String()
	}
	_, err := c.exec(ctx, insertAudit, auditColumns.values(auditRow{
		ID: e.ID, Time: orNow(e.Time, c.stamp()), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail,
	})...)
	return classify("append audit event", err)
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
		events = append(events, openflow.AuditEvent{
			ID: e.ID, Time: timeOf(e.Time), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail,
		})
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
