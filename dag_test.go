package openflow_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	host2   = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
)

func from(task openflow.TaskName, parties ...openflow.Party) openflow.Channel {
	return openflow.Channel{Source: openflow.FromTask, ProducerTask: task, OutputKey: "output_data", Parties: parties}
}

func data(key string, channels ...openflow.Channel) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: channels}
}

// example is a job of two hosts, in which the second one has parameters of its own.
func example() *openflow.DAG {
	cores := 4
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, host2, arbiter}, Stage: openflow.StageTrain,
		Conf: openflow.JobConf{
			Cores: &cores, ModelWarehouse: &openflow.ModelRef{ID: "m", Version: "3"},
			Task: openflow.TaskConf{Provider: "fate:2.2.0@local", Timeout: time.Hour, EngineRun: map[string]any{"cores": 2, "x": 1}},
		},
		Tasks: []openflow.Task{
			{
				Name: "reader_0", Component: "reader", Stage: openflow.StageDefault, Parties: []openflow.Party{host2, host, guest},
				Parameters: openflow.Parameters{"name": "common", "deep": map[string]any{"a": 1, "b": 2}},
			},
			{
				Name: "psi_0", Component: "psi", Stage: openflow.StageDefault, Parties: []openflow.Party{guest, host, host2},
				Inputs: []openflow.Input{data("input_data", from("reader_0"))}, DependsOn: []openflow.TaskName{"reader_0"},
			},
			{
				Name: "lr_0", Component: "coordinated_lr", Parameters: openflow.Parameters{"epochs": 10, "batch_size": nil},
				Inputs: []openflow.Input{
					data("train_data", from("psi_0", guest), from("reader_0", host, host2)),
					{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{
						{Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model"},
					}},
				},
				Conf: openflow.TaskConf{LauncherName: "deep", EngineRun: map[string]any{"cores": 3}},
			},
		},
		PartyTasks: []openflow.PartyTasks{
			{
				Site: "hosts", Parties: []openflow.Party{host, host2}, Conf: openflow.TaskConf{Timeout: time.Minute},
				Tasks: map[openflow.TaskName]openflow.TaskOverride{
					"reader_0": {Parameters: openflow.Parameters{"namespace": "ns", "name": "both"}},
				},
			},
			{
				Site: "host_10001", Parties: []openflow.Party{host2},
				Tasks: map[openflow.TaskName]openflow.TaskOverride{
					"reader_0": {
						Parameters: openflow.Parameters{"name": "second", "deep": map[string]any{"c": 3}},
						Conf:       openflow.TaskConf{Provider: "own:1@docker", EngineRun: map[string]any{"cores": 8}},
					},
					"lr_0": {Parameters: openflow.Parameters{"epochs": nil}},
				},
			},
		},
	}
}

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
		"party without task": {func(d *openflow.DAG) {
			d.Parties = append(d.Parties, stranger)
			task(d, "lr_0").Parties = []openflow.Party{guest, host, host2, arbiter}
		}, "dag.parties: guest 7 takes part in no task", ""},
		"negative cores":     {func(d *openflow.DAG) { n := -1; d.Conf.Cores = &n }, "dag.conf.cores: -1 is negative", ""},
		"negative retries":   {func(d *openflow.DAG) { d.Conf.AutoRetries = -2 }, "dag.conf.auto_retries: -2", ""},
		"sync type":          {func(d *openflow.DAG) { d.Conf.SyncType = "push" }, `dag.conf.sync_type: unknown value "push"`, ""},
		"job timeout":        {func(d *openflow.DAG) { d.Conf.Task.Timeout = -1 }, "dag.conf.task.timeout: negative", ""},
		"scheduler id":       {func(d *openflow.DAG) { d.Conf.Scheduler = "a/b" }, `dag.conf.scheduler_party_id "a/b"`, ""},
		"initiator id":       {func(d *openflow.DAG) { d.Conf.Initiator = "a/b" }, `dag.conf.initiator_party_id "a/b"`, ""},
		"model id":           {func(d *openflow.DAG) { d.Conf.ModelID = "a/b" }, `dag.conf.model_id "a/b"`, ""},
		"model version":      {func(d *openflow.DAG) { d.Conf.ModelVersion = "a/b" }, `dag.conf.model_version "a/b"`, ""},
		"stage of the job":   {func(d *openflow.DAG) { d.Stage = "fit" }, `dag.stage: unknown stage "fit"`, ""},
		"no tasks":           {func(d *openflow.DAG) { d.Tasks = nil }, "dag.tasks: no tasks", ""},
		"task name":          {func(d *openflow.DAG) { d.Tasks[0].Name = "a b" }, `dag.tasks: task name "a b"`, ""},
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
			"dag.tasks: the tasks form a cycle: reader_0 ← lr_0 ← reader_0", "",
		},
		"cycle by dependent_tasks": {
			func(d *openflow.DAG) { task(d, "reader_0").DependsOn = []openflow.TaskName{"psi_0"} },
			"dag.tasks: the tasks form a cycle: reader_0 ← psi_0 ← reader_0", "",
		},
		"dependency on itself": {
			func(d *openflow.DAG) { task(d, "psi_0").DependsOn = []openflow.TaskName{"psi_0"} },
			"dag.tasks: the tasks form a cycle: psi_0 ← psi_0", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := example()
			tc.breaks(d)
			err := d.Validate()
			require.Error(t, err)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.True(t, strings.HasPrefix(err.Error(), tc.want), "message %q should begin with %q", err, tc.want)
			require.ErrorContains(t, err, tc.also)
		})
	}
}

