package sessions

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// rows are runs by execution, and how often one was asked for.
type rows struct {
	of    map[openflow.ExecutionID]openflow.TaskRecord
	err   error
	asked int
}

func (r *rows) TaskByExecution(_ context.Context, id openflow.ExecutionID) (openflow.TaskRecord, error) {
	r.asked++
	t, ok := r.of[id]
	if r.err == nil && !ok {
		return t, openflow.Errorf(openflow.CodeNotFound, "no run %s", id)
	}
	return t, r.err
}

// host is party 10000 in the session s with party 9999; its run has that status.
func host(status openflow.TaskStatus) (*Sessions, *rows) {
	guest, self := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	r := &rows{of: map[openflow.ExecutionID]openflow.TaskRecord{
		"s_host_10000": {Spec: openflow.TaskSpec{Parties: []openflow.Party{guest, self}}, PartyStatus: status},
	}}
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
		"the other party":          {"9999", "s", "in", ""},
		"in a form of another kit": {"9999", "s", "x", ""},
		"as this party":            {"9999", "s", "out", openflow.CodePermission},
		"a stranger":               {"10001", "s", "x", openflow.CodePermission},
		"in no session":            {"9999", "other", "in", openflow.CodeNotFound},
	} {
		s, _ := host(openflow.TaskRunning)
		err := s.MaySend(t.Context(), c.from, c.session, c.topic)
		if c.want == "" {
			require.NoError(t, err, name)
		} else {
			require.Equal(t, c.want, openflow.CodeOf(err), name)
		}
	}
}

func TestPartiesAreRemembered(t *testing.T) {
	s, r := host(openflow.TaskRunning)
	r.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(s.MaySend(t.Context(), "9999", "s", "in")), "a failure is not remembered")
	r.err = nil
	require.NoError(t, s.MaySend(t.Context(), "9999", "s", "in"))
	before := r.asked
	require.NoError(t, s.MaySend(t.Context(), "9999", "s", "in"))
	require.Equal(t, before, r.asked)
	for range maxKnown {
		s.known[string(rune(len(s.known)))+"x"] = nil
	}
	delete(s.known, "s")
	require.NoError(t, s.MaySend(t.Context(), "9999", "s", "in"))
	require.Len(t, s.known, 1, "the memory is bounded")
}

func TestLive(t *testing.T) {
	s, r := host(openflow.TaskRunning)
	require.True(t, s.Live("s"))
	require.False(t, s.Live("other"))
	r.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	require.False(t, s.Live("s"))
	ended, _ := host(openflow.TaskFailed)
	require.False(t, ended.Live("s"))
}
