package wire_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// clause is a document of guest 9999, host 10000 and a reader, with what a clause is about put in.
func clause(conf, tasks, partyTasks string) []byte {
	return fmt.Appendf(nil, `{"schema_version":"2.2.0","dag":{"stage":"train","parties":[{"role":"guest","party_id":[9999]},{"role":"host","party_id":["10000"]}],
"conf":{%s},"tasks":{"r":{"component_ref":"reader","stage":"default"}%s},"party_tasks":{%s}}}`, conf, tasks, partyTasks)
}

const (
	atGuest = `"parties":[{"role":"guest","party_id":["9999"]}]`
	atHost  = `"parties":[{"role":"host","party_id":["10000"]}]`
)

// What a document means for a party, one clause of the DAG schema after the other.
//
// Spec: fate-flow-api §4.1–§4.5.
func TestClausesOfTheSchema(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	at := func(d *openflow.DAG, p openflow.Party, task openflow.TaskName) openflow.TaskSpec {
		for _, s := range d.ForParty(p) {
			if s.Name == task {
				return s
			}
		}
		return openflow.TaskSpec{}
	}
	from := func(channels string) string {
		return `,"a":{"component_ref":"x","inputs":{"data":{"in":` + channels + `}}}`
	}
	channel := `{"producer_task":"r","output_artifact_key":"k"%s}`
	for name, tc := range map[string]struct {
		conf, tasks, sites string
		holds              func(*testing.T, *openflow.DAG)
	}{
		"4.1 a party ID may be a number": {holds: func(t *testing.T, d *openflow.DAG) { require.Equal(t, guest, d.Parties[0]) }},
		"4.1.1 the stage of the DAG is that of tasks without one": {tasks: `,"a":{"component_ref":"x"}`, holds: func(t *testing.T, d *openflow.DAG) {
			require.Equal(t, []openflow.Stage{openflow.StageDefault, openflow.StageTrain}, []openflow.Stage{at(d, guest, "r").Stage, at(d, guest, "a").Stage})
		}},
		"4.1.1 cross_validation is a stage": {tasks: `,"a":{"component_ref":"x","stage":"cross_validation"}`, holds: func(t *testing.T, d *openflow.DAG) {
			require.Equal(t, openflow.StageCrossValidation, at(d, guest, "a").Stage)
		}},
		"4.1.2 priority, cores, partitions, retries, sync_type, scheduler, initiator": {
			conf: `"priority":3,"cores":5,"computing_partitions":6,"auto_retries":2,"sync_type":"poll","scheduler_party_id":"10000","initiator_party_id":"9999"`,
			holds: func(t *testing.T, d *openflow.DAG) {
				c := d.Conf
				require.Equal(t, []any{3, 5, 6, 2, openflow.Poll, openflow.PartyID("10000"), openflow.PartyID("9999")},
					[]any{c.Priority, *c.Cores, c.ComputingPartitions, c.AutoRetries, c.SyncType, c.Scheduler, c.Initiator})
			}},
		"4.1.2 a model without a version is version 0": {conf: `"model_warehouse":{"model_id":"m"}`, holds: func(t *testing.T, d *openflow.DAG) {
			require.Equal(t, &openflow.ModelRef{ID: "m", Version: "0"}, d.Conf.ModelWarehouse)
		}},
		"4.1.2 a version may be a number": {conf: `"model_id":"m","model_version":7`, holds: func(t *testing.T, d *openflow.DAG) { require.Equal(t, "7", d.Conf.ModelVersion) }},
		"4.1.2 what is open is filled in": {holds: func(t *testing.T, d *openflow.DAG) {
			c := d.Conf.Filled("1")
			require.Equal(t, []any{openflow.Callback, "1", "0", 8}, []any{c.SyncType, c.ModelID, c.ModelVersion, c.ComputingPartitions})
		}},
		"4.1.4, 4.3 configuration goes from the job over the task and the party to the task at the party": {
			conf:  `"task":{"timeout":1,"provider":"fate:2.2.0@local","engine_run":{"cores":1}}`,
			tasks: `,"a":{"component_ref":"x","conf":{"timeout":2,"provider":"acme:1@docker","engine_run":{"cores":2}}},"b":{"component_ref":"x"}`,
			sites: `"g":{` + atGuest + `,"conf":{"timeout":3},"tasks":{"a":{"conf":{"timeout":4,"provider":"acme:2@docker"}}}}`,
			holds: func(t *testing.T, d *openflow.DAG) {
				a, b, r := at(d, guest, "a").Conf, at(d, guest, "b").Conf, at(d, host, "a").Conf
				require.Equal(t, []any{4 * time.Second, "acme:2@docker", 2}, []any{a.Timeout, a.Provider, *a.Cores})
				require.Equal(t, []any{3 * time.Second, "fate:2.2.0@local", 1}, []any{b.Timeout, b.Provider, *b.Cores}, "nothing leaks from another task (part 7 #31)")
				require.Equal(t, []any{2 * time.Second, "acme:1@docker"}, []any{r.Timeout, r.Provider})
			}},
		"4.3 parameters are replaced by key, in the order of the document, null too": {
			tasks: `,"a":{"component_ref":"x","parameters":{"p":{"q":1},"s":2,"u":3}}`,
			sites: `"one":{` + atGuest + `,"tasks":{"a":{"parameters":{"p":{"v":1},"s":null}}}},"two":{` + atGuest + `,"tasks":{"a":{"parameters":{"u":4}}}}`,
			holds: func(t *testing.T, d *openflow.DAG) {
				p := at(d, guest, "a").Parameters
				require.Len(t, p, 3)
				require.Contains(t, p, "s")
				require.Nil(t, p["s"])
				require.NotContains(t, fmt.Sprint(p["p"]), "q")
				require.Equal(t, "4", fmt.Sprint(p["u"]))
				require.Equal(t, "3", fmt.Sprint(at(d, host, "a").Parameters["u"]))
			}},
		"4.1.4 an override's input takes the place of the task's": {
			tasks: from(`{"task_output_artifact":` + fmt.Sprintf(channel, "") + `}`),
			sites: `"g":{` + atGuest + `,"tasks":{"a":{"inputs":{"data":{"in":{"data_warehouse":{"namespace":"n","name":"t"}}}}}}}`,
			holds: func(t *testing.T, d *openflow.DAG) {
				require.Equal(t, "t", at(d, guest, "a").Inputs[0].Channels[0].Name)
				require.Equal(t, openflow.FromTask, at(d, host, "a").Inputs[0].Channels[0].Source)
			}},
		"4.2.1 a channel may be an object": {tasks: from(`{"task_output_artifact":` + fmt.Sprintf(channel, "") + `}`), holds: func(t *testing.T, d *openflow.DAG) {
			require.Len(t, at(d, guest, "a").Inputs[0].Channels, 1)
		}},
		"4.2.1 a channel may be a list": {
			tasks: from(`{"task_output_artifact":[` + fmt.Sprintf(channel, `,"output_artifact_type_alias":"y"`) + `,` + fmt.Sprintf(channel, "") + `]}`),
			holds: func(t *testing.T, d *openflow.DAG) { require.Len(t, at(d, guest, "a").Inputs[0].Channels, 2) }},
		"4.2.3 a channel with parties reaches those": {
			tasks: from(`{"data_warehouse":[{"namespace":"n","name":"g",` + atGuest + `},{"namespace":"n","name":"h",` + atHost + `}]}`),
			holds: func(t *testing.T, d *openflow.DAG) {
				g, h := at(d, guest, "a").Inputs[0].Channels, at(d, host, "a").Inputs[0].Channels
				require.Len(t, g, 1)
				require.Len(t, h, 1)
				require.Equal(t, []any{"g", "h", []openflow.Party{guest}}, []any{g[0].Name, h[0].Name, g[0].Parties})
			}},
		"4.2.3 without parties it reaches who runs the producer": {
			tasks: `,"p":{"component_ref":"x",` + atGuest + `},"a":{"component_ref":"x","inputs":{"data":{"in":{"task_output_artifact":{"producer_task":"p","output_artifact_key":"k"}}}}}`,
			holds: func(t *testing.T, d *openflow.DAG) {
				require.Len(t, at(d, guest, "a").Inputs, 1)
				require.Empty(t, at(d, host, "a").Inputs, "the key is dropped for this party")
			}},
		"4.2.2 data of another job": {tasks: from(`{"data_warehouse":{"job_id":"1","producer_task":"p","output_artifact_key":"k"}}`), holds: func(t *testing.T, d *openflow.DAG) {
			c := at(d, guest, "a").Inputs[0].Channels[0]
			require.Equal(t, []any{openflow.JobID("1"), openflow.TaskName("p"), "k"}, []any{c.Job, c.ProducerTask, c.OutputKey})
		}},
		"4.2.3 a model without IDs is that of the job's model_warehouse": {
			conf:  `"model_warehouse":{"model_id":"m","model_version":"1"}`,
			tasks: `,"a":{"component_ref":"x","inputs":{"model":{"in":{"model_warehouse":{"producer_task":"p","output_artifact_key":"k"}},"own":{"model_warehouse":[{"producer_task":"p","output_artifact_key":"k","model_id":"o","model_version":2}]}}}}`,
			holds: func(t *testing.T, d *openflow.DAG) {
				in := at(d, guest, "a").Inputs
				require.Equal(t, []openflow.ModelRef{{ID: "m", Version: "1"}, {ID: "o", Version: "2"}}, []openflow.ModelRef{*in[0].Channels[0].Model, *in[1].Channels[0].Model})
			}},
		"4.4 an input is an edge, whomever it reaches": {
			tasks: from(`{"task_output_artifact":` + fmt.Sprintf(channel, ","+atHost) + `}`),
			holds: func(t *testing.T, d *openflow.DAG) {
				a, _ := d.Task("a")
				require.Equal(t, []openflow.TaskName{"r"}, d.Upstreams(a))
			}},
		"4.5 inheritance names a job and its tasks": {conf: `"inheritance":{"job_id":"1","task_list":["r"]}`, holds: func(t *testing.T, d *openflow.DAG) {
			require.True(t, d.Conf.Inherits("r"))
			require.False(t, d.Conf.Inherits("a"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := wire.ReceiveDAG(clause(tc.conf, tc.tasks, tc.sites))
			require.NoError(t, err)
			tc.holds(t, d)
		})
	}
}

// What no party could run is refused by the name of its field.
//
// Spec: fate-flow-api §4.1–§4.5, part 7 #4, #5.
func TestClausesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ conf, tasks, sites, field string }{
		"stage":                {tasks: `,"a":{"component_ref":"x","stage":"test"}`, field: "dag.tasks.a.stage"},
		"sync_type":            {conf: `"sync_type":"push"`, field: "dag.conf.sync_type"},
		"priority":             {conf: `"priority":"high"`, field: "dag.conf.priority"},
		"cores":                {conf: `"cores":-1`, field: "dag.conf.cores"},
		"auto_retries":         {conf: `"auto_retries":1.5`, field: "dag.conf.auto_retries"},
		"engine_run":           {conf: `"task":{"engine_run":{"cores":"many"}}`, field: "dag.conf.task.engine_run.cores"},
		"timeout":              {conf: `"task":{"timeout":-3}`, field: "dag.conf.task.timeout"},
		"scheduler_party_id":   {conf: `"scheduler_party_id":"../x"`, field: "dag.conf.scheduler_party_id"},
		"model_warehouse":      {conf: `"model_warehouse":{"model_version":"0"}`, field: "dag.conf.model_warehouse.model_id"},
		"inheritance":          {conf: `"inheritance":{"job_id":"1","task_list":[]}`, field: "dag.conf.inheritance.task_list"},
		"inheritance of whom":  {conf: `"inheritance":{"task_list":["r"]}`, field: "dag.conf.inheritance.job_id"},
		"component_ref":        {tasks: `,"a":{}`, field: "dag.tasks.a.component_ref"},
		"parties of a task":    {tasks: `,"a":{"component_ref":"x","parties":[{"role":"host","party_id":["1"]}]}`, field: "dag.tasks.a.parties"},
		"producer_task":        {tasks: `,"a":{"component_ref":"x","inputs":{"data":{"in":{"task_output_artifact":{"producer_task":"z","output_artifact_key":"k"}}}}}`, field: "dag.tasks.a.inputs.data.in.task_output_artifact.producer_task"},
		"an incomplete table":  {tasks: `,"a":{"component_ref":"x","inputs":{"data":{"in":{"data_warehouse":{"name":"t"}}}}}`, field: "dag.tasks.a.inputs.data.in.data_warehouse"},
		"a model of nobody":    {tasks: `,"a":{"component_ref":"x","inputs":{"model":{"in":{"model_warehouse":{"producer_task":"p","output_artifact_key":"k"}}}}}`, field: "dag.tasks.a.inputs.model.in.model_warehouse"},
		"a party that is none": {sites: `"g":{"parties":[{"role":"guest","party_id":["1"]}],"tasks":{"r":{"parameters":{"a":1}}}}`, field: "dag.party_tasks.g.parties"},
		"a task that is none":  {sites: `"g":{` + atGuest + `,"tasks":{"z":{"parameters":{"a":1}}}}`, field: "dag.party_tasks.g.tasks"},
		"a cycle":              {tasks: `,"a":{"component_ref":"x","dependent_tasks":["b"]},"b":{"component_ref":"x","dependent_tasks":["a"]}`, field: "dag.tasks.a"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wire.ReceiveDAG(clause(tc.conf, tc.tasks, tc.sites))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			mistakes := openflow.MistakesOf(err)
			require.NotEmpty(t, mistakes)
			require.True(t, strings.HasPrefix(mistakes[0].Path, tc.field), "%s is not named by %q", tc.field, mistakes[0].Path)
		})
	}
}
