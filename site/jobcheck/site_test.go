package jobcheck_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/evaluation"
	"openflow/components/lr"
	"openflow/components/noop"
	"openflow/components/psi"
	"openflow/components/reader"
	"openflow/description"
	"openflow/description/fate"
	"openflow/sdk/component"
	"openflow/site/jobcheck"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10001"}
	data    = []openflow.Party{guest, host}
)

// described are the components of this repository, as they describe themselves.
func described(t testing.TB) map[string]jobcheck.Component {
	t.Helper()
	return describe(t, reader.Component(), psi.Component(), lr.Component(), evaluation.Component(), noop.Component())
}

func describe(t testing.TB, list ...component.Component) map[string]jobcheck.Component {
	t.Helper()
	all := map[string]jobcheck.Component{}
	for _, c := range list {
		raw, err := component.Program{Provider: "openflow", Version: "test", Components: []component.Component{c}}.Describe(c.Name)
		require.NoError(t, err)
		doc, err := description.Parse(raw)
		require.NoError(t, err)
		record, err := doc.Record(fate.Form{})
		require.NoError(t, err)
		require.Empty(t, record.Warnings, "our own descriptions leave nothing open")
		all[c.Name], err = jobcheck.Of(record)
		require.NoError(t, err)
	}
	return all
}

func from(key, producer, output string) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: []openflow.Channel{{
		Source: openflow.FromTask, ProducerTask: openflow.TaskName(producer), OutputKey: output,
	}}}
}

func warehouse(key, name string) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: []openflow.Channel{{
		Source: openflow.FromDataWarehouse, Namespace: "bank", Name: name,
	}}}
}

// training reads two tables, intersects them, trains and evaluates.
func training() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, arbiter}, Stage: openflow.StageDefault,
		Tasks: []openflow.Task{
			{Name: "reader_0", Component: "reader", Parties: data, Parameters: openflow.Parameters{"namespace": "bank", "name": "people"}},
			{Name: "psi_0", Component: "psi", Parties: data, Inputs: []openflow.Input{from("input_data", "reader_0", "output_data")}},
			{
				Name: "lr_0", Component: "coordinated_lr", Stage: openflow.StageTrain, Parameters: openflow.Parameters{"epochs": 3, "batch_size": nil},
				Inputs: []openflow.Input{from("train_data", "psi_0", "output_data")},
			},
			{Name: "evaluation_0", Component: "evaluation", Parties: data[:1], Inputs: []openflow.Input{from("input_datas", "lr_0", "train_output_data")}},
		},
		PartyTasks: []openflow.PartyTasks{{
			Site: "host_10000", Parties: []openflow.Party{host},
			Tasks: map[openflow.TaskName]openflow.TaskOverride{"reader_0": {Parameters: openflow.Parameters{"name": "accounts"}}},
		}},
	}
}

func task(d *openflow.DAG, name openflow.TaskName) *openflow.Task {
	return &d.Tasks[slices.IndexFunc(d.Tasks, func(t openflow.Task) bool { return t.Name == name })]
}

func set(d *openflow.DAG, name openflow.TaskName, parameter string, value any) {
	t := task(d, name)
	if t.Parameters == nil {
		t.Parameters = openflow.Parameters{}
	}
	t.Parameters[parameter] = value
}

func labels(known map[string]string, columns ...string) func(openflow.TableName) (string, func(string) bool, bool) {
	return func(n openflow.TableName) (string, func(string) bool, bool) {
		label, ok := known[n.Name]
		return label, func(c string) bool { return slices.Contains(columns, c) }, ok
	}
}

