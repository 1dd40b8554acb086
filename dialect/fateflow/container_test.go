package fateflow_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/sdk/wire"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var grant = openflow.TaskSupply{Credential: "secret", ModelID: "J", ModelVersion: "0", Partitions: 8}

// record is lr_0 of the worked example (fate-flow-api §5) at its host.
func record(t *testing.T) openflow.TaskRecord {
	t.Helper()
	doc, err := os.ReadFile("../../sdk/wire/testdata/dag/flow-5.1.yaml")
	require.NoError(t, err)
	d, err := wire.ParseDAG(doc)
	require.NoError(t, err)
	host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	for _, s := range d.ForParty(host) {
		if s.Name == "lr_0" {
			return openflow.TaskRecord{
				Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "lr_0", Party: host}, Component: s.Component,
				Provider: "openflow:0.1.0@docker", Spec: s, Cores: 2, MemoryBytes: 1 << 30,
			}
		}
	}
	t.Fatal("no lr_0")
	return openflow.TaskRecord{}
}

// config is what a container reads of its run.
func config(r openflow.TaskRecord) ([]byte, error) {
	env, err := fateflow.Dialect{}.Container()(r, grant, openflow.Place{Host: "172.17.0.1", Port: 9380, Cores: 2})
	if err != nil {
		return nil, err
	}
	text, _ := strings.CutPrefix(env[0], "CONFIG=")
	return []byte(text), nil
}

// What a job leaves out, or says null for, is given as the description has it: limits of grants were judged by that.
func TestDefaultsAreGiven(t *testing.T) {
	r, g := record(t), grant
	r.Spec.Parameters = openflow.Parameters{"epochs": 10.0, "batch_size": nil}
	g.Defaults = openflow.Parameters{"epochs": 3.0, "batch_size": 64.0, "method": "adam"}
	env, err := fateflow.Dialect{}.Container()(r, g, openflow.Place{Host: "172.17.0.1", Port: 9380, Cores: 2})
	require.NoError(t, err)
	var config struct{ Parameters map[string]any }
	text, _ := strings.CutPrefix(env[0], "CONFIG=")
	require.NoError(t, json.Unmarshal([]byte(text), &config))
	require.Equal(t, map[string]any{"epochs": 10.0, "batch_size": 64.0, "method": "adam"}, config.Parameters)
	require.Equal(t, openflow.Parameters{"epochs": 10.0, "batch_size": nil}, r.Spec.Parameters, "the row keeps what the job says")
}

// Beside its configuration, a container gets its credential and how many cores are its own, and nothing more.
func TestEnvironment(t *testing.T) {
	env, err := fateflow.Dialect{}.Container()(record(t), grant, openflow.Place{Host: "172.17.0.1", Port: 9380, Cores: 3})
	require.NoError(t, err)
	require.Len(t, env, 3)
	require.True(t, strings.HasPrefix(env[0], "CONFIG={"))
	require.Equal(t, []string{"OPENFLOW_CREDENTIAL=secret", "OPENFLOW_CORES=3"}, env[1:])
}

// The configuration of fate-flow-api §5.5, as a container of ours gets it.
func TestConfiguration(t *testing.T) {
	b, err := config(record(t))
	require.NoError(t, err)
	var config map[string]any
	require.NoError(t, json.Unmarshal(b, &config))
	pretty, err := json.MarshalIndent(config, "", " ")
	require.NoError(t, err)
	pretty = append(pretty, '\n')
	const file = "testdata/config.json"
	if *update {
		require.NoError(t, os.WriteFile(file, pretty, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), string(pretty)))

	var spec map[string]any // what fate-flow-api §5.5 has and this dialect must keep
	require.NoError(t, json.Unmarshal([]byte(`{
		"model_id": "J", "model_version": "0", "job_id": "J", "task_id": "J_lr_0", "task_version": "0", "task_name": "lr_0",
		"party_task_id": "J_lr_0_0_host_10000", "component": "coordinated_lr", "role": "host", "party_id": "10000", "stage": "train",
		"parameters": {"epochs": 10, "batch_size": null}, "engine_run": {"cores": 2}, "computing_partitions": 8,
		"launcher_name": "default", "launcher_conf": {}
	}`), &spec))
	for k, v := range spec {
		require.Equal(t, v, config[k], k)
	}
	federation := config["conf"].(map[string]any)["federation"].(map[string]any)["metadata"]
	require.Equal(t, map[string]any{
		"federation_id": "J_lr_0_0",
		"parties": map[string]any{
			"local": map[string]any{"role": "host", "partyid": "10000"},
			"parties": []any{
				map[string]any{"role": "guest", "partyid": "9999"}, map[string]any{"role": "host", "partyid": "10000"},
				map[string]any{"role": "arbiter", "partyid": "10000"},
			},
		},
		"osx_config": map[string]any{"host": "172.17.0.1", "port": 9380.0},
	}, federation)
	require.Equal(t, map[string]any{"host": "172.17.0.1", "port": 9380.0, "protocol": "http", "api_version": "v2"},
		config["mlmd"].(map[string]any)["metadata"])
}

