package attacks_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// told is when a row was last written: a container may say again and again that it runs.
var told = regexp.MustCompile(`"update_time":\d+,`)

// page is one of FATE-Flow's pages for machines, with somebody who may call it.
type page struct {
	caller *env.Client
	routes map[string]map[string]any // a good body by path, of something that this caller has nothing to do with
	codes  map[string]int            // the answers to those, which name things that are not there
}

// with is the body with one field replaced; nil takes the field out.
func with(body map[string]any, field string, value any) map[string]any {
	changed := map[string]any{}
	for k, v := range body {
		changed[k] = v
	}
	if changed[field] = value; value == nil {
		delete(changed, field)
	}
	return changed
}

// Every route for nodes and containers of FATE-Flow holds against each field of its body that is wrong, missing or somebody else's. The answer
// has the right number and names the field. Nothing of the site has changed after all of them.
//
// Spec: fate-flow-api §0.2, §0.4.
func TestBadInputOfFATEsMachinePages(t *testing.T) {
	e := env.New(t, env.Party("10000"), env.Strict())
	victim := e.As(t, "10000")
	operator := &sdk.Client{URL: victim.URL}
	victim.OK(victim.Post("/openflow/v1/user/site/add", map[string]any{
		"party_id": "9998", "url": "http://127.0.0.1:1", "dialect": "fate-flow", "unsigned_from": []string{"127.0.0.1"},
	}), nil)
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9998"},
		openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9998"},
		openflow.Grant{Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "noop"}}, Initiator: "9998"})
	require.NoError(t, err)

	release := e.Hold(t, "a")
	own := victim.Submit(env.DAG(env.Parties("guest 10000"), env.Noop("a", nil)))
	victim.WaitForTask(own, "a", openflow.TaskRunning)
	containers := e.Containers(t, "10000")
	require.Len(t, containers, 1)
	run := wire.PartyTaskID(openflow.TaskKey{Job: own, Task: "a", Party: env.Parties("guest 10000")[0]})

	job := map[string]any{"job_id": "unknown", "role": "host", "party_id": "10000"}
	task := with(with(job, "task_id", "unknown_a"), "task_version", 0)
	dag := map[string]any{
		"parties": []any{map[string]any{"role": "host", "party_id": []string{"10000"}}}, "stage": "default",
		"conf":  map[string]any{"initiator_party_id": "9998", "scheduler_party_id": "9998"},
		"tasks": map[string]any{"a": map[string]any{"component_ref": "noop"}},
	}
	create := with(with(job, "dag", dag), "schema_version", "2.2.0")
	pages := map[string]page{
		"/v2/partner": {&env.Client{TB: t, URL: e.PeersURL("10000")}, map[string]map[string]any{
			"/job/create":           with(create, "job_id", "made"),
			"/job/start":            job,
			"/job/status/update":    with(job, "status", "running"),
			"/job/update":           with(job, "progress", 50),
			"/job/resource/apply":   job,
			"/job/resource/return":  job,
			"/job/stop":             job,
			"/task/resource/apply":  task,
			"/task/resource/return": task,
			"/task/start":           task,
			"/task/collect":         task,
			"/task/status/update":   with(task, "status", "running"),
			"/task/stop":            task,
			"/task/rerun":           with(task, "new_version", 1),
		}, nil},
		"/v2/scheduler": {&env.Client{TB: t, URL: e.PeersURL("10000")}, map[string]map[string]any{
			"/job/create":  {"dag": dag, "schema_version": "2.2.0"},
			"/job/stop":    {"job_id": "unknown"},
			"/job/rerun":   {"job_id": "unknown"},
			"/task/report": with(task, "status", "success"),
		}, nil},
		"/v2/worker": {&env.Client{TB: t, URL: e.Node(t, "10000").BaseURL(), Token: credential(t, e, "10000", containers[0].Name)}, map[string]map[string]any{
			"/task/status":        {"execution_id": run, "status": "running"},
			"/data/tracking/save": {"execution_id": run, "uri": "object:///sha256/" + strings.Repeat("0", 64), "output_key": "output_data", "data_type": "dataframe"},
			"/metric/save":        {"execution_id": run, "data": []any{}},
		}, nil},
	}
	// notThere has routes whose good body asks for what is not there, with the answers of FATE-Flow. The others are refused for other reasons.
	notThere := map[string]int{
		"/v2/partner/task/collect": wire.TaskNotFound, "/v2/partner/task/start": wire.TaskNotFound, "/v2/partner/job/start": wire.JobNotFound,
		"/v2/partner/job/resource/apply": wire.JobNotFound, "/v2/scheduler/job/stop": wire.JobNotFound, "/v2/scheduler/job/rerun": wire.JobNotFound,
	}
	// nothingLeft is asked for again and again by peers that clean up. Where nothing is held or runs, that is done already.
	nothingLeft := map[string]bool{"/job/resource/return": true, "/job/stop": true, "/task/stop": true}
	required := map[string][]string{
		"job": {"job_id", "role", "party_id"}, "task": {"job_id", "role", "party_id", "task_id", "task_version"},
	}
	state := func() string {
		jobs, tasks := victim.Get("/v2/job/list/query", "limit", "100"), victim.Get("/v2/job/task/list/query", "limit", "100")
		victim.OK(jobs, nil)
		victim.OK(tasks, nil)
		return told.ReplaceAllString(string(jobs.Data)+"\n"+string(tasks.Data), "")
	}
	before := state()

	for prefix, p := range pages {
		for path, good := range p.routes {
			at := prefix + path
			refused := func(what string, body any, field string) wire.Envelope {
				t.Helper()
				got := p.caller.Post(at, body)
				require.NotZerof(t, got.Code, "%s: %s", at, what)
				require.NotEqualf(t, wire.ServerException, got.Code, "%s: %s: %s", at, what, got.Message)
				require.Containsf(t, got.Message+string(got.Data), field, "%s: %s", at, what)
				require.NotContainsf(t, got.Message, "openflow.", "%s: %s is told in words of the program", at, what)
				return got
			}
			if code, ok := notThere[at]; ok {
				require.Equalf(t, code, refused("unknown", good, "").Code, at)
			}
			need := required["job"]
			switch {
			case strings.HasPrefix(path, "/task/") && prefix != "/v2/worker":
				need = required["task"]
			case prefix == "/v2/scheduler" && path == "/job/create":
				need = []string{"dag", "schema_version"}
			case prefix == "/v2/scheduler":
				need = []string{"job_id"}
			case prefix == "/v2/worker":
				need = nil
			}
			for _, field := range need {
				got := refused("without "+field, with(good, field, nil), field)
				require.Equalf(t, wire.InvalidParameter, got.Code, "%s without %s", at, field)
				require.JSONEqf(t, fmt.Sprintf(`{"json":{%q:["Missing data for required field."]}}`, field), string(got.Data), at)
			}
			for field := range good {
				for what, value := range map[string]any{"a list": []any{1}, "an object": map[string]any{"a": 1}, "a truth": true, "nothing": json.RawMessage("null")} {
					switch {
					case field == "dag" && what == "an object", field == "data" && what == "a list":
					case what == "nothing" && len(need) == 0, what == "nothing" && (field == "progress" || field == "status"):
					default:
						got := refused(field+" is "+what, with(good, field, value), field)
						require.Equalf(t, wire.InvalidParameter, got.Code, "%s: %s is %s: %s", at, field, what, got.Message)
					}
				}
			}
			for _, field := range []string{"job_id", "task_id"} {
				if good[field] != nil {
					for _, id := range []string{"../../etc", "a/b", "a\x00b", strings.Repeat("9", 10_000), "a\nb", " "} {
						refused("an ID of another form", with(good, field, id), "")
					}
				}
			}
			for what, body := range map[string]string{
				"no JSON": "{", "a list": "[]", "a word": `"x"`, "two documents": "{} {}", "deep": strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
			} {
				got := p.caller.Post(at, []byte(body))
				require.NotZerof(t, got.Code, "%s: %s", at, what)
			}
			if at != "/v2/partner/job/create" && at != "/v2/scheduler/job/create" {
				stray := p.caller.Post(at, with(good, "stray", "x"))
				plain := p.caller.Post(at, good)
				require.Equalf(t, plain.Code, stray.Code, "%s: a field that nobody knows changes nothing: %s", at, stray.Message)
			}
		}
	}
	for _, other := range []string{"9999", "0", "10001"} {
		for path, good := range pages["/v2/partner"].routes {
			got := pages["/v2/partner"].caller.Post("/v2/partner"+path, with(good, "party_id", other))
			require.Truef(t, got.Code != wire.Success || nothingLeft[path], "%s for party %s", path, other)
		}
	}
	for path, good := range pages["/v2/partner"].routes {
		if path != "/job/create" {
			theirs := with(good, "job_id", string(own))
			if theirs["task_id"] != nil {
				theirs["task_id"] = string(own) + "_a"
			}
			theirs["role"] = "guest"
			got := pages["/v2/partner"].caller.Post("/v2/partner"+path, theirs)
			require.Truef(t, got.Code != wire.Success || nothingLeft[path], "%s of a job that another party schedules", path)
		}
	}
	for path, good := range pages["/v2/worker"].routes {
		got := pages["/v2/worker"].caller.Post("/v2/worker"+path, with(good, "execution_id", "another_a_0_guest_10000"))
		require.Equalf(t, wire.NoPermission, got.Code, "%s of another run: %s", path, got.Message)
	}
	require.Equal(t, before, state(), "all of that has changed nothing")
	release()
	victim.WaitFor(own, openflow.JobSuccess)
}
