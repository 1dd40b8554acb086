package users_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// What is wrong with a request is said as FATE-Flow does: the code, and by the place of the argument its name and what it must be.
// Nothing is changed then.
func TestWrongArguments(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskSuccess, nil, "a")
	missing, noString, noInteger := "Missing data for required field.", "Not a valid string.", "Not a valid integer."
	named := func(place, field, what string) string {
		b, err := json.Marshal(map[string]map[string][]string{place: {field: {what}}})
		require.NoError(t, err)
		return string(b)
	}
	const run = `"job_id":"j1","role":"guest","party_id":"9999"`
	for name, tc := range map[string]struct {
		route, body string
		code        int
		data        string // none: nothing is said of fields
		message     string
	}{
		"no document":            {"POST /v2/job/submit", `{}`, 5001, named("json", "dag_schema", missing), "dag_schema"},
		"a null document":        {"POST /v2/job/submit", `{"dag_schema":null}`, 5001, named("json", "dag_schema", missing), "dag_schema"},
		"no JSON":                {"POST /v2/job/stop", `job_id=1`, 5001, "", "invalid request body"},
		"a list":                 {"POST /v2/job/stop", `[]`, 5001, "", "must be an object"},
		"an ID that is a list":   {"POST /v2/job/stop", `{"job_id":["j1"]}`, 5001, named("json", "job_id", noString), "job_id"},
		"an ID that is true":     {"POST /v2/job/rerun", `{"job_id":true}`, 5001, named("json", "job_id", noString), "job_id"},
		"an ID out of a folder":  {"POST /v2/job/stop", `{"job_id":"../../etc/passwd"}`, 5001, "", "job_id"},
		"no job to clean":        {"POST /v2/job/clean", `{}`, 5001, named("json", "job_id", missing), "job_id"},
		"clean of another":       {"POST /v2/job/clean", `{"job_id":"none"}`, 1001, "", "job_id[none]"},
		"logs of another":        {"POST /v2/job/log/download", `{"job_id":"none"}`, 8001, "", "none"},
		"logs out of a folder":   {"POST /v2/job/log/download", `{"job_id":"../.."}`, 5001, "", "job_id"},
		"notes that are none":    {"POST /v2/job/notes/add", `{` + run + `}`, 5001, named("json", "notes", missing), "notes"},
		"notes that are a list":  {"POST /v2/job/notes/add", `{` + run + `,"notes":[]}`, 5001, named("json", "notes", noString), "notes"},
		"notes without end":      {"POST /v2/job/notes/add", `{` + run + `,"notes":"` + strings.Repeat("x", 17<<10) + `"}`, 5001, "", "notes"},
		"notes of another":       {"POST /v2/job/notes/add", `{"job_id":"j1","role":"host","party_id":"9999","notes":"x"}`, 1001, "", "role[host]"},
		"a view of no job":       {"GET /v2/job/data/view?role=guest&party_id=9999", "", 5001, named("query", "job_id", missing), "job_id"},
		"a graph of another":     {"GET /v2/job/dag/dependency?job_id=none&role=guest&party_id=9999", "", 1001, "", "job_id[none]"},
		"no filter for jobs":     {"GET /v2/job/query", "", 1001, "", "No found job"},
		"no filter for tasks":    {"GET /v2/job/task/query", "", 2000, "", "No found task"},
		"a version in words":     {"GET /v2/job/task/query?job_id=j1&task_version=one", "", 5001, named("query", "task_version", noInteger), "task_version"},
		"a limit in words":       {"GET /v2/job/list/query?limit=ten", "", 5001, named("query", "limit", noInteger), "limit"},
		"a limit below zero":     {"GET /v2/job/list/query?limit=-1", "", 5001, "", "limit"},
		"a page in words":        {"GET /v2/job/task/list/query?page=x", "", 5001, named("query", "page", noInteger), "page"},
		"an unknown column":      {"GET /v2/job/list/query?order_by=password", "", 5001, "", "password"},
		"an order of SQL":        {"GET /v2/job/list/query?order_by=1%3Bdrop%20table%20job", "", 5001, "", "ordered by"},
		"an unknown order":       {"GET /v2/job/list/query?order=up", "", 5001, "", "order"},
		"a task's column":        {"GET /v2/job/task/list/query?order_by=password", "", 5001, "", "password"},
		"a partner of SQL":       {"GET /v2/job/list/query?partner=%25", "", 5001, "", "partner"},
		"no task for metrics":    {"GET /v2/output/metric/query?job_id=j1&role=guest&party_id=9999", "", 5001, named("query", "task_name", missing), "task_name"},
		"metrics of another":     {"POST /v2/output/metric/delete", `{` + run + `,"task_name":"none"}`, 2000, "", "task_name[none]"},
		"a task that is a list":  {"POST /v2/output/model/delete", `{` + run + `,"task_name":[]}`, 5001, named("json", "task_name", noString), "task_name"},
		"no model to delete":     {"POST /v2/output/model/delete", `{` + run + `,"task_name":"a"}`, 2005, "", "No found output model"},
		"no model to show":       {"GET /v2/output/model/query?job_id=j1&role=guest&party_id=9999&task_name=a", "", 2005, "", "No found output model"},
		"no model to download":   {"GET /v2/output/model/download?job_id=j1&role=guest&party_id=9999&task_name=a", "", 2005, "", "No found output model"},
		"no data to download":    {"GET /v2/output/data/download?job_id=j1&role=guest&party_id=9999&task_name=a", "", 7001, "", "No found table"},
		"data of another":        {"GET /v2/output/data/display?job_id=j1&role=guest&party_id=9999&task_name=none", "", 2000, "", "task_name[none]"},
		"no kind of log":         {"GET /v2/log/count?job_id=j1", "", 5001, named("query", "log_type", missing), "log_type"},
		"an unknown kind of log": {"GET /v2/log/query?log_type=passwd&job_id=j1&role=guest&party_id=9999", "", 5001, "", "passwd"},
		"a log out of a folder":  {"GET /v2/log/query?log_type=task_info&job_id=j1&role=guest&party_id=9999&task_name=../../x", "", 5001, "", "task_name"},
		"a log of a shell":       {"GET /v2/log/count?log_type=task_info&job_id=j1&role=guest&party_id=9999%3Breboot", "", 5001, "", "party_id"},
		"a line in words":        {"GET /v2/log/query?log_type=task_info&job_id=j1&role=guest&party_id=9999&begin=x", "", 5001, named("query", "begin", noInteger), "begin"},
		"a line below zero":      {"GET /v2/log/query?log_type=task_info&job_id=j1&role=guest&party_id=9999&end=-3", "", 5001, named("query", "end", noInteger), "end"},
		"another instance":       {"GET /v2/log/count?log_type=task_info&job_id=j1&role=guest&party_id=9999&instance_id=x", "", 6004, "", "instance_id[x]"},
		"no name of a server":    {"GET /v2/server/query", "", 5001, named("query", "server_name", missing), "server_name"},
		"an unknown server":      {"GET /v2/server/query?server_name=none", "", 6003, "", "server_name[none]"},
		"a port in words":        {"POST /v2/server/registry", `{"server_name":"a","host":"h","port":"x"}`, 5001, named("json", "port", noInteger), "port"},
		"a port too high":        {"POST /v2/server/registry", `{"server_name":"a","host":"h","port":70000}`, 5001, named("json", "port", noInteger), "port"},
		"no port":                {"POST /v2/server/registry", `{"server_name":"a","host":"h"}`, 5001, named("json", "port", missing), "port"},
		"a host of a shell":      {"POST /v2/server/registry", `{"server_name":"a","host":"h/../x","port":1}`, 5001, "", "host"},
		"a protocol of files":    {"POST /v2/server/registry", `{"server_name":"a","host":"h","port":1,"protocol":"file"}`, 5001, "", "protocol"},
		"this node's own name":   {"POST /v2/server/registry", `{"server_name":"FateFlow","host":"h","port":1}`, 1003, "", "FATEFLOW"},
		"a service of none":      {"POST /v2/server/service/registry", `{"server_name":"none","service_name":"s","uri":"/x"}`, 6003, "", "server_name[none]"},
		"a service elsewhere":    {"POST /v2/server/service/registry", `{"server_name":"a","service_name":"s","uri":"//evil/x"}`, 5001, "", "uri"},
		"a service's wrong data": {"POST /v2/server/service/registry", `{"server_name":"a","service_name":"s","uri":"/x","data":[]}`, 5001, named("json", "data", "Not a valid mapping type."), "data"},
		"an unknown service":     {"GET /v2/server/service/query?server_name=a&service_name=s", "", 6003, "", "service_name[s]"},
		"an export of no model":  {"POST /v2/model/export", `{"model_id":"m","model_version":"0","role":"guest","party_id":"9999","path":"x"}`, 2005, "", "model_id[m]"},
		"an export to nowhere":   {"POST /v2/model/export", `{"model_id":"m","model_version":"0","role":"guest","party_id":"9999"}`, 5001, named("json", "path", missing), "path"},
		"an export elsewhere":    {"POST /v2/model/export", `{"model_id":"m","model_version":"0","role":"guest","party_id":"9999","path":"../../etc"}`, 5005, "", "no folder below"},
		"an absolute export":     {"POST /v2/model/export", `{"model_id":"m","model_version":"0","role":"guest","party_id":"9999","path":"/etc"}`, 5005, "", "no folder below"},
		"an ID with a folder":    {"POST /v2/model/export", `{"model_id":"../m","model_version":"0","role":"guest","party_id":"9999","path":"x"}`, 5001, "", "model_id"},
		"a model that is none":   {"POST /v2/model/delete", `{"model_id":"m","model_version":"0"}`, 2005, "", "model_id[m]"},
		"no version to delete":   {"POST /v2/model/delete", `{"model_id":"m"}`, 5001, named("json", "model_version", missing), "model_version"},
		"an import of JSON":      {"POST /v2/model/import", `{"model_id":"m","model_version":"0"}`, 5001, "", "multipart"},
		"load":                   {"POST /v2/model/load", ``, 6001, "", "not implemented"},
		"migrate":                {"POST /v2/model/migrate", ``, 6001, "", "not implemented"},
		"store":                  {"POST /v2/model/store", `{"x":1}`, 6001, "", "not implemented"},
		"restore":                {"POST /v2/model/restore", ``, 6001, "", "not implemented"},
		"a body without end":     {"POST /v2/job/stop", `{"job_id":"` + strings.Repeat("1", 20<<20) + `"}`, 5001, "", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			e := d.call(tc.route, tc.body)
			require.Equal(t, tc.code, e.Code, e.Message)
			require.Contains(t, e.Message, tc.message)
			if tc.data == "" {
				require.Empty(t, string(e.Data))
			} else {
				require.JSONEq(t, tc.data, string(e.Data))
			}
			require.NotNil(t, e.Error, "programs read the failure as fields")
		})
	}
	require.NoDirExists(t, d.exports)
	var jobs []wire.JobRow
	d.data(d.call("GET /v2/job/query?job_id=j1", ""), &jobs)
	require.Empty(t, jobs[0].Description)
}

