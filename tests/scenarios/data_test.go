package scenarios_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/credit"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// from is an input that another task's output fills.
func from(key, producer, output string, parties ...openflow.Party) openflow.Input {
	return openflow.Input{Kind: openflow.InputData, Key: key, Channels: []openflow.Channel{{
		Source: openflow.FromTask, ProducerTask: openflow.TaskName(producer), OutputKey: output, Parties: parties,
	}}}
}

const (
	guestMeta = `{"match_id_name":"id","sample_id_name":"id","label_name":"y","label_type":"int32","dtype":"float64","delimiter":","}`
	hostMeta  = `{"match_id_name":"id","sample_id_name":"id","dtype":"float64","delimiter":","}`
)

// upload puts both sides of the credit data into the nodes of guest and host.
func upload(t *testing.T, guest, host *env.Client, rows, shared int) {
	t.Helper()
	g, h, err := credit.Generate(7, rows, rows, shared)
	require.NoError(t, err)
	for _, side := range []struct {
		at    *env.Client
		name  string
		meta  string
		table *credit.Table
	}{{guest, "guest", guestMeta, g}, {host, "host", hostMeta, h}} {
		var b bytes.Buffer
		_, err := side.table.WriteTo(&b)
		require.NoError(t, err)
		answer := side.at.Upload("credit", side.name, side.meta, &b)
		side.at.OK(answer, nil)
		require.NotEmpty(t, answer.JobID)
		rows := side.at.Wait(openflow.JobID(answer.JobID)) // as the FATE client does
		require.Equal(t, "success", rows[0].Status)
		require.Equal(t, []string{"local", "0"}, []string{rows[0].Role, rows[0].PartyID})
	}
}

// creditDAG reads both tables, intersects them, trains a model and evaluates it at the guest.
func creditDAG() *openflow.DAG {
	guest, host, arbiter := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"},
		openflow.Party{Role: openflow.RoleArbiter, ID: "10001"}
	data := []openflow.Party{guest, host}
	d := env.DAG([]openflow.Party{guest, host, arbiter},
		openflow.Task{Name: "reader_0", Component: "reader", Parties: data, Stage: openflow.StageDefault},
		openflow.Task{Name: "psi_0", Component: "psi", Parties: data, Stage: openflow.StageDefault,
			Inputs: []openflow.Input{from("input_data", "reader_0", "output_data", data...)}},
		openflow.Task{Name: "lr_0", Component: "coordinated_lr", Stage: openflow.StageTrain,
			Parameters: openflow.Parameters{
				"epochs": 3, "batch_size": 256, "early_stop": "weight_diff",
				"optimizer":  map[string]any{"method": "sgd", "optimizer_params": map[string]any{"lr": 0.3}, "alpha": 0.001},
				"init_param": map[string]any{"fit_intercept": true, "method": "zeros"},
			},
			Inputs: []openflow.Input{from("train_data", "psi_0", "output_data", data...)}},
		openflow.Task{Name: "evaluation_0", Component: "evaluation", Parties: data[:1], Stage: openflow.StageDefault,
			Inputs: []openflow.Input{from("input_datas", "lr_0", "train_output_data", guest)}},
	)
	d.PartyTasks = []openflow.PartyTasks{
		env.At(guest, "reader_0", openflow.Parameters{"namespace": "credit", "name": "guest"}),
		env.At(host, "reader_0", openflow.Parameters{"namespace": "credit", "name": "host"}),
	}
	return d
}

// intersection reads both tables and intersects them.
func intersection() *openflow.DAG {
	d := creditDAG()
	d.Parties, d.Tasks = d.Parties[:2], d.Tasks[:2]
	return d
}

