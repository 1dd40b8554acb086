package scenarios_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// fitAsSent is what FATE's pipeline library makes of reader, psi, coordinated_lr and evaluation, as it sends it.
//
// Spec: fate-client §2.
const fitAsSent = `{"dag_schema":{"dag":{
"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]},{"role":"arbiter","party_id":["10001"]}],
"party_tasks":{
 "guest_9999":{"parties":[{"role":"guest","party_id":["9999"]}],"tasks":{"reader_0":{"parameters":{"name":"breast_guest","namespace":"experiment"}}}},
 "host_10000":{"parties":[{"role":"host","party_id":["10000"]}],"tasks":{"reader_0":{"parameters":{"name":"breast_host","namespace":"experiment"}}}}},
"stage":"train",
"tasks":{
 "reader_0":{"component_ref":"reader","parameters":{},"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}],"stage":"default"},
 "psi_0":{"component_ref":"psi","dependent_tasks":["reader_0"],"inputs":{"data":{"input_data":{"task_output_artifact":
  {"output_artifact_key":"output_data","parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}],"producer_task":"reader_0"}}}},
  "parameters":{},"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}],"stage":"default"},
 "lr_0":{"component_ref":"coordinated_lr","dependent_tasks":["psi_0"],"inputs":{"data":{"train_data":{"task_output_artifact":
  {"output_artifact_key":"output_data","parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}],"producer_task":"psi_0"}}},"model":{}},
  "parameters":{"batch_size":null,"early_stop":"diff","epochs":2,"floating_point_precision":23,"output_cv_data":true,"threshold":0.5,"tol":0.0001}},
 "evaluation_0":{"component_ref":"evaluation","dependent_tasks":["lr_0"],"inputs":{"data":{"input_datas":{"task_output_artifact":[
  {"output_artifact_key":"train_output_data","parties":[{"role":"guest","party_id":["9999"]}],"producer_task":"lr_0"}]}}},
  "parameters":{"default_eval_setting":"binary","label_column_name":null,"metrics":null,"predict_column_name":null},
  "parties":[{"role":"guest","party_id":["9999"]}],"stage":"default"}}},
"schema_version":"2.2.0"}}`

// replay is FATE's client: it sends what that sends, and looks at what that looks at.
type replay struct {
	*env.Client
	job string
}

// raw sends a request with the bytes and headers that the client sends.
func (c *replay) raw(method, path, body string) (*http.Response, []byte) {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, c.URL+"/v2"+path, strings.NewReader(body))
	require.NoError(c, err)
	r.Header.Set("User-Agent", "python-urllib3/1.26.12")
	r.Header.Set("Accept-Encoding", "identity")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return c.Do(r)
}

// ask is raw where the answer is an envelope, in which J stands for the job.
func (c *replay) ask(route string) wire.Envelope {
	c.Helper()
	method, rest, _ := strings.Cut(strings.ReplaceAll(route, "$J", c.job), " ")
	path, body, _ := strings.Cut(rest, " ")
	resp, b := c.raw(method, path, body)
	require.Equal(c, "application/json", resp.Header.Get("Content-Type"), route)
	var e wire.Envelope
	require.NoError(c, json.Unmarshal(b, &e), route)
	return e
}

// bare is raw where the answer has no envelope.
func (c *replay) bare(route string, into any) {
	c.Helper()
	method, path, _ := strings.Cut(strings.ReplaceAll(route, "$J", c.job), " ")
	resp, b := c.raw(method, path, "")
	require.Equal(c, "application/json", resp.Header.Get("Content-Type"), route)
	require.NoError(c, json.Unmarshal(b, into), "%s: %s", route, b)
}

// unpacked downloads an archive as the client does: the content type alone says what it is.
func (c *replay) unpacked(route string) map[string][]byte {
	c.Helper()
	method, rest, _ := strings.Cut(strings.ReplaceAll(route, "$J", c.job), " ")
	path, body, _ := strings.Cut(rest, " ")
	resp, b := c.raw(method, path, body)
	var in io.Reader = bytes.NewReader(b)
	switch kind := resp.Header.Get("Content-Type"); kind {
	case "application/gzip":
		zip, err := gzip.NewReader(in)
		require.NoError(c, err)
		in = zip
	case "application/x-tar":
	default:
		require.Failf(c, "an archive", "%s is %s: %.200s", route, kind, b)
	}
	members := map[string][]byte{}
	for t := tar.NewReader(in); ; {
		h, err := t.Next()
		if err == io.EOF {
			return members
		}
		require.NoError(c, err)
		members[h.Name], err = io.ReadAll(t)
		require.NoError(c, err)
	}
}

