// Package sessions knows whose the sessions of messages are: who may send to one, of which job it is, and whether it takes
// messages. It does from the start of its run here to its end, as the row of the run says, and never again.
package sessions

import (
	"cmp"
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
	who  members
	seen time.Time
}

// members are the parties of a session here: those of all its runs, who may send, and those of any, whose names topics have.
type members struct{ all, any []openflow.Party }

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
// then; messages.ErrReleased, and the session: it has ended.
func (s *Sessions) Admit(ctx context.Context, from openflow.PartyID, session, topic string) (openflow.SessionID, error) {
	own, who, err := s.find(ctx, from, openflow.SessionID(session))
	if err != nil {
		return own, err
	}
	sender, receiver, ok := s.Between(topic, who.any)
	if ok && (sender.ID != from || receiver.ID != s.Self) {
		return "", openflow.Errorf(openflow.CodePermission, "party %s may not send from %s to %s", from, sender, receiver)
	}
	return own, nil
}

// find returns what the session that a party means is called here, and its parties. One that names no scheduler is looked up
// every time: another scheduler may make the same job ID later. CodePermission: the party takes no part in it. So it is
// answered where there is none, too: which sessions there are is for their parties to know.
func (s *Sessions) find(ctx context.Context, from openflow.PartyID, session openflow.SessionID) (openflow.SessionID, members, error) {
	s.mu.Lock()
	found, ok := s.known[session]
	s.mu.Unlock()
	ok = ok && time.Since(found.seen) < recent
	if ok && !takesPart(from, found.who.all) {
		return "", members{}, strange(from, session)
	}
	if ok {
		return session, found.who, nil
	}
	runs, err := s.Tasks.TasksOfSession(ctx, s.Self, session)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return "", members{}, err
	}
	runs = meant(from, runs)
	who := membersOf(runs)
	if !takesPart(from, who.all) {
		return "", members{}, strange(from, session)
	}
	own := runs[0].Key.SessionID()
	if err := s.taking(own, runs); err != nil {
		return own, members{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxKnown {
		s.known = map[openflow.SessionID]open{}
	}
	s.known[own] = open{who, time.Now()}
	return own, who, nil
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
	return openflow.Errorf(openflow.CodePermission, "party %s takes part in no session %s here", from, session)
}

// membersOf are the parties of the runs of one session. A run in another role, whose parties are others, lets nobody in.
func membersOf(runs []openflow.TaskRecord) (who members) {
	for i, t := range runs {
		if i == 0 {
			who.all = slices.Clone(t.Spec.Parties)
		}
		who.all = slices.DeleteFunc(who.all, func(p openflow.Party) bool { return !slices.Contains(t.Spec.Parties, p) })
		for _, p := range t.Spec.Parties {
			if !slices.Contains(who.any, p) {
				who.any = append(who.any, p)
			}
		}
	}
	return who
}

// meant chooses among the runs of a session that names no scheduler, and returns those of one. Jobs that the party takes no part
// in do not come in its way, although they may have the same ID. Of the others, a party that schedules one means that. Otherwise
// it means the job that came here first: whoever makes another one of that ID later gets none of its messages.
func meant(from openflow.PartyID, runs []openflow.TaskRecord) []openflow.TaskRecord {
	of := map[openflow.PartyID][]openflow.TaskRecord{}
	for _, t := range runs {
		of[t.Key.Scheduler] = append(of[t.Key.Scheduler], t)
	}
	if own := of[from]; takesPart(from, membersOf(own).all) {
		return own
	}
	var first []openflow.TaskRecord
	for _, list := range of {
		if takesPart(from, membersOf(list).all) && (first == nil || before(list[0], first[0])) {
			first = list
		}
	}
	return first
}

// before tells which of two runs came first; of two at the same moment it is the same one at every look.
func before(a, b openflow.TaskRecord) bool {
	return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.Key.Scheduler, b.Key.Scheduler)) < 0
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
