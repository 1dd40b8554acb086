package openflow_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestRefusal(t *testing.T) {
	choice := openflow.Mistake{Code: openflow.CodeInvalid, Path: "dag.tasks.a.parameters.x", Message: "want one of l1, l2", Found: `"l3"`, Remedy: "choose one"}
	table := openflow.Mistake{Code: openflow.CodeNotFound, Subject: openflow.AboutTable, Party: "10000", Message: "no table a/b"}
	for name, tc := range map[string]struct {
		mistakes     []openflow.Mistake
		code         openflow.Code
		text, public string
	}{
		"one": {
			[]openflow.Mistake{choice}, openflow.CodeInvalid,
			`dag.tasks.a.parameters.x: want one of l1, l2, found "l3" (choose one)`, `dag.tasks.a.parameters.x: want one of l1, l2`,
		},
		"one of a party": {[]openflow.Mistake{table}, openflow.CodeNotFound, "at party 10000: no table a/b", "no table a/b"},
		"several of a party": {
			[]openflow.Mistake{table, table}, openflow.CodeNotFound,
			"at party 10000: 2 mistakes\n  no table a/b\n  no table a/b", "2 mistakes\n  no table a/b\n  no table a/b",
		},
		"of several kinds": {
			[]openflow.Mistake{choice, table}, openflow.CodeInvalid,
			"2 mistakes\n  dag.tasks.a.parameters.x: want one of l1, l2, found \"l3\" (choose one)\n  at party 10000: no table a/b",
			"2 mistakes\n  dag.tasks.a.parameters.x: want one of l1, l2\n  at party 10000: no table a/b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := openflow.Refusal(tc.mistakes)
			require.EqualError(t, err, tc.text)
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.Equal(t, tc.public, openflow.PublicText(err))
			require.Len(t, openflow.MistakesOf(fmt.Errorf("wrapped: %w", err)), len(tc.mistakes))
		})
	}
	require.NoError(t, openflow.Refusal(nil))
	require.Empty(t, openflow.MistakesOf(errors.New("something else")))
}

func TestRefusalIsBounded(t *testing.T) {
	err := openflow.Refusal(make([]openflow.Mistake, openflow.MaxMistakes+3))
	require.Equal(t, openflow.MaxMistakes+1, strings.Count(err.Error(), "\n"))
	require.ErrorContains(t, err, "and 3 more")
}

// All that is wrong with a document comes in one answer.
func TestValidateTellsAllMistakes(t *testing.T) {
	d := example()
	d.Stage, d.Conf.SyncType, d.Conf.AutoRetries = "fit", "push", -1
	d.Tasks[0].Component = ""
	d.PartyTasks[0].Tasks["nobody"] = openflow.TaskOverride{}
	var places []string
	for _, m := range openflow.MistakesOf(d.Validate()) {
		place, _, _ := strings.Cut(m.String(), " ")
		places = append(places, strings.TrimSuffix(place, ":"))
	}
	require.Equal(t, []string{
		"dag.conf.auto_retries", "dag.conf.sync_type", "dag.stage", "dag.tasks.reader_0.component_ref", "dag.party_tasks.hosts.tasks",
	}, places)
}

// A party that no task names is legal, and nothing is asked of it.
func TestPartyWithoutATask(t *testing.T) {
	d := example()
	d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleArbiter, ID: "77"})
	for i := range d.Tasks {
		if len(d.Tasks[i].Parties) == 0 {
			d.Tasks[i].Parties = d.Parties[:len(d.Parties)-1]
		}
	}
	require.NoError(t, d.Validate())
	require.Equal(t, d.Parties[:len(d.Parties)-1], d.Participants())
}

// What one party's override says of an input takes the place of the task's own, at that party only.
func TestInputsOfOneParty(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	table := func(name string, parties ...openflow.Party) openflow.Input {
		return openflow.Input{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
			{Source: openflow.FromDataWarehouse, Namespace: "bank", Name: name, Parties: parties},
		}}
	}
	d := &openflow.DAG{
		SchemaVersion: "1", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{
			{Name: "noop_0", Component: "noop"},
			{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{table("common")}},
		},
		PartyTasks: []openflow.PartyTasks{
			{Site: "guest_9999", Parties: []openflow.Party{guest}, Tasks: map[openflow.TaskName]openflow.TaskOverride{
				"psi_0": {Inputs: []openflow.Input{table("own", guest)}},
			}},
			{Site: "host_10000", Parties: []openflow.Party{host}, Tasks: map[openflow.TaskName]openflow.TaskOverride{
				"psi_0": {Inputs: []openflow.Input{data("more", from("noop_0"))}},
			}},
		},
	}
	require.NoError(t, d.Validate())
	require.Equal(t, []openflow.TableName{{Namespace: "bank", Name: "own"}}, d.Tables(guest))
	require.Equal(t, []openflow.TableName{{Namespace: "bank", Name: "common"}}, d.Tables(host))
	require.Equal(t, []openflow.TaskName{"noop_0"}, d.Upstreams(d.Tasks[1]))
	inputs := d.ForParty(host)[1].Inputs
	require.Equal(t, []string{"input_data", "more"}, []string{inputs[0].Key, inputs[1].Key})

	d.PartyTasks[1].Tasks["psi_0"] = openflow.TaskOverride{Inputs: []openflow.Input{data("more", from("nobody"))}}
	require.ErrorContains(t, d.Validate(), `dag.party_tasks.host_10000.tasks.psi_0.inputs.data.more.task_output_artifact.producer_task: unknown task "nobody"`)
}