// planted are mistakes that used to be found by running, one a job.
var planted = map[string]struct {
	plant func(d *openflow.DAG)
	want  string
}{
	"unknown component": {func(d *openflow.DAG) { task(d, "psi_0").Component = "sbt" },
		`dag.tasks.psi_0.component_ref: no component "sbt" at this site (it has: coordinated_lr, evaluation, noop, psi, reader)`},
	"role that the component lacks": {func(d *openflow.DAG) { task(d, "psi_0").Parties = d.Parties },
		`dag.tasks.psi_0.parties: component "psi" has no part for a party in the role arbiter at arbiter 10001 (leave arbiter out of the task's parties)`},
	"stage that the component lacks": {func(d *openflow.DAG) { task(d, "lr_0").Stage = openflow.StageDefault },
		`dag.tasks.lr_0.stage: component "coordinated_lr" does not run in stage "default" (its stages are [train predict]; set the task's stage)`},
	"misspelt required parameter": {func(d *openflow.DAG) {
		task(d, "reader_0").Parameters = openflow.Parameters{"namespce": "bank", "name": "people"}
	}, `dag.tasks.reader_0.parameters.namespace: required by component reader (component "reader" has no parameter "namespce": correct the name; set it there, or for single parties in dag.party_tasks)`},
	"misspelt required member": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "sgd", "optimzer_params": map[string]any{}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params: required (component "coordinated_lr" has no parameter "optimzer_params": correct the name)`},
	"optimizer that is not offered": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "adamw", "optimizer_params": map[string]any{"lr": 1}})
	}, `dag.tasks.lr_0.parameters.optimizer.method: want one of sgd, adam, rmsprop, adagrad (did you mean adam?), found "adamw"`},
	"scheduler that is not offered": {func(d *openflow.DAG) {
		set(d, "lr_0", "learning_rate_scheduler", map[string]any{"method": "cosine"})
	}, `dag.tasks.lr_0.parameters.learning_rate_scheduler.method: want one of constant, linear, step, found "cosine"`},
	"start that is not offered": {func(d *openflow.DAG) {
		set(d, "lr_0", "init_param", map[string]any{"method": "zeroes"})
	}, `dag.tasks.lr_0.parameters.init_param.method: want one of zeros, ones, consts, random, random_uniform (did you mean zeros?), found "zeroes"`},
	"encryption that is none": {func(d *openflow.DAG) {
		set(d, "lr_0", "he_param", map[string]any{"kind": "mock"})
	}, `dag.tasks.lr_0.parameters.he_param.kind: want one of paillier, ou, ckks, found "mock"`},
	"learning rate of zero": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "adam", "optimizer_params": map[string]any{"lr": 0, "betas": []any{0.9, 0.99}}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.lr: want more than 0, found 0`},
	"learning rate below zero": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "sgd", "optimizer_params": map[string]any{"lr": -0.1}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.lr: want more than 0, found -0.1`},
	"no arbiter": {func(d *openflow.DAG) { task(d, "lr_0").Parties = data },
		`dag.tasks.lr_0.parties: component "coordinated_lr" needs exactly 1 arbiter, and the task has 0 (name them in the task's parties, or in dag.parties)`},
	"no host": {func(d *openflow.DAG) { task(d, "psi_0").Parties = data[:1] },
		`dag.tasks.psi_0.parties: component "psi" needs at least 1 host, and the task has 0 (name them in the task's parties, or in dag.parties)`},
	"two guests": {func(d *openflow.DAG) {
		other := openflow.Party{Role: openflow.RoleGuest, ID: "9998"}
		d.Parties = append(d.Parties, other)
		for _, name := range []openflow.TaskName{"reader_0", "psi_0", "lr_0"} {
			task(d, name).Parties = []openflow.Party{guest, other, host}
		}
		task(d, "lr_0").Parties = []openflow.Party{guest, host, arbiter}
	}, `dag.tasks.psi_0.parties: component "psi" takes exactly 1 guest, and the task has 2 (leave the others out of the task's parties)`},
	"input that does not exist": {func(d *openflow.DAG) {
		task(d, "psi_0").Inputs[0].Key = "input_dat"
		task(d, "psi_0").Inputs = append(task(d, "psi_0").Inputs, from("input_data", "reader_0", "output_data"))
	},
		`dag.tasks.psi_0.inputs.data.input_dat: component "psi" has no data input "input_dat" (its data inputs: input_data)`},
	"data for a model": {func(d *openflow.DAG) {
		in := from("train_data", "psi_0", "output_data")
		in.Kind = openflow.InputModel
		task(d, "lr_0").Inputs = append(task(d, "lr_0").Inputs, in)
	}, `dag.tasks.lr_0.inputs.model.train_data: component "coordinated_lr" has no model input "train_data" at guest 9999, host 10000 (its model inputs: input_model, warm_start_model)`},
	"output that does not exist": {func(d *openflow.DAG) {
		task(d, "psi_0").Inputs = []openflow.Input{from("input_data", "reader_0", "output")}
	},
		`dag.tasks.psi_0.inputs.data.input_data.task_output_artifact.output_artifact_key: component "reader" of task "reader_0" has no data output "output" (its data outputs: output_data)`},
	"output of another stage": {func(d *openflow.DAG) {
		task(d, "evaluation_0").Inputs = []openflow.Input{from("input_datas", "lr_0", "test_output_data")}
	}, `dag.tasks.evaluation_0.inputs.data.input_datas.task_output_artifact.output_artifact_key: task "lr_0" writes no "test_output_data" as guest in stage train (say with parties whom the channel is for, or take another output)`},
	"required input without a channel": {func(d *openflow.DAG) { task(d, "psi_0").Inputs = nil },
		`dag.tasks.psi_0.inputs.data.input_data: component "psi" requires this input, and nothing fills it (give it a channel that reaches every party which needs it)`},
	"required input at one party only": {func(d *openflow.DAG) { task(d, "lr_0").Inputs[0].Channels[0].Parties = data[:1] },
		`dag.tasks.lr_0.inputs.data.train_data: component "coordinated_lr" requires this input, and nothing fills it at host 10000 (give it a channel that reaches every party which needs it)`},
	"producer that is not run here": {func(d *openflow.DAG) {
		task(d, "reader_0").Parties, d.PartyTasks = data[:1], nil
		task(d, "psi_0").Inputs[0].Channels[0].Parties = data
	}, `dag.tasks.psi_0.inputs.data.input_data.task_output_artifact: task "reader_0" has no output here, because it is not run here at host 10000 (take it from a task of the same parties)`},
	"output that is never written": {func(d *openflow.DAG) {
		d.Tasks = append(d.Tasks, openflow.Task{Name: "noop_0", Component: "noop"})
		task(d, "psi_0").Inputs = []openflow.Input{from("input_data", "noop_0", "output_data")}
	}, `dag.tasks.psi_0.inputs.data.input_data.task_output_artifact: required, and task "noop_0" writes no "output_data" without its input "input_data" (fill the input "input_data" of task noop_0, or take it from another task)`},
	"two tables for one": {func(d *openflow.DAG) {
		in := &task(d, "psi_0").Inputs[0]
		in.Channels = append(in.Channels, in.Channels[0])
	}, `dag.tasks.psi_0.inputs.data.input_data: it takes one channel, and has 2 (name the parties of each channel)`},
	"required parameter": {func(d *openflow.DAG) { delete(task(d, "reader_0").Parameters, "namespace") },
		`dag.tasks.reader_0.parameters.namespace: required by component reader (set it there, or for single parties in dag.party_tasks)`},
	"required parameter at one party": {func(d *openflow.DAG) { delete(task(d, "reader_0").Parameters, "name") },
		`dag.tasks.reader_0.parameters.name: required by component reader at guest 9999 (set it there, or for single parties in dag.party_tasks)`},
	"word for a number":    {func(d *openflow.DAG) { set(d, "lr_0", "epochs", "many") }, `dag.tasks.lr_0.parameters.epochs: want a whole number, found "many"`},
	"number out of bounds": {func(d *openflow.DAG) { set(d, "lr_0", "batch_size", 3) }, `dag.tasks.lr_0.parameters.batch_size: want at least 10, found 3`},
	"no such choice":       {func(d *openflow.DAG) { set(d, "lr_0", "early_stop", "never") }, `dag.tasks.lr_0.parameters.early_stop: want one of weight_diff, diff, abs, found "never"`},
	"choice inside":        {func(d *openflow.DAG) { set(d, "lr_0", "init_param", map[string]any{"method": "xavier"}) }, `dag.tasks.lr_0.parameters.init_param.method: want one of zeros, ones, consts, random, random_uniform, found "xavier"`},
	"required inside":      {func(d *openflow.DAG) { set(d, "lr_0", "optimizer", map[string]any{"method": "sgd"}) }, `dag.tasks.lr_0.parameters.optimizer.optimizer_params: required`},
	"no such metric":       {func(d *openflow.DAG) { set(d, "evaluation_0", "metrics", []any{"auc", "accuracy"}) }, `dag.tasks.evaluation_0.parameters.metrics[1]: want one of auc, ks, `},
	"no such protocol":     {func(d *openflow.DAG) { set(d, "psi_0", "protocol", "rsa") }, `dag.tasks.psi_0.parameters.protocol: want one of ecdh_psi, found "rsa"`},
	"choice of one party": {func(d *openflow.DAG) {
		d.PartyTasks[0].Tasks["psi_0"] = openflow.TaskOverride{Parameters: openflow.Parameters{"curve_type": "p521"}}
	}, `dag.party_tasks.host_10000.tasks.psi_0.parameters.curve_type: want one of curve25519, p256, p-256 at host 10000, found "p521"`},
	"table without a label": {func(d *openflow.DAG) { set(d, "reader_0", "name", "unlabelled") },
		`dag.tasks.lr_0.inputs.data.train_data: table bank/unlabelled has no label column at guest 9999 (upload the table again and name its label column)`},
	"table without a label, directly": {func(d *openflow.DAG) {
		task(d, "lr_0").Inputs = []openflow.Input{warehouse("train_data", "unlabelled")}
	},
		`dag.tasks.lr_0.inputs.data.train_data: table bank/unlabelled has no label column at guest 9999 (upload the table again and name its label column)`},
	"labels of another name": {func(d *openflow.DAG) {
		task(d, "evaluation_0").Inputs = []openflow.Input{warehouse("input_datas", "people")}
		set(d, "evaluation_0", "label_column_name", "z")
	}, `dag.tasks.evaluation_0.parameters.label_column_name: table bank/people has no column "z" of labels (ask the party's users what it is called)`},
	"option of another optimizer": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "adam", "optimizer_params": map[string]any{"lr": 0.1, "beta": 0.9}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.beta: not known here (did you mean betas?); want one of amsgrad, betas, eps, lr, maximize, weight_decay, found 0.9`},
	"option of the default optimizer": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"optimizer_params": map[string]any{"lr": 0, "momentum": -1}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.momentum: want at least 0, found -1`},
	"betas": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "Adam", "optimizer_params": map[string]any{"betas": []any{0.9, 0.99, 0.999}}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.betas: want a list of another length, found [0.9,0.99,0.999]`},
	"a beta": {func(d *openflow.DAG) {
		set(d, "lr_0", "optimizer", map[string]any{"method": "adam", "optimizer_params": map[string]any{"betas": []any{0.9, 1}}})
	}, `dag.tasks.lr_0.parameters.optimizer.optimizer_params.betas[1]: want less than 1, found 1`},
	"step without its size": {func(d *openflow.DAG) {
		set(d, "lr_0", "learning_rate_scheduler", map[string]any{"method": "step", "scheduler_params": map[string]any{"gamma": 0.5}})
	}, `dag.tasks.lr_0.parameters.learning_rate_scheduler.scheduler_params.step_size: required`},
	"step without options": {func(d *openflow.DAG) {
		set(d, "lr_0", "learning_rate_scheduler", map[string]any{"method": "step"})
	}, `dag.tasks.lr_0.parameters.learning_rate_scheduler.scheduler_params: required`},
	"early stop by the loss of two hosts": {func(d *openflow.DAG) {
		second := openflow.Party{Role: openflow.RoleHost, ID: "10002"}
		d.Parties = append(d.Parties, second)
		for _, name := range []openflow.TaskName{"reader_0", "psi_0"} {
			task(d, name).Parties = []openflow.Party{guest, host, second}
		}
	}, `dag.tasks.lr_0.parameters.early_stop: diff or abs of it needs exactly 1 host, and the task has 2 (set another value)`},
	"parties that differ": {func(d *openflow.DAG) { override(d, "lr_0", openflow.Parameters{"epochs": 4}) },
		`dag.party_tasks.host_10000.tasks.lr_0.parameters.epochs: it has to be alike at all parties of the task, and differs between guest 9999 and host 10000 at host 10000 (set it in dag.tasks.lr_0.parameters for all)`},
	"a party that differs from the default": {func(d *openflow.DAG) { override(d, "lr_0", openflow.Parameters{"tol": 0.5}) },
		`dag.party_tasks.host_10000.tasks.lr_0.parameters.tol: it has to be alike at all parties of the task, and differs between guest 9999 and host 10000 at host 10000 (set it in dag.tasks.lr_0.parameters for all)`},
	"wrong at one party only": {func(d *openflow.DAG) { override(d, "lr_0", openflow.Parameters{"threshold": 2}) },
		`dag.party_tasks.host_10000.tasks.lr_0.parameters.threshold: want at most 1 at host 10000, found 2`},
	"name of a table that is empty": {func(d *openflow.DAG) { override(d, "reader_0", openflow.Parameters{"name": ""}) },
		`dag.party_tasks.host_10000.tasks.reader_0.parameters.name: required by component reader at host 10000 (set it there, or for single parties in dag.party_tasks)`},
	"provider of another framework": {func(d *openflow.DAG) { task(d, "psi_0").Conf.Provider = "secretflow:1.0@local" },
		`dag.tasks.psi_0.conf.provider: no provider "secretflow:1.0@local" at this site (name another)`},
}

// override sets parameters of a task at the host.
func override(d *openflow.DAG, name openflow.TaskName, p openflow.Parameters) {
	d.PartyTasks[0].Tasks[name] = openflow.TaskOverride{Parameters: p}
}

// What differs only in how it is written is alike, and what a party may choose for itself may differ.
func TestPartiesThatAreAlike(t *testing.T) {
	for name, p := range map[string]openflow.Parameters{
		"a number in quotes":   {"epochs": "3"},
		"a fraction":           {"epochs": 3.2},
		"the default":          {"tol": 1e-4},
		"a choice in capitals": {"early_stop": "DIFF"},
		"defaults of members":  {"optimizer": map[string]any{"method": "sgd", "penalty": "L2", "alpha": "1", "optimizer_params": map[string]any{"lr": 0.01, "weight_decay": 0}}},
		"a start of its own":   {"init_param": map[string]any{"method": "ones"}, "threshold": 0.7},
	} {
		t.Run(name, func(t *testing.T) {
			d := training()
			override(d, "lr_0", p)
			mistakes, _ := site(t).Check(d, d.Parties)
			require.Empty(t, mistakes)
		})
	}
	d := training()
	override(d, "lr_0", openflow.Parameters{"epochs": 4})
	task(d, "lr_0").Inputs = append(task(d, "lr_0").Inputs, openflow.Input{Kind: openflow.InputModel, Key: "warm_start_model", Channels: []openflow.Channel{
		{Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model", Model: &openflow.ModelRef{ID: "m", Version: "0"}},
	}})
	mistakes, _ := site(t).Check(d, d.Parties)
	require.Empty(t, mistakes, "a model may bring its own")
}

// Whether a table has a column of some name is nobody else's to know.
func TestAnswersToOthersNameNoColumns(t *testing.T) {
	d := training()
	task(d, "evaluation_0").Inputs = []openflow.Input{warehouse("input_datas", "people")}
	set(d, "evaluation_0", "label_column_name", "secret")
	mistakes, _ := site(t).Check(d, d.Participants())
	require.Len(t, mistakes, 1)
	require.Contains(t, mistakes[0].String(), `has no column "secret"`)
	told := openflow.ForPartners(openflow.Refusal(mistakes))
	require.Equal(t, "dag.tasks.evaluation_0.parameters.label_column_name: it does not fit this party's data", told.Error())
	require.Equal(t, "it does not fit this party's data", told.Mistakes[0].Message)
	require.Empty(t, told.Mistakes[0].Private)
	require.NotContains(t, openflow.PublicText(openflow.Refusal(append(mistakes, mistakes...))), "secret")
}

// find resolves components of one provider.
func find(described map[string]jobcheck.Component) func(openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
	return func(s openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
		c, ok := described[s.Component]
		switch {
		case !ok:
			return c, &jobcheck.Unresolved{Member: "component_ref", Message: "no component " + strconv.Quote(s.Component) + " at this site",
				Remedy: "it has: " + strings.Join(slices.Sorted(maps.Keys(described)), ", ")}
		case s.Conf.Provider != "" && !strings.HasPrefix(s.Conf.Provider, "openflow:"):
			return c, &jobcheck.Unresolved{Member: "conf.provider", Message: "no provider " + strconv.Quote(s.Conf.Provider) + " at this site", Remedy: "name another"}
		}
		return c, nil
	}
}

func site(t testing.TB) jobcheck.Site {
	return jobcheck.Site{Self: guest.ID, Find: find(described(t)), Labels: labels(map[string]string{"people": "y", "unlabelled": ""}, "id", "x0")}
}

func TestARightJobHasNoMistakes(t *testing.T) {
	mistakes, warnings := site(t).Check(training(), training().Parties)
	require.Empty(t, mistakes)
	require.Empty(t, warnings)
}

func TestPlantedMistakes(t *testing.T) {
	for name, tc := range planted {
		t.Run(name, func(t *testing.T) {
			d := training()
			tc.plant(d)
			require.NoError(t, d.Validate(), "the document itself is right")
			mistakes, _ := site(t).Check(d, d.Participants())
			texts := make([]string, len(mistakes))
			for i, m := range mistakes {
				texts[i] = m.String()
			}
			require.NotEmpty(t, texts)
			if name == "no such metric" {
				require.Contains(t, texts[0], tc.want)
				return
			}
			require.Contains(t, texts, tc.want)
		})
	}
}

// Mistakes that do not hide each other are all told at once.
func TestAllMistakesComeAtOnce(t *testing.T) {
	d := training()
	for _, name := range []string{"required parameter", "word for a number", "no such choice", "no such metric", "choice of one party",
		"input that does not exist", "required input at one party only"} {
		planted[name].plant(d)
	}
	mistakes, _ := site(t).Check(d, d.Parties)
	require.Len(t, mistakes, 7, "%v", mistakes)
}

// What has no effect is told, and stops nothing.
func TestWhatHasNoEffect(t *testing.T) {
	d := training()
	set(d, "lr_0", "epochz", 3)
	set(d, "lr_0", "init_param", map[string]any{"metod": "zeros"})
	d.PartyTasks[0].Tasks["psi_0"] = openflow.TaskOverride{Parameters: openflow.Parameters{"curve": "p256"}}
	task(d, "lr_0").Inputs = append(task(d, "lr_0").Inputs, from("test_data", "psi_0", "output_data"))
	mistakes, warnings := site(t).Check(d, d.Parties)
	require.Empty(t, mistakes)
	require.ElementsMatch(t, []string{
		`dag.tasks.lr_0.parameters.epochz: component "coordinated_lr" has no parameter "epochz"; it is ignored (did you mean epochs?)`,
		`dag.tasks.lr_0.parameters.init_param.metod: component "coordinated_lr" has no such parameter; it is ignored (did you mean method?)`,
		`dag.party_tasks.host_10000.tasks.psi_0.parameters.curve: component "psi" has no parameter "curve"; it is ignored`,
		`dag.tasks.lr_0.inputs.data.test_data: it has no effect at guest 9999 in stage train`,
		`dag.tasks.lr_0.inputs.data.test_data: it has no effect at host 10000 in stage train`,
	}, warnings)
}

// What another site runs is for that site to judge.
func TestComponentsOfOthers(t *testing.T) {
	d := training()
	d.Tasks = append(d.Tasks, openflow.Task{Name: "own_0", Component: "own", Parties: data[1:], Inputs: []openflow.Input{from("any", "psi_0", "output_data")}})
	d.Tasks = append(d.Tasks, openflow.Task{Name: "noop_0", Component: "noop", Parties: data[1:], Inputs: []openflow.Input{from("input_data", "own_0", "any")}})
	mistakes, _ := site(t).Check(d, d.Parties)
	require.Empty(t, mistakes)
	at := site(t)
	at.Self = host.ID
	mistakes, _ = at.Check(d, data[1:])
	require.Len(t, mistakes, 1)
	require.Contains(t, mistakes[0].Message, `no component "own"`)
}

// A task can be resident where its component is, at each party.
func TestWay(t *testing.T) {
	all := described(t)
	shared := all["noop"]
	shared.Way, shared.Runs = openflow.WayResident, 4
	at := site(t)
	usual := at.Find
	at.Find = func(s openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
		if s.Component == "shared" {
			return shared, nil
		}
		return usual(s)
	}
	for name, tc := range map[string]struct {
		component string
		conf      openflow.TaskConf
		resident  int
		wrong     string
	}{
		"as the component says":      {"shared", openflow.TaskConf{}, 4, ""},
		"the same":                   {"shared", openflow.TaskConf{Way: openflow.WayResident}, 4, ""},
		"its own container":          {"shared", openflow.TaskConf{Way: openflow.WayTask}, 0, ""},
		"devices":                    {"shared", openflow.TaskConf{GPUs: new(1)}, 0, ""},
		"devices, and shared":        {"shared", openflow.TaskConf{GPUs: new(1), Way: openflow.WayResident}, 0, "a task with GPUs has a container of its own"},
		"a component that has none":  {"noop", openflow.TaskConf{Way: openflow.WayTask}, 0, ""},
		"a component that has none!": {"noop", openflow.TaskConf{Way: openflow.WayResident}, 0, `component "noop" is not resident at party 9999`},
	} {
		t.Run(name, func(t *testing.T) {
			d := &openflow.DAG{SchemaVersion: "2.2.0", Parties: []openflow.Party{guest}, Stage: openflow.StageDefault, Tasks: []openflow.Task{{Name: "a", Component: tc.component, Conf: tc.conf}}}
			c, unresolved := at.Find(openflow.TaskSpec{Component: tc.component})
			require.Nil(t, unresolved)
			require.Equal(t, tc.resident, c.Resident(tc.conf))
			mistakes, _ := at.Check(d, d.Parties)
			if tc.wrong == "" {
				require.Empty(t, mistakes)
				return
			}
			require.Len(t, mistakes, 1)
			require.Equal(t, "dag.tasks.a.conf.way", mistakes[0].Path)
			require.Contains(t, mistakes[0].Message, tc.wrong)
			require.NotEmpty(t, mistakes[0].Remedy)
		})
	}
	shared.Runs = 0
	require.Equal(t, openflow.UsualRuns, shared.Resident(openflow.TaskConf{}))
	shared.Runs = 1 << 20
	require.Equal(t, openflow.MostRuns, shared.Resident(openflow.TaskConf{}))
}

// An optional input may come from an output that is written only sometimes, or at some parties.
func TestOptionalInputs(t *testing.T) {
	d := training()
	d.Tasks = append(d.Tasks,
		openflow.Task{Name: "noop_0", Component: "noop"},
		openflow.Task{Name: "noop_1", Component: "noop", Inputs: []openflow.Input{from("input_data", "noop_0", "output_data")}},
		openflow.Task{Name: "noop_2", Component: "noop", Inputs: []openflow.Input{from("input_data", "noop_1", "output_data")}},
		openflow.Task{Name: "noop_3", Component: "noop", Inputs: []openflow.Input{from("input_data", "reader_0", "output_data")}},
	)
	mistakes, _ := site(t).Check(d, d.Parties)
	require.Empty(t, mistakes)
	task(d, "psi_0").Inputs = []openflow.Input{from("input_data", "noop_3", "output_data")}
	mistakes, _ = site(t).Check(d, d.Parties)
	require.Empty(t, mistakes, "what the noop passes on is there")
	task(d, "psi_0").Inputs = []openflow.Input{from("input_data", "noop_2", "output_data")}
	mistakes, _ = site(t).Check(d, d.Parties)
	require.Len(t, mistakes, 1, "through two tasks nothing comes: %v", mistakes)
}

// A document near the greatest size is checked in the time of its length: through a chain of tasks that pass on what the
// first one lacks, and with an override for each.
func TestLongChains(t *testing.T) {
	const tasks = 3000
	d := &openflow.DAG{SchemaVersion: "2.2.0", Parties: data, Stage: openflow.StageDefault, Tasks: []openflow.Task{{Name: "n0", Component: "noop"}}}
	for i := 1; i < tasks; i++ {
		name := openflow.TaskName(fmt.Sprintf("n%d", i))
		d.Tasks = append(d.Tasks, openflow.Task{Name: name, Component: "noop", Inputs: []openflow.Input{from("input_data", fmt.Sprintf("n%d", i-1), "output_data")}})
		d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{
			Site: string(name), Parties: []openflow.Party{host}, Tasks: map[openflow.TaskName]openflow.TaskOverride{name: {Parameters: openflow.Parameters{"sleep_ms": -1}}},
		})
	}
	d.Tasks = append(d.Tasks, openflow.Task{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{from("input_data", fmt.Sprintf("n%d", tasks-1), "output_data")}})
	require.NoError(t, d.Validate())
	mistakes, _ := site(t).Check(d, d.Parties)
	require.Len(t, mistakes, tasks, "one for each override, and the end of the chain")
}
