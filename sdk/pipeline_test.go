package sdk_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
)

// written is what a person would write for the pipeline of TestPipelineIsTheDocument.
const written = `
schema_version: 2.2.0
dag:
  parties:
  - {role: guest, party_id: ["9999"]}
  - {role: host, party_id: ["10000"]}
  - {role: arbiter, party_id: ["10001"]}
  conf: {auto_retries: 1}
  stage: train
  tasks:
    reader_0:
      component_ref: reader
      stage: default
      parties: [{role: guest, party_id: ["9999"]}, {role: host, party_id: ["10000"]}]
    lr_0:
      component_ref: lr
      dependent_tasks: [reader_0]
      parameters: {label: "y"}
      conf: {timeout: 60}
      inputs:
        data:
          train_data:
            task_output_artifact:
              producer_task: reader_0
              output_artifact_key: output_data
          validate_data:
            data_warehouse:
              namespace: demo
              name: v
              parties: [{role: guest, party_id: ["9999"]}]
        model:
          warm_start_model:
            model_warehouse: {producer_task: lr_0, output_artifact_key: output_model, model_id: m, model_version: "0"}
  party_tasks:
    guest_9999:
      parties: [{role: guest, party_id: ["9999"]}]
      tasks: {reader_0: {parameters: {namespace: demo, name: guest}}}
    host_10000:
      parties: [{role: host, party_id: ["10000"]}]
      tasks: {reader_0: {parameters: {namespace: demo, name: host}}}
`

func TestPipelineIsTheDocument(t *testing.T) {
	arbiter := sdk.Arbiter("10001")
	p := sdk.NewPipeline(guest, host, arbiter)
	p.Conf.AutoRetries = 1
	p.Stage = openflow.StageTrain
	reader := p.AddTask("reader_0", "reader").Stage(openflow.StageDefault).Parties(guest, host).
		SetAt(guest, openflow.Parameters{"namespace": "demo", "name": "guest"}).
		SetAt(host, openflow.Parameters{"namespace": "demo"}).SetAt(host, openflow.Parameters{"name": "host"})
	p.AddTask("lr_0", "lr").After(reader).Set(openflow.Parameters{"label": "y"}).
		Conf(openflow.TaskConf{Timeout: 60e9}).
		Data("train_data", reader.Output("output_data")).
		Table("validate_data", openflow.TableName{Namespace: "demo", Name: "v"}, guest).
		TrainedModel("warm_start_model", openflow.ModelRef{ID: "m", Version: "0"}, "lr_0", "output_model")
	got, err := p.DAG()
	require.NoError(t, err)
	want, err := wire.ParseDAG([]byte(written))
	require.NoError(t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestPipelineGathersSeveralChannelsOfOneInput(t *testing.T) {
	p := sdk.NewPipeline(guest)
	a, b := p.AddTask("a", "reader"), p.AddTask("b", "reader")
	p.AddTask("c", "union").Data("in", a.Output("x")).Data("in", b.Output("x")).Model("in", a.Output("m"))
	d, err := p.DAG()
	require.NoError(t, err)
	require.Len(t, d.Tasks[2].Inputs, 2)
	require.Len(t, d.Tasks[2].Inputs[0].Channels, 2)
}

func TestPipelineGivesOutCopies(t *testing.T) {
	p := sdk.NewPipeline(guest, host)
	a := p.AddTask("a", "reader").Set(openflow.Parameters{"n": 1})
	b := p.AddTask("b", "psi").Data("in", a.Output("x"))
	d, err := p.DAG()
	require.NoError(t, err)
	a.Set(openflow.Parameters{"n": 2})
	b.Data("in", a.Output("y"))
	require.Equal(t, 1, d.Tasks[0].Parameters["n"])
	require.Len(t, d.Tasks[1].Inputs[0].Channels, 1)
}

func TestPipelineMistakes(t *testing.T) {
	cases := map[string]struct {
		build func() *sdk.Pipeline
		says  string
	}{
		"no parties": {func() *sdk.Pipeline { return sdk.NewPipeline() }, "no parties"},
		"stranger": {func() *sdk.Pipeline {
			p := sdk.NewPipeline(guest)
			p.AddTask("a", "reader").SetAt(host, openflow.Parameters{"x": 1})
			return p
		}, "host 10000 is not a party"},
		"cycle": {func() *sdk.Pipeline {
			p := sdk.NewPipeline(guest)
			a := p.AddTask("a", "x")
			b := p.AddTask("b", "x").Data("in", a.Output("out"))
			a.Data("in", b.Output("out"))
			return p
		}, "cycle"},
		"output of another pipeline": {func() *sdk.Pipeline {
			p := sdk.NewPipeline(guest)
			p.AddTask("a", "x").Data("in", sdk.NewPipeline(guest).AddTask("z", "x").Output("out"))
			return p
		}, `unknown task "z"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := c.build().DAG()
			requireCode(t, openflow.CodeInvalid, err)
			require.ErrorContains(t, err, c.says)
		})
	}
}
