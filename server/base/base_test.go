package base_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/catalogue"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "9999"} // at the same node as the guest
)

// The way of data from one task to the next.
func TestDataBetweenTasks(t *testing.T) {
	n := newNode(t)
	reader, psi := key("1", "reader_0", guest), key("1", "psi_0", guest)
	uri := n.put(reader, "two rows")
	for range 2 { // a repeat after a lost answer
		require.Zero(t, n.envelope(reader, output(reader, uri)).Code)
	}
	e := n.envelope(psi, get("/v2/worker/data/tracking/query", "job_id", "1", "role", "guest", "party_id", "9999", "task_name", "reader_0", "output_key", "output_data"))
	require.Zero(t, e.Code, e.Message)
	var infos []wire.TableInfo
	require.NoError(t, json.Unmarshal(e.Data, &infos))
	require.Len(t, infos, 1)
	require.Equal(t, int64(2), *infos[0].Count)
	require.JSONEq(t, `{"schema":1}`, string(infos[0].Meta))
	require.Equal(t, "dataframe", infos[0].DataType)
	require.Equal(t, string(reader.RunID()), infos[0].Source.PartyTaskID)
	require.NotEqual(t, "secret", infos[0].Name, "a name that a container proposes could be somebody else's")

	w := n.as(psi, request{method: http.MethodGet, path: infos[0].Path})
	require.Equal(t, wire.ArrowStream, w.Header().Get("Content-Type"))
	require.Equal(t, "two rows", w.Body.String())

	e = n.envelope(psi, get("/v2/worker/data/tracking/query", "task_name", "reader_0", "output_key", "other"))
	require.Equal(t, wire.NoModelOutput, e.Code)
}

// A reader passes a table on under its own name.
func TestTableIsPassedOn(t *testing.T) {
	n := newNode(t)
	reader, psi := key("1", "reader_0", guest), key("1", "psi_0", guest)
	byName := get("/v2/worker/data/tracking/query", "namespace", "ns", "name", "breast")
	e := n.envelope(reader, byName)
	require.Zero(t, e.Code, e.Message)
	pass := post("/v2/worker/data/tracking/save", object{
		"execution_id": reader.RunID(), "uri": "", "output_key": "output_data", "data_type": "table", "namespace": "ns", "name": "breast",
	})
	require.Zero(t, n.envelope(reader, pass).Code)
	e = n.envelope(psi, get("/v2/worker/data/tracking/query", "job_id", "1", "task_name", "reader_0", "output_key", "output_data"))
	require.Zero(t, e.Code, e.Message)
	require.Contains(t, string(e.Data), `"name":"breast"`)
	require.Equal(t, "rows of breast", n.as(psi, get("/openflow/v1/container/data/table", "namespace", "ns", "name", "breast")).Body.String())
}

func TestTrackingSaveRefuses(t *testing.T) {
	n := newNode(t)
	k := key("1", "reader_0", guest)
	for name, tc := range map[string]struct {
		change object
		code   int
	}{
		"address":         {object{"uri": "http://127.0.0.1/x"}, wire.InvalidParameter},
		"path":            {object{"uri": "object:///sha256/../../catalogue.db"}, wire.InvalidParameter},
		"file":            {object{"uri": "file:///etc/passwd"}, wire.InvalidParameter},
		"unknown object":  {object{"uri": "object:///sha256/" + strings.Repeat("0", 64)}, wire.TableNotFound},
		"output key":      {object{"output_key": "../x"}, wire.InvalidParameter},
		"no output key":   {object{"output_key": ""}, wire.InvalidParameter},
		"table not input": {object{"uri": ""}, wire.TableNotFound},
		"another run":     {object{"execution_id": "2_psi_0_0_guest_9999"}, wire.NoPermission},
	} {
		t.Run(name, func(t *testing.T) {
			r := output(k, n.put(k, "rows"))
			var body object
			require.NoError(t, json.Unmarshal([]byte(r.body), &body))
			for field, v := range tc.change {
				body[field] = v
			}
			e := n.envelope(k, post(r.path, body))
			require.Equal(t, tc.code, e.Code, e.Message)
		})
	}
	outputs, err := n.catalogue.Outputs(t.Context(), k)
	require.NoError(t, err)
	require.Empty(t, outputs)
}

