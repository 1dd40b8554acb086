package base_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/sdk/wire/ptp/frame"
	"openflow/server/base"
	"openflow/site/trust"
)

// everyRoute is one request to each route that would succeed for the container of victim.
func everyRoute(t *testing.T, n *node, victim openflow.TaskKey) map[string]request {
	t.Helper()
	id := string(victim.RunID())
	chanHeader := http.Header{
		"X-Ptp-Session-Id": {string(victim.SessionID())}, "X-Ptp-Topic": {base.TopicPrefix(host, victim.Party) + "t"}, "Content-Type": {"application/json"},
		"X-Ptp-Timeout": {"1"},
	}
	push := chanHeader.Clone()
	push.Set("X-Ptp-Topic", base.TopicPrefix(victim.Party, host)+"t")
	push.Set("X-Ptp-Target-Node-Id", "9999")
	routes := map[string]request{
		"POST /v2/worker/task/status":                post("/v2/worker/task/status", object{"execution_id": id, "status": "success"}),
		"POST /openflow/v1/container/task/warning":   post("/openflow/v1/container/task/warning", object{"warning": "it did not converge"}),
		"POST /openflow/v1/container/scores/spend":   post("/openflow/v1/container/scores/spend", object{"role": "host", "party_id": host.ID, "columns": 3, "vectors": 1}),
		"GET /v2/worker/data/tracking/query":         get("/v2/worker/data/tracking/query", "job_id", string(victim.Job), "task_name", "reader_0", "output_key", "output_data"),
		"POST /v2/worker/data/tracking/save":         output(victim, n.put(victim, "rows")),
		"GET /openflow/v1/container/data/table":      get("/openflow/v1/container/data/table", "namespace", "ns", "name", "breast"),
		"PUT /openflow/v1/container/data/object":     {method: http.MethodPut, path: "/openflow/v1/container/data/object", body: "rows"},
		"GET /openflow/v1/container/data/file":       {method: http.MethodGet, path: pathFile},
		"PUT /openflow/v1/container/data/file":       {method: http.MethodPut, path: pathFile + "?name=0.csv", body: "rows"},
		"POST /v2/worker/model/save":                 model(t, fields(victim), archive(t, map[string]string{"m": "m"})),
		"GET /v2/worker/model/download":              downloadModel(victim, string(victim.Job)),
		"POST /v2/worker/metric/save":                post("/v2/worker/metric/save", object{"execution_id": id, "data": []any{object{"name": "m", "groups": []any{}, "data": 1}}}),
		"POST /v2/worker/metric/save/{execution_id}": post("/v2/worker/metric/save/"+id, object{"data": []any{object{"name": "m", "groups": []any{}, "data": 1}}}),
		"POST /v1/interconn/chan/push":               {method: http.MethodPost, path: "/v1/interconn/chan/push", body: `{"payload":"cA=="}`, header: push},
		"POST /v1/interconn/chan/pop":                {method: http.MethodPost, path: "/v1/interconn/chan/pop", body: `{}`, header: chanHeader},
		"POST /v1/interconn/chan/peek":               {method: http.MethodPost, path: "/v1/interconn/chan/peek", body: `{}`, header: chanHeader},
		"POST /v1/interconn/chan/release":            {method: http.MethodPost, path: "/v1/interconn/chan/release", body: `{}`, header: chanHeader},
	}
	vhost := "/v2/worker/rabbitmq/manage/api/vhosts/" + wire.FederationID(victim) + "-guest-9999-host-10000"
	queues := strings.Replace(vhost, "vhosts", "queues", 1)
	routes["PUT /v2/worker/rabbitmq/manage/*"] = request{method: http.MethodPut, path: vhost}
	routes["GET /v2/worker/rabbitmq/manage/*"] = request{method: http.MethodGet, path: queues}
	routes["DELETE /v2/worker/rabbitmq/manage/*"] = request{method: http.MethodDelete, path: vhost}
	routes["GET /v2/worker/rabbitmq/connect"] = request{method: http.MethodGet, path: "/v2/worker/rabbitmq/connect"}
	for _, service := range []string{ptp.GRPCTransport, ptp.GRPCTransportKuscia} {
		for _, op := range []string{"push", "pop", "peek", "release"} {
			r := routes["POST /v1/interconn/chan/"+op]
			_, message := ptp.EncodePop(ptp.FormProtobuf, ptp.PopInbound{})
			if op == "push" {
				_, message = ptp.EncodePush(ptp.FormProtobuf, ptp.PushInbound{Payload: []byte("p")})
			}
			r.path, r.body, r.header = service+op, string(frame.Append(nil, message)), r.header.Clone()
			r.header.Set("Content-Type", frame.ContentType)
			routes["POST "+r.path] = r
		}
	}
	return routes
}

