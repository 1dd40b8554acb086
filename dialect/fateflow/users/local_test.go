package users_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// call posts a body as FATE's client does.
func (u *uploads) call(path, body string) wire.Envelope {
	u.t.Helper()
	resp, err := http.Post(u.url+path, "application/json", strings.NewReader(body))
	require.NoError(u.t, err)
	defer func() { require.NoError(u.t, resp.Body.Close()) }()
	require.Equal(u.t, http.StatusOK, resp.StatusCode)
	var e wire.Envelope
	require.NoError(u.t, json.NewDecoder(resp.Body).Decode(&e))
	return e
}

// get asks, and reads the answer's data into into.
func (u *uploads) get(path string, q url.Values, into any) wire.Envelope {
	u.t.Helper()
	resp, err := http.Get(u.url + path + "?" + q.Encode())
	require.NoError(u.t, err)
	defer func() { require.NoError(u.t, resp.Body.Close()) }()
	var e wire.Envelope
	require.NoError(u.t, json.NewDecoder(resp.Body).Decode(&e))
	if into != nil && e.Code == 0 {
		require.NoError(u.t, json.Unmarshal(e.Data, into))
	}
	return e
}

func (u *uploads) put(name, content string) {
	u.t.Helper()
	require.NoError(u.t, os.MkdirAll(filepath.Dir(filepath.Join(u.dir, name)), 0o700))
	require.NoError(u.t, os.WriteFile(filepath.Join(u.dir, name), []byte(content), 0o600))
}

// members are the files of a download.
func (u *uploads) members(q url.Values) map[string]string {
	u.t.Helper()
	resp, err := http.Get(u.url + "/v2/data/download?" + q.Encode())
	require.NoError(u.t, err)
	defer func() { require.NoError(u.t, resp.Body.Close()) }()
	require.Equal(u.t, "application/gzip", resp.Header.Get("Content-Type"))
	zip, err := gzip.NewReader(resp.Body)
	require.NoError(u.t, err)
	found := map[string]string{}
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(u.t, err)
		b, err := io.ReadAll(in)
		require.NoError(u.t, err)
		found[h.Name] = string(b)
	}
}

const people = "id,y,x0\na,1,0.5\nb,0,0.25\n"

