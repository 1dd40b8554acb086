package base_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/catalogue"
	"openflow/messages/sqlite"
	"openflow/objects"
	"openflow/objects/folder"
	"openflow/sdk/partner"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/base"
	"openflow/trust"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "9999"} // at the same node as the guest
)

// node is party 9999 with two jobs: "1", in which it is guest and arbiter, and "2", of another scheduler.
type node struct {
	t         *testing.T
	handler   http.Handler
	catalogue *catalogue.Catalogue
	objects   *folder.Store
	secrets   trust.Credentials
	messages  *sqlite.Store
	api       *base.API
	peers     *peers
}

// peers notes what is sent to other nodes.
type peers struct {
	to   []openflow.PartyID
	sent []partner.Outgoing
	err  error
}

func (p *peers) PushTo(_ context.Context, to openflow.PartyID, m partner.Outgoing) error {
	p.to, p.sent = append(p.to, to), append(p.sent, m)
	return p.err
}

func dag(reads string) *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, arbiter},
		Tasks: []openflow.Task{
			{Name: "reader_0", Component: "reader", Parties: []openflow.Party{guest, host}, Parameters: openflow.Parameters{"namespace": "ns", "name": reads}},
			{Name: "psi_0", Component: "psi", DependsOn: []openflow.TaskName{"reader_0"}},
		},
	}
}

func key(job openflow.JobID, task openflow.TaskName, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Job: job, Task: task, Party: p}
}

func newNode(t *testing.T) *node {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	n := &node{t: t, peers: &peers{}}
	var err error
	n.catalogue, err = catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(dir, "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.catalogue.Close()) })
	n.objects, err = folder.Open(filepath.Join(dir, "objects"))
	require.NoError(t, err)
	n.secrets, err = trust.LoadOrCreateCredentials(dir)
	require.NoError(t, err)
	n.messages, err = sqlite.Open(t.Context(), filepath.Join(dir, "messages"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.messages.Close()) })
	log := slog.New(slog.DiscardHandler)
	n.api = &base.API{
		Store: n.catalogue, Objects: n.objects, Credentials: n.secrets, Log: log,
		Transport: &base.Transport{Self: "9999", Store: n.messages, Peers: n.peers, MaxBody: 64 << 10, Log: log},
	}
	n.handler = server.Handler(log, n.api)
	for _, name := range []string{"breast", "secret", "unread"} {
		ref, err := n.objects.Put(t.Context(), strings.NewReader("rows of "+name))
		require.NoError(t, err)
		require.NoError(t, n.catalogue.SaveTable(t.Context(), openflow.TableRecord{
			Name: openflow.TableName{Namespace: "ns", Name: name}, Object: ref.Digest, Bytes: ref.Bytes, Count: 3, DataType: "table",
		}))
	}
	n.job("9999", "1", guest, "breast")
	n.job("9999", "1", arbiter, "breast")
	n.job("8888", "2", guest, "secret")
	return n
}

// job creates a job of this node whose tasks run.
func (n *node) job(scheduler openflow.PartyID, id openflow.JobID, p openflow.Party, reads string) {
	n.t.Helper()
	d := dag(reads)
	var tasks []openflow.TaskRecord
	for _, s := range d.ForParty(p) {
		tasks = append(tasks, openflow.TaskRecord{
			Key: key(id, s.Name, p), Scheduler: scheduler, Component: s.Component, Status: openflow.TaskWaiting,
			PartyStatus: openflow.TaskWaiting, Spec: s,
		})
	}
	j := openflow.JobRecord{
		ID: id, Party: p, Scheduler: scheduler, Status: openflow.JobReady, DAG: d, ModelID: string(id), ModelVersion: "0",
	}
	require.NoError(n.t, n.catalogue.CreateJob(n.t.Context(), j, tasks))
	for _, task := range tasks {
		_, err := n.catalogue.StartTask(n.t.Context(), task.Key, "fake", "c-"+string(task.Key.ExecutionID()))
		require.NoError(n.t, err)
	}
}

type request struct {
	method, path string
	body         string
	header       http.Header
}

func (n *node) do(token string, r request) *httptest.ResponseRecorder {
	n.t.Helper()
	req := httptest.NewRequest(r.method, r.path, strings.NewReader(r.body))
	if r.header != nil {
		req.Header = r.header
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, req)
	return w
}

func (n *node) as(k openflow.TaskKey, r request) *httptest.ResponseRecorder {
	n.t.Helper()
	return n.do(n.secrets.Issue(k), r)
}

// envelope is the JSON answer to a request of k's container.
func (n *node) envelope(k openflow.TaskKey, r request) wire.Envelope {
	n.t.Helper()
	return decode(n.t, n.as(k, r))
}

func decode(t *testing.T, w *httptest.ResponseRecorder) wire.Envelope {
	t.Helper()
	var e wire.Envelope
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), "%q", w.Body)
	return e
}

func get(path string, query ...string) request {
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return request{method: http.MethodGet, path: path + "?" + q.Encode()}
}

