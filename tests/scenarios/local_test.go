package scenarios_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

const localPeople = "id,y,x0\na,1,0.5\nb,0,0.25\nc,1,2\n"

// local is a site whose operator lets users name files, and its partner.
func local(t *testing.T) (e *env.Env, uploads, downloads string) {
	t.Helper()
	uploads, downloads = t.TempDir(), t.TempDir()
	e = env.New(t, env.Trust("acme"), env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.UploadFolders, c.DownloadFolders = []string{uploads}, []string{downloads}
	}))
	require.NoError(t, os.WriteFile(filepath.Join(uploads, "people.csv"), []byte(localPeople), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(uploads, "pictures", "red"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(uploads, "pictures", "red", "1.txt"), []byte("one"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(uploads, "pictures", "2.txt"), []byte("two"), 0o600))
	return e, uploads, downloads
}

// polled waits as FATE's client does for a job of role local.
func polled(c *env.Client, e wire.Envelope) string {
	c.Helper()
	c.OK(e, nil)
	env.WaitUntil(c, env.Patience, "the local job has ended", func() (bool, string) {
		var jobs []wire.JobRow
		c.OK(c.Get("/v2/job/query", "job_id", e.JobID, "role", "local", "party_id", "0"), &jobs)
		require.NotEmpty(c, jobs)
		return jobs[0].Status == "success", jobs[0].Status
	})
	return e.JobID
}

// What FATE's client does with the data of a site, in its order, what a job may do with them, and what not.
//
// Spec: fate-client §1, §2 (upload).
func TestDataOfASite(t *testing.T) {
	e, uploads, downloads := local(t)
	user, other := e.As(t, "9999"), e.As(t, "10000")

	t.Run("client", func(t *testing.T) {
		c := e.As(t, "9999")
		var raw, made wire.Uploaded
		up := c.Post("/v2/data/component/upload", []byte(`{"file":"`+filepath.Join(uploads, "people.csv")+`","head":true,"partitions":16,"extend_sid":false,"meta":{"match_id_name":"id","label_name":"y","dtype":"float32","delimiter":","}}`))
		polled(c, up)
		require.NoError(t, json.Unmarshal(up.Data, &raw))
		transformed := c.Post("/v2/data/component/dataframe/transformer", map[string]any{
			"namespace": "experiment", "name": "people", "data_warehouse": map[string]string{"namespace": raw.Namespace, "name": raw.Name}, "drop": true,
		})
		polled(c, transformed)
		require.NoError(t, json.Unmarshal(transformed.Data, &made))
		require.Equal(t, []string{"experiment", "people"}, []string{made.Namespace, made.Name})

		var info wire.TableInfo
		c.OK(c.Get("/v2/table/query", "namespace", "experiment", "name", "people", "display", "true"), &info)
		require.Equal(t, int64(3), *info.Count)
		require.JSONEq(t, `[["a","a",1,0.5],["b","b",0,0.25],["c","c",1,2]]`, string(info.Display))

		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+"/v2/data/download?namespace=experiment&name=people&path=x", nil)
		require.NoError(t, err)
		resp, body := c.Do(r)
		require.Equal(t, "application/gzip", resp.Header.Get("Content-Type"))
		require.NotEmpty(t, body)

		polled(c, c.Post("/v2/data/component/download", map[string]string{"namespace": "experiment", "name": "people", "path": filepath.Join(downloads, "today")}))
		written, err := os.ReadFile(filepath.Join(downloads, "today", "data", "0.csv"))
		require.NoError(t, err)
		require.Equal(t, "sample_id,id,y,x0\na,a,1,0.5\nb,b,0,0.25\nc,c,1,2.0\n", string(written))

		c.OK(c.Post("/v2/table/bind/path", map[string]string{"namespace": "experiment", "name": "pictures", "path": filepath.Join(uploads, "pictures")}), nil)
		c.OK(c.Post("/v2/table/delete", map[string]string{"namespace": "experiment", "name": "people"}), nil)
		require.Equal(t, wire.TableNotFound, c.Get("/v2/table/query", "namespace", "experiment", "name", "people").Code)
	})

	t.Run("job", func(t *testing.T) {
		c := e.As(t, "9999")
		take := openflow.Task{Name: "upload_0", Component: "upload", Parameters: openflow.Parameters{
			"file": filepath.Join(uploads, "people.csv"), "head": true, "partitions": 4, "meta": map[string]any{"match_id_name": "id", "label_name": "y"},
		}}
		make := openflow.Task{
			Name: "transformer_0", Component: "dataframe_transformer", Parameters: openflow.Parameters{"namespace": "made", "name": "people"},
			Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "table", Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "upload_0", OutputKey: "table"}}}},
		}
		id := c.Submit(env.DAG(env.Parties("local 9999"), take, make))
		c.WaitFor(id, openflow.JobSuccess)
		id2 := c.Submit(env.DAG(env.Parties("guest 9999"), openflow.Task{
			Name: "download_0", Component: "download", Parameters: openflow.Parameters{"namespace": "made", "name": "people", "path": filepath.Join(downloads, "job")},
		}))
		c.WaitFor(id2, openflow.JobSuccess)
		written, err := os.ReadFile(filepath.Join(downloads, "job", "data", "0.csv"))
		require.NoError(t, err)
		require.Equal(t, "sample_id,id,y,x0\na,a,1,0.5\nb,b,0,0.25\nc,c,1,2.0\n", string(written))
		c.OK(c.Post("/v2/job/clean", map[string]string{"job_id": string(id)}), nil)
		c.OK(c.Get("/v2/table/query", "namespace", "made", "name", "people"), nil)

		psi := openflow.Task{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: "upload_0", OutputKey: "table"},
		}}}}
		answer := c.TrySubmit(env.DAG(env.Parties("guest 9999"), take, psi))
		require.Contains(t, answer.Message, `it takes a dataframe, and task "upload_0" writes a table`)
	})

	t.Run("files of others", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(e.Home("10000"), "uploads", "secret.csv"), []byte(localPeople), 0o600))
		for component, parameters := range map[string]openflow.Parameters{
			"upload":                {"file": "secret.csv"},
			"download":              {"namespace": "n", "name": "t", "path": "x"},
			"dataframe_transformer": {"namespace": "n", "name": "t"},
		} {
			task := openflow.Task{Name: "task_0", Component: component, Parameters: parameters, Parties: env.Parties("host 10000")}
			if component == "dataframe_transformer" {
				task.Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "table", Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Namespace: "n", Name: "t"}}}}
			}
			answer := user.TrySubmit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil), task))
			require.Contains(t, answer.Message, "which only jobs of its own users may", component)
		}
		require.Equal(t, wire.TableNotFound, other.Get("/v2/table/query", "namespace", "n", "name", "t").Code)
	})

	t.Run("folder", func(t *testing.T) {
		c := e.As(t, "9999")
		_, err := (&sdk.Client{URL: e.URL("9999"), User: "ann"}).RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "1.0.0")})
		require.NoError(t, err)
		c.OK(c.Post("/v2/table/bind/path", map[string]string{"namespace": "experiment", "name": "pictures", "path": filepath.Join(uploads, "pictures")}), nil)
		tally := func(table string) *openflow.DAG {
			return env.DAG(env.Parties("guest 9999"), openflow.Task{Name: "tally_0", Component: "tally", Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "files", Channels: []openflow.Channel{
				{Source: openflow.FromDataWarehouse, Namespace: "experiment", Name: table},
			}}}})
		}
		id := c.Submit(tally("pictures"))
		c.WaitFor(id, openflow.JobSuccess)
		require.JSONEq(t, `{"2.txt":"two","red/1.txt":"one"}`, string(c.Metrics(env.Run(id, "guest", "9999", "tally_0"))["files"]))

		c.OK(c.Upload("experiment", "rows", `{"match_id_name":"id"}`, strings.NewReader(localPeople)), nil)
		answer := c.TrySubmit(tally("rows"))
		require.Contains(t, answer.Message, "table experiment/rows is a dataframe, and a data_directory is wanted")
	})
	e.NoContainers(t)
}