// The order of FATE's client: a raw upload, the transformer, a query, both downloads, a deletion.
func TestARawTableBecomesADataframe(t *testing.T) {
	u := newUploads(t)
	u.put("people.csv", people)
	e := u.call("/v2/data/component/upload", `{"file":"people.csv","head":true,"partitions":4,"extend_sid":false,"meta":{"match_id_name":"id","label_name":"y","na_values":null}}`)
	require.Zero(t, e.Code, e.Message)
	var raw wire.Uploaded
	require.NoError(t, json.Unmarshal(e.Data, &raw))
	require.Equal(t, []string{"upload", e.JobID}, []string{raw.Namespace, raw.Name})
	at := url.Values{"namespace": {raw.Namespace}, "name": {raw.Name}}

	var info wire.TableInfo
	require.Zero(t, u.get("/v2/table/query", url.Values{"namespace": at["namespace"], "name": at["name"], "display": {"True"}}, &info).Code)
	require.Equal(t, "table", info.DataType)
	require.Equal(t, int64(2), *info.Count)
	require.JSONEq(t, `{"match_id_name":"id","label_name":"y","head":true,"extend_sid":false,"header":"sample_id,id,y,x0"}`, string(info.Meta))
	require.Equal(t, map[string]string{"data/0.csv": people, "data/0.meta": "{\n    \"header\": [\n        \"id\",\n        \"y\",\n        \"x0\"\n    ]\n}"}, u.members(at))

	body := fmt.Sprintf(`{"namespace":"ns","name":"people","data_warehouse":{"namespace":%q,"name":%q},"drop":true}`, raw.Namespace, raw.Name)
	e = u.call("/v2/data/component/dataframe/transformer", body)
	require.Zero(t, e.Code, e.Message)
	u.ended(e.JobID, "transformer_0")
	at = url.Values{"namespace": {"ns"}, "name": {"people"}}
	info = wire.TableInfo{}
	require.Zero(t, u.get("/v2/table/query", at, &info).Code)
	require.Equal(t, "dataframe", info.DataType)
	require.Empty(t, info.Display)
	require.Contains(t, string(info.Meta), "fate.arch.dataframe")

	e = u.call("/v2/data/component/dataframe/transformer", strings.Replace(body, "true", "false", 1))
	require.Equal(t, wire.TableExists, e.Code, "drop false, and there is one: %s", e.Message)
	e = u.call("/v2/data/component/dataframe/transformer", `{"namespace":"ns","name":"other","data_warehouse":{"namespace":"ns","name":"people"}}`)
	require.Equal(t, wire.InvalidParameter, e.Code)
	require.Contains(t, e.Message, "it is a dataframe already")

	e = u.call("/v2/data/component/download", `{"namespace":"ns","name":"people","path":"of/today"}`)
	require.Zero(t, e.Code, e.Message)
	u.ended(e.JobID, "download_0")
	written, err := os.ReadFile(filepath.Join(u.out, "of/today/data/0.csv"))
	require.NoError(t, err)
	require.Equal(t, "sample_id,id,y,x0\na,a,1,0.5\nb,b,0,0.25\n", string(written))
	require.Equal(t, string(written), u.members(at)["data/0.csv"])
	meta, err := os.ReadFile(filepath.Join(u.out, "of/today/data/0.meta"))
	require.NoError(t, err)
	require.Equal(t, u.members(at)["data/0.meta"], string(meta))

	require.Zero(t, u.call("/v2/table/delete", `{"namespace":"ns","name":"people"}`).Code)
	require.Equal(t, wire.TableNotFound, u.get("/v2/table/query", at, nil).Code)
	require.Equal(t, wire.TableNotFound, u.call("/v2/table/delete", `{"namespace":"ns","name":"people"}`).Code)
}

// ended is the job that a client polls with role=local, party_id=0, and its tasks.
func (u *uploads) ended(job string, tasks ...string) {
	u.t.Helper()
	at := url.Values{"job_id": {job}, "role": {"local"}, "party_id": {"0"}}
	var rows []wire.JobRow
	require.Zero(u.t, u.get("/v2/job/query", at, &rows).Code)
	require.Equal(u.t, []string{"success", "local", "0", "job_end"}, []string{rows[0].Status, rows[0].Role, rows[0].PartyID, rows[0].Tag})
	require.Equal(u.t, 100, rows[0].Progress)
	var made []wire.TaskRow
	require.Zero(u.t, u.get("/v2/job/task/query", at, &made).Code)
	var names []string
	for _, row := range made {
		names = append(names, row.TaskName)
		require.Equal(u.t, []string{"success", "success", job + "_" + row.TaskName}, []string{row.Status, row.PartyStatus, row.TaskID})
	}
	require.ElementsMatch(u.t, tasks, names)
}

func TestAnUploadWithANameIsAJobOfTwoTasks(t *testing.T) {
	u := newUploads(t)
	u.put("people.csv", people)
	e := u.call("/v2/data/component/upload", `{"file":"`+filepath.Join(u.dir, "people.csv")+`","head":true,"partitions":"4","extend_sid":"True","namespace":"ns","name":"p","meta":{"match_id_name":"id","label_name":"y"}}`)
	require.Zero(t, e.Code, e.Message)
	u.ended(e.JobID, "upload_0", "transformer_0")

	at := url.Values{"job_id": {e.JobID}, "role": {"local"}, "party_id": {"0"}, "task_name": {"upload_0"}}
	var metrics []wire.Metric
	require.Zero(t, u.get("/v2/output/metric/query", at, &metrics).Code)
	require.Len(t, metrics, 1)
	require.Equal(t, "upload", metrics[0].Name)
	require.JSONEq(t, `{"namespace":"ns","name":"p","count":2}`, string(metrics[0].Data))

	resp, err := http.Get(u.url + "/v2/output/data/table?" + strings.Replace(at.Encode(), "upload_0", "transformer_0", 1))
	require.NoError(t, err)
	defer func() { require.NoError(t, resp.Body.Close()) }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.JSONEq(t, `{"dataframe_output":[{"namespace":"ns","name":"p"}]}`, string(text))

	require.Zero(t, u.call("/v2/job/clean", `{"job_id":"`+e.JobID+`"}`).Code)
	require.Equal(t, []string{"ns/p"}, u.stored(), "the table is its owner's, and not the job's")
}