func TestStatus(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	e := n.envelope(k, post("/v2//worker/task/status", object{"execution_id": k.RunID(), "status": "failed", "error": "why\nmore"}))
	require.Zero(t, e.Code, e.Message)
	rec, err := n.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskFailed, rec.Reported)
	require.Equal(t, "why\nmore", rec.ErrorReport)
	require.Equal(t, openflow.TaskRunning, rec.PartyStatus, "its exit decides")
	require.Equal(t, openflow.Cause{Code: openflow.CodeRejected}, rec.Cause, "a container that says no more has nothing marked")

	for name, c := range map[string]struct {
		more object
		want openflow.Cause
	}{
		"of the kit":        {object{"public": "too few rows", "code": "invalid", "consequence": true}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}},
		"many lines":        {object{"public": "one\ntwo", "code": "invalid"}, openflow.Cause{Code: openflow.CodeInvalid, Text: "one"}},
		"a code of its own": {object{"code": "marked-4711"}, openflow.Cause{Code: openflow.CodeRejected}},
		"a long text":       {object{"public": strings.Repeat("x", 9999)}, openflow.Cause{Code: openflow.CodeRejected, Text: strings.Repeat("x", 500) + "…"}},
		"success":           {object{"status": "success", "public": "x"}, openflow.Cause{}},
	} {
		body := object{"execution_id": k.RunID(), "status": "failed", "error": "cell marked-4711"}
		maps.Copy(body, c.more)
		e := n.envelope(k, post("/v2/worker/task/status", body))
		require.Zero(t, e.Code, e.Message)
		rec, err := n.catalogue.Task(t.Context(), k)
		require.NoError(t, err)
		require.Equal(t, c.want, rec.Cause, name)
	}
	e = n.envelope(k, post("/v2/worker/task/status", object{"execution_id": k.RunID(), "status": "failed", "error": strings.Repeat("ü", 1<<20)}))
	require.Zero(t, e.Code, e.Message)
	rec, err = n.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.LessOrEqual(t, len(rec.ErrorReport), 16<<10, "a workflow carries it")
	e = n.envelope(k, post("/v2/worker/task/status", object{"execution_id": k.RunID(), "status": "finished"}))
	require.Equal(t, wire.InvalidParameter, e.Code)
}

func TestMetrics(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	metric := object{"name": "auc", "type": "auc", "groups": []any{}, "step_axis": nil, "data": 0.9}
	e := n.envelope(k, post("/v2/worker/metric/save/"+string(k.RunID()), object{"data": []any{metric}}))
	require.Zero(t, e.Code, e.Message)
	e = n.envelope(k, post("/v2/worker/metric/save", object{"execution_id": k.RunID(), "data": []any{metric}}))
	require.Zero(t, e.Code, e.Message)
	got, err := n.catalogue.Metrics(t.Context(), k)
	require.NoError(t, err)
	require.NotEmpty(t, got)
	require.Equal(t, "auc", got[0].Name)
	require.Empty(t, got[0].StepAxis)
	e = n.envelope(k, post("/v2/worker/metric/save", object{"data": []any{}}))
	require.Equal(t, wire.InvalidParameter, e.Code)
}

// model is the multipart form of a model package.
func model(t *testing.T, fields map[string]string, file []byte) request {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for k, v := range fields {
		require.NoError(t, form.WriteField(k, v))
	}
	if file != nil {
		part, err := form.CreateFormFile("file", "model.tar")
		require.NoError(t, err)
		_, err = part.Write(file)
		require.NoError(t, err)
	}
	require.NoError(t, form.Close())
	return request{
		method: http.MethodPost, path: "/v2/worker/model/save", body: b.String(),
		header: http.Header{"Content-Type": {form.FormDataContentType()}},
	}
}

