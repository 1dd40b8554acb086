package demo

import (
	"openflow"
	"openflow/sdk"
)

// Names of the demo's tables and tasks.
const (
	namespace  = "demo"
	guestTable = "credit_guest"
	hostTable  = "credit_host"

	taskReader     = openflow.TaskName("reader_0")
	taskPSI        = openflow.TaskName("psi_0")
	taskLR         = openflow.TaskName("lr_0")
	taskEvaluation = openflow.TaskName("evaluation_0")
)

var (
	guest   = sdk.Guest(parties[0])
	host    = sdk.Host(parties[1])
	arbiter = sdk.Arbiter(parties[2])
)

// pipeline is reader → psi → coordinated_lr → evaluation, of that provider; empty: whoever serves them.
func pipeline(provider string) (*openflow.DAG, error) {
	cores := 2
	p := sdk.NewPipeline(guest, host, arbiter)
	p.Stage = openflow.StageTrain
	p.Conf = openflow.JobConf{Cores: &cores, Task: openflow.TaskConf{Cores: &cores, Provider: provider}}

	read := p.AddTask(taskReader, "reader").Parties(guest, host).Stage(openflow.StageDefault).
		SetAt(guest, openflow.Parameters{"namespace": namespace, "name": guestTable}).
		SetAt(host, openflow.Parameters{"namespace": namespace, "name": hostTable})
	intersect := p.AddTask(taskPSI, "psi").Parties(guest, host).Stage(openflow.StageDefault).
		Data("input_data", read.Output("output_data"))
	train := p.AddTask(taskLR, "coordinated_lr").
		Data("train_data", intersect.Output("output_data")).
		Set(openflow.Parameters{
			"epochs": 50, "batch_size": nil, "early_stop": "diff", "tol": 1e-4,
			"optimizer": map[string]any{ // adam takes steps of one size whatever the columns: it suits the user's own data too
				"method": "adam", "penalty": "l2", "alpha": 0.01, "optimizer_params": map[string]any{"lr": 0.1},
			},
			"learning_rate_scheduler": map[string]any{"method": "constant", "scheduler_params": map[string]any{"factor": 1.0}},
			"init_param":              map[string]any{"method": "zeros", "fit_intercept": true},
		})
	p.AddTask(taskEvaluation, "evaluation").Parties(guest).Stage(openflow.StageDefault).
		Data("input_datas", train.Output("train_output_data")).
		Set(openflow.Parameters{"metrics": []string{"auc", "ks", "binary_precision", "binary_recall"}})
	return p.DAG()
}