func TestAFolderBecomesATable(t *testing.T) {
	u := newUploads(t)
	u.put("pictures/a/1.png", "one")
	u.put("pictures/b.txt", "two")
	e := u.call("/v2/table/bind/path", `{"namespace":"ns","name":"pictures","path":"`+filepath.Join(u.dir, "pictures")+`"}`)
	require.Zero(t, e.Code, e.Message)
	var info wire.TableInfo
	at := url.Values{"namespace": {"ns"}, "name": {"pictures"}, "display": {"1"}}
	require.Zero(t, u.get("/v2/table/query", at, &info).Code)
	require.Equal(t, []string{"path", "data_directory", "file://" + filepath.Join(u.dir, "pictures")}, []string{info.Engine, info.DataType, info.Path})
	require.JSONEq(t, `[["a/1.png"],["b.txt"]]`, string(info.Display))
	before, err := u.rows.Table(t.Context(), openflow.TableName{Namespace: "ns", Name: "pictures"})
	require.NoError(t, err)

	e = u.call("/v2/data/component/download", `{"namespace":"ns","name":"pictures","path":"x"}`)
	require.Equal(t, wire.InvalidParameter, e.Code)
	require.Contains(t, e.Message, "is a folder of files")
	require.Equal(t, wire.InvalidParameter, u.get("/v2/data/download", at, nil).Code)

	u.put("pictures/b.txt", "three")
	require.Zero(t, u.call("/v2/table/bind/path", `{"namespace":"ns","name":"pictures","path":"pictures"}`).Code)
	after, err := u.rows.Table(t.Context(), before.Name)
	require.NoError(t, err)
	require.NotEqual(t, before.Object, after.Object, "it is what the folder holds when it is bound")
}