// A whole computation on three nodes with the real algorithms: what each party may see of it afterwards, and what not.
func TestCredit(t *testing.T) {
	const rows, shared = 1200, 800
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	guest, host, arbiter := e.As(t, "9999"), e.As(t, "10000"), e.As(t, "10001")
	upload(t, guest, host, rows, shared)
	id := guest.Submit(creditDAG())
	for _, c := range []*env.Client{guest, host, arbiter} {
		c.WaitFor(id, openflow.JobSuccess)
	}

	t.Run("the intersection is counted at both sides", func(t *testing.T) {
		for _, run := range [][]string{env.Run(id, "guest", "9999", "psi_0"), env.Run(id, "host", "10000", "psi_0")} {
			var summary struct {
				Input     int `json:"input_count"`
				Intersect int `json:"intersect_count"`
			}
			require.NoError(t, json.Unmarshal(e.As(t, run[5]).Metrics(run)["summary"], &summary))
			require.Equal(t, rows, summary.Input)
			require.Equal(t, shared, summary.Intersect)
		}
	})

	t.Run("the intersection is the same rows at both sides", func(t *testing.T) {
		table := func(c *env.Client, role, party string) [][]string {
			files := c.Archive("/v2/output/data/download", env.Run(id, role, party, "psi_0")...)
			require.Contains(t, files, "output_data/0.csv")
			records, err := csv.NewReader(bytes.NewReader(files["output_data/0.csv"])).ReadAll()
			require.NoError(t, err)
			require.Len(t, records, shared+1)
			return records
		}
		g, h := table(e.As(t, "9999"), "guest", "9999"), table(e.As(t, "10000"), "host", "10000")
		for i := range g {
			require.Equal(t, g[i][0], h[i][0], "row %d", i)
		}
		require.Contains(t, g[0], "y")
		require.NotContains(t, h[0], "y", "the label stays at the guest")
	})

	t.Run("the model tells defaulters from payers", func(t *testing.T) {
		metrics := e.As(t, "9999").Metrics(env.Run(id, "guest", "9999", "evaluation_0"))
		require.Contains(t, metrics, "evaluation")
		auc := metric(t, metrics["evaluation"], "auc")
		require.Greater(t, auc, 0.75)
		require.LessOrEqual(t, auc, 1.0)
	})

	t.Run("each side has its own half of the model", func(t *testing.T) {
		for _, run := range [][]string{env.Run(id, "guest", "9999", "lr_0"), env.Run(id, "host", "10000", "lr_0")} {
			user := e.As(t, run[5])
			var models map[string]json.RawMessage
			user.OK(user.Get("/v2/output/model/query", run...), &models)
			require.Contains(t, models, "output_model")
			require.NotContains(t, []string{"[]", "{}", "null"}, string(models["output_model"]))
			own, foreign := `"age"`, `"balance"`
			if run[3] == "host" {
				own, foreign = foreign, own
			}
			require.Contains(t, string(models["output_model"]), own)
			require.NotContains(t, string(models["output_model"]), foreign)
		}
	})

	t.Run("the other side's outputs are not here", func(t *testing.T) {
		answer := e.As(t, "9999").Get("/v2/output/metric/query", env.Run(id, "host", "10000", "psi_0")...)
		require.Equal(t, wire.TaskNotFound, answer.Code, answer.Message)
		require.Empty(t, e.As(t, "10001").TaskStatuses(id)["psi_0 arbiter 10001"])
	})

	t.Run("nothing is left behind", func(t *testing.T) {
		e.NoContainers(t)
		e.NoCoresHeld(t)
	})

	// The last one: what the job has made is gone afterwards.
	t.Run("a prediction keeps its model and its rows, whatever is deleted", func(t *testing.T) {
		row := guest.Jobs(id)[0]
		predict := env.DAG(pair, env.Noop("wait", env.Sleep(3000)), openflow.Task{
			Name: "lr_1", Component: "coordinated_lr", Stage: openflow.StagePredict, DependsOn: []openflow.TaskName{"wait"},
			Inputs: []openflow.Input{
				{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{{
					Source: openflow.FromModelWarehouse, ProducerTask: "lr_0", OutputKey: "output_model",
					Model: &openflow.ModelRef{ID: row.ModelID, Version: row.ModelVersion},
				}}},
				{Kind: openflow.InputData, Key: "test_data", Channels: []openflow.Channel{{
					Source: openflow.FromDataWarehouse, Job: id, ProducerTask: "psi_0", OutputKey: "output_data",
				}}},
			},
		})
		predicting := guest.Submit(predict)
		require.Len(t, guest.Jobs(predicting)[0].Pins, 2)
		run := map[string]string{"job_id": string(id), "role": "guest", "party_id": "9999", "task_name": "lr_0"}
		guest.OK(guest.Post("/v2/output/model/delete", run), nil)
		require.Equal(t, wire.NoModelOutput, guest.Post("/v2/output/model/delete", run).Code)
		host.OK(host.Post("/v2/job/clean", map[string]string{"job_id": string(id)}), nil)
		require.NotEqual(t, "success", guest.Jobs(predicting)[0].Status, "it has not read yet")
		guest.WaitFor(predicting, openflow.JobSuccess)

		answer := guest.TrySubmit(predict)
		require.Equal(t, wire.InvalidParameter, answer.Code, answer.Message)
		require.Contains(t, answer.Message, "at party 9999: dag.tasks.lr_1.inputs.model.input_model.model_warehouse: no model "+row.ModelID)
		require.Contains(t, answer.Message, `at party 10000: dag.tasks.lr_1.inputs.data.test_data.data_warehouse: task "psi_0" of job `+string(id)+` has no output "output_data"`)
	})
}

