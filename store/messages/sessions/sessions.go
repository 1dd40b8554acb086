// Package sessions knows whose the sessions of messages are: who may send to one, and whether its job still runs.
package sessions

import (
	"context"
	"slices"
	"sync"
	"time"

	"openflow"
)

// Tasks finds the runs of a party in a session, whether or not the session names its scheduler. CodeNotFound: there are none.
type Tasks interface {
	TasksOfSession(ctx context.Context, self openflow.PartyID, session openflow.SessionID) ([]openflow.TaskRecord, error)
}

// Sessions are those of the tasks that this node takes part in. The parties of a session are remembered, because they never
// change for a task version.
type Sessions struct {
	Self    openflow.PartyID
	Tasks   Tasks
	Between func(topic string, parties []openflow.Party) (from, to openflow.Party, ok bool) // reads a topic of our form

	mu    sync.Mutex
	known map[openflow.SessionID][]openflow.Party
}

// maxKnown bounds the memory; forgetting costs one look into the catalogue.
const maxKnown = 4096

// Admit implements interconnection.Sessions.
func (s *Sessions) Admit(ctx context.Context, from openflow.PartyID, session, topic string) (openflow.SessionID, error) {
	own, parties, err := s.find(ctx, openflow.SessionID(session))
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(parties, func(p openflow.Party) bool { return p.ID == from }) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
	}
	sender, receiver, ok := s.Between(topic, parties)
	if ok && (sender.ID != from || receiver.ID != s.Self) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return own, nil
}

// find returns what a session is called here, and its parties. One that names no scheduler is looked up every time: another
// scheduler may make the same job ID later.
func (s *Sessions) find(ctx context.Context, session openflow.SessionID) (openflow.SessionID, []openflow.Party, error) {
	s.mu.Lock()
	parties, ok := s.known[session]
	s.mu.Unlock()
	if ok {
		return session, parties, nil
	}
	runs, err := s.Tasks.TasksOfSession(ctx, s.Self, session)
	if err != nil {
		return "", nil, err
	}
	own, parties := runs[0].Key.SessionID(), runs[0].Spec.Parties
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[openflow.SessionID][]openflow.Party{}
	}
	s.known[own] = parties
	return own, parties, nil
}

// patience bounds the question of a store's sweep, which has no context to give.
const patience = time.Second

// Live tells a message store that a session's job still runs, so that silence does not end it.
func (s *Sessions) Live(session string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	runs, err := s.Tasks.TasksOfSession(ctx, s.Self, openflow.SessionID(session))
	return err == nil && slices.ContainsFunc(runs, func(t openflow.TaskRecord) bool { return !t.PartyStatus.Terminal() })
}
