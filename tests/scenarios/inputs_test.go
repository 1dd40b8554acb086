package scenarios_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// psiDocument is a job as FATE's client writes it: guest and host read what input says, after a wait of noop_0; conf and
// more are added to the document.
func psiDocument(conf, input, more string, sleepMS int) []byte {
	return fmt.Appendf(nil, `{"dag_schema":{"schema_version":"2.0.0.beta","dag":{
		"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]},{"role":"arbiter","party_id":["10001"]}],
		"conf":{%s},"tasks":{
			"noop_0":{"component_ref":"noop","parameters":{"sleep_ms":%d},"parties":[{"role":"guest","party_id":["9999"]}]},
			"psi_0":{"component_ref":"psi","dependent_tasks":["noop_0"],%s
				"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}}%s}}}`, conf, sleepMS, input, more)
}

const (
	byRoles = `"inputs":{"data":{"input_data":{"data_warehouse":[
		{"namespace":"credit","name":"guest","roles":["guest"]},{"namespace":"credit","name":"host","roles":["host"]}]}}},`
	ofHost    = `"inputs":{"data":{"input_data":{"data_warehouse":{"namespace":"credit","name":"host"}}}},`
	overGuest = `,"party_tasks":{"guest_9999":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{"psi_0":{"inputs":{"data":{
		"input_data":{"data_warehouse":{"namespace":"credit","name":"guest","roles":["guest"]}}}}}}}}`
)

