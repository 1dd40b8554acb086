package users

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// jobKeys are those of fate-flow-api §4.9.1 and, last, ours.
const jobKeys = `job_id role party_id status progress dag parties initiator_party_id scheduler_party_id model_id model_version
	inheritance cores remaining_cores memory remaining_memory resource_in_use apply_resource_time return_resource_time
	engine_name create_time update_time start_time end_time elapsed tag description user_name protocol flow_id status_code
	reason priority gpus remaining_gpus warnings purpose signed`

// taskKeys are those of fate-flow-api §4.9.2 and, last, ours.
const taskKeys = `job_id task_id task_version role party_id task_name component status party_status execution_id provider_name
	component_parameters task_run task_cores memory resource_in_use kill_status scheduler_party_id sync_type timeout
	launcher_name worker_id cmd run_ip run_port run_pid error_report start_time end_time elapsed create_time update_time
	status_code task_parameters engine_conf protocol
	container exit_code gpu_ids program_digest reason runtime speaks warnings`

func keysOf(t *testing.T, v any) ([]string, map[string]any) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(b, &m))
	return slices.Sorted(maps.Keys(m)), m
}

func words(s string) []string {
	w := strings.Fields(s)
	slices.Sort(w)
	return w
}

func at(ms int64) time.Time { return time.UnixMilli(ms) }

func jobRecord(t *testing.T) openflow.JobRecord {
	t.Helper()
	doc, err := os.ReadFile("../../../sdk/wire/testdata/dag/flow-5.1.yaml")
	require.NoError(t, err)
	d, err := wire.ParseDAG(doc)
	require.NoError(t, err)
	return openflow.JobRecord{
		ID: "202501020304050607080", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, Scheduler: "9999", Initiator: "9999",
		Status: openflow.JobSuccess, Progress: 100, DAG: d, Cores: 4, RemainingCores: 4, ModelID: "m", ModelVersion: "0",
		UserName: "u", Notes: "n", Signed: true, CreateTime: at(1735787046123), StartTime: at(1735787049189), EndTime: at(1735787142600),
		UpdateTime: at(1735787142651), ApplyTime: at(1735787049100), ReturnTime: at(1735787142650),
	}
}

// The row of fate-flow-api §5.8, key by key.
func TestJobRow(t *testing.T) {
	row, err := encodeJob(jobRecord(t), true)
	require.NoError(t, err)
	keys, m := keysOf(t, row)
	require.Equal(t, words(jobKeys), keys)
	for key, want := range map[string]any{
		"apply_resource_time": 1735787049100.0, "cores": 4.0, "create_time": 1735787046123.0, "description": "n",
		"elapsed": 93411.0, "end_time": 1735787142600.0, "flow_id": "", "inheritance": map[string]any{}, "initiator_party_id": "9999",
		"job_id": "202501020304050607080", "memory": 0.0, "model_version": "0", "party_id": "9999", "progress": 100.0,
		"protocol": "fate", "remaining_cores": 4.0, "resource_in_use": false, "return_resource_time": 1735787142650.0,
		"role": "guest", "scheduler_party_id": "9999", "start_time": 1735787049189.0, "status": "success", "status_code": nil,
		"tag": "job_end", "user_name": "u", "warnings": []any{}, "signed": true, "purpose": "",
	} {
		require.Equal(t, want, m[key], key)
	}
	require.JSONEq(t, `[{"party_id":["9999"],"role":"guest"},{"party_id":["10000"],"role":"host"},{"party_id":["10000"],"role":"arbiter"}]`,
		marshal(t, m["parties"]))
	dag := m["dag"].(map[string]any)
	require.Equal(t, []string{"dag", "kind", "schema_version"}, slices.Sorted(maps.Keys(dag)))

	short, err := encodeJob(jobRecord(t), false)
	require.NoError(t, err)
	keys, _ = keysOf(t, short)
	require.NotContains(t, keys, "dag")
}

func TestJobRowOfAJobThatHasNotStarted(t *testing.T) {
	r := jobRecord(t)
	r.Status, r.StartTime, r.EndTime, r.ApplyTime, r.ReturnTime = openflow.JobWaiting, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	r.DAG.Conf.Inheritance = &openflow.Inheritance{Job: "1", Tasks: []openflow.TaskName{"a"}}
	row, err := encodeJob(r, false)
	require.NoError(t, err)
	_, m := keysOf(t, row)
	for _, key := range []string{"start_time", "end_time", "elapsed", "apply_resource_time", "return_resource_time", "engine_name"} {
		require.Nil(t, m[key], key)
	}
	require.Empty(t, m["tag"])
	require.Equal(t, map[string]any{"job_id": "1", "task_list": []any{"a"}}, m["inheritance"])
}

func taskRecord() openflow.TaskRecord {
	exit := 7
	return openflow.TaskRecord{
		Key:      openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "lr_0", Version: 1, Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}},
		SyncType: openflow.Callback, Component: "coordinated_lr", Provider: "fate:2.2.0@docker",
		Status: openflow.TaskRunning, PartyStatus: openflow.TaskFailed, Reason: "exit code 7", ErrorReport: "line 1\nline 2",
		Spec:  openflow.TaskSpec{Conf: openflow.TaskConf{Timeout: time.Hour, Cores: new(2)}, Parameters: openflow.Parameters{"a": 1}},
		Cores: 2, MemoryBytes: 1 << 30, Killed: true, Runtime: "docker", ContainerName: "c", ExitCode: &exit,
		CreateTime: at(1000), StartTime: at(2000), EndTime: at(5000), UpdateTime: at(6000),
	}
}

func TestTaskRow(t *testing.T) {
	keys, m := keysOf(t, encodeTask(taskRecord()))
	require.Equal(t, words(taskKeys), keys)
	for key, want := range map[string]any{
		"job_id": "J", "task_id": "J_lr_0", "task_version": 1.0, "execution_id": "J_lr_0_1_host_10000", "status": "running",
		"party_status": "failed", "provider_name": "fate:2.2.0@docker", "task_cores": 2.0, "memory": float64(1 << 30),
		"kill_status": true, "sync_type": "callback", "timeout": 3600.0, "cmd": []any{}, "error_report": "line 1\nline 2",
		"start_time": 2000.0, "end_time": 5000.0, "elapsed": 3000.0, "exit_code": 7.0, "task_run": map[string]any{"cores": 2.0},
		"component_parameters": map[string]any{"parameters": map[string]any{"a": 1.0}}, "task_parameters": map[string]any{},
		"engine_conf": map[string]any{}, "status_code": nil, "protocol": "fate", "role": "host", "party_id": "10000",
	} {
		require.Equal(t, want, m[key], key)
	}
	_, m = keysOf(t, encodeTask(openflow.TaskRecord{}))
	require.Equal(t, map[string]any{}, m["task_run"], "an object, not null")
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestMetric(t *testing.T) {
	r := openflow.MetricRecord{Name: "auc", Groups: json.RawMessage("[]"), Data: json.RawMessage("1")}
	require.JSONEq(t, `{"name":"auc","type":null,"groups":[],"step_axis":null}`, marshal(t, encodeMetric(r, false)))
	r.Type, r.StepAxis = "loss", "iterations"
	require.JSONEq(t, `{"name":"auc","type":"loss","groups":[],"step_axis":"iterations","data":1}`, marshal(t, encodeMetric(r, true)))
}
