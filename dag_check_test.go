package openflow_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestExampleIsValid(t *testing.T) { require.NoError(t, example().Validate()) }

func TestValidateNamesThePlace(t *testing.T) {
	task := func(d *openflow.DAG, n openflow.TaskName) *openflow.Task {
		return &d.Tasks[slices.IndexFunc(d.Tasks, func(t openflow.Task) bool { return t.Name == n })]
	}
	stranger := openflow.Party{Role: openflow.RoleGuest, ID: "7"}
	for name, tc := range map[string]struct {
		breaks func(*openflow.DAG)
		want   string // begins the message
		also   string
	}{
		"no parties":   {func(d *openflow.DAG) { d.Parties = nil }, "dag.parties: no parties", ""},
		"unknown role": {func(d *openflow.DAG) { d.Parties[0].Role = "boss" }, `dag.parties: unknown role "boss"`, ""},
		"party id":     {func(d *openflow.DAG) { d.Parties[0].ID = "../x" }, `dag.parties: party_id "../x"`, ""},
		"party twice":  {func(d *openflow.DAG) { d.Parties = append(d.Parties, host) }, "dag.parties: host 10000 is listed twice", ""},
		"many parties": {func(d *openflow.DAG) {
			for i := range openflow.MaxParties {
				d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: openflow.PartyID(strconv.Itoa(100_000 + i))})
			}
		}, "dag.parties: 1004 parties, more than 1000", ""},
		"many tasks": {func(d *openflow.DAG) { d.Tasks = make([]openflow.Task, openflow.MaxTasks+1) }, "dag.tasks: 10001 tasks, more than 10000", "split"},
		"many runs": {func(d *openflow.DAG) {
			for i := range 900 {
				d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: openflow.PartyID(strconv.Itoa(100_000 + i))})
			}
			d.Tasks = make([]openflow.Task, 1000)
		}, "dag.tasks: 904000 runs at all parties together, more than 100000", ""},
		"negative cores":     {func(d *openflow.DAG) { n := -1; d.Conf.Cores = &n }, "dag.conf.cores: -1 is negative", ""},
		"negative retries":   {func(d *openflow.DAG) { d.Conf.AutoRetries = -2 }, "dag.conf.auto_retries: -2", ""},
		"sync type":          {func(d *openflow.DAG) { d.Conf.SyncType = "push" }, `dag.conf.sync_type: unknown value "push"`, ""},
		"job timeout":        {func(d *openflow.DAG) { d.Conf.Timeout = -time.Second }, "dag.conf.timeout: negative", ""},
		"timeout of tasks":   {func(d *openflow.DAG) { d.Conf.Task.Timeout = -1 }, "dag.conf.task.timeout: negative", ""},
		"scheduler id":       {func(d *openflow.DAG) { d.Conf.Scheduler = "a/b" }, `dag.conf.scheduler_party_id: name "a/b"`, ""},
		"initiator id":       {func(d *openflow.DAG) { d.Conf.Initiator = "a/b" }, `dag.conf.initiator_party_id: name "a/b"`, ""},
		"model id":           {func(d *openflow.DAG) { d.Conf.ModelID = "a/b" }, `dag.conf.model_id: name "a/b"`, ""},
		"long purpose":       {func(d *openflow.DAG) { d.Conf.Purpose = strings.Repeat("x", openflow.MaxPurpose+1) }, "dag.conf.purpose: it is too long", "at most 500 bytes"},
		"purpose in lines":   {func(d *openflow.DAG) { d.Conf.Purpose = "a\nb" }, "dag.conf.purpose: it is not one line of readable text", ""},
		"unreadable purpose": {func(d *openflow.DAG) { d.Conf.Purpose = "a\u202eb" }, "dag.conf.purpose: it is not one line of readable text", ""},
		"model version":      {func(d *openflow.DAG) { d.Conf.ModelVersion = "a/b" }, `dag.conf.model_version: name "a/b"`, ""},
		"stage of the job":   {func(d *openflow.DAG) { d.Stage = "fit" }, `dag.stage: unknown stage "fit"`, ""},
		"no tasks":           {func(d *openflow.DAG) { d.Tasks = nil }, "dag.tasks: no tasks", ""},
		"task name":          {func(d *openflow.DAG) { d.Tasks[0].Name = "a b" }, `dag.tasks."a b": task name "a b"`, ""},
		"task twice":         {func(d *openflow.DAG) { d.Tasks = append(d.Tasks, d.Tasks[0]) }, "dag.tasks.reader_0: defined twice", ""},
		"component":          {func(d *openflow.DAG) { d.Tasks[0].Component = "" }, "dag.tasks.reader_0.component_ref", ""},
		"stage of a task":    {func(d *openflow.DAG) { d.Tasks[0].Stage = "fit" }, `dag.tasks.reader_0.stage: unknown stage "fit"`, ""},
		"timeout of a task":  {func(d *openflow.DAG) { d.Tasks[0].Conf.Timeout = -time.Second }, "dag.tasks.reader_0.conf.timeout: negative", ""},
		"stranger in a task": {func(d *openflow.DAG) { d.Tasks[0].Parties = []openflow.Party{stranger} }, "dag.tasks.reader_0.parties: guest 7 is not a party of the job", ""},
		"unknown dependency": {func(d *openflow.DAG) { task(d, "psi_0").DependsOn = []openflow.TaskName{"x"} }, `dag.tasks.psi_0.dependent_tasks: unknown task "x"`, ""},
		"unknown producer": {
			func(d *openflow.DAG) {
				task(d, "psi_0").Inputs = []openflow.Input{data("input_data", from("reeder_0"))}
			},
			`dag.tasks.psi_0.inputs.data.input_data.task_output_artifact.producer_task: unknown task "reeder_0"`, "reader_0, psi_0, lr_0",
		},
		"own producer": {
			func(d *openflow.DAG) { task(d, "psi_0").Inputs = []openflow.Input{data("input_data", from("psi_0"))} },
			`dag.tasks.psi_0.inputs.data.input_data.task_output_artifact.producer_task: task "psi_0" feeds itself`, "",
		},
		"no output key": {
			func(d *openflow.DAG) {
				task(d, "psi_0").Inputs = []openflow.Input{data("input_data", openflow.Channel{Source: openflow.FromTask, ProducerTask: "reader_0"})}
			},
			"dag.tasks.psi_0.inputs.data.input_data.task_output_artifact.output_artifact_key: missing", "",
		},
		"stranger in a channel": {
			func(d *openflow.DAG) {
				task(d, "psi_0").Inputs = []openflow.Input{data("input_data", from("reader_0", stranger))}
			},
			"dag.tasks.psi_0.inputs.data.input_data.task_output_artifact.parties: guest 7 is not a party of the job", "",
		},
		"half a table": {
			func(d *openflow.DAG) {
				task(d, "psi_0").Inputs = []openflow.Input{data("input_data", openflow.Channel{Source: openflow.FromDataWarehouse, Name: "n"})}
			},
			"dag.tasks.psi_0.inputs.data.input_data.data_warehouse: needs namespace and name", "",
		},
		"half a model": {
			func(d *openflow.DAG) {
				task(d, "lr_0").Inputs[1].Channels[0].OutputKey = ""
			},
			"dag.tasks.lr_0.inputs.model.input_model.model_warehouse: needs producer_task", "",
		},
		"no model": {
			func(d *openflow.DAG) { d.Conf.ModelWarehouse = nil },
			"dag.tasks.lr_0.inputs.model.input_model.model_warehouse: names no model", "dag.conf.model_warehouse",
		},
		"stranger in party_tasks": {
			func(d *openflow.DAG) { d.PartyTasks[0].Parties = []openflow.Party{stranger} },
			"dag.party_tasks.hosts.parties: guest 7 is not a party of the job", "",
		},
		"party_tasks of nobody": {
			func(d *openflow.DAG) { d.PartyTasks[0].Parties = nil }, "dag.party_tasks.hosts.parties: no parties", "",
		},
		"override of an unknown task": {
			func(d *openflow.DAG) { d.PartyTasks[0].Tasks["x"] = openflow.TaskOverride{} },
			`dag.party_tasks.hosts.tasks: unknown task "x"`, "known tasks: reader_0, psi_0, lr_0",
		},
		"override of somebody else's task": {
			func(d *openflow.DAG) {
				d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
					Site: "arbiter", Parties: []openflow.Party{arbiter}, Tasks: map[openflow.TaskName]openflow.TaskOverride{"psi_0": {}},
				})
			},
			`dag.party_tasks.arbiter.tasks.psi_0: arbiter 10000 takes no part in task "psi_0"`, "",
		},
		"timeout of a site": {
			func(d *openflow.DAG) { d.PartyTasks[0].Conf.Timeout = -1 }, "dag.party_tasks.hosts.conf.timeout: negative", "",
		},
		"timeout of an override": {
			func(d *openflow.DAG) {
				d.PartyTasks[0].Tasks["psi_0"] = openflow.TaskOverride{Conf: openflow.TaskConf{Timeout: -1}}
			},
			"dag.party_tasks.hosts.tasks.psi_0.conf.timeout: negative", "",
		},
		"cycle by data": {
			func(d *openflow.DAG) { task(d, "reader_0").Inputs = []openflow.Input{data("x", from("lr_0"))} },
			"dag.tasks.reader_0: the tasks form a cycle: reader_0 ← lr_0 ← reader_0", "",
		},
		"cycle by dependent_tasks": {
			func(d *openflow.DAG) { task(d, "reader_0").DependsOn = []openflow.TaskName{"psi_0"} },
			"dag.tasks.reader_0: the tasks form a cycle: reader_0 ← psi_0 ← reader_0", "",
		},
		"dependency on itself": {
			func(d *openflow.DAG) { task(d, "psi_0").DependsOn = []openflow.TaskName{"psi_0"} },
			"dag.tasks.psi_0: the tasks form a cycle: psi_0 ← psi_0", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := example()
			tc.breaks(d)
			err := d.Validate()
			require.Error(t, err)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.True(t, slices.ContainsFunc(openflow.MistakesOf(err), func(m openflow.Mistake) bool {
				return strings.HasPrefix(m.String(), tc.want)
			}), "a mistake of %q should begin with %q", err, tc.want)
			require.ErrorContains(t, err, tc.also)
		})
	}
}

