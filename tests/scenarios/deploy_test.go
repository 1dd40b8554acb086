package scenarios_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// fitted is the document that FATE's pipeline sends for reader, psi, coordinated_lr and evaluation: reader's parameters for each
// party, explicit nulls, an empty inputs.model, and a list of one channel.
const fitted = `{"dag_schema":{"schema_version":"2.2.0","dag":{
"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]},{"role":"arbiter","party_id":["10001"]}],
"stage":"train","tasks":{
"reader_0":{"component_ref":"reader","parameters":{},"stage":"default",
  "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]},
"psi_0":{"component_ref":"psi","dependent_tasks":["reader_0"],"parameters":{},"stage":"default",
  "inputs":{"data":{"input_data":{"task_output_artifact":{"producer_task":"reader_0","output_artifact_key":"output_data",
    "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}}}},
  "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]},
"lr_0":{"component_ref":"coordinated_lr","dependent_tasks":["psi_0"],
  "parameters":{"learning_rate_scheduler":{"method":"linear","scheduler_params":{"start_factor":0.7,"total_iters":100}},"epochs":2,"batch_size":null,
    "optimizer":{"method":"SGD","optimizer_params":{"lr":0.1},"penalty":"l2","alpha":0.001},"floating_point_precision":23,"tol":0.0001,
    "early_stop":"diff","init_param":{"fit_intercept":true,"method":"zeros"},"threshold":0.5,"output_cv_data":true},
  "inputs":{"data":{"train_data":{"task_output_artifact":{"producer_task":"psi_0","output_artifact_key":"output_data",
    "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}}},"model":{}}},
"evaluation_0":{"component_ref":"evaluation","dependent_tasks":["lr_0"],"stage":"default","parties":[{"role":"guest","party_id":["9999"]}],
  "parameters":{"default_eval_setting":"binary","metrics":null,"predict_column_name":null,"label_column_name":null},
  "inputs":{"data":{"input_datas":{"task_output_artifact":[{"producer_task":"lr_0","output_artifact_key":"train_output_data",
    "parties":[{"role":"guest","party_id":["9999"]}]}]}}}}},
"party_tasks":{` + deployedReaders + `}}}}`

// deployed is the document that it sends to predict with what was deployed of that: a model_warehouse channel without IDs.
const deployed = `{"dag_schema":{"schema_version":"2.2.0","dag":{
"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]},{"role":"arbiter","party_id":["10001"]}],
"conf":{"model_warehouse":{"model_id":"MODEL","model_version":"0"}},
"stage":"predict","tasks":{
"reader_0":{"component_ref":"reader","parameters":{},"stage":"default",
  "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]},
"psi_0":{"component_ref":"psi","dependent_tasks":["reader_0"],"parameters":{},"stage":"default",
  "inputs":{"data":{"input_data":{"task_output_artifact":{"producer_task":"reader_0","output_artifact_key":"output_data",
    "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}}}},
  "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]},
"lr_0":{"component_ref":"coordinated_lr","dependent_tasks":["psi_0"],
  "parameters":{"epochs":2,"batch_size":null,"threshold":0.5,"output_cv_data":true},
  "inputs":{"data":{"test_data":{"task_output_artifact":[{"producer_task":"psi_0","output_artifact_key":"output_data",
    "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}]}},
   "model":{"input_model":{"model_warehouse":{"producer_task":"lr_0","output_artifact_key":"output_model",
    "parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}}}}}},
"party_tasks":{` + deployedReaders + `}}}}`

const deployedReaders = `
"guest_9999":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{"reader_0":{"parameters":{"namespace":"demo","name":"breast_guest"}}}},
"host_10000":{"parties":[{"role":"host","party_id":["10000"]}],"tasks":{"reader_0":{"parameters":{"namespace":"demo","name":"breast_host"}}}}`