// fate-client §4 #5: what nobody knows is passed over, and IDs are numbers or texts.
func TestStrayArguments(t *testing.T) {
	d := newDesk(t)
	d.job("7", openflow.TaskSuccess, nil, "a")
	for _, route := range []string{
		"GET /v2/output/metric/query?job_id=7&role=guest&party_id=9999&task_name=a&path=/tmp/x&filters=1",
		"GET /v2/job/query?job_id=7&nonsense=1",
		"GET /v2/site/info/query?x=y",
	} {
		require.Zero(t, d.call(route, "").Code, route)
	}
	require.Zero(t, d.call("POST /v2/job/notes/add", `{"job_id":7,"role":"guest","party_id":9999,"notes":"x","more":[1]}`).Code)
	require.Zero(t, d.call("POST /v2/job/queue/clean", ``).Code)
}

// fate-flow-api §1.2 #6: tasks are found by their ID alone, by status alone, and by both.
func TestTasksAreFoundByTheirID(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskRunning, nil, "a", "b_0")
	d.job("k1", openflow.TaskSuccess, nil, "b_0", "c")
	for query, want := range map[string][]string{
		"task_id=j1_a":                           {"j1_a"},
		"task_id=j1_b_0":                         {"j1_b_0"},
		"task_id=k1_b_0":                         {"k1_b_0"},
		"task_id=j1_b_0&job_id=j1":               {"j1_b_0"},
		"task_id=j1_b_0&status=running":          {"j1_b_0"},
		"task_id=j1_b_0&task_name=b_0":           {"j1_b_0"},
		"status=running":                         {"j1_a", "j1_b_0"},
		"status=running&job_id=j1":               {"j1_a", "j1_b_0"},
		"status=running&task_name=a":             {"j1_a"},
		"status=running&job_id=k1":               nil,
		"task_id=j1":                             nil,
		"task_id=a&job_id=j1":                    nil,
		"task_id=j2_a":                           nil,
		"task_id=j1_a&job_id=k1":                 nil,
		"task_version=0&task_name=c":             {"k1_c"},
		"task_id=" + strings.Repeat("_", 10_000): nil,
	} {
		t.Run(query[:min(len(query), 40)], func(t *testing.T) {
			e := d.call("GET /v2/job/task/query?"+query, "")
			if want == nil {
				require.Equal(t, wire.TaskNotFound, e.Code, e.Message)
				return
			}
			var rows []wire.TaskRow
			d.data(e, &rows)
			var ids []string
			for _, r := range rows {
				ids = append(ids, r.TaskID)
			}
			require.ElementsMatch(t, want, ids)
		})
	}
}

