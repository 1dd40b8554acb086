package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

func speaks(protocols ...string) (list []openflow.Protocol) {
	for _, text := range protocols {
		p, err := openflow.ParseProtocol(text)
		if err != nil {
			panic(err)
		}
		list = append(list, p)
	}
	return list
}

// Whether the parties of a task understand each other.
func TestAgree(t *testing.T) {
	all := []openflow.Party{guest, host, third}
	type says map[openflow.Party][]openflow.Protocol // of a party that is not in it nothing is known
	for name, tc := range map[string]struct {
		parties  []openflow.Party
		says     says
		want     string
		refused  string
		warnings int
	}{
		"the same":                  {all[:2], says{guest: speaks("p@1"), host: speaks("p@1")}, "p@1", "", 0},
		"one in common":             {all[:2], says{guest: speaks("q@1", "p@2"), host: speaks("p@2", "p@1")}, "p@2", "", 0},
		"the first party chooses":   {all[:2], says{guest: speaks("p@1", "p@2"), host: speaks("p@2", "p@1")}, "p@1", "", 0},
		"all three":                 {all, says{guest: speaks("p@3", "p@2", "p@1"), host: speaks("p@2", "p@1"), third: speaks("p@1")}, "p@1", "", 0},
		"each two, and not all":     {all, says{guest: speaks("a@1", "b@1"), host: speaks("b@1", "c@1"), third: speaks("a@1", "c@1")}, "", "no protocol in common", 0},
		"another version of it":     {all[:2], says{guest: speaks("p@1"), host: speaks("p@2")}, "", "guest 9999 with psi of acme:1, which speaks p@1; host 10000 with psi of acme:1, which speaks p@2", 0},
		"nobody talks":              {all[:2], says{guest: nil, host: nil}, "", "", 0},
		"one talks to nobody":       {all[:2], says{guest: nil, host: speaks("p@1")}, "", "guest 9999 with psi of acme:1, which speaks with nobody; host 10000", 0},
		"two on one side":           {all, says{guest: speaks("p@1"), host: speaks("p@1"), third: speaks("p@2")}, "", "guest 9999, host 10000 with psi of acme:1, which speaks p@1; arbiter 10001 with", 0},
		"alone":                     {all[:1], says{guest: speaks("p@1")}, "", "", 0},
		"one says nothing":          {all[:2], says{guest: speaks("p@1")}, "", "", 1},
		"one of three says nothing": {all, says{guest: speaks("p@1"), third: speaks("p@1")}, "p@1", "", 1},
		"the others do not fit":     {all, says{guest: speaks("p@1"), third: speaks("p@2")}, "", "no protocol in common", 1},
		"nobody says anything":      {all[:2], says{}, "", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			tasks := []openflow.PlannedTask{{Name: "psi_0", Component: "psi", Parties: tc.parties}}
			var answers []plan.ReserveAnswer
			for _, p := range tc.parties {
				a := plan.ReserveAnswer{Party: p}
				if list, known := tc.says[p]; known {
					a.Spoken = []openflow.Spoken{{Task: "psi_0", Provider: openflow.ProviderRef{Name: "acme", Version: "1"}, Protocols: list}}
				}
				answers = append(answers, a)
			}
			got, err := plan.Agree(tasks, answers)
			require.Len(t, got.Warnings, tc.warnings, "%v", got.Warnings)
			require.Equal(t, tc.want, got.Protocols["psi_0"].String())
			if tc.refused == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.ErrorContains(t, err, "dag.tasks.psi_0: its parties have no protocol in common")
			require.ErrorContains(t, err, tc.refused)
			require.Contains(t, openflow.PublicText(err), tc.refused, "every party reads who does not fit")
			created := plan.Created(openflow.JobPlan{Parties: tc.parties, Tasks: tasks}, answers, make([]error, len(tc.parties)))
			require.Equal(t, openflow.JobFailed, created.End().Status)
			require.False(t, created.Unbegun(), "the same job would be refused again")
			require.NoError(t, plan.Created(openflow.JobPlan{Parties: tc.parties, Tasks: tasks, Again: true}, nil, make([]error, len(tc.parties))).Refusal)
		})
	}
}

// All tasks that could not run are told at once, and what a silent party takes part in is one warning.
func TestAgreeOnManyTasks(t *testing.T) {
	var tasks []openflow.PlannedTask
	ours := plan.ReserveAnswer{Party: guest}
	theirs := plan.ReserveAnswer{Party: host}
	for i := range 7 {
		name := openflow.TaskName(fmt.Sprint("t", i))
		tasks = append(tasks, openflow.PlannedTask{Name: name, Component: "psi", Parties: []openflow.Party{guest, host}})
		ours.Spoken = append(ours.Spoken, openflow.Spoken{Task: name, Protocols: speaks("p@1")})
		theirs.Spoken = append(theirs.Spoken, openflow.Spoken{Task: name, Protocols: speaks("p@2")})
	}
	_, err := plan.Agree(tasks, []plan.ReserveAnswer{ours, theirs})
	require.Len(t, openflow.MistakesOf(err), 7)
	got, err := plan.Agree(tasks, []plan.ReserveAnswer{ours, {Party: host}})
	require.NoError(t, err)
	require.Equal(t, []string{"host 10000 does not say which protocols its programs speak, so nothing is compared with it: " +
		"t0, t1, t2, t3, t4, 2 more fails there if they do not understand each other"}, got.Warnings)
}

// What was agreed goes along with each start of the task, also in a further run of the job.
func TestStartsCarryTheProtocol(t *testing.T) {
	tasks := []openflow.PlannedTask{{Name: "a", Parties: []openflow.Party{guest, host}}, {Name: "b", Parties: []openflow.Party{guest}, Upstreams: []openflow.TaskName{"a"}}}
	state := plan.New(tasks, 0)
	state.Agreed(map[openflow.TaskName]openflow.Protocol{"a": speaks("p@1")[0]})
	x := plan.NewExecution(jobOf(guest, host), state)
	for _, s := range x.Next(noon).Start {
		require.Equal(t, "p@1", s.Protocol.String())
	}
	again := plan.New(plan.Rerun(tasks, state.Runs()), 0)
	again.Agreed(nil)
	starts := plan.NewExecution(jobOf(guest, host), again).Next(noon).Start
	require.Len(t, starts, 2)
	require.Equal(t, "p@1", starts[0].Protocol.String())
}
