package attacks_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// fields are those of a body, by name.
type fields map[string]any

func (f fields) with(key string, value any) fields {
	c := maps.Clone(f)
	c[key] = value
	return c
}

func (f fields) without(key string) fields {
	c := maps.Clone(f)
	delete(c, key)
	return c
}

// Whatever a peer writes into FATE-Flow's calls between sites, it reads which field is wrong, and no row of the site changes.
//
// Spec: fate-flow-api §2.2, §2.3.
func TestFieldsOfPeersCalls(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	release := e.Hold(t, "a")
	user, victim := e.As(t, "9999"), e.As(t, "10000")
	d := env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil), env.Noop("b", nil, "a"))
	job := user.Submit(d)
	for _, at := range []*env.Client{user, victim} {
		at.WaitForTask(job, "a", openflow.TaskRunning)
	}
	rows := func() string {
		text, err := json.Marshal([]any{victim.Jobs(job), victim.Tasks(job), victim.Get("/v2/job/list/query"), user.Jobs(job), user.Tasks(job)})
		require.NoError(t, err)
		return string(text)
	}
	before := rows()

	onJob := fields{"job_id": string(job), "role": "host", "party_id": "10000"}
	onTask := onJob.with("task_id", string(job)+"_a").with("task_version", 0).with("task_name", "a")
	dag, err := wire.EncodeDAG(d)
	require.NoError(t, err)
	type route struct {
		to       string // the victim of the call
		body     fields
		required []string
	}
	keys, run := []string{"job_id", "role", "party_id"}, []string{"job_id", "role", "party_id", "task_id", "task_version"}
	routes := map[string]route{
		"/v2/partner/job/create":           {"10000", onJob.with("dag", dag).with("schema_version", "2.2.0"), append(slices.Clone(keys), "dag", "schema_version")},
		"/v2/partner/job/start":            {"10000", onJob, keys},
		"/v2/partner/job/status/update":    {"10000", onJob.with("status", "canceled"), keys},
		"/v2/partner/job/update":           {"10000", onJob.with("progress", 50), keys},
		"/v2/partner/job/resource/apply":   {"10000", onJob, keys},
		"/v2/partner/job/resource/return":  {"10000", onJob, keys},
		"/v2/partner/job/stop":             {"10000", onJob, keys},
		"/v2/partner/task/resource/apply":  {"10000", onTask, run},
		"/v2/partner/task/resource/return": {"10000", onTask, run},
		"/v2/partner/task/start":           {"10000", onTask, run},
		"/v2/partner/task/collect":         {"10000", onTask, run},
		"/v2/partner/task/status/update":   {"10000", onTask.with("status", "failed"), run},
		"/v2/partner/task/stop":            {"10000", onTask, run},
		"/v2/partner/task/rerun":           {"10000", onTask.with("new_version", 1), append(slices.Clone(run), "new_version")},
		"/v2/scheduler/job/create":         {"9999", fields{"dag": dag, "schema_version": "2.2.0"}, []string{"dag", "schema_version"}},
		"/v2/scheduler/job/stop":           {"9999", fields{"job_id": string(job)}, []string{"job_id"}},
		"/v2/scheduler/job/rerun":          {"9999", fields{"job_id": string(job)}, []string{"job_id"}},
		"/v2/scheduler/task/report":        {"9999", onTask.with("status", "failed"), append(slices.Clone(run), "status")},
	}
	scheduler, partner, stranger := attack(t, e, "9999", "10000"), attack(t, e, "10000", "9999"), map[string]*attacker{
		"9999": attack(t, e, "10001", "9999"), "10000": attack(t, e, "10001", "10000"),
	}
	refused := func(what string, a *attacker, path string, body any, names string, codes ...int) {
		t.Helper()
		_, answer := a.post(path, body)
		var said wire.Envelope
		require.NoError(t, json.Unmarshal(answer, &said), "%s: %s", what, answer)
		require.Contains(t, codes, said.Code, "%s: %s: %s", path, what, answer)
		require.Contains(t, string(answer), names, "%s: %s", path, what)
		require.Less(t, len(answer), 4096, "%s: %s: nothing long is said back", path, what)
	}
	const wrong, noJob, noTask = wire.InvalidParameter, wire.JobNotFound, wire.TaskNotFound
	for path, r := range routes {
		a := scheduler
		if r.to == "9999" {
			a = partner
		}
		refused("nothing", a, path, []byte{}, "", wrong)
		refused("a list", a, path, []byte(`[]`), "", wrong)
		refused("cut off", a, path, []byte(`{"job_id":`), "", wrong)
		refused("deep", a, path, []byte(strings.Repeat(`{"a":`, 100_000)), "", wrong)
		for _, key := range r.required {
			refused("without "+key, a, path, r.body.without(key), key, wrong)
			refused("null "+key, a, path, r.body.with(key, nil), key, wrong)
			refused("an object for "+key, a, path, r.body.with(key, fields{"x": []int{1}}), key, wrong)
		}
		for key, values := range map[string][]any{
			"job_id": {"../1", "a/b", "", strings.Repeat("1", 300), "1\x00"}, "party_id": {"../1", "", "a b"}, "role": {"admin", ""},
			"task_version": {-1, "x", 1.5}, "new_version": {-1, "x"}, "task_id": {"../x", "", string(job) + "_../a"}, "status": {"gone", 7},
			"progress": {"x"}, "schema_version": {""},
		} {
			if _, has := r.body[key]; !has {
				continue
			}
			for _, v := range values {
				name := key
				if text, is := v.(string); key == "task_id" && is && strings.HasSuffix(text, "/a") {
					name = "task name" // of which the rest of the ID is read
				}
				refused("a wrong "+key, a, path, r.body.with(key, v), name, wrong)
			}
		}
		switch { // a job that there is not, and one of others
		case strings.HasSuffix(path, "/create"):
		case path == "/v2/partner/job/resource/return": // nothing is held for it, which is as good
			refused("no such job", a, path, r.body.with("job_id", "1"), "", wire.Success)
			refused("another's job", stranger[r.to], path, r.body, "", wire.Success)
		case r.to == "9999":
			refused("no such job", a, path, r.body.with("job_id", "1").with("task_id", "1_a"), "", noJob, noTask)
			refused("another's job", stranger[r.to], path, r.body, "", noJob, noTask, wire.NoPermission)
		default:
			refused("no such job", a, path, r.body.with("job_id", "1").with("task_id", "1_a"), "", noJob, noTask)
			refused("another's job", stranger[r.to], path, r.body, "", noJob, noTask)
		}
		require.Equal(t, before, rows(), "%s changes nothing", path)
	}
	release()
	user.WaitFor(job, openflow.JobSuccess)
}