// What "flow test toy" of FATE's client sends and asks.
//
// Spec: fate-client §1 (toy).
func TestToy(t *testing.T) {
	e, _, _ := local(t)
	c := e.As(t, "9999")
	submitted := c.Post("/v2/job/submit", []byte(`{"dag_schema":{"dag":{"parties":[{"party_id":["9999"],"role":"guest"},{"party_id":["10000"],"role":"host"}],"stage":"default",
		"tasks":{"toy_example_0":{"component_ref":"toy_example","parameters":{"data_num":1024,"partition":4}}}},"schema_version":"2.0.0.alpha"}}`))
	c.OK(submitted, nil)
	env.WaitUntil(t, env.Patience, "the toy job has ended", func() (bool, string) {
		var site struct {
			PartyID string `json:"party_id"`
		}
		c.OK(c.Get("/v2/site/info/query"), &site)
		var jobs []wire.JobRow
		c.OK(c.Get("/v2/job/query", "job_id", submitted.JobID, "party_id", site.PartyID), &jobs)
		require.NotEmpty(t, jobs)
		require.NotContains(t, []string{"failed", "canceled"}, jobs[0].Status)
		return jobs[0].Status == "success", jobs[0].Status
	})
	id := openflow.JobID(submitted.JobID)
	e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	for _, at := range [][]string{env.Run(id, "guest", "9999", "toy_example_0"), env.Run(id, "host", "10000", "toy_example_0")} {
		var models map[string]map[string]string
		e.As(t, at[5]).OK(e.As(t, at[5]).Get("/v2/output/model/query", at...), &models)
		require.Equal(t, map[string]map[string]string{"json_model_output": {"test_role": at[3]}}, models)
	}
	e.NoContainers(t)
}
