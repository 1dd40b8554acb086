package scheduler

import (
	"context"
	"time"

	"openflow"
	"openflow/site/authority"
)

func (s *Service) word(initiator openflow.PartyID) openflow.Authority {
	return openflow.Authority{Initiator: initiator, Scheduler: s.Self}
}

// enter refuses jobs of an initiator that has no grant to initiate jobs here.
func (s *Service) enter(ctx context.Context, initiator openflow.PartyID) error {
	if initiator == s.Self || s.GrantAll {
		return nil
	}
	grants, err := s.Store.GrantsFor(ctx, initiator, s.Self)
	if err != nil {
		return err
	}
	return authority.Enter(s.Self, s.word(initiator), grants, time.Now())
}

// permit finds the grant on which a job is scheduled here. Whether it has a use left is decided where the job is recorded,
// since a repeat needs none. What the job may use here, this site decides as a party.
func (s *Service) permit(ctx context.Context, initiator openflow.PartyID, d *openflow.DAG) ([]openflow.GrantID, error) {
	if initiator == s.Self || s.GrantAll {
		return nil, nil
	}
	grants, err := s.Store.GrantsFor(ctx, initiator, s.Self)
	if err != nil {
		return nil, err
	}
	claim := authority.Claim{Self: s.Self, Authority: s.word(initiator)}
	for _, p := range d.Parties {
		claim.Parties = append(claim.Parties, p.ID)
	}
	permit, err := authority.Decide(claim, grants, time.Now())
	return permit.Grants, err
}

func (s *Service) taken(ctx context.Context, initiator openflow.PartyID, id openflow.JobID, grants []openflow.GrantID) error {
	if initiator == s.Self {
		return nil
	}
	e := s.decision(initiator, "job/schedule", id)
	e.Outcome, e.Grants, e.ID = openflow.OutcomeDone, grants, "job/schedule "+string(id)
	if s.GrantAll {
		e.Detail = "this node allows everything (--grant-all)"
	}
	return s.Store.RecordDecision(ctx, e)
}

// refused records a refusal. The peer is refused all the same if that fails.
func (s *Service) refused(ctx context.Context, caller openflow.PartyID, action string, id openflow.JobID, why error) {
	e := s.decision(caller, action, id)
	e.Outcome, e.Detail = openflow.OutcomeRefused, why.Error()
	if err := s.Store.RecordDecision(ctx, e); err != nil {
		s.Log.ErrorContext(ctx, "a refusal was not recorded", "job", id, "party", caller, "err", err)
	}
}

func (s *Service) decision(caller openflow.PartyID, action string, id openflow.JobID) openflow.AuditEvent {
	return openflow.AuditEvent{
		Actor: "party " + string(caller), Action: action, Subject: "job " + openflow.Heard(string(id)), Party: caller, Authority: s.word(caller).String(),
	}
}