func names(d *openflow.DAG, p openflow.Party) []openflow.TaskName {
	var list []openflow.TaskName
	for _, s := range d.ForParty(p) {
		list = append(list, s.Name)
	}
	return list
}

func spec(t *testing.T, d *openflow.DAG, p openflow.Party, name openflow.TaskName) openflow.TaskSpec {
	t.Helper()
	for _, s := range d.ForParty(p) {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("%s does not run %s", p, name)
	return openflow.TaskSpec{}
}

func TestForPartyTasks(t *testing.T) {
	d := example()
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0", "lr_0"}, names(d, guest))
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0", "lr_0"}, names(d, host2))
	require.Equal(t, []openflow.TaskName{"lr_0"}, names(d, arbiter))
	require.Empty(t, names(d, openflow.Party{Role: openflow.RoleGuest, ID: "10000"}))

	s := spec(t, d, guest, "reader_0")
	require.Equal(t, []openflow.Party{guest, host, host2}, s.Parties, "in the order of the DAG, not of the task")
	require.Equal(t, openflow.StageDefault, s.Stage)
	require.Equal(t, openflow.StageTrain, spec(t, d, guest, "lr_0").Stage)
	d.Stage = ""
	require.Equal(t, openflow.StageDefault, spec(t, d, guest, "lr_0").Stage)
}

func TestForPartyMergesParameters(t *testing.T) {
	d := example()
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  openflow.Parameters
	}{
		"nothing to override": {guest, "reader_0", openflow.Parameters{"name": "common", "deep": map[string]any{"a": 1, "b": 2}}},
		"one entry": {host, "reader_0", openflow.Parameters{
			"name": "both", "namespace": "ns", "deep": map[string]any{"a": 1, "b": 2},
		}},
		"two entries, the later wins, not deep": {host2, "reader_0", openflow.Parameters{
			"name": "second", "namespace": "ns", "deep": map[string]any{"c": 3},
		}},
		"null replaces": {host2, "lr_0", openflow.Parameters{"epochs": nil, "batch_size": nil}},
		"other host":    {host, "lr_0", openflow.Parameters{"epochs": 10, "batch_size": nil}},
		"none":          {guest, "psi_0", openflow.Parameters{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Parameters))
		})
	}
	require.Empty(t, cmp.Diff(example(), d), "the DAG is not changed")
}

// Part 7 #31: what one task or party sets must not leak into another.
func TestForPartyMergesConf(t *testing.T) {
	d := example()
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  openflow.TaskConf
	}{
		"of the job": {guest, "reader_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, EngineRun: map[string]any{"cores": 2, "x": 1},
		}},
		"of the task": {guest, "lr_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, LauncherName: "deep", EngineRun: map[string]any{"cores": 3, "x": 1},
		}},
		"of the site": {host, "psi_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Minute, EngineRun: map[string]any{"cores": 2, "x": 1},
		}},
		"of the site's task": {host2, "reader_0", openflow.TaskConf{
			Provider: "own:1@docker", Timeout: time.Minute, EngineRun: map[string]any{"cores": 8, "x": 1},
		}},
		"after all that": {arbiter, "lr_0", openflow.TaskConf{
			Provider: "fate:2.2.0@local", Timeout: time.Hour, LauncherName: "deep", EngineRun: map[string]any{"cores": 3, "x": 1},
		}},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Conf)) })
	}
}

// The rules of fate-flow-api §4.2.3.
func TestChannelsReachTheirParties(t *testing.T) {
	d := example()
	only := func(c openflow.Channel, p openflow.Party) openflow.Channel { c.Parties = []openflow.Party{p}; return c }
	model := openflow.Channel{
		Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model", Model: &openflow.ModelRef{ID: "m", Version: "3"},
	}
	for name, tc := range map[string]struct {
		party openflow.Party
		task  openflow.TaskName
		want  []openflow.Input
	}{
		"wherever the producer runs": {guest, "psi_0", []openflow.Input{data("input_data", from("reader_0", guest))}},
		"disjoint parties, first": {guest, "lr_0", []openflow.Input{
			data("train_data", from("psi_0", guest)),
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, guest)}},
		}},
		"disjoint parties, second": {host2, "lr_0", []openflow.Input{
			data("train_data", from("reader_0", host2)),
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, host2)}},
		}},
		"key dropped, warehouse everywhere": {arbiter, "lr_0", []openflow.Input{
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{only(model, arbiter)}},
		}},
		"none at all": {guest, "reader_0", nil},
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, cmp.Diff(tc.want, spec(t, d, tc.party, tc.task).Inputs)) })
	}

	d.Tasks[1].Parties = []openflow.Party{guest, host} // the producer runs at two parties, the consumer at four
	d.Tasks[2].Inputs = []openflow.Input{data("train_data", from("psi_0"))}
	require.Len(t, spec(t, d, host, "lr_0").Inputs, 1)
	require.Empty(t, spec(t, d, host2, "lr_0").Inputs)
}

