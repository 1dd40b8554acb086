package sessions_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/store/messages/sessions"
)

// A message goes to the session of the scheduler that it names. One that names none, as FATE-Flow's, goes to
// the only one that its sender takes part in.
func TestSessionsOfTwoSchedulers(t *testing.T) {
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	s := &sessions.Sessions{Self: "9999", Tasks: rows, Between: func(string, []openflow.Party) (from, to openflow.Party, ok bool) {
		return from, to, false
	}}
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	add := func(scheduler openflow.PartyID, partners ...openflow.Party) {
		k := openflow.TaskKey{Scheduler: scheduler, Job: "1", Task: "psi_0", Party: guest}
		require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{ID: "1", Party: guest, Scheduler: scheduler, DAG: &openflow.DAG{}},
			[]openflow.TaskRecord{{Key: k, PartyStatus: openflow.TaskRunning, Spec: openflow.TaskSpec{Name: "psi_0", Parties: append(partners, guest)}}}))
	}
	const short = "1_psi_0_0"
	_, err = s.Admit(t.Context(), "10000", short, "t")
	none := err
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	add("10000", host)
	for range 2 {
		own, err := s.Admit(t.Context(), "10000", short, "t")
		require.NoError(t, err)
		require.Equal(t, openflow.SessionID("1_psi_0_0@10000"), own)
	}
	add("10001")
	own, err := s.Admit(t.Context(), "10000", short, "t")
	require.NoError(t, err, "a job that it takes no part in does not come in its way")
	require.Equal(t, openflow.SessionID(short+"@10000"), own)
	_, err = s.Admit(t.Context(), "10003", short, "t")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "it takes part in neither")
	require.Equal(t, strings.ReplaceAll(none.Error(), "10000", "10003"), err.Error(), "as where there is none")

	add("10004", host)
	for range 2 {
		own, err = s.Admit(t.Context(), "10000", short, "t")
		require.NoError(t, err, "nor does one that lists it, and that another party schedules")
		require.Equal(t, openflow.SessionID(short+"@10000"), own)
	}
	over := openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "psi_0", Party: guest}
	_, err = rows.FinishTask(t.Context(), over, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	own, err = s.Admit(t.Context(), "10000", short+"@10000", "t")
	require.NoError(t, err, "the rows are asked once a second")
	require.Equal(t, openflow.SessionID(short+"@10000"), own)
	_, err = s.Admit(t.Context(), "10000", short, "t")
	require.ErrorIs(t, err, messages.ErrReleased, "what comes late comes to no other job")
	require.ErrorContains(t, err, short+"@10000")
	_, err = s.Admit(t.Context(), "10000", short+"@10001", "t")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "it takes no part there")
	for _, none := range []string{"", "1", "1_psi_0", "1_psi_0_1", short + "@10002", short + "@", "@@", "1_psi_0_0@10000@guest_9999"} {
		_, err = s.Admit(t.Context(), "10000", none, "t")
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), none)
	}
}

// A party that schedules none of two jobs of one ID means the one that came here first, whichever scheduler that is.
func TestSessionOfTheFirstJob(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	run := func(scheduler openflow.PartyID, role openflow.Role, at time.Duration, parties ...openflow.Party) openflow.TaskRecord {
		return openflow.TaskRecord{
			Key:        openflow.TaskKey{Scheduler: scheduler, Job: "1", Task: "psi_0", Party: openflow.Party{Role: role, ID: "9999"}},
			CreateTime: time.UnixMilli(0).Add(at), Spec: openflow.TaskSpec{Parties: parties},
		}
	}
	both := []openflow.Party{guest, host}
	for name, c := range map[string]struct {
		runs []openflow.TaskRecord
		want openflow.SessionID // empty: refused
	}{
		"the first":             {[]openflow.TaskRecord{run("1", openflow.RoleGuest, 2, both...), run("2", openflow.RoleGuest, 1, both...)}, "1_psi_0_0@2"},
		"its own, though later": {[]openflow.TaskRecord{run("1", openflow.RoleGuest, 1, both...), run("10000", openflow.RoleGuest, 2, both...)}, "1_psi_0_0@10000"},
		"of those that list it": {[]openflow.TaskRecord{run("1", openflow.RoleGuest, 1, guest), run("2", openflow.RoleGuest, 2, both...)}, "1_psi_0_0@2"},
		"two roles of one job":  {[]openflow.TaskRecord{run("1", openflow.RoleGuest, 1, both...), run("1", openflow.RoleArbiter, 1, both...)}, "1_psi_0_0@1"},
		"one role lets it in":   {[]openflow.TaskRecord{run("1", openflow.RoleGuest, 1, guest), run("1", openflow.RoleArbiter, 1, both...)}, ""},
		"no run":                {nil, ""},
	} {
		s := &sessions.Sessions{Self: "9999", Tasks: found(c.runs), Between: func(string, []openflow.Party) (from, to openflow.Party, ok bool) {
			return from, to, false
		}}
		own, err := s.Admit(t.Context(), "10000", "1_psi_0_0", "t")
		require.Equal(t, c.want, own, name)
		require.Equal(t, c.want == "", openflow.CodeOf(err) == openflow.CodePermission, name)
	}
}

// found are the runs of every session.
type found []openflow.TaskRecord

func (f found) TasksOfSession(context.Context, openflow.PartyID, openflow.SessionID) ([]openflow.TaskRecord, error) {
	return f, nil
}