// metric takes a number out of what evaluation has saved: by task, by set, a list of metrics.
func metric(t *testing.T, data json.RawMessage, name string) float64 {
	t.Helper()
	var sets map[string]map[string][]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &sets))
	for _, raw := range sets["lr_0"]["train_set"] {
		var m struct {
			Metric string  `json:"metric"`
			Value  float64 `json:"val"`
		}
		if json.Unmarshal(raw, &m) == nil && m.Metric == name {
			return m.Value
		}
	}
	t.Fatalf("no metric %q", name)
	return 0
}

func TestUpload(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	faults := map[string]struct{ meta, rows, message string }{
		"no rows":           {hostMeta, "", "empty"},
		"repeated id":       {hostMeta, "id,x\n1,2\n1,3\n", "1"},
		"missing id column": {hostMeta, "key,x\n1,2\n", "id"},
		"ragged":            {hostMeta, "id,x\n1,2\n2\n", "line 3"},
		"text for a number": {hostMeta, "id,x\n1,abc\n", "abc"},
		"meta is not JSON":  {`{`, "id,x\n1,2\n", "meta"},
	}
	for name, c := range faults {
		t.Run(name, func(t *testing.T) {
			user := e.As(t, "9999")
			answer := user.Upload("bad", "t", c.meta, strings.NewReader(c.rows))
			require.NotZero(t, answer.Code)
			require.Contains(t, answer.Message, c.message)
			require.Equal(t, wire.TableNotFound, user.Get("/v2/table/query", "namespace", "bad", "name", "t").Code, "nothing half-made")
		})
	}
	t.Run("what goes in comes out", func(t *testing.T) {
		user := e.As(t, "9999")
		user.OK(user.Upload("good", "t", hostMeta, strings.NewReader("id,x,z\nb,2,-1\na,1.5,0\n")), nil)
		var info wire.TableInfo
		user.OK(user.Get("/v2/table/query", "namespace", "good", "name", "t"), &info)
		require.EqualValues(t, 2, *info.Count)
		files := user.Archive("/v2/data/download", "namespace", "good", "name", "t")
		records, err := csv.NewReader(bytes.NewReader(files["data/0.csv"])).ReadAll()
		require.NoError(t, err)
		require.ElementsMatch(t, [][]string{{"sample_id", "id", "x", "z"}, {"b", "b", "2", "-1"}, {"a", "a", "1.5", "0"}}, trimmed(records))
		user.OK(user.Post("/v2/table/delete", map[string]string{"namespace": "good", "name": "t"}), nil)
		require.Equal(t, wire.TableNotFound, user.Get("/v2/table/query", "namespace", "good", "name", "t").Code)
	})
}

// trimmed writes whole numbers without a fraction.
func trimmed(records [][]string) [][]string {
	for _, r := range records {
		for i := range r {
			r[i] = strings.TrimSuffix(r[i], ".0")
		}
	}
	return records
}