// FATE's client deploys what it has trained and predicts with it; a further job takes reader and psi over instead of running them.
func TestDeployAndPredictAsFATEsClient(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	breast(t, guest, host)
	submit := func(text string) openflow.JobID {
		answer := guest.Post("/v2/job/submit", []byte(text))
		var made wire.CreatedModel
		guest.OK(answer, &made)
		require.Equal(t, answer.JobID, made.ModelID, "all three that the client needs")
		require.Equal(t, "0", made.ModelVersion)
		return openflow.JobID(answer.JobID)
	}
	trained := submit(fitted)
	guest.WaitFor(trained, openflow.JobSuccess)
	host.WaitFor(trained, openflow.JobSuccess)
	want := predictions(t, guest, trained, "lr_0", "train_output_data")
	require.Len(t, want, 569)

	predicted := submit(strings.Replace(deployed, "MODEL", string(trained), 1))
	guest.WaitFor(predicted, openflow.JobSuccess)
	require.Equal(t, want, predictions(t, guest, predicted, "lr_0", "test_output_data"))

	unknown := guest.Post("/v2/job/submit", []byte(strings.Replace(deployed, "MODEL", "202501010000000000000", 1)))
	require.Equal(t, wire.JobParamsError, unknown.Code, unknown.Message)
	require.Contains(t, unknown.Message, "dag.conf.model_warehouse")

	t.Run("a job takes over what an earlier one has finished", func(t *testing.T) {
		took := `"conf":{"inheritance":{"job_id":"` + string(trained) + `","task_list":["reader_0","psi_0","lr_0"]}},"stage":"train"`
		again := submit(strings.Replace(fitted, `"stage":"train"`, took, 1))
		guest.WaitFor(again, openflow.JobSuccess)
		host.WaitFor(again, openflow.JobSuccess)
		require.Equal(t, want, predictions(t, guest, again, "lr_0", "train_output_data"), "its table is this job's")
		require.Equal(t, guest.Metrics(env.Run(trained, "guest", "9999", "evaluation_0")), guest.Metrics(env.Run(again, "guest", "9999", "evaluation_0")))
		var models map[string]json.RawMessage
		host.OK(host.Get("/v2/output/model/query", env.Run(again, "host", "10000", "lr_0")...), &models)
		require.Contains(t, models, "output_model", "and so is its model")
		require.Equal(t, map[string]int{"evaluation_0": 1}, started(e.Starts(t, "9999", again)), "nothing else has run")
		require.Empty(t, e.Starts(t, "10000", again))
		for _, row := range guest.Tasks(again) {
			if row.TaskName == "psi_0" {
				require.Equal(t, "taken over from job "+string(trained), row.Reason)
			}
		}
		further := submit(strings.Replace(deployed, "MODEL", string(again), 1))
		guest.WaitFor(further, openflow.JobSuccess)
		require.Equal(t, want, predictions(t, guest, further, "lr_0", "test_output_data"), "a model that was taken over predicts")
	})
	t.Run("what cannot be taken over is 1007", func(t *testing.T) {
		for list, says := range map[string]string{
			`"job_id":"202501010000000000000","task_list":["psi_0"]`:            "no job 202501010000000000000",
			`"job_id":"` + string(predicted) + `","task_list":["psi_9"]`:        `unknown task "psi_9"`,
			`"job_id":"` + string(predicted) + `","task_list":["evaluation_0"]`: `has no task "evaluation_0"`,
			`"job_id":"` + string(trained) + `","task_list":[]`:                 "it names no task",
		} {
			answer := guest.Post("/v2/job/submit", []byte(strings.Replace(fitted, `"stage":"train"`, `"conf":{"inheritance":{`+list+`}},"stage":"train"`, 1)))
			require.Equal(t, wire.InheritanceFailed, answer.Code, answer.Message)
			require.Contains(t, answer.Message, says)
		}
	})
}

// started are starts by task.
func started(runs map[string]int) map[string]int {
	tasks := map[string]int{}
	for run, n := range runs {
		for _, task := range []string{"reader_0", "psi_0", "lr_0", "evaluation_0"} {
			if strings.Contains(run, "_"+task+"_") {
				tasks[task] += n
			}
		}
	}
	return tasks
}
