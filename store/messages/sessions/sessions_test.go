package sessions

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
)

// rows are runs by session, and how often one was asked for.
type rows struct {
	of    map[openflow.SessionID]openflow.TaskRecord
	err   error
	asked int
}

func (r *rows) TasksOfSession(_ context.Context, _ openflow.PartyID, session openflow.SessionID) ([]openflow.TaskRecord, error) {
	r.asked++
	t, ok := r.of[session]
	if r.err == nil && !ok {
		return nil, openflow.Errorf(openflow.CodeNotFound, "no run in session %s", session)
	}
	return []openflow.TaskRecord{t}, r.err
}

// named is the session with its scheduler, unnamed as FATE-Flow calls it.
const named, unnamed = "j_a_0@9999", "j_a_0"

// host is party 10000 in a session with party 9999; its run has that status.
func host(status openflow.TaskStatus) (*Sessions, *rows) {
	guest, self := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	run := openflow.TaskRecord{
		Key:  openflow.TaskKey{Scheduler: "9999", Job: "j", Task: "a", Party: self},
		Spec: openflow.TaskSpec{Parties: []openflow.Party{guest, self}}, PartyStatus: status,
	}
	r := &rows{of: map[openflow.SessionID]openflow.TaskRecord{named: run, unnamed: run}}
	return &Sessions{Self: "10000", Tasks: r, Between: func(topic string, _ []openflow.Party) (from, to openflow.Party, ok bool) {
		switch topic {
		case "in":
			return guest, self, true
		case "out":
			return self, guest, true
		}
		return from, to, false
	}}, r
}

func TestWhoMaySend(t *testing.T) {
	for name, c := range map[string]struct {
		from           openflow.PartyID
		session, topic string
		want           openflow.Code
	}{
		"the other party":          {"9999", named, "in", ""},
		"in a form of another kit": {"9999", named, "x", ""},
		"named as by FATE-Flow":    {"9999", unnamed, "in", ""},
		"as this party":            {"9999", named, "out", openflow.CodePermission},
		"a stranger":               {"10001", named, "x", openflow.CodePermission},
		"in no session":            {"9999", "other", "in", openflow.CodePermission},
	} {
		s, _ := host(openflow.TaskRunning)
		own, err := s.Admit(t.Context(), c.from, c.session, c.topic)
		if c.want == "" {
			require.NoError(t, err, name)
			require.EqualValues(t, named, own, name)
		} else {
			require.Equal(t, c.want, openflow.CodeOf(err), name)
		}
	}
}

// A session takes messages while its run goes on here: not before its start, and never after its end.
func TestWhenASessionTakesMessages(t *testing.T) {
	for name, c := range map[string]struct {
		status openflow.TaskStatus
		holds  bool // the share of its job
		want   openflow.Code
	}{
		"waits":                       {openflow.TaskWaiting, false, openflow.CodeUnavailable},
		"has its share and starts":    {openflow.TaskWaiting, true, ""},
		"runs":                        {openflow.TaskRunning, true, ""},
		"has succeeded":               {openflow.TaskSuccess, false, openflow.CodeCanceled},
		"has failed":                  {openflow.TaskFailed, false, openflow.CodeCanceled},
		"was stopped before it began": {openflow.TaskCanceled, false, openflow.CodeCanceled},
	} {
		s, r := host(c.status)
		for session, run := range r.of {
			run.ResourceInUse = c.holds
			r.of[session] = run
		}
		for _, session := range []string{named, unnamed, named} {
			_, err := s.Admit(t.Context(), "9999", session, "in")
			require.Equal(t, c.want, openflow.CodeOf(err), "%s: %v", name, err)
		}
	}
}

// What a session was is not believed for long: its end is in the rows.
func TestAnEndIsSeen(t *testing.T) {
	s, r := host(openflow.TaskRunning)
	_, err := s.Admit(t.Context(), "9999", named, "in")
	require.NoError(t, err)
	run := r.of[named]
	run.PartyStatus = openflow.TaskSuccess
	r.of[named] = run
	remembered := s.known[named]
	remembered.seen = remembered.seen.Add(-recent)
	s.known[named] = remembered
	_, err = s.Admit(t.Context(), "9999", named, "in")
	require.ErrorIs(t, err, messages.ErrReleased)
}

func TestJob(t *testing.T) {
	require.Equal(t, "j@9999", Job(named))
	require.Equal(t, "j@", Job(unnamed))
	require.Equal(t, "not of ours", Job("not of ours"))
}

func TestPartiesAreRemembered(t *testing.T) {
	s, r := host(openflow.TaskRunning)
	admit := func(session string) error {
		_, err := s.Admit(t.Context(), "9999", session, "in")
		return err
	}
	r.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(admit(named)), "a failure is not remembered")
	r.err = nil
	require.NoError(t, admit(named))
	before := r.asked
	require.NoError(t, admit(named))
	require.Equal(t, before, r.asked)
	require.NoError(t, admit(unnamed))
	require.Equal(t, before+1, r.asked, "another scheduler may have made the same ID meanwhile")
	for range maxKnown {
		s.known[openflow.SessionID(rune(len(s.known)))+"x"] = open{}
	}
	delete(s.known, named)
	require.NoError(t, admit(named))
	require.Len(t, s.known, 1, "the memory is bounded")
}

func TestLive(t *testing.T) {
	s, r := host(openflow.TaskRunning)
	require.True(t, s.Live(named))
	require.False(t, s.Live("other"))
	r.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	require.False(t, s.Live(named))
	ended, _ := host(openflow.TaskFailed)
	require.False(t, ended.Live(named))
}