func TestConfigurationOfGPUs(t *testing.T) {
	r := record(t)
	r.GPUs, r.GPUIDs = 2, []string{"0", "3"}
	b, err := config(r)
	require.NoError(t, err)
	require.Contains(t, string(b), `"device":{"type":"GPU"`)
}

func TestConfigurationThatIsNotJSON(t *testing.T) {
	r := record(t)
	r.Spec.Parameters = openflow.Parameters{"x": func() {}}
	_, err := config(r)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "cannot be encoded")
}

func TestInputsOfEveryShape(t *testing.T) {
	p := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	r := record(t)
	r.Spec.Conf = openflow.TaskConf{Timeout: time.Hour}
	r.Spec.Inputs = []openflow.Input{
		{Kind: openflow.InputData, Key: "many", Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: "a", OutputKey: "k", Parties: []openflow.Party{p}},
			{Source: openflow.FromDataWarehouse, Namespace: "ns", Name: "n", Parties: []openflow.Party{p}},
		}},
		{Kind: openflow.InputModel, Key: "model", Channels: []openflow.Channel{
			{Source: openflow.FromModelWarehouse, ProducerTask: "a", OutputKey: "k", Model: &openflow.ModelRef{ID: "m", Version: "1"}, Parties: []openflow.Party{p}},
		}},
	}
	b, err := config(r)
	require.NoError(t, err)
	var config struct {
		Inputs json.RawMessage `json:"input_artifacts"`
		Run    json.RawMessage `json:"engine_run"`
	}
	require.NoError(t, json.Unmarshal(b, &config))
	require.JSONEq(t, `{"data":{"many":[
		{"producer_task":"a","output_artifact_key":"k","parties":[{"role":"host","party_id":["10000"]}]},
		{"namespace":"ns","name":"n","parties":[{"role":"host","party_id":["10000"]}]}]},
		"model":{"model":{"producer_task":"a","output_artifact_key":"k","model_id":"m","model_version":"1","parties":[{"role":"host","party_id":["10000"]}]}}}`,
		string(config.Inputs))
	require.JSONEq(t, `{}`, string(config.Run), "an object, not null")
}

// Where the site's policy names a broker for the provider, the container is told where those of the partners are, and of no account.
func TestBrokerOfATask(t *testing.T) {
	for _, shared := range []bool{false, true} {
		g := grant
		g.May.Broker = &openflow.BrokerUse{Partners: map[openflow.PartyID]string{"9999": "broker.a:5672", "10001": "[::1]:5673"}, Shared: shared}
		env, err := fateflow.Dialect{}.Container()(record(t), g, openflow.Place{Host: "172.17.0.1", Port: 9380, Cores: 2})
		require.NoError(t, err)
		var config struct {
			Conf struct {
				Federation json.RawMessage `json:"federation"`
			} `json:"conf"`
		}
		text, _ := strings.CutPrefix(env[0], "CONFIG=")
		require.NoError(t, json.Unmarshal([]byte(text), &config))
		mode := map[bool]string{false: "replication", true: "client"}[shared]
		require.JSONEq(t, `{"type":"rabbitmq","metadata":{"federation_id":"J_lr_0_0","parties":{"local":{"role":"host","partyid":"10000"},"parties":[`+
			`{"role":"guest","partyid":"9999"},{"role":"host","partyid":"10000"},{"role":"arbiter","partyid":"10000"}]},`+
			`"route_table":{"9999":{"host":"broker.a","port":5672},"10001":{"host":"::1","port":5673}},"mode":"`+mode+`",`+
			`"rabbitmq_config":{"host":"","port":0,"mng_port":0,"user":"","password":"","mode":"`+mode+`"}}}`, string(config.Conf.Federation))
	}
}
