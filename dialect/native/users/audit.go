package users

import (
	"net/http"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/store/catalogue"
)

// auditPage is how many events a page of the audit has, unless the request says.
const auditPage = 100

// listAudit lists who changed what here, newest first.
func (a *api) listAudit(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := catalogue.AuditFilter{
		ActorContains: q.Get("actor"), ActionContains: q.Get("action"), SubjectContains: q.Get("subject"),
		Party: openflow.PartyID(q.Get("party")), Outcome: openflow.Outcome(q.Get("outcome")), After: q.Get("after"), Limit: auditPage,
	}
	if f.Outcome != "" && f.Outcome != openflow.OutcomeDone && f.Outcome != openflow.OutcomeRefused {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown outcome %q", q.Get("outcome")).WithHint("use done or refused")
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > application.PageLimit {
			return nil, openflow.Errorf(openflow.CodeInvalid, "limit %q is not a number from 1 to %d", text, application.PageLimit)
		}
		f.Limit = n
	}
	for name, into := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		text := q.Get(name)
		if text == "" {
			continue
		}
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%s %q is not a time in milliseconds since 1970", name, text)
		}
		*into = time.UnixMilli(ms)
	}
	events, next, err := a.Catalogue.Audit(r.Context(), f)
	page := wire.AuditPage{Events: make([]wire.AuditEvent, len(events)), Next: next}
	for i, e := range events {
		page.Events[i] = encodeAudit(e)
	}
	return page, err
}

// encodeAudit renders e.
func encodeAudit(e openflow.AuditEvent) wire.AuditEvent {
	out := wire.AuditEvent{
		ID: e.ID, Time: wire.Millis(e.Time), Actor: e.Actor, Action: e.Action, Subject: e.Subject, Detail: e.Detail, Party: wire.Text(e.Party),
		Outcome: string(e.Outcome), Authority: e.Authority, Count: e.Count,
	}
	for _, g := range e.Grants {
		out.Grants = append(out.Grants, string(g))
	}
	return out
}