type page[T any] struct {
	Count int `json:"count"`
	Data  []T `json:"data"`
}

// fate-flow-api §1.1 #5, part 7 #7: the filters come before paging, and the count agrees with them.
func TestJobsAreListedByPartner(t *testing.T) {
	d := newDesk(t)
	host := func(id openflow.PartyID) []openflow.Party { return []openflow.Party{{Role: openflow.RoleHost, ID: id}} }
	for _, id := range []openflow.JobID{"j1", "j2", "j3", "j4", "j5"} {
		partner := openflow.PartyID("10000")
		if id == "j2" || id == "j4" {
			partner = "1_000"
		}
		d.job(id, openflow.TaskSuccess, host(partner), "a")
	}
	for query, want := range map[string]struct {
		count int
		ids   []string
	}{
		"order_by=job_id&order=asc":                              {5, []string{"j1", "j2", "j3", "j4", "j5"}},
		"order_by=job_id":                                        {5, []string{"j5", "j4", "j3", "j2", "j1"}},
		"order_by=job_id&order=asc&partner=10000":                {3, []string{"j1", "j3", "j5"}},
		"order_by=job_id&order=asc&partner=1_000":                {2, []string{"j2", "j4"}},
		"order_by=job_id&order=asc&partner=10000&limit=2":        {3, []string{"j1", "j3"}},
		"order_by=job_id&order=asc&partner=10000&limit=2&page=2": {3, []string{"j5"}},
		"order_by=job_id&order=asc&limit=2&page=2":               {5, []string{"j3", "j4"}},
		"partner=9999":                {0, nil},
		"partner=10000&status=failed": {0, nil},
		"partner=10000&status=failed&status=success&job_id=5&role=guest": {1, []string{"j5"}},
	} {
		t.Run(query, func(t *testing.T) {
			var got page[wire.JobRow]
			d.data(d.call("GET /v2/job/list/query?"+query, ""), &got)
			require.Equal(t, want.count, got.Count)
			var ids []string
			for _, j := range got.Data {
				ids = append(ids, j.JobID)
			}
			require.Equal(t, want.ids, ids)
		})
	}
	var tasks page[wire.TaskRow]
	d.data(d.call("GET /v2/job/task/list/query?order_by=job_id&order=asc&limit=1&page=2", ""), &tasks)
	require.Equal(t, 5, tasks.Count)
	require.Len(t, tasks.Data, 1)
	require.Equal(t, "j2", tasks.Data[0].JobID)
}

