// Package sessions knows whose the sessions of messages are: who may send to one, of which job it is, and whether it takes
// messages. It does from the start of its run here to its end, as the row of the run says, and never again.
package sessions

import (
	"context"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/store/messages"
)

// Tasks finds the runs of a party in a session; in one that names no scheduler, those of the jobs of all schedulers.
// CodeNotFound: there are none.
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
	known map[openflow.SessionID]open
}

// open is a session that takes messages, as the rows said at that time.
type open struct {
	parties []openflow.Party
	seen    time.Time
}

// maxKnown bounds the memory; forgetting costs one look into the catalogue.
const maxKnown = 4096

// recent is how long the word of the rows counts: a busy session does not ask for each message. It is much shorter than the
// time for which a store by itself refuses the messages of a session that was closed (interop-transport §6.5).
const recent = time.Second

// Job names the job of a session, for the bounds of a store.
func Job(session string) string {
	k, err := openflow.ParseSessionID(openflow.SessionID(session))
	if err != nil {
		return session
	}
	return string(k.Job) + "@" + string(k.Scheduler)
}

// Admit implements interconnection.Sessions. CodeUnavailable: the run has not started here, and nothing is taken for it until
// then; messages.ErrReleased: it has ended.
func (s *Sessions) Admit(ctx context.Context, from openflow.PartyID, session, topic string) (openflow.SessionID, error) {
	own, parties, err := s.find(ctx, from, openflow.SessionID(session))
	if err != nil {
		return "", err
	}
	sender, receiver, ok := s.Between(topic, parties)
	if ok && (sender.ID != from || receiver.ID != s.Self) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return own, nil
}

// find returns what the session that a party means is called here, and its parties. One that names no scheduler is looked up
// every time: another scheduler may make the same job ID later. CodePermission: the party takes no part in it.
func (s *Sessions) find(ctx context.Context, from openflow.PartyID, session openflow.SessionID) (openflow.SessionID, []openflow.Party, error) {
	s.mu.Lock()
	found, ok := s.known[session]
	s.mu.Unlock()
	ok = ok && time.Since(found.seen) < recent
	if ok && !takesPart(from, found.parties) {
		return "", nil, strange(from, session)
	}
	if ok {
		return session, found.parties, nil
	}
	runs, err := s.Tasks.TasksOfSession(ctx, s.Self, session)
	if err != nil {
		return "", nil, err
	}
	run, err := meant(from, session, runs)
	if err != nil {
		return "", nil, err
	}
	own, parties := run.Key.SessionID(), run.Spec.Parties
	if err := s.taking(own, runs); err != nil {
		return "", nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[openflow.SessionID]open{}
	}
	s.known[own] = open{parties, time.Now()}
	return own, parties, nil
}

// taking refuses messages of a session none of whose runs here goes on.
func (s *Sessions) taking(own openflow.SessionID, runs []openflow.TaskRecord) error {
	waits := false
	for _, t := range runs {
		switch {
		case t.Key.SessionID() != own || t.PartyStatus.Terminal():
		case t.PartyStatus != openflow.TaskWaiting || t.ResourceInUse:
			return nil
		default:
			waits = true
		}
	}
	if !waits {
		return messages.Released(messages.Channel{Session: string(own)})
	}
	const text = "the task of session %s has not started at party %s, which takes no messages for it until then"
	return openflow.Errorf(openflow.CodeUnavailable, text, own, s.Self).WithPublic(text, own, s.Self)
}

func takesPart(id openflow.PartyID, parties []openflow.Party) bool {
	return slices.ContainsFunc(parties, func(p openflow.Party) bool { return p.ID == id })
}

func strange(from openflow.PartyID, session openflow.SessionID) error {
	return openflow.Errorf(openflow.CodePermission, "party %s takes no part in session %s", from, session)
}

// meant chooses among the runs of a session that names no scheduler: a party means a job that it takes part in, and one that
// runs rather than one that is over. So jobs of others, which may have the same ID, do not come in its way. CodeConflict: it
// takes part in the jobs of several schedulers.
func meant(from openflow.PartyID, session openflow.SessionID, runs []openflow.TaskRecord) (openflow.TaskRecord, error) {
	others := func(t openflow.TaskRecord) bool { return !takesPart(from, t.Spec.Parties) }
	over := func(t openflow.TaskRecord) bool { return t.PartyStatus.Terminal() }
	runs = slices.DeleteFunc(slices.Clone(runs), others)
	if len(runs) == 0 {
		return openflow.TaskRecord{}, strange(from, session)
	}
	if under := slices.DeleteFunc(slices.Clone(runs), over); len(under) > 0 {
		runs = under
	}
	for _, t := range runs {
		if t.Key.Scheduler != runs[0].Key.Scheduler {
			e := openflow.Errorf(openflow.CodeConflict, "session %s is here more than once, from schedulers %s and %s", session, runs[0].Key.Scheduler, t.Key.Scheduler)
			return t, e.WithPublic("session %s is there more than once, from several schedulers", session)
		}
	}
	return runs[0], nil
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
