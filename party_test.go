package openflow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

// The forms of fate-flow-api §4.8, with the examples given there.
func TestTaskKeyForms(t *testing.T) {
	k := openflow.TaskKey{
		Scheduler: "10000", Job: "202501020304050607080", Task: "psi_0", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"},
	}
	require.Equal(t, openflow.TaskID("202501020304050607080_psi_0"), k.TaskID())
	require.Equal(t, openflow.SessionID("202501020304050607080_psi_0_0@10000"), k.SessionID())
	require.Equal(t, openflow.RunID("202501020304050607080_psi_0_0@10000@guest_9999"), k.RunID())
	require.Equal(t, `task "psi_0" of job 202501020304050607080 (guest 9999)`, k.String())

	k.Version = 2
	require.Equal(t, openflow.SessionID("202501020304050607080_psi_0_2@10000"), k.SessionID())
	require.Equal(t, `task "psi_0" of job 202501020304050607080 (guest 9999, version 2)`, k.String())

	name, err := openflow.TaskNameOf(k.Job, k.TaskID())
	require.NoError(t, err)
	require.Equal(t, k.Task, name)
}

func TestTaskNameOfRefusesAnotherJobsTask(t *testing.T) {
	for _, id := range []openflow.TaskID{"", "1", "1_", "12_psi_0", "psi_0", "2_psi_0"} {
		_, err := openflow.TaskNameOf("1", id)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "id %q", id)
		require.ErrorContains(t, err, "job 1")
	}
}

func TestCheckIdentifier(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "9999": true, "psi_0": true, "a.b-c_d": true, strings.Repeat("a", 128): true,
		"": false, "_a": false, ".": false, "..": false, "../x": false, "a/b": false, "a b": false, "a~b": false, "a\n": false,
		"ä": false, "-a": false, strings.Repeat("a", 129): false, "a\x00": false,
	} {
		err := openflow.CheckIdentifier("task name", s)
		require.Equal(t, want, err == nil, "name %q", s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, "task name")
		}
	}
}

func TestCheckName(t *testing.T) {
	for s, want := range map[string]bool{
		"a": true, "psi_0": true, "a.b-c_d": true, "客户": true, "Größe": true, "जमा": true, "عملاء": true, "9": true, strings.Repeat("客", 128): true,
		"": false, "_a": false, ".": false, "..": false, "../x": false, "a/b": false, "a／b": false, "a b": false, " a": false, "a\u00a0b": false,
		"a\n": false, "a\x00": false, "a\u202e": false, "a\u200d": false, "a\ufe0f": false, "\u3164": false, "\u0301a": false, "\xff": false, "😀": false,
		"a'b": false, "a%2f": false, strings.Repeat("客", 129): false,
	} {
		err := openflow.CheckName("namespace", s)
		require.Equal(t, want, err == nil, "name %q", s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, "namespace")
		}
	}
	require.ErrorContains(t, openflow.TableName{Namespace: "ns", Name: "a/b"}.Check(), `name "a/b"`)
	require.ErrorContains(t, openflow.TableName{Name: "a"}.Check(), "namespace")
}

// A task's name may not be of any script, and the refusal does not call Chinese characters no letters.
func TestTheRefusalOfANameSaysWhichLetters(t *testing.T) {
	require.ErrorContains(t, openflow.CheckIdentifier("task name", "训练"), `task name "训练" is not a valid name (use 1 to 128 of the letters a–z and A–Z, digits`)
	require.NoError(t, openflow.CheckName("name", "训练"))
}

func TestRoles(t *testing.T) {
	for _, r := range []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal} {
		require.True(t, r.Valid())
	}
	require.False(t, openflow.Role("Guest").Valid())
	require.False(t, openflow.Role("").Valid())
}

func TestTaskKeyNamesAreDistinct(t *testing.T) {
	seen := map[openflow.RunID]openflow.TaskKey{}
	for _, scheduler := range []openflow.PartyID{"1", "2", "1_a", "guest_1"} {
		for _, job := range []openflow.JobID{"1", "2"} {
			for _, task := range []openflow.TaskName{"a", "b", "a_0", "a_0_guest_1", "0_0"} {
				for _, version := range []int{0, 1, 10} {
					for _, p := range []openflow.Party{
						{openflow.RoleGuest, "1"}, {openflow.RoleHost, "1"}, {openflow.RoleGuest, "2"}, {openflow.RoleGuest, "1_0_host_1"},
					} {
						k := openflow.TaskKey{Scheduler: scheduler, Job: job, Task: task, Version: version, Party: p}
						require.NotContains(t, seen, k.RunID())
						seen[k.RunID()] = k
						back, err := openflow.ParseRunID(k.RunID())
						require.NoError(t, err)
						require.Equal(t, k, back)
						back, err = openflow.ParseSessionID(k.SessionID())
						require.NoError(t, err)
						back.Party = p
						require.Equal(t, k, back)
					}
				}
			}
		}
	}
}

func TestParseSessionIDOfFATEFlow(t *testing.T) {
	k, err := openflow.ParseSessionID("202501020304050607080_psi_0_2")
	require.NoError(t, err)
	require.Equal(t, openflow.TaskKey{Job: "202501020304050607080", Task: "psi_0", Version: 2}, k)
	require.Equal(t, openflow.SessionID("202501020304050607080_psi_0_2"), k.SessionID())
}

// What is read back is what was written, and nothing else is read.
func FuzzParseRunID(f *testing.F) {
	for _, s := range []string{
		"J_psi_0_0@9999@guest_10000", "J_psi_0_0_guest_9999", "J_a_00@1@guest_1", "J_a_-1@1@guest_1", "J_a_0@@guest_1", "J_a_0@1@nobody_1",
		"J__0@1@guest_1", "J_a_0@1@guest_", "@@", "J_a_0@1", "J_a_0", "J_a_0@",
	} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		if k, err := openflow.ParseRunID(openflow.RunID(s)); err == nil {
			require.Equal(t, openflow.RunID(s), k.RunID())
		} else {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
		if k, err := openflow.ParseSessionID(openflow.SessionID(s)); err == nil {
			require.Equal(t, openflow.SessionID(s), k.SessionID())
		} else {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	})
}

// Task names may hold '_', so job IDs may not: the session of task "0" of job "1_a" would be that of task "a_0" of job
// "1".
func TestCheckJobID(t *testing.T) {
	require.NoError(t, openflow.CheckJobID("202501020304050607080"))
	require.NoError(t, openflow.CheckJobID("nightly-7.b"))
	for _, id := range []openflow.JobID{"", "1_a", "../1", "a b"} {
		err := openflow.CheckJobID(id)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "id %q", id)
		require.ErrorContains(t, err, "job_id")
	}
	one := openflow.TaskKey{Job: "1_a", Task: "0"}
	other := openflow.TaskKey{Job: "1", Task: "a_0"}
	require.Equal(t, one.SessionID(), other.SessionID(), "the reason for the rule")
}