func TestModelOfAChannelStays(t *testing.T) {
	d := example()
	own := &openflow.ModelRef{ID: "other", Version: "9"}
	d.Tasks[2].Inputs[1].Channels[0].Model = own
	require.Equal(t, own, spec(t, d, guest, "lr_0").Inputs[1].Channels[0].Model)
}

// Part 7 #17.
func TestStrippedFor(t *testing.T) {
	d := example()
	s := d.StrippedFor("10000")
	require.NoError(t, s.Validate())
	require.Empty(t, cmp.Diff(d.Tasks, s.Tasks), "the graph stays whole")
	require.Equal(t, d.Parties, s.Parties)
	require.Len(t, s.PartyTasks, 1)
	require.Equal(t, []openflow.Party{host}, s.PartyTasks[0].Parties, "the other host is taken off")
	require.Empty(t, cmp.Diff(d.ForParty(host), s.ForParty(host)), "its own view is the same")
	require.Empty(t, cmp.Diff(d.ForParty(arbiter), s.ForParty(arbiter)))
	require.Equal(t, "common", spec(t, s, host2, "reader_0").Parameters["name"], "another site's parameters are gone")
	require.Empty(t, d.StrippedFor("9999").PartyTasks)
	require.Empty(t, cmp.Diff(example(), d), "the original is not changed")
}

func TestOrder(t *testing.T) {
	order := func(deps map[openflow.TaskName][]openflow.TaskName, written ...openflow.TaskName) []openflow.TaskName {
		d := &openflow.DAG{}
		for _, n := range written {
			d.Tasks = append(d.Tasks, openflow.Task{Name: n, DependsOn: deps[n]})
		}
		got, err := d.Order()
		require.NoError(t, err)
		return got
	}
	type edges = map[openflow.TaskName][]openflow.TaskName
	require.Equal(t, []openflow.TaskName{"c", "a", "b"}, order(nil, "c", "a", "b"), "as written without edges")
	require.Equal(t, []openflow.TaskName{"a", "b", "c"}, order(edges{"c": {"b"}, "b": {"a"}}, "c", "b", "a"))
	require.Equal(t, []openflow.TaskName{"a", "b", "c", "d"}, order(edges{"d": {"c", "b"}, "b": {"a"}, "c": {"a"}}, "d", "a", "b", "c"))
}

func TestUpstreamsAreListedOnceInTheOrderOfTheDAG(t *testing.T) {
	d := example()
	lr, ok := d.Task("lr_0")
	require.True(t, ok)
	require.Equal(t, []openflow.TaskName{"reader_0", "psi_0"}, d.Upstreams(lr))
	_, ok = d.Task("nobody")
	require.False(t, ok)
}

// A deep chain must not overflow anything, and must be fast.
func TestOrderOfALongChain(t *testing.T) {
	d := &openflow.DAG{}
	const n = 1000
	for i := range n {
		task := openflow.Task{Name: openflow.TaskName("t" + strconv.Itoa(i))}
		if i > 0 {
			task.DependsOn = []openflow.TaskName{d.Tasks[i-1].Name}
		}
		d.Tasks = append(d.Tasks, task)
	}
	slices.Reverse(d.Tasks)
	order, err := d.Order()
	require.NoError(t, err)
	require.Len(t, order, n)
	require.Equal(t, d.Tasks[n-1].Name, order[0])
}

func TestTables(t *testing.T) {
	d := example()
	d.Tasks[1].Inputs = []openflow.Input{data("input_data",
		openflow.Channel{Source: openflow.FromDataWarehouse, Namespace: "w", Name: "house", Parties: []openflow.Party{host}},
		openflow.Channel{Source: openflow.FromDataWarehouse, Job: "1", ProducerTask: "a", OutputKey: "b"},
	)}
	require.NoError(t, d.Validate())
	require.Equal(t, []openflow.TableName{{"ns", "both"}, {"w", "house"}}, d.Tables(host))
	require.Equal(t, []openflow.TableName{{"ns", "second"}}, d.Tables(host2))
	require.Empty(t, d.Tables(arbiter))
	require.Equal(t, "ns/both", d.Tables(host)[0].String())
}