// What is wrong with a request is told by its code and named, and changes nothing.
func TestBadRequestsOfDataAndTables(t *testing.T) {
	const upload, transform, download, bind = "/v2/data/component/upload", "/v2/data/component/dataframe/transformer", "/v2/data/component/download", "/v2/table/bind/path"
	long := strings.Repeat("x", 129)
	for name, c := range map[string]struct {
		path, body string
		code       int
		says       string // in the message, or in data
	}{
		"upload: no file":               {upload, `{"head":true,"partitions":4,"meta":{}}`, 5001, `"file":["Missing data for required field."]`},
		"upload: a number":              {upload, `{"file":5,"head":true,"partitions":4,"meta":{}}`, 5001, "file"},
		"upload: no number":             {upload, `{"file":"people.csv","head":true,"partitions":"four","meta":{}}`, 5001, "partitions"},
		"upload: a fraction":            {upload, `{"file":"people.csv","head":true,"partitions":4.5,"meta":{}}`, 5001, "partitions"},
		"upload: no truth":              {upload, `{"file":"people.csv","head":"perhaps","meta":{}}`, 5001, "true or false is wanted"},
		"upload: no object":             {upload, `{"file":"people.csv","meta":[]}`, 5001, "meta"},
		"upload: not JSON":              {upload, `{"file":`, 5001, "invalid request body"},
		"upload: an unknown meta key":   {upload, `{"file":"people.csv","meta":{"colour":"red"}}`, 5001, `"colour"`},
		"upload: an unknown column":     {upload, `{"file":"people.csv","meta":{"match_id_name":"id","label_name":"z"}}`, 5001, `"z"`},
		"upload: no delimiter of lines": {upload, `{"file":"people.csv","meta":{"delimiter":"\n"}}`, 5001, "delimiter"},
		"upload: unknown":               {upload, `{"file":"none.csv","meta":{}}`, 8001, `"none.csv"`},
		"upload: upwards":               {upload, `{"file":"../secret.csv","meta":{}}`, 8001, `"../secret.csv"`},
		"upload: upwards, absolute":     {upload, `{"file":"DIR/../secret.csv","meta":{}}`, 8001, "secret.csv"},
		"upload: elsewhere":             {upload, `{"file":"/etc/passwd","meta":{}}`, 8001, "--upload-folder"},
		"upload: by a link":             {upload, `{"file":"link.csv","meta":{}}`, 8001, "link.csv"},
		"upload: by a link on the way":  {upload, `{"file":"way/secret.csv","meta":{}}`, 8001, "secret.csv"},
		"upload: a pipe":                {upload, `{"file":"pipe","meta":{}}`, 5001, "no plain file"},
		"upload: a folder":              {upload, `{"file":"sub","meta":{}}`, 5001, "no plain file"},
		"upload: a NUL":                 {upload, `{"file":"a\u0000b","meta":{}}`, 5001, "no path of a file"},
		"upload: a long name":           {upload, `{"file":"people.csv","namespace":"ns","name":"` + long + `","meta":{}}`, 5001, "not a valid name"},
		"upload: a name with a slash":   {upload, `{"file":"people.csv","namespace":"n/s","name":"t","meta":{}}`, 5001, "not a valid name"},

		"transformer: nothing":         {transform, ``, 5001, `"data_warehouse":["Missing data for required field."]`},
		"transformer: half a table":    {transform, `{"data_warehouse":{"name":"a"},"namespace":"n","name":"t"}`, 5001, "data_warehouse"},
		"transformer: a text":          {transform, `{"data_warehouse":"a","namespace":"n","name":"t"}`, 5001, "data_warehouse"},
		"transformer: no such table":   {transform, `{"data_warehouse":{"namespace":"n","name":"a"},"namespace":"n","name":"t"}`, 7001, "n/a"},
		"transformer: a bad name":      {transform, `{"data_warehouse":{"namespace":"n","name":"a"},"namespace":"..","name":"t"}`, 5001, "not a valid name"},
		"transformer: no truth":        {transform, `{"data_warehouse":{"namespace":"n","name":"a"},"namespace":"n","name":"t","drop":"x"}`, 5001, "true or false is wanted"},
		"transformer: a list of names": {transform, `{"data_warehouse":{"namespace":"n","name":"a"},"namespace":"n","name":["t"]}`, 5001, "expected a string"},

		"download: no path":       {download, `{"namespace":"ns","name":"t"}`, 5001, `"path":["Missing data for required field."]`},
		"download: a number":      {download, `{"namespace":"ns","name":"t","path":7}`, 5001, "path"},
		"download: no such table": {download, `{"namespace":"ns","name":"none","path":"x"}`, 7001, "ns/none"},
		"download: upwards":       {download, `{"namespace":"ns","name":"t","path":"../x"}`, 8001, `"../x"`},
		"download: elsewhere":     {download, `{"namespace":"ns","name":"t","path":"/tmp"}`, 8001, "--download-folder"},
		"download: by a link":     {download, `{"namespace":"ns","name":"t","path":"way"}`, 8001, "way"},
		"download: into a file":   {download, `{"namespace":"ns","name":"t","path":"file"}`, 5001, "no folder"},

		"bind: no path":    {bind, `{"namespace":"ns","name":"d"}`, 5001, `"path":["Missing data for required field."]`},
		"bind: elsewhere":  {bind, `{"namespace":"ns","name":"d","path":"/etc"}`, 8001, "--upload-folder"},
		"bind: upwards":    {bind, `{"namespace":"ns","name":"d","path":"sub/../.."}`, 8001, ".."},
		"bind: unknown":    {bind, `{"namespace":"ns","name":"d","path":"none"}`, 8001, "none"},
		"bind: a file":     {bind, `{"namespace":"ns","name":"d","path":"people.csv"}`, 5001, "no folder"},
		"bind: empty":      {bind, `{"namespace":"ns","name":"d","path":"sub"}`, 5001, "no files"},
		"bind: with links": {bind, `{"namespace":"ns","name":"d","path":"linked"}`, 5001, "a link, a pipe or a device"},
		"bind: a bad name": {bind, `{"namespace":"ns","name":"a b","path":"sub"}`, 5001, "not a valid name"},

		"delete: nothing":       {"/v2/table/delete", `{}`, 5001, `"namespace":["Missing data for required field."]`},
		"delete: no such table": {"/v2/table/delete", `{"namespace":"ns","name":"none"}`, 7001, "ns/none"},
		"huge":                  {transform, `{"namespace":"` + strings.Repeat("x", 33<<20) + `"}`, 5001, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUploads(t)
			u.put("people.csv", people)
			u.put("linked/a", "1")
			require.NoError(t, os.Mkdir(filepath.Join(u.dir, "sub"), 0o700))
			outside := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(outside, "secret.csv"), []byte(people), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(u.dir), "secret.csv"), []byte(people), 0o600))
			for link, to := range map[string]string{
				"link.csv": filepath.Join(outside, "secret.csv"), "way": outside, "linked/b": filepath.Join(outside, "secret.csv"),
			} {
				require.NoError(t, os.Symlink(to, filepath.Join(u.dir, link)))
			}
			require.NoError(t, os.Symlink(outside, filepath.Join(u.out, "way")))
			require.NoError(t, os.WriteFile(filepath.Join(u.out, "file"), nil, 0o600))
			require.NoError(t, syscall.Mkfifo(filepath.Join(u.dir, "pipe"), 0o600))
			_, _ = u.send(part{"namespace", "ns"}, part{"name", "t"}, part{"meta", "{}"}, part{"file", people})

			e := u.call(c.path, strings.ReplaceAll(c.body, "DIR", u.dir))
			require.Equal(t, c.code, e.Code, e.Message)
			told := e.Message + string(e.Data)
			if e.Error != nil {
				told += e.Error.Hint
			}
			require.Contains(t, told, c.says)
			require.Equal(t, []string{"ns/t"}, u.stored())
			left, err := os.ReadDir(outside)
			require.NoError(t, err)
			require.Len(t, left, 1, "nothing was written outside")
		})
	}
}