// fate-flow-api §1.1 #10: a job that runs is stopped, and then forgotten.
func TestCleanStopsAJob(t *testing.T) {
	d := newDesk(t)
	d.job("j1", openflow.TaskRunning, nil, "a")
	d.job("j2", openflow.TaskSuccess, nil, "a")
	require.Zero(t, d.call("POST /v2/job/clean", `{"job_id":"j1"}`).Code)
	require.Equal(t, wire.JobNotFound, d.call("GET /v2/job/query?job_id=j1", "").Code)
	require.Equal(t, wire.TaskNotFound, d.call("GET /v2/job/task/query?job_id=j1", "").Code)
	require.Zero(t, d.call("POST /v2/job/clean", `{"job_id":"j2"}`).Code)
	require.Equal(t, []openflow.JobID{"j1"}, d.stopped, "one that has ended is not stopped")
}

// fate-flow-api §1.9: a list that users keep, by names without case. Nothing of the node's configuration is in it.
func TestServersAreRegistered(t *testing.T) {
	d := newDesk(t)
	var entry, row map[string]any
	d.data(d.call("POST /v2/server/registry", `{"server_name":"osx","host":"10.0.0.9","port":"9370"}`), &entry)
	require.Equal(t, map[string]any{"server_name": "OSX", "host": "10.0.0.9", "port": 9370.0, "protocol": "http"}, entry)
	d.data(d.call("POST /v2/server/registry", `{"server_name":"Osx","host":"osx.example","port":9371,"protocol":"https"}`), &entry)
	d.data(d.call("GET /v2/server/query?server_name=osX", ""), &row)
	require.Equal(t, "osx.example", row["host"])
	require.NotZero(t, row["create_time"])
	require.Zero(t, d.call("POST /v2/server/service/registry", `{"server_name":"osx","service_name":"push","uri":"/v1/push?x=1","headers":{"a":1}}`).Code)
	row = nil
	d.data(d.call("GET /v2/server/service/query?server_name=osx&service_name=PUSH", ""), &row)
	require.Equal(t, "https://osx.example:9371/v1/push?x=1", row["url"])
	require.Equal(t, []any{http.MethodPost, map[string]any{"a": 1.0}, nil}, []any{row["method"], row["headers"], row["params"]})
	var all map[string]map[string]any
	d.data(d.call("GET /v2/server/query/all", ""), &all)
	require.Equal(t, map[string]map[string]any{
		"FATEFLOW": {"host": "127.0.0.1", "http_port": 9380.0, "grpc_port": 0.0},
		"OSX":      {"server_name": "OSX", "host": "osx.example", "port": 9371.0, "protocol": "https"},
	}, all)
	require.Equal(t, "success", d.call("POST /v2/server/service/delete", `{"server_name":"osx","service_name":"push"}`).Message)
	require.Equal(t, "failed", d.call("POST /v2/server/service/delete", `{"server_name":"osx","service_name":"push"}`).Message)
	require.Equal(t, "success", d.call("POST /v2/server/delete", `{"server_name":"osx"}`).Message)
	require.Equal(t, "failed", d.call("POST /v2/server/delete", `{"server_name":"osx"}`).Message)
	require.Equal(t, 6003, d.call("GET /v2/server/query?server_name=osx", "").Code)
}

// Answers of downloads that fail have the type by which FATE's client knows an error, exactly.
func TestDownloadsThatFail(t *testing.T) {
	d := newDesk(t)
	for _, path := range []string{"/v2/output/data/download", "/v2/output/model/download", "/v2/data/download"} {
		resp, err := http.Get(d.url + path)
		require.NoError(t, err)
		var body bytes.Buffer
		_, err = body.ReadFrom(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"), path)
		require.Contains(t, body.String(), "Missing data for required field.", path)
	}
}
