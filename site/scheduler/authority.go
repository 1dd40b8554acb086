package scheduler

import (
	"context"
	"fmt"
	"time"

	"openflow"
	"openflow/site/authority"
)

// word is on whose word a job would be, as far as its caller says.
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
func (s *Service) permit(ctx context.Context, word openflow.Authority, d *openflow.DAG) ([]openflow.GrantID, error) {
	if word.Initiator == s.Self || s.GrantAll {
		return nil, nil
	}
	grants, err := s.Store.GrantsFor(ctx, word.Initiator, s.Self)
	if err != nil {
		return nil, err
	}
	claim := authority.Claim{Self: s.Self, Authority: word}
	for _, p := range d.Parties {
		claim.Parties = append(claim.Parties, p.ID)
	}
	permit, err := authority.Decide(claim, grants, time.Now())
	return permit.Grants, err
}

// taken records that a job was scheduled. A repeat is the same event.
func (s *Service) taken(ctx context.Context, caller openflow.PartyID, word openflow.Authority, job openflow.ScheduledJob) error {
	if caller == s.Self {
		return nil
	}
	return s.ledger().Done(ctx, asked(caller, word, "job/schedule", job.ID), job.Grants)
}

// rerun records that a job is run again, as one event for each of its ends.
func (s *Service) rerun(ctx context.Context, caller openflow.PartyID, job openflow.ScheduledJob) error {
	if caller == s.Self {
		return nil
	}
	a := asked(caller, s.word(job.Initiator), "job/rerun", job.ID)
	a.ID = fmt.Sprintf("%s %d %d", a.ID, job.Reruns, job.EndTime.UnixMilli())
	return s.ledger().Done(ctx, a, nil)
}

func (s *Service) refused(ctx context.Context, caller openflow.PartyID, word openflow.Authority, action string, id openflow.JobID, why error) {
	s.ledger().Refused(ctx, asked(caller, word, action, id), why)
}

func (s *Service) ledger() authority.Ledger {
	return authority.Ledger{Rows: s.Store, GrantAll: s.GrantAll, Log: s.Log}
}

func asked(caller openflow.PartyID, word openflow.Authority, action string, id openflow.JobID) authority.Asked {
	return authority.Asked{Caller: caller, Word: word, Action: action, Subject: "job " + openflow.Heard(string(id)), ID: string(id)}
}