// monitor is the client's loop: any other status than these it would poll for ever.
func (c *replay) monitor(role, party string) string {
	c.Helper()
	seenRunning := false
	status := ""
	env.WaitUntil(c, env.Patience, "the job ends", func() (bool, string) {
		var jobs []wire.JobRow
		c.OK(c.ask("GET /job/query?job_id=$J&role="+role+"&party_id="+party), &jobs)
		require.NotEmpty(c, jobs)
		status = jobs[0].Status
		require.Contains(c, []string{"waiting", "running", "success", "failed", "canceled"}, status)
		if status == "running" {
			tasks := c.ask("GET /job/task/query?job_id=$J&role=" + role + "&party_id=" + party + "&status=running")
			require.Contains(c, []int{0, 2000}, tasks.Code, tasks.Message)
			seenRunning = seenRunning || tasks.Code == 0
		}
		return env.Ended(status), jobs[0].Reason
	})
	require.True(c, seenRunning || role == "local", "a task was shown running")
	return status
}

// failures are what the tasks of the job report of their ends.
func (c *replay) failures() (list []string) {
	for _, task := range c.Tasks(openflow.JobID(c.job)) {
		list = append(list, task.TaskName+": "+task.Reason+task.ErrorReport)
	}
	return list
}

// table is rows of a party: ids that half overlap, and two features that the label follows.
func table(from int, label bool) string {
	var b strings.Builder
	b.WriteString("id")
	if label {
		b.WriteString(",y")
	}
	b.WriteString(",x0,x1\n")
	for i := from; i < from+150; i++ {
		fmt.Fprintf(&b, "%d", i)
		if label {
			fmt.Fprintf(&b, ",%d", i%2)
		}
		fmt.Fprintf(&b, ",%d.25,%d.5\n", i%2, (i*7)%5)
	}
	return b.String()
}

