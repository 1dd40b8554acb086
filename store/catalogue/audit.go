package catalogue

import (
	"context"
	"time"

	"github.com/google/uuid"

	"openflow"
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
	_, err := c.exec(ctx, `insert into audit (id, time, actor, action, subject, detail) values ($1, $2, $3, $4, $5, $6)
		on conflict (id) do nothing`, e.ID, orNow(e.Time, c.stamp()), e.Actor, e.Action, e.Subject, e.Detail)
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
	err = c.each(ctx, `select id, time, actor, action, subject, detail from audit`+w.String()+` order by time desc, id desc`+
		limits(f.Limit, 0), w.args, func(r row) error {
		var e openflow.AuditEvent
		var at int64
		err := r.Scan(&e.ID, &at, &e.Actor, &e.Action, &e.Subject, &e.Detail)
		e.Time = timeOf(at)
		events = append(events, e)
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
