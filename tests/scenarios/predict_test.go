package scenarios_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/examples"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// example is a job of examples/ on the tables of breast.
func example(t *testing.T, name, model string) *openflow.DAG {
	t.Helper()
	text, err := examples.Job(name, examples.Changes{
		GuestTable: openflow.TableName{Namespace: "demo", Name: "breast_guest"},
		HostTable:  openflow.TableName{Namespace: "demo", Name: "breast_host"}, Model: model,
	})
	require.NoError(t, err)
	dag, err := wire.ParseDAG([]byte(text))
	require.NoError(t, err)
	return dag
}

// breast uploads breast_hetero.
func breast(t *testing.T, guest, host *env.Client) {
	t.Helper()
	folder := os.Getenv("OPENFLOW_TEST_DATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	for _, side := range []struct {
		at         *env.Client
		name, meta string
	}{{guest, "guest", guestMeta}, {host, "host", hostMeta}} {
		raw, err := os.ReadFile(filepath.Join(folder, "breast_hetero_"+side.name+".csv"))
		if err != nil {
			t.Skipf("no breast_hetero_%s.csv; set OPENFLOW_TEST_DATA to its folder", side.name)
		}
		side.at.OK(side.at.Upload("demo", "breast_"+side.name, side.meta, bytes.NewReader(raw)), nil)
	}
}

// predictions of the guest by id: the score and the class.
func predictions(t *testing.T, guest *env.Client, id openflow.JobID, task, output string) map[string][2]string {
	t.Helper()
	files := guest.Archive("/v2/output/data/download", env.Run(id, "guest", "9999", task)...)
	records, err := csv.NewReader(bytes.NewReader(files[output+"/0.csv"])).ReadAll()
	require.NoError(t, err)
	at := map[string]int{}
	for i, name := range records[0] {
		at[name] = i
	}
	all := map[string][2]string{}
	for _, r := range records[1:] {
		all[r[at["id"]]] = [2]string{r[at["predict_score"]], r[at["predict_result"]]}
	}
	return all
}

// The examples on real data: train, predict from the model in a second job, and both in one.
func TestTrainThenPredict(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.UI())
	guest, host, arbiter := e.As(t, "9999"), e.As(t, "10000"), e.As(t, "10001")
	breast(t, guest, host)

	both := example(t, "train", "")
	data := both.Parties[:2]
	both.Tasks = append(both.Tasks, openflow.Task{
		Name: "lr_1", Component: "coordinated_lr", Stage: openflow.StagePredict, Parties: data,
		Inputs: []openflow.Input{from("test_data", "psi_0", "output_data", data...), {
			Kind: openflow.InputModel, Key: "input_model",
			Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "lr_0", OutputKey: "output_model"}},
		}},
	})
	trained := guest.Submit(both)
	for _, c := range []*env.Client{guest, host, arbiter} {
		rows := c.WaitFor(trained, openflow.JobSuccess)
		require.Empty(t, rows[0].Warnings, "settings that work")
	}
	want := predictions(t, guest, trained, "lr_0", "train_output_data")
	require.Len(t, want, 569)
	require.Equal(t, want, predictions(t, guest, trained, "lr_1", "test_output_data"))
	auc := metric(t, guest.Metrics(env.Run(trained, "guest", "9999", "evaluation_0"))["evaluation"], "auc")
	require.Greater(t, auc, 0.98)

	predicted := guest.Submit(example(t, "predict", guest.Jobs(trained)[0].ModelID))
	guest.WaitFor(predicted, openflow.JobSuccess)
	host.WaitFor(predicted, openflow.JobSuccess)
	require.Equal(t, want, predictions(t, guest, predicted, "lr_0", "test_output_data"))

	t.Run("the loss is at guest and arbiter, the coefficients at guest and host", func(t *testing.T) {
		for _, c := range []struct {
			at           *env.Client
			role, party  string
			loss         bool
			coefficients int
		}{{guest, "guest", "9999", true, 11}, {host, "host", "10000", false, 20}, {arbiter, "arbiter", "10001", true, 0}} {
			run := env.Run(trained, c.role, c.party, "lr_0")
			_, has := c.at.Metrics(run)["lr_loss"]
			require.Equal(t, c.loss, has, c.role)
			var models map[string]json.RawMessage
			c.at.OK(c.at.Get("/v2/output/model/query", run...), &models)
			list := sdk.Coefficients(models["output_model"])
			require.Len(t, list, c.coefficients, c.role)
			if c.coefficients > 0 {
				require.Equal(t, "x0", list[0].Column)
			}
			log := c.at.TaskLog(run)
			for _, word := range []string{"training begins", "rows=569", "epoch ended", "epoch=2", "training ended", "converged=true", "seconds="} {
				require.Contains(t, log, word, c.role)
			}
			require.Equal(t, c.loss, strings.Contains(log, "loss="), c.role)
		}
		require.Contains(t, guest.TaskLog(env.Run(trained, "guest", "9999", "psi_0")), "shared_rows=569")
		require.Contains(t, host.TaskLog(env.Run(trained, "host", "10000", "reader_0")), "name=breast_host")
		require.Contains(t, guest.TaskLog(env.Run(trained, "guest", "9999", "evaluation_0")), "metrics=4")
		require.Contains(t, guest.TaskLog(env.Run(predicted, "guest", "9999", "lr_0")), "predicted")
	})

	t.Run("a model that learned nothing is told everywhere, and to its own party only", func(t *testing.T) {
		dag := example(t, "train", "")
		for i := range dag.Tasks {
			if dag.Tasks[i].Name == "lr_0" {
				dag.Tasks[i].Parameters = nil
			}
		}
		id := guest.Submit(dag)
		rows := guest.WaitFor(id, openflow.JobSuccess)
		weak, worse := "the model is no better than a constant", "AUC 0."
		told := strings.Join(rows[0].Warnings, "\n")
		require.Contains(t, told, "lr_0: "+weak)
		require.Contains(t, told, "optimizer.method to adam")
		require.Contains(t, told, `evaluation_0: data of task "lr_0": `+worse)
		for _, task := range guest.Tasks(id) {
			if task.TaskName == "lr_0" {
				require.Contains(t, strings.Join(task.Warnings, "\n"), weak)
			}
		}
		require.Contains(t, details(t, guest, string(id)), "warning: lr_0: "+weak)
		require.Contains(t, details(t, guest, string(id)+"_lr_0_0@9999@guest_9999"), "warning: "+weak)
		for _, c := range []*env.Client{host, arbiter} {
			rows := c.WaitFor(id, openflow.JobSuccess)
			require.Len(t, rows[0].Warnings, 1)
			require.Contains(t, rows[0].Warnings[0], "without having converged")
			require.NotContains(t, rows[0].Warnings[0], "AUC")
		}
	})
}
