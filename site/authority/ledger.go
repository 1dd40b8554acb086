package authority

import (
	"context"
	"log/slog"
	"strings"

	"openflow"
)

// Rows keeps decisions.
type Rows interface {
	RecordDecision(ctx context.Context, e openflow.AuditEvent) error
}

// Ledger writes down what a site has decided about jobs of peers: who asked, on whose authority, for what, and on which grants.
type Ledger struct {
	Rows     Rows
	GrantAll bool // the site allows everything, and its decisions say so
	Log      *slog.Logger
}

// Asked is what a peer has asked for.
type Asked struct {
	Caller  openflow.PartyID
	Word    openflow.Authority // as far as it is proven
	Action  string
	Subject string // what it is done to, in words
	ID      string // of the decision that it is done: a repeat is the same
}

// Done records that what was asked for is done, on these grants.
func (l Ledger) Done(ctx context.Context, a Asked, grants []openflow.GrantID) error {
	e := a.event(openflow.OutcomeDone)
	e.ID, e.Grants = a.Action+" "+a.ID, grants
	if l.GrantAll {
		e.Detail = "this node allows everything (--grant-all)"
	}
	return l.Rows.RecordDecision(ctx, e)
}

// Refused records a refusal. The peer is refused all the same if that fails.
func (l Ledger) Refused(ctx context.Context, a Asked, why error) {
	e := a.event(openflow.OutcomeRefused)
	e.Detail = why.Error()
	if err := l.Rows.RecordDecision(ctx, e); err != nil {
		l.Log.ErrorContext(ctx, "a refusal was not recorded", "subject", a.Subject, "party", a.Caller, "err", err)
	}
}

func (a Asked) event(o openflow.Outcome) openflow.AuditEvent {
	word := ""
	if a.Word != (openflow.Authority{}) {
		word = a.Word.String()
	}
	return openflow.AuditEvent{
		Actor: a.who(), Action: a.Action, Subject: a.Subject, Party: a.Caller, Authority: word, Outcome: o,
	}
}

// who is the party that has asked, and what it is to the job.
func (a Asked) who() string {
	var as []string
	for _, r := range []struct {
		party openflow.PartyID
		as    string
	}{{a.Word.Initiator, "initiator"}, {a.Word.Scheduler, "scheduler"}} {
		if r.party == a.Caller {
			as = append(as, r.as)
		}
	}
	who := "party " + string(a.Caller)
	if len(as) > 0 {
		who += " as " + strings.Join(as, " and ")
	}
	return who
}