func TestWarnings(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	d := &openflow.DAG{Parties: []openflow.Party{guest, host}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}
	require.Empty(t, d.Warnings())
	for want, change := range map[string]func(*openflow.DAG){
		"party 10000 is both host and arbiter": func(d *openflow.DAG) {
			d.Parties = append(slices.Clone(d.Parties), openflow.Party{Role: openflow.RoleArbiter, ID: "10000"})
		},
		"dag.parties: host 10000 takes part in no task": func(d *openflow.DAG) { d.Tasks[0].Parties = d.Parties[:1] },
		"dag.conf.task.launcher_name: ":                 func(d *openflow.DAG) { d.Conf.Task.LauncherName = "deepspeed" },
		"dag.tasks.a.conf.launcher_name: ":              func(d *openflow.DAG) { d.Tasks[0].Conf.LauncherName = "deepspeed" },
		"dag.party_tasks.g.tasks.a.conf.launcher_name: ": func(d *openflow.DAG) {
			d.PartyTasks = []openflow.PartyTasks{{Site: "g", Tasks: map[openflow.TaskName]openflow.TaskOverride{"a": {Conf: openflow.TaskConf{LauncherName: "x"}}}}}
		},
	} {
		changed := *d
		changed.Tasks = slices.Clone(d.Tasks)
		change(&changed)
		warnings := changed.Warnings()
		require.Len(t, warnings, 1, want)
		require.Contains(t, warnings[0], want)
	}
	d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleArbiter, ID: "10001"})
	require.Empty(t, d.Warnings(), "a third party")
}

// What follows from a mistake is not told beside it; what is independent is.
func TestUnrelatedMistakes(t *testing.T) {
	at := func(paths ...string) (list []openflow.Mistake) {
		for _, p := range paths {
			list = append(list, openflow.Mistake{Code: openflow.CodeInvalid, Path: p, Message: "m"})
		}
		return list
	}
	later := at("dag.conf.cores", "dag.tasks.a.stage", "dag.tasks.a.inputs.data.x", "dag.tasks.a.parameters.y", "dag.tasks.ab.parameters.y")
	for first, want := range map[string][]openflow.Mistake{
		"schema_version":                       later,
		"document (line 1)":                    nil,
		"dag":                                  nil,
		"dag.parties[0].party_id":              nil,
		"dag.conf":                             later[1:],
		"dag.conf.task.timeout (line 4)":       later,
		"dag.tasks":                            later[:1],
		"dag.tasks.a":                          at("dag.conf.cores", "dag.tasks.ab.parameters.y"),
		"dag.tasks.a.inputs.data.x.y (line 2)": at("dag.conf.cores", "dag.tasks.a.stage", "dag.tasks.a.parameters.y", "dag.tasks.ab.parameters.y"),
		"dag.tasks.a.parameters":               at("dag.conf.cores", "dag.tasks.a.stage", "dag.tasks.a.inputs.data.x", "dag.tasks.ab.parameters.y"),
		"dag.stage":                            at("dag.conf.cores", "dag.tasks.a.parameters.y", "dag.tasks.ab.parameters.y"),
		"dag.party_tasks.g.parties":            later[:2],
	} {
		require.Equal(t, want, openflow.Unrelated(at(first), later), first)
	}
	require.Equal(t, later, openflow.Unrelated(nil, later))
}

// Documents have names of any length; an answer has not.
func TestMistakesAreCut(t *testing.T) {
	long := strings.Repeat("长", 100_000)
	err := openflow.Refusal([]openflow.Mistake{{Code: openflow.CodeInvalid, Path: long, Message: long, Remedy: long}, {Code: openflow.CodeInvalid, Message: "short"}})
	require.Less(t, len(err.Error()), 5000)
	require.Contains(t, err.Error(), "short")
}