// Every request of FATE's client, in its order, with its bodies, to real nodes.
//
// Spec: fate-client §1, §2, §4.
func TestReplayOfFATEsClient(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	c := &replay{Client: e.As(t, "9999")}
	host := e.As(t, "10000")

	// Tables, as flow data upload-file sends them.
	c.OK(c.Upload("experiment", "breast_guest", `{"sample_id_name":"id","label_name":"y","label_type":"int32","dtype":"float32","delimiter":","}`,
		strings.NewReader(table(0, true))), nil)
	host.OK(host.Upload("experiment", "breast_host", `{"sample_id_name":"id","dtype":"float32","delimiter":","}`, strings.NewReader(table(20, false))), nil)

	t.Run("fit", func(t *testing.T) {
		c := &replay{Client: e.As(t, "9999")}
		var site struct {
			PartyID string `json:"party_id"`
		}
		c.OK(c.ask("GET /site/info/query"), &site)
		answer := c.ask("POST /job/submit " + fitAsSent)
		var made struct {
			ModelID      string `json:"model_id"`
			ModelVersion string `json:"model_version"`
		}
		c.OK(answer, &made)
		require.Equal(t, []string{answer.JobID, "0"}, []string{made.ModelID, made.ModelVersion})
		c.job = answer.JobID
		require.Equal(t, "success", c.monitor("guest", site.PartyID), "%v", c.failures())
	})
	var last struct {
		Data []wire.JobRow `json:"data"`
	}
	c.OK(c.ask("GET /job/list/query?limit=1&role=guest"), &last)
	require.Len(t, last.Data, 1)
	require.Equal(t, []string{"10000", "10001"}, last.Data[0].Partners)
	c.job = last.Data[0].JobID
	run := func(task string) string { return "job_id=$J&role=guest&party_id=9999&task_name=" + task }
	body := func(task string) string {
		return `{"job_id":"$J","role":"guest","party_id":"9999","task_name":"` + task + `"}`
	}

	t.Run("job and task", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		var tasks []wire.TaskRow
		c.OK(c.ask("GET /job/task/query?job_id=$J&role=guest&party_id=9999&task_name=psi_0"), &tasks)
		require.Len(t, tasks, 1)
		require.Equal(t, []string{c.job + "_psi_0", c.job + "_psi_0_0_guest_9999"}, []string{tasks[0].TaskID, tasks[0].RunID})
		c.OK(c.ask("GET /job/task/query?task_id="+tasks[0].TaskID), &tasks)
		require.Len(t, tasks, 1)
		var list struct {
			Count int            `json:"count"`
			Data  []wire.TaskRow `json:"data"`
		}
		c.OK(c.ask("GET /job/task/list/query?limit=10&job_id=$J"), &list)
		require.Equal(t, 4, list.Count)
		require.Len(t, list.Data, 4)
		c.OK(c.ask(`POST /job/notes/add {"job_id":"$J","role":"guest","party_id":"9999","notes":"first"}`), nil)
		var view struct {
			PartyID string                                    `json:"party_id"`
			View    map[string]map[string][]map[string]string `json:"data_view"`
		}
		c.OK(c.ask("GET /job/data/view?job_id=$J&role=guest&party_id=9999"), &view)
		require.Equal(t, "9999", view.PartyID)
		require.Equal(t, []map[string]string{{"namespace": "experiment", "name": "breast_guest"}}, view.View["guest"]["9999"])
		var graph struct {
			Components []string `json:"component_list"`
		}
		c.OK(c.ask("GET /job/dag/dependency?job_id=$J&role=guest&party_id=9999"), &graph)
		require.Equal(t, []string{"reader_0", "psi_0", "lr_0", "evaluation_0"}, graph.Components)
		var cleaned map[string]any
		c.OK(c.ask("POST /job/queue/clean"), &cleaned)
		require.Empty(t, cleaned)
		c.OK(c.ask(`POST /job/stop {"job_id":"$J"}`), nil) // it has ended
		logs := c.unpacked(`POST /job/log/download {"job_id":"$J"}`)
		require.Contains(t, string(logs["fate_flow_schedule.log"]), "task psi_0 version 0 as guest 9999: ended with success")
		require.Contains(t, logs, "guest/9999/lr_0/0/log")
	})

	t.Run("output", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		data := c.unpacked("GET /output/data/download?" + run("psi_0") + "&path=%2Ftmp%2Fx")
		rows, err := csv.NewReader(bytes.NewReader(data["output_data/0.csv"])).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 1+130, "a header and the ids in common")
		require.Contains(t, data, "output_data/0.meta")
		var tables map[string][]map[string]string
		c.bare("GET /output/data/table?"+run("psi_0"), &tables)
		require.Len(t, tables["output_data"], 1)
		var shown map[string][]struct {
			Data  [][]any `json:"data"`
			Total int     `json:"total"`
		}
		c.bare("GET /output/data/display?"+run("psi_0"), &shown)
		require.Equal(t, 130, shown["output_data"][0].Total)
		var metrics []wire.Metric
		c.OK(c.ask("GET /output/metric/key/query?"+run("evaluation_0")), &metrics)
		require.NotEmpty(t, metrics)
		require.Empty(t, metrics[0].Data)
		c.OK(c.ask("GET /output/metric/query?"+run("evaluation_0")), &metrics)
		require.NotEmpty(t, metrics[0].Data)
		var model map[string]map[string]any
		c.OK(c.ask("GET /output/model/query?"+run("lr_0")), &model)
		require.NotEmpty(t, model["output_model"])
		require.Equal(t, 2005, c.ask("GET /output/model/query?"+run("psi_0")).Code)
		require.Contains(t, c.unpacked("GET /output/model/download?"+run("lr_0")+"&path=%2Ftmp%2Fx"), "json_model")
		var gone bool
		c.OK(c.ask("POST /output/metric/delete "+body("evaluation_0")), &gone)
		require.True(t, gone)
		c.OK(c.ask("GET /output/metric/query?"+run("evaluation_0")), &metrics)
		require.Empty(t, metrics)
	})

	t.Run("model", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		c.OK(c.ask(`POST /model/export {"role":"guest","model_id":"$J","model_version":"0","party_id":"9999","path":"may"}`), nil)
		archive, err := os.ReadFile(filepath.Join(e.Home("9999"), "exports", "may", c.job+"_0_guest_9999.zip"))
		require.NoError(t, err)
		entries, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
		require.NoError(t, err)
		require.Equal(t, c.job+"/0/guest/9999/lr_0/output_model", entries.File[0].Name)
		var form bytes.Buffer
		w := multipart.NewWriter(&form)
		for _, f := range [][2]string{{"model_id", "imported"}, {"model_version", "1"}, {"path", "/x/model.zip"}} {
			require.NoError(t, w.WriteField(f[0], f[1]))
		}
		part, err := w.CreateFormFile("file", "model.zip")
		require.NoError(t, err)
		_, err = part.Write(archive)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+"/v2/model/import", &form)
		require.NoError(t, err)
		r.Header.Set("Content-Type", w.FormDataContentType())
		c.OK(c.Call(r), nil)
		c.OK(c.ask(`POST /model/delete {"model_id":"imported","model_version":"1"}`), nil)
		require.Equal(t, 2005, c.ask(`POST /model/delete {"model_id":"imported","model_version":"1"}`).Code)
		c.OK(c.ask("POST /output/model/delete "+body("lr_0")), nil)
		require.Equal(t, 2005, c.ask("GET /output/model/query?"+run("lr_0")).Code)
	})

	t.Run("log", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		for _, kind := range []string{"schedule_info", "task_info"} {
			var n int
			c.OK(c.ask("GET /log/count?log_type="+kind+"&job_id=$J&role=guest&party_id=9999"), &n)
			require.Positive(t, n)
			var lines []map[string]any
			c.OK(c.ask("GET /log/query?log_type="+kind+"&job_id=$J&role=guest&party_id=9999"), &lines)
			require.Len(t, lines, n)
		}
	})

	t.Run("data, table, provider, site and server", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		require.Contains(t, c.unpacked("GET /data/download?namespace=experiment&name=breast_guest&path=%2Ftmp%2Fx"), "data/0.csv")
		var info wire.TableInfo
		c.OK(c.ask("GET /table/query?namespace=experiment&name=breast_guest&display=True"), &info)
		require.NotEmpty(t, info.Display)
		require.Equal(t, int64(150), *info.Count)
		c.OK(c.ask("GET /provider/query?name=openflow"), nil)
		var servers map[string]map[string]any
		c.OK(c.ask("GET /server/fateflow"), &servers)
		require.Len(t, servers, 1)
		c.OK(c.ask(`POST /table/delete {"namespace":"experiment","name":"breast_guest"}`), nil)
		require.Equal(t, 7001, c.ask("GET /table/query?namespace=experiment&name=breast_guest").Code)
	})

	t.Run("rerun and clean", func(t *testing.T) {
		c := &replay{e.As(t, "9999"), c.job}
		c.OK(c.ask(`POST /job/rerun {"job_id":"$J"}`), nil)
		require.Equal(t, "success", c.Jobs(openflow.JobID(c.job))[0].Status)
		c.OK(c.ask(`POST /job/clean {"job_id":"$J"}`), nil)
		require.Equal(t, 1001, c.ask("GET /job/query?job_id=$J").Code)
	})

	t.Run("stop", func(t *testing.T) {
		c := &replay{Client: e.As(t, "9999")}
		c.job = string(c.Submit(env.DAG(pair, env.Noop("a", env.Sleep(300_000)))))
		env.WaitUntil(t, env.Patience, "the client sees a task that runs", func() (bool, string) {
			a := c.ask("GET /job/task/query?job_id=$J&role=guest&party_id=9999&status=running")
			return a.Code == 0, a.Message
		})
		c.OK(c.ask("GET /job/task/query?status=running"), nil)
		c.OK(c.ask(`POST /job/stop {"job_id":"$J"}`), nil)
		c.WaitFor(openflow.JobID(c.job), openflow.JobCanceled)
	})
}