func archive(t *testing.T, members map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range members {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}))
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func fields(k openflow.TaskKey) map[string]string {
	return map[string]string{
		"model_id": string(k.Job), "model_version": "0", "execution_id": string(k.RunID()), "output_key": "output_model", "type_name": "json_model",
	}
}

func downloadModel(k openflow.TaskKey, id string) request {
	return get("/v2/worker/model/download", "model_id", id, "model_version", "0", "role", string(k.Party.Role), "party_id", string(k.Party.ID),
		"task_name", "psi_0", "output_key", "output_model")
}

func TestModels(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	pack := archive(t, map[string]string{"json_model": "{}", "json_model.meta.yaml": "a: 1\n", "empty.yaml": ""})
	e := n.envelope(k, model(t, fields(k), pack))
	require.Zero(t, e.Code, e.Message)
	m, err := n.catalogue.Model(t.Context(), "9999", openflow.ModelRef{ID: "1", Version: "0"}, guest, "psi_0", "output_model")
	require.NoError(t, err)
	require.JSONEq(t, `{"json_model.meta.yaml":{"a":1},"empty.yaml":null}`, string(m.Meta))
	require.Equal(t, int64(len(pack)), m.Bytes)

	w := n.as(k, downloadModel(k, "1"))
	require.Equal(t, "application/x-tar", w.Header().Get("Content-Type"))
	require.Equal(t, pack, w.Body.Bytes())
	e = decode(t, n.as(k, get("/v2/worker/model/download", "model_id", "1", "model_version", "0", "role", "guest", "party_id", "9999", "task_name", "psi_0", "output_key", "x")))
	require.Equal(t, wire.NoModelOutput, e.Code)
}

func TestModelSaveRefuses(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	good := archive(t, map[string]string{"json_model": "{}"})
	for name, tc := range map[string]struct {
		field, value string
		file         []byte
		code         int
	}{
		"another run":             {"execution_id", "2_psi_0_0_guest_9999", good, wire.NoPermission},
		"model of another job":    {"model_id", "2", good, wire.NoPermission},
		"another version":         {"model_version", "1", good, wire.NoPermission},
		"output key":              {"output_key", "../x", good, wire.InvalidParameter},
		"no file":                 {"output_key", "k", nil, wire.InvalidParameter},
		"not a tar":               {"output_key", "k", []byte(strings.Repeat("x", 2048)), wire.InvalidParameter},
		"yaml that is none":       {"output_key", "k", archive(t, map[string]string{"m.yaml": "a: [1"}), wire.InvalidParameter},
		"a field that never ends": {"type_name", strings.Repeat("x", 65<<10), good, wire.InvalidParameter},
	} {
		t.Run(name, func(t *testing.T) {
			f := fields(k)
			f[tc.field] = tc.value
			e := n.envelope(k, model(t, f, tc.file))
			if name == "no file" {
				require.Equal(t, string(openflow.CodeInvalid), e.Error.Code)
				return
			}
			require.Equal(t, tc.code, e.Code, e.Message)
		})
	}
	models, err := n.catalogue.Models(t.Context(), catalogue.ModelFilter{})
	require.NoError(t, err)
	require.Empty(t, models)
	e := n.envelope(k, post("/v2/worker/model/save", object{}))
	require.Equal(t, wire.InvalidParameter, e.Code, "not a form")
}

// An upload that breaks off leaves nothing.
func TestBrokenUpload(t *testing.T) {
	n := newNode(t)
	srv := httptest.NewServer(n.handler)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+"/openflow/v1/container/data/object", io.MultiReader(strings.NewReader("half"), broken{}))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+n.secrets.Issue(key("1", "psi_0", guest)))
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		require.NoError(t, resp.Body.Close())
	}
	require.Error(t, err)
	srv.Close() // waits for the handler
	require.Len(t, digests(t, n), 3, "the tables of the node")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