func post(path string, body any) request {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return request{method: http.MethodPost, path: path, body: string(b)}
}

type object = map[string]any

// put stores rows and returns their uri.
func (n *node) put(k openflow.TaskKey, rows string) string {
	n.t.Helper()
	e := n.envelope(k, request{method: http.MethodPut, path: "/v2/worker/data/object", body: rows})
	require.Zero(n.t, e.Code, e.Message)
	var stored wire.ObjectStored
	require.NoError(n.t, json.Unmarshal(e.Data, &stored))
	require.Equal(n.t, int64(len(rows)), stored.Bytes)
	return stored.URI
}

// output registers an output of k.
func output(k openflow.TaskKey, uri string) request {
	return post("/v2/worker/data/tracking/save", object{
		"execution_id": k.ExecutionID(), "uri": uri, "output_key": "output_data", "data_type": "dataframe",
		"meta_data": object{"schema": 1}, "overview": object{"count": 2}, "namespace": "ns", "name": "secret",
	})
}

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
	require.Equal(t, string(reader.ExecutionID()), infos[0].Source.PartyTaskID)
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
		"execution_id": reader.ExecutionID(), "uri": "", "output_key": "output_data", "data_type": "table", "namespace": "ns", "name": "breast",
	})
	require.Zero(t, n.envelope(reader, pass).Code)
	e = n.envelope(psi, get("/v2/worker/data/tracking/query", "job_id", "1", "task_name", "reader_0", "output_key", "output_data"))
	require.Zero(t, e.Code, e.Message)
	require.Contains(t, string(e.Data), `"name":"breast"`)
	require.Equal(t, "rows of breast", n.as(psi, get("/v2/worker/data/table", "namespace", "ns", "name", "breast")).Body.String())
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
	e := n.envelope(k, post("/v2//worker/task/status", object{"execution_id": k.ExecutionID(), "status": "failed", "error": "why\nmore"}))
	require.Zero(t, e.Code, e.Message)
	rec, err := n.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskFailed, rec.Reported)
	require.Equal(t, "why\nmore", rec.ErrorReport)
	require.Equal(t, openflow.TaskRunning, rec.PartyStatus, "its exit decides")
	e = n.envelope(k, post("/v2/worker/task/status", object{"execution_id": k.ExecutionID(), "status": "finished"}))
	require.Equal(t, wire.InvalidParameter, e.Code)
}

