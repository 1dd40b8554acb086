package sessions_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
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
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
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

	add("10004", host)
	_, err = s.Admit(t.Context(), "10000", short, "t")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, "10004", "this site's users read whose they are")
	require.NotContains(t, openflow.ForPartners(err).Error(), "10004", "a peer does not")
	over := openflow.TaskKey{Scheduler: "10004", Job: "1", Task: "psi_0", Party: guest}
	_, err = rows.FinishTask(t.Context(), over, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	own, err = s.Admit(t.Context(), "10000", short, "t")
	require.NoError(t, err, "nor does one that is over")
	require.Equal(t, openflow.SessionID(short+"@10000"), own)

	own, err = s.Admit(t.Context(), "10000", short+"@10000", "t")
	require.NoError(t, err)
	require.Equal(t, openflow.SessionID(short+"@10000"), own)
	_, err = s.Admit(t.Context(), "10000", short+"@10001", "t")
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "it takes no part there")
	for _, none := range []string{"", "1", "1_psi_0", "1_psi_0_1", short + "@10002", short + "@", "@@", "1_psi_0_0@10000@guest_9999"} {
		_, err = s.Admit(t.Context(), "10000", none, "t")
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), none)
	}
}