// Jobs in the shapes that FATE's documents have, among them an arbiter that no task names and that nobody knows here.
func TestInputs(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	const rows, shared = 60, 40
	upload(t, guest, host, rows, shared)
	submit := func(t *testing.T, doc []byte) openflow.JobID {
		t.Helper()
		answer := guest.Post("/v2/job/submit", doc)
		guest.OK(answer, nil)
		return openflow.JobID(answer.JobID)
	}
	intersection := func(t *testing.T, id openflow.JobID) int {
		t.Helper()
		guest.WaitFor(id, openflow.JobSuccess)
		host.WaitFor(id, openflow.JobSuccess) // it hears of the end a moment later, and holds its table until then
		var summary struct {
			Intersect int `json:"intersect_count"`
		}
		require.NoError(t, json.Unmarshal(guest.Metrics(env.Run(id, "guest", "9999", "psi_0"))["summary"], &summary))
		return summary.Intersect
	}

	t.Run("each party reads its own table, by roles", func(t *testing.T) {
		require.Equal(t, shared, intersection(t, submit(t, psiDocument(``, byRoles, ``, 0))))
	})
	t.Run("a party reads another table than the rest", func(t *testing.T) {
		require.Equal(t, shared, intersection(t, submit(t, psiDocument(``, ofHost, overGuest, 0))))
	})
	t.Run("a list of channels", func(t *testing.T) {
		input := strings.ReplaceAll(strings.ReplaceAll(byRoles, `"input_data":{`, `"input_data":[{`), `}]}}},`, `}]}]}},`)
		require.Equal(t, shared, intersection(t, submit(t, psiDocument(``, input, ``, 0))))
	})
	t.Run("an optional input that nobody wrote", func(t *testing.T) {
		id := guest.Submit(env.DAG(pair, env.Noop("a", nil), openflow.Task{
			Name: "b", Component: "noop", Inputs: []openflow.Input{from("input_data", "a", "output_data")},
		}))
		guest.WaitFor(id, openflow.JobSuccess)
	})
	t.Run("keys without effect are told, in the answer and on the job", func(t *testing.T) {
		answer := guest.Post("/v2/job/submit", psiDocument(`"task_cores":2,"task":{"cores":8},"task_parallelism":2,"engine":{"name":"eggroll"}`, byRoles, ``, 0))
		var data struct{ Warnings []string }
		guest.OK(answer, &data)
		id := openflow.JobID(answer.JobID)
		for i, key := range []string{"dag.conf.task.cores", "dag.conf.task_cores", "dag.conf.task_parallelism", "dag.conf.engine"} {
			require.Contains(t, data.Warnings[i], key+": this key has no effect")
		}
		require.Contains(t, data.Warnings, "dag.parties: arbiter 10001 takes part in no task, and is not called")
		require.ElementsMatch(t, data.Warnings, guest.Jobs(id)[0].Warnings)
		require.Equal(t, []string{"dag.parties: arbiter 10001 takes part in no task, and is not called"}, host.Jobs(id)[0].Warnings)
		guest.WaitFor(id, openflow.JobSuccess)
	})
	t.Run("all mistakes come in one answer, and nobody else is asked", func(t *testing.T) {
		answer := guest.TrySubmit(env.DAG(pair,
			openflow.Task{Name: "a", Component: "noop", Parameters: openflow.Parameters{"sleep_ms": "long"}},
			openflow.Task{Name: "b", Component: "psi", Parameters: openflow.Parameters{"protocol": "rsa"}},
			openflow.Task{Name: "c", Component: "evaluation", Inputs: []openflow.Input{from("input_datas", "a", "output")}},
		))
		require.Equal(t, wire.InvalidParameter, answer.Code, answer.Message)
		var places []string
		for _, m := range answer.Error.Mistakes {
			places = append(places, m.Path)
		}
		require.Equal(t, []string{
			"dag.tasks.a.parameters.sleep_ms", "dag.tasks.b.parameters.protocol", "dag.tasks.b.inputs.data.input_data",
			"dag.tasks.c.inputs.data.input_datas.task_output_artifact.output_artifact_key",
		}, places)
		require.Equal(t, 4, strings.Count(answer.Message, "\n"), "one a line: %s", answer.Message)
	})
	t.Run("what parties find for themselves comes in one answer", func(t *testing.T) {
		input := strings.ReplaceAll(strings.ReplaceAll(byRoles, `"name":"guest"`, `"name":"nowhere"`), `"name":"host"`, `"name":"neither"`)
		answer := guest.Post("/v2/job/submit", psiDocument(``, input, ``, 0))
		require.Equal(t, wire.TableNotFound, answer.Code, answer.Message)
		require.Contains(t, answer.Message, "at party 9999: dag.tasks.psi_0.inputs.data.input_data.data_warehouse: no table credit/nowhere")
		require.Contains(t, answer.Message, "at party 10000: dag.tasks.psi_0.inputs.data.input_data.data_warehouse: no table credit/neither")
	})
	t.Run("a model that does not exist is refused at once", func(t *testing.T) {
		answer := guest.TrySubmit(env.DAG(pair, openflow.Task{Name: "lr_0", Component: "coordinated_lr", Stage: openflow.StagePredict, Inputs: []openflow.Input{
			{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{{
				Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model", Model: &openflow.ModelRef{ID: "nobody's", Version: "0"},
			}}},
			{Kind: openflow.InputData, Key: "test_data", Channels: []openflow.Channel{
				{Source: openflow.FromDataWarehouse, Namespace: "credit", Name: "guest", Parties: pair[:1]},
				{Source: openflow.FromDataWarehouse, Namespace: "credit", Name: "host", Parties: pair[1:]},
			}},
		}}))
		require.Equal(t, wire.NoModelOutput, answer.Code, answer.Message)
		require.Contains(t, answer.Message, "no model nobody's version 0")
	})
	// The last one: the tables are not the same afterwards.
	t.Run("a job keeps the data that it was checked with", func(t *testing.T) {
		release := e.Hold(t, "noop_0")
		id := submit(t, psiDocument(``, byRoles, ``, 0))
		pins := guest.Jobs(id)[0].Pins
		require.Len(t, pins, 1)
		require.Equal(t, "credit/guest", pins[0].Namespace+"/"+pins[0].Name)
		require.Len(t, pins[0].Digest, 64)
		require.NotEqual(t, pins[0].Digest, host.Jobs(id)[0].Pins[0].Digest)
		require.NotContains(t, string(mustJSON(t, host.Jobs(id))), pins[0].Digest, "a party knows its own only")

		guest.OK(guest.Upload("credit", "guest", guestMeta, strings.NewReader("id,y,x0\nnobody,1,0.5\n")), nil)
		refused := host.Post("/v2/table/delete", map[string]string{"namespace": "credit", "name": "host"})
		require.Contains(t, refused.Message, "table credit/host is read by jobs that have not ended: "+string(id))
		release() // only now it reads
		require.Equal(t, shared, intersection(t, id))
		require.Equal(t, pins, guest.Jobs(id)[0].Pins)

		host.OK(host.Post("/v2/table/delete", map[string]string{"namespace": "credit", "name": "host"}), nil)
		answer := guest.Post("/v2/job/submit", psiDocument(``, byRoles, ``, 0))
		require.Equal(t, wire.TableNotFound, answer.Code, answer.Message)
	})
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}