func TestMetrics(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	metric := object{"name": "auc", "type": "auc", "groups": []any{}, "step_axis": nil, "data": 0.9}
	e := n.envelope(k, post("/v2/worker/metric/save/"+string(k.ExecutionID()), object{"data": []any{metric}}))
	require.Zero(t, e.Code, e.Message)
	e = n.envelope(k, post("/v2/worker/metric/save", object{"execution_id": k.ExecutionID(), "data": []any{metric}}))
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
		"model_id": string(k.Job), "model_version": "0", "execution_id": string(k.ExecutionID()), "output_key": "output_model", "type_name": "json_model",
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
	m, err := n.catalogue.Model(t.Context(), "1", "0", guest, "psi_0", "output_model")
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

// everyRoute is one request to each route that would succeed for the container of victim.
func everyRoute(t *testing.T, n *node, victim openflow.TaskKey) map[string]request {
	t.Helper()
	id := string(victim.ExecutionID())
	chanHeader := http.Header{
		"X-Ptp-Session-Id": {string(victim.SessionID())}, "X-Ptp-Topic": {base.TopicPrefix(host, victim.Party) + "t"}, "Content-Type": {"application/json"},
		"X-Ptp-Timeout": {"1"},
	}
	push := chanHeader.Clone()
	push.Set("X-Ptp-Topic", base.TopicPrefix(victim.Party, host)+"t")
	push.Set("X-Ptp-Target-Node-Id", "9999")
	return map[string]request{
		"POST /v2/worker/task/status":                post("/v2/worker/task/status", object{"execution_id": id, "status": "success"}),
		"GET /v2/worker/data/tracking/query":         get("/v2/worker/data/tracking/query", "job_id", string(victim.Job), "task_name", "reader_0", "output_key", "output_data"),
		"POST /v2/worker/data/tracking/save":         output(victim, n.put(victim, "rows")),
		"GET /v2/worker/data/table":                  get("/v2/worker/data/table", "namespace", "ns", "name", "breast"),
		"PUT /v2/worker/data/object":                 {method: http.MethodPut, path: "/v2/worker/data/object", body: "rows"},
		"POST /v2/worker/model/save":                 model(t, fields(victim), archive(t, map[string]string{"m": "m"})),
		"GET /v2/worker/model/download":              downloadModel(victim, string(victim.Job)),
		"POST /v2/worker/metric/save":                post("/v2/worker/metric/save", object{"execution_id": id, "data": []any{object{"name": "m", "groups": []any{}, "data": 1}}}),
		"POST /v2/worker/metric/save/{execution_id}": post("/v2/worker/metric/save/"+id, object{"data": []any{object{"name": "m", "groups": []any{}, "data": 1}}}),
		"POST /v1/interconn/chan/push":               {method: http.MethodPost, path: "/v1/interconn/chan/push", body: `{"payload":"cA=="}`, header: push},
		"POST /v1/interconn/chan/pop":                {method: http.MethodPost, path: "/v1/interconn/chan/pop", body: `{}`, header: chanHeader},
		"POST /v1/interconn/chan/peek":               {method: http.MethodPost, path: "/v1/interconn/chan/peek", body: `{}`, header: chanHeader},
		"POST /v1/interconn/chan/release":            {method: http.MethodPost, path: "/v1/interconn/chan/release", body: `{}`, header: chanHeader},
	}
}

// answered tells whether an answer is a success, in either dialect or as a download.
func answered(t *testing.T, w *httptest.ResponseRecorder) bool {
	t.Helper()
	if w.Header().Get("Content-Type") != "application/json" {
		return w.Code == http.StatusOK && w.Body.Len() > 0
	}
	var e struct {
		Code any `json:"code"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), "%q", w.Body)
	return e.Code == 0.0 || e.Code == "E0000000000"
}

// A container reaches what belongs to its own task and nothing else. The table is held to the routes that exist.
func TestContainersAreApart(t *testing.T) {
	n := newNode(t)
	victim := key("1", "psi_0", guest)
	reader := key("1", "reader_0", guest)
	require.Zero(t, n.envelope(reader, output(reader, n.put(reader, "rows"))).Code)
	require.Zero(t, n.envelope(victim, model(t, fields(victim), archive(t, map[string]string{"m": "m"}))).Code)
	requests := everyRoute(t, n, victim)

	router := chi.NewRouter()
	n.api.Routes(router)
	require.NoError(t, chi.Walk(router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		require.Contains(t, requests, method+" "+route, "a route without a case")
		return nil
	}))

	ended := key("1", "reader_0", guest)
	_, err := n.catalogue.FinishTask(t.Context(), ended, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	forged := n.secrets.Issue(victim)
	forged = forged[:len(forged)-2] + "xx"
	elsewhere, err := trust.LoadOrCreateCredentials(private(t))
	require.NoError(t, err)

	for route, r := range requests {
		t.Run(route, func(t *testing.T) {
			for name, token := range map[string]string{
				"no credential": "", "garbage": "garbage", "forged": forged, "of another node": elsewhere.Issue(victim),
				"of a run that never was": n.secrets.Issue(key("1", "x", guest)),
			} {
				r := r
				r.header = r.header.Clone()
				require.False(t, answered(t, n.do(token, r)), name)
			}
			for name, intruder := range map[string]openflow.TaskKey{
				"another job":           key("2", "psi_0", guest),
				"another role here":     key("1", "psi_0", arbiter),
				"a run that has ended":  ended,
				"another task, its job": key("2", "reader_0", guest),
			} {
				if route == "PUT /v2/worker/data/object" {
					continue // nothing refers to what it stores
				}
				r := r
				r.header = r.header.Clone()
				w := n.as(intruder, r)
				require.False(t, answered(t, w), "%s: %s", name, w.Body)
			}
			r.header = r.header.Clone()
			require.True(t, answered(t, n.as(victim, r)), "the request itself is right")
		})
	}
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

// An ended run may repeat its status, because the answer to the first one can get lost.
func TestEndedRunRepeatsItsStatus(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	status := post("/v2/worker/task/status", object{"execution_id": k.ExecutionID(), "status": "success"})
	require.Zero(t, n.envelope(k, status).Code)
	_, err := n.catalogue.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	e := n.envelope(k, status)
	require.Zero(t, e.Code, e.Message)
	rec, err := n.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, rec.PartyStatus)
}

// What a table of another scheduler's job, or one that no task reads, is to a container: not there.
func TestTablesThatAreNoInput(t *testing.T) {
	n := newNode(t)
	for _, k := range []openflow.TaskKey{key("1", "psi_0", guest), key("1", "reader_0", guest), key("1", "psi_0", arbiter)} {
		for _, name := range []string{"secret", "unread", "missing", ""} {
			e := n.envelope(k, get("/v2/worker/data/table", "namespace", "ns", "name", name))
			require.Equal(t, wire.TableNotFound, e.Code)
		}
	}
	e := n.envelope(key("1", "psi_0", guest), get("/v2/worker/data/tracking/query", "job_id", "2", "task_name", "reader_0", "output_key", "output_data"))
	require.Equal(t, wire.NoPermission, e.Code)
}

// An upload that breaks off leaves nothing.
func TestBrokenUpload(t *testing.T) {
	n := newNode(t)
	srv := httptest.NewServer(n.handler)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+"/v2/worker/data/object", io.MultiReader(strings.NewReader("half"), broken{}))
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

func digests(t *testing.T, n *node) []string {
	t.Helper()
	var list []string
	require.NoError(t, n.objects.List(t.Context(), func(i objects.Info) error {
		list = append(list, i.Digest)
		return nil
	}))
	return list
}