func TestBadQueriesOfTables(t *testing.T) {
	u := newUploads(t)
	for name, c := range map[string]struct {
		path string
		q    url.Values
		code int
		says string
	}{
		"no name":         {"/v2/table/query", url.Values{"namespace": {"ns"}}, 5001, "name"},
		"unknown":         {"/v2/table/query", url.Values{"namespace": {"ns"}, "name": {"x"}}, 7001, "ns/x"},
		"upwards":         {"/v2/data/download", url.Values{"namespace": {"../.."}, "name": {"x"}}, 5001, "namespace"},
		"unknown rows":    {"/v2/data/download", url.Values{"namespace": {"ns"}, "name": {"x"}, "path": {"noise"}}, 7001, "ns/x"},
		"nothing to load": {"/v2/data/download", url.Values{}, 5001, "namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			e := u.get(c.path, c.q, nil)
			require.Equal(t, c.code, e.Code, e.Message)
			require.Contains(t, e.Message, c.says)
		})
	}
	e, _ := u.send(part{"namespace", "ns"}, part{"name", "t"}, part{"meta", "{}"})
	require.Equal(t, wire.NoFoundFile, e.Code)
	_, _ = u.send(part{"namespace", "ns"}, part{"name", "t"}, part{"meta", "{}"}, part{"file", people})
	e = u.get("/v2/table/query", url.Values{"namespace": {"ns"}, "name": {"t"}, "display": {"perhaps"}}, nil)
	require.Equal(t, wire.InvalidParameter, e.Code)
	require.Contains(t, e.Message, "display")
}