// namesNoRun are the requests that name no run: each is about the run of its credential.
var namesNoRun = map[string]bool{
	"POST /openflow/v1/container/task/warning": true, "POST /openflow/v1/container/scores/spend": true,
	"PUT /openflow/v1/container/data/object": true, "GET /openflow/v1/container/data/file": true, "PUT /openflow/v1/container/data/file": true,
}

// answered tells whether an answer is a success, in any dialect or as a download.
func answered(t *testing.T, w *httptest.ResponseRecorder) bool {
	t.Helper()
	if w.Header().Get("Content-Type") == frame.ContentType {
		return replied(t, w).Code == ptp.ResultOK
	}
	if w.Header().Get("Content-Type") != "application/json" {
		return w.Code == http.StatusOK && w.Body.Len() > 0
	}
	var e struct {
		Code    any           `json:"code"`
		Version int           `json:"openflow"`
		Error   *wire.Problem `json:"error"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), "%q", w.Body)
	return e.Code == 0.0 || e.Code == "E0000000000" || e.Version == 1 && e.Error == nil
}

// A container reaches what belongs to its own task and nothing else. The table is held to the routes that exist.
func TestContainersAreApart(t *testing.T) {
	n := newNode(t)
	victim := key("1", "psi_0", guest)
	reader := key("1", "reader_0", guest)
	require.Zero(t, n.envelope(reader, output(reader, n.put(reader, "rows"))).Code)
	require.Zero(t, n.envelope(reader, post("/v2/worker/data/tracking/save", object{ // which makes the table an input of psi_0
		"execution_id": reader.RunID(), "output_key": "output_data", "index": 1, "data_type": "table", "namespace": "ns", "name": "breast",
	})).Code)
	require.Zero(t, n.envelope(victim, model(t, fields(victim), archive(t, map[string]string{"m": "m"}))).Code)
	requests := everyRoute(t, n, victim)
	uploads, downloads := n.files(t, "3", "9999")
	victims := map[string]openflow.TaskKey{"GET /openflow/v1/container/data/file": uploads, "PUT /openflow/v1/container/data/file": downloads}

	router := chi.NewRouter()
	for _, l := range n.layers {
		l.Routes(router)
	}
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
				if namesNoRun[route] && name != "a run that has ended" {
					continue // it is about the run of the credential
				}
				r := r
				r.header = r.header.Clone()
				w := n.as(intruder, r)
				require.False(t, answered(t, w), "%s: %s", name, w.Body)
			}
			r.header = r.header.Clone()
			if route == "GET /v2/worker/rabbitmq/connect" {
				return // it takes the whole connection: TestConnectionsToABroker
			}
			right, other := victims[route]
			if !other {
				right = victim
			}
			require.True(t, answered(t, n.as(right, r)), "the request itself is right")
		})
	}
}

// What another run has stored is nothing that a run may make an output of, whoever knows its digest. The answer is that of an
// object that is not there, so it tells nothing of what is. What the run has stored itself stays its own over a restart.
func TestObjectsOfOtherRuns(t *testing.T) {
	n := newNode(t)
	reader, psi := key("1", "reader_0", guest), key("1", "psi_0", guest)
	theirs := n.put(reader, "rows of the reader")
	absent := "object:///sha256/" + strings.Repeat("0", 64)
	rec, err := n.catalogue.Table(t.Context(), openflow.TableName{Namespace: "ns", Name: "secret"})
	require.NoError(t, err)
	refused := map[string]bool{}
	for _, uri := range []string{theirs, "object:///sha256/" + rec.Object, absent} {
		e := n.envelope(psi, output(psi, uri))
		require.Equal(t, wire.TableNotFound, e.Code)
		refused[strings.ReplaceAll(e.Message, strings.TrimPrefix(uri, "object:///sha256/"), "D")] = true
	}
	require.Len(t, refused, 1, "%v", refused)
	for _, k := range []openflow.TaskKey{key("1", "psi_0", arbiter), of("8888", key("2", "reader_0", guest))} {
		require.Equal(t, wire.TableNotFound, n.envelope(k, output(k, theirs)).Code)
	}
	own := n.put(psi, "rows of the reader")
	require.Equal(t, theirs, own, "the same rows are the same object")
	require.Zero(t, n.envelope(psi, output(psi, own)).Code, "and the run has them")
}

// A task reads what its channels lead to and its parameters name, and not what other tasks of its job read and make.
func TestTablesOfOtherTasksOfTheJob(t *testing.T) {
	n := newNode(t)
	d := dag("breast")
	d.Tasks = append(d.Tasks, openflow.Task{Name: "other_0", Component: "noop", Parties: []openflow.Party{guest}})
	n.create("9999", "7", guest, d)
	reader, psi, other := key("7", "reader_0", guest), key("7", "psi_0", guest), key("7", "other_0", guest)
	require.Zero(t, n.envelope(reader, output(reader, n.put(reader, "rows"))).Code)
	require.Zero(t, n.envelope(psi, model(t, fields(psi), archive(t, map[string]string{"m": "m"}))).Code)
	query := get("/v2/worker/data/tracking/query", "job_id", "7", "task_name", "reader_0", "output_key", "output_data")
	e := n.envelope(psi, query)
	require.Zero(t, e.Code, e.Message)
	var infos []wire.TableInfo
	require.NoError(t, json.Unmarshal(e.Data, &infos))
	table := request{method: http.MethodGet, path: infos[0].Path}
	require.Equal(t, "rows", n.as(psi, table).Body.String())
	require.Equal(t, "rows", n.as(reader, table).Body.String(), "its maker may read it")

	require.Equal(t, wire.NoModelOutput, n.envelope(other, query).Code)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.envelope(other, table).Err()))
	byName := get("/openflow/v1/container/data/table", "namespace", "ns", "name", "breast")
	require.Equal(t, "rows of breast", n.as(reader, byName).Body.String())
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.envelope(psi, byName).Err()), "the reader has not handed it on")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.envelope(other, byName).Err()))
	for _, k := range []openflow.TaskKey{reader, other} {
		require.Equal(t, wire.NoPermission, n.envelope(k, downloadModel(k, "7")).Code, "a model of another task, %s", k)
	}
}

// An ended run may repeat its status, because the answer to the first one can get lost.
func TestEndedRunRepeatsItsStatus(t *testing.T) {
	n := newNode(t)
	k := key("1", "psi_0", guest)
	status := post("/v2/worker/task/status", object{"execution_id": k.RunID(), "status": "success"})
	require.Zero(t, n.envelope(k, status).Code)
	_, err := n.catalogue.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	e := n.envelope(k, status)
	require.Zero(t, e.Code, e.Message)
	rec, err := n.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, rec.PartyStatus)

	// A path that only ends like the status is another one, and a path that means the status in another way is none.
	for _, path := range []string{"/v2/worker/metric/save/x%2Ftask%2Fstatus", "/v2//worker/metric/save/x%2ftask%2fstatus/"} {
		e := n.envelope(k, post(path, object{"data": []object{{"name": "auc", "data": []int{1}}}}))
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(e.Err()))
		require.Contains(t, e.Message, "has ended", path)
	}
	for _, path := range []string{"/v2/worker/task%2Fstatus", "/v2/worker/x/../task/status", "/v2/Worker/task/status", "/v2/worker/task/status;x"} {
		e := n.envelope(k, post(path, object{"execution_id": k.RunID(), "status": "success"}))
		require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(e.Err()), path)
	}
}

// What a table of another scheduler's job, or one that no task reads, is to a container: not there.
func TestTablesThatAreNoInput(t *testing.T) {
	n := newNode(t)
	for _, k := range []openflow.TaskKey{key("1", "psi_0", guest), key("1", "reader_0", guest), key("1", "psi_0", arbiter)} {
		for _, name := range []string{"secret", "unread", "missing", ""} {
			e := n.envelope(k, get("/openflow/v1/container/data/table", "namespace", "ns", "name", name))
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(e.Err()))
		}
	}
	e := n.envelope(key("1", "psi_0", guest), get("/v2/worker/data/tracking/query", "job_id", "2", "task_name", "reader_0", "output_key", "output_data"))
	require.Equal(t, wire.NoPermission, e.Code)
}