// What would have no effect, or none that anybody wants, is told or refused.
func TestOddSettings(t *testing.T) {
	d := example()
	d.PartyTasks = []openflow.PartyTasks{
		{Site: "idle", Parties: d.Parties[:1]},
		{Site: "half", Parties: d.Parties[:1], Tasks: map[openflow.TaskName]openflow.TaskOverride{"reader_0": {}}},
		{Site: "busy", Parties: d.Parties[:1], Conf: openflow.TaskConf{LauncherName: "default"}},
	}
	require.NoError(t, d.Validate())
	warnings := strings.Join(d.Warnings(), "\n")
	require.Contains(t, warnings, "dag.party_tasks.idle: it changes nothing")
	require.Contains(t, warnings, "dag.party_tasks.half.tasks.reader_0: it changes nothing")
	require.NotContains(t, warnings, "busy")

	d.Conf.AutoRetries, d.Conf.ComputingPartitions = openflow.MaxRetries+1, -1
	d.Tasks[0].Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "x", Channels: []openflow.Channel{
		{Source: openflow.FromDataWarehouse, Namespace: "客户", Name: "2026年"}, {Source: openflow.FromDataWarehouse, Namespace: "a/b", Name: "c"},
	}}}
	mistakes, usable := d.Examine()
	require.True(t, usable)
	require.Len(t, mistakes, 3)
	require.Contains(t, mistakes[2].String(), `.inputs.data.x.data_warehouse: namespace "a/b" is not a valid name (use 1 to 128 letters`)
}
