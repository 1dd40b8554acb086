package base_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/base"
	"openflow/server/reply"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/store/messages/sqlite"
	"openflow/store/objects"
	"openflow/store/objects/folder"
)

// node is party 9999 with two jobs: "1", in which it is guest and arbiter, and "2", of another scheduler.
type node struct {
	site      *base.Site
	transport *base.Transport
	t         *testing.T
	handler   http.Handler
	catalogue *catalogue.Catalogue
	objects   *folder.Store
	secrets   trust.Credentials
	messages  *sqlite.Store
	layers    []server.Layer
	peers     *peers
	initiator openflow.PartyID // of the jobs that are created next
	queues    string           // address of a broker's queues; "none": the policy names no broker
}

// peers notes what is sent to other nodes.
type peers struct {
	to   []openflow.PartyID
	sent []peer.Outgoing
	err  error
}

func (p *peers) PushTo(_ context.Context, to openflow.PartyID, m peer.Outgoing) error {
	p.to, p.sent = append(p.to, to), append(p.sent, m)
	return p.err
}

func dag(reads string) *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, arbiter},
		Tasks: []openflow.Task{
			{Name: "reader_0", Component: "reader", Parties: []openflow.Party{guest, host}, Parameters: openflow.Parameters{"namespace": "ns", "name": reads}},
			{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
				{Source: openflow.FromTask, ProducerTask: "reader_0", OutputKey: "output_data"},
			}}}, DependsOn: []openflow.TaskName{"reader_0"}},
		},
	}
}

func key(job openflow.JobID, task openflow.TaskName, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: "9999", Job: job, Task: task, Party: p}
}

func newNode(t *testing.T) *node {
	t.Helper()
	return newNodeWith(t, catalogue.Options{})
}

// newNodeWith has a catalogue with these bounds.
func newNodeWith(t *testing.T, o catalogue.Options) *node {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	n := &node{t: t, peers: &peers{}}
	var err error
	o.File = filepath.Join(dir, "catalogue.db")
	n.catalogue, err = catalogue.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.catalogue.Close()) })
	n.objects, err = folder.Open(filepath.Join(dir, "objects"))
	require.NoError(t, err)
	n.secrets, err = trust.LoadOrCreateCredentials(dir)
	require.NoError(t, err)
	n.messages, err = sqlite.Open(t.Context(), filepath.Join(dir, "messages"), sqlite.Options{Options: messages.Options{Room: reply.Reads}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.messages.Close()) })
	log := slog.New(slog.DiscardHandler)
	n.site = &base.Site{
		Store: n.catalogue, Objects: n.objects, Credentials: n.secrets, Log: log, Policy: openflow.DefaultPolicy(),
	}
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("asked")) }))
	t.Cleanup(broker.Close)
	n.site.Broker = func(string) (openflow.Broker, bool, error) {
		return openflow.Broker{Management: strings.TrimPrefix(broker.URL, "http://"), Address: n.queues, User: "site", Password: "secret"}, n.queues != "none", nil
	}
	dialects := dialect.All{native.Dialect{}, fateflow.Dialect{}}
	n.transport = &base.Transport{
		Site: n.site, Self: "9999", Store: n.messages, Peers: n.peers, Called: dialects.Sessions, MaxBody: 64 << 10, Log: log,
	}
	n.layers = []server.Layer{dialects.Base(n.site), n.transport}
	n.handler = server.Handler(log, n.layers...)
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
// of is the run of a scheduler's job of that ID.
func of(scheduler openflow.PartyID, k openflow.TaskKey) openflow.TaskKey {
	k.Scheduler = scheduler
	return k
}

func (n *node) job(scheduler openflow.PartyID, id openflow.JobID, p openflow.Party, reads string) {
	n.t.Helper()
	n.create(scheduler, id, p, dag(reads))
}

func (n *node) create(scheduler openflow.PartyID, id openflow.JobID, p openflow.Party, d *openflow.DAG, pins ...openflow.Pin) {
	n.t.Helper()
	var tasks []openflow.TaskRecord
	for _, s := range d.ForParty(p) {
		tasks = append(tasks, openflow.TaskRecord{
			Key: of(scheduler, key(id, s.Name, p)), Component: s.Component, Status: openflow.TaskWaiting,
			PartyStatus: openflow.TaskWaiting, Spec: s,
		})
	}
	j := openflow.JobRecord{
		ID: id, Party: p, Scheduler: scheduler, Initiator: n.initiator, Status: openflow.JobReady, DAG: d, ModelID: string(id), ModelVersion: "0",
	}
	require.NoError(n.t, n.catalogue.CreateJob(n.t.Context(), j, tasks, pins...))
	for _, task := range tasks {
		_, err := n.catalogue.StartTask(n.t.Context(), task.Key, openflow.Launch{Runtime: "fake", Container: "c-" + string(task.Key.RunID())})
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
	e := n.envelope(k, request{method: http.MethodPut, path: "/openflow/v1/container/data/object", body: rows})
	require.NoError(n.t, e.Err())
	var stored struct {
		URI   string `json:"uri"`
		Bytes int64  `json:"bytes"`
	}
	require.NoError(n.t, json.Unmarshal(e.Data, &stored))
	require.Equal(n.t, int64(len(rows)), stored.Bytes)
	return stored.URI
}

// output registers an output of k.
func output(k openflow.TaskKey, uri string) request {
	return post("/v2/worker/data/tracking/save", object{
		"execution_id": k.RunID(), "uri": uri, "output_key": "output_data", "data_type": "dataframe",
		"meta_data": object{"schema": 1}, "overview": object{"count": 2}, "namespace": "ns", "name": "secret",
	})
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	return dir
}

func digests(t *testing.T, n *node) []string {
	t.Helper()
	var list []string
	require.NoError(t, n.objects.List(t.Context(), func(i objects.Info) error {
		list = append(list, i.Digest)
		return nil
	}))
	return list
}
