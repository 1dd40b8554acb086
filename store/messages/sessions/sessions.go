// Package sessions knows whose the sessions of messages are: who may send to one, and whether its job still runs.
package sessions

import (
	"context"
	"slices"
	"sync"
	"time"

	"openflow"
)

// Tasks finds the run of an execution. CodeNotFound: there is none.
type Tasks interface {
	TaskByExecution(ctx context.Context, id openflow.ExecutionID) (openflow.TaskRecord, error)
}

// Sessions are those of the tasks that this node takes part in. The parties of a session are remembered, because they never
// change for a task version.
type Sessions struct {
	Self    openflow.PartyID
	Tasks   Tasks
	Between func(topic string, parties []openflow.Party) (from, to openflow.Party, ok bool) // reads a topic of our form

	mu    sync.Mutex
	known map[string][]openflow.Party
}

// maxKnown bounds the memory; forgetting costs one look into the catalogue.
const maxKnown = 4096

// MaySend implements interconnection.Sessions.
func (s *Sessions) MaySend(ctx context.Context, from openflow.PartyID, session, topic string) error {
	parties, err := s.parties(ctx, session)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(parties, func(p openflow.Party) bool { return p.ID == from }) {
		return openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	sender, receiver, ok := s.Between(topic, parties)
	if ok && (sender.ID != from || receiver.ID != s.Self) {
		return openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return nil
}

func (s *Sessions) parties(ctx context.Context, session string) ([]openflow.Party, error) {
	s.mu.Lock()
	parties, ok := s.known[session]
	s.mu.Unlock()
	if ok {
		return parties, nil
	}
	runs, err := s.runs(ctx, session)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, openflow.Errorf(openflow.CodeNotFound, "no task of this node has the session %s", session)
	}
	parties = runs[0].Spec.Parties
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[string][]openflow.Party{}
	}
	s.known[session] = parties
	return parties, nil
}

// runs are those of this party in a session, one for each of its roles.
func (s *Sessions) runs(ctx context.Context, session string) (list []openflow.TaskRecord, err error) {
	for _, role := range []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal} {
		t, err := s.Tasks.TaskByExecution(ctx, openflow.ExecutionID(session+"_"+string(role)+"_"+string(s.Self)))
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

// patience bounds the question of a store's sweep, which has no context to give.
const patience = time.Second

// Live tells a message store that a session's job still runs, so that silence does not end it.
func (s *Sessions) Live(session string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	runs, err := s.runs(ctx, session)
	return err == nil && slices.ContainsFunc(runs, func(t openflow.TaskRecord) bool { return !t.PartyStatus.Terminal() })
}
