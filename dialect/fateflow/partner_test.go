package fateflow_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/peer"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
)

// genuine is a FATE-Flow 2.2 node as fate-flow-api §2.3 describes it: it notes paths and bodies, and refuses repeats.
type genuine struct {
	t *testing.T

	mu     sync.Mutex     // a test may look while the server still ends a call whose answer is lost
	calls  []string       // "<path> <body>", the path without /v2/partner, the body without the job's reference
	codes  map[string]int // answers to a path that are not 0
	lose   string         // path whose next call is done and not answered
	held   map[string]bool
	kind   bool   // it refuses no repeat
	status string // party_status of the task
	starts int

	headers []http.Header
}

func newGenuine(t *testing.T) (*genuine, *fateflow.Client) {
	g := &genuine{t: t, codes: map[string]int{}, held: map[string]bool{}, status: "waiting"}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	return g, &fateflow.Client{Link: peer.Link{Self: "9999", Peer: "10000", URL: srv.URL, Signer: unsigned{}, HTTP: httpclient.New(httpclient.Options{})}}
}

type unsigned struct{}

func (unsigned) Sign(*http.Request, openflow.PartyID, []byte) error { return nil }

// ServeHTTP implements http.Handler.
func (g *genuine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.headers = append(g.headers, r.Header.Clone())
	var body map[string]any
	require.NoError(g.t, json.Unmarshal(raw, &body))
	for _, key := range []string{"job_id", "role", "party_id", "task_id", "dag"} {
		delete(body, key)
	}
	short, err := json.Marshal(body)
	require.NoError(g.t, err)
	path := r.URL.Path[len("/v2/partner/"):]
	g.calls = append(g.calls, path+" "+string(short))
	e := wire.Envelope{Code: g.codes[path], Message: "success"}
	if e.Code == wire.Success {
		e.Code = g.take(path, body)
	}
	if path == "task/collect" {
		e.Data = json.RawMessage(`{"status":"running","party_status":"` + g.status + `"}`)
	}
	if g.lose == path {
		g.lose = ""
		panic(http.ErrAbortHandler)
	}
	_ = json.NewEncoder(w).Encode(e) // a caller that has gone is its own business
}

func (g *genuine) take(path string, body map[string]any) int {
	if g.kind && path != "task/start" {
		g.held[path] = true
		return wire.Success
	}
	switch path {
	case "job/resource/apply", "task/resource/apply":
		if g.held[path] {
			return map[string]int{"job/resource/apply": wire.JobResourceBusy, "task/resource/apply": wire.TaskResourceBusy}[path]
		}
		g.held[path] = true
	case "job/resource/return", "task/resource/return":
		apply := path[:len(path)-len("return")] + "apply"
		if !g.held[apply] {
			return wire.JobResourceBusy
		}
		g.held[apply] = false
	case "task/status/update":
		if g.held[path+body["status"].(string)] {
			return wire.UpdateTaskFailed
		}
		g.held[path+body["status"].(string)] = true
	case "task/start":
		g.starts++
		g.status = "running"
	}
	return wire.Success
}

var (
	host = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	jobK = openflow.JobKey{Scheduler: "9999", Job: "202501020304050607080", Party: host}
)

func dag(t *testing.T) *openflow.DAG {
	t.Helper()
	doc, err := os.ReadFile("../../sdk/wire/testdata/dag/flow-5.1.yaml")
	require.NoError(t, err)
	d, err := wire.ParseDAG(doc)
	require.NoError(t, err)
	return d
}

func held(r openflow.Reservation, err error) error {
	if err == nil {
		err = r.Err()
	}
	return err
}

var psi = openflow.TaskKey{Scheduler: "9999", Job: jobK.Job, Task: "psi_0", Party: host}

// The whole sequence of a job with two tasks, as fate-flow-api §2.5.1 and §5.3–5.7 list it for one party.
func TestFATEFlowsOwnSequence(t *testing.T) {
	g, c := newGenuine(t)
	ctx := t.Context()
	reader := openflow.TaskKey{Scheduler: "9999", Job: jobK.Job, Task: "reader_0", Party: host}
	d := dag(t)
	d.Conf.Initiator = "9999"
	require.NoError(t, held(c.OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: d})))
	require.NoError(t, c.StartTask(ctx, openflow.TaskStart{TaskKey: reader, StartsJob: true}))
	g.held = map[string]bool{}
	require.NoError(t, c.StartTask(ctx, openflow.TaskStart{TaskKey: psi, Ended: []openflow.TaskUpdate{
		{Key: reader, Status: openflow.TaskSuccess, Progress: 50},
	}}))
	require.NoError(t, c.StopJob(ctx, jobK, openflow.JobEnd{Status: openflow.JobSuccess, Tasks: []openflow.TaskUpdate{
		{Key: psi, Status: openflow.TaskSuccess},
	}}))
	require.Equal(t, []string{
		`job/create {"kind":"fate","schema_version":"2.2.0"}`,
		`job/status/update {"status":"waiting"}`,
		`job/resource/apply {}`,
		`job/start {}`,
		`task/resource/apply {"task_version":0}`,
		`task/status/update {"status":"running","task_version":0}`,
		`task/start {"task_version":0}`,

		`task/status/update {"status":"success","task_version":0}`,
		`task/stop {"status":"success","task_version":0}`,
		`task/resource/apply {"task_version":0}`,
		`task/status/update {"status":"running","task_version":0}`,
		`task/start {"task_version":0}`,
		`job/update {"progress":50}`,

		`task/status/update {"status":"success","task_version":0}`,
		`task/stop {"status":"success","task_version":0}`,
		`job/update {"progress":100}`,
		`job/status/update {"status":"success"}`,
		`job/stop {}`,
	}, g.calls)
	for i, h := range g.headers {
		require.Equal(t, "fateflow", h.Get("service"))
		require.Equal(t, "10000", h.Get("dest-party-id"))
		require.Equal(t, map[bool]string{true: "9999"}[i == 0], h.Get("initiator-party-id"), "of job/create only")
	}
}

// A stop pushes the federated end first, because job/stop kills by it (fate-flow-api §2.7), and the job's own end before job/stop.
func TestStop(t *testing.T) {
	g, c := newGenuine(t)
	end := openflow.JobEnd{Status: openflow.JobCanceled, Reason: "stopped by party 9999", Tasks: []openflow.TaskUpdate{
		{Key: psi, Status: openflow.TaskCanceled, Reason: "stopped by party 9999"},
	}}
	require.NoError(t, c.StopJob(t.Context(), jobK, end))
	require.Equal(t, []string{
		`task/status/update {"reason":"stopped by party 9999","status":"canceled","task_version":0}`,
		`task/stop {"reason":"stopped by party 9999","status":"canceled","task_version":0}`,
		`job/status/update {"reason":"stopped by party 9999","status":"canceled"}`,
		`job/stop {}`,
	}, g.calls)
	g.codes["job/status/update"], g.codes["task/status/update"] = wire.UpdateJobFailed, wire.UpdateTaskFailed
	require.NoError(t, c.StopJob(t.Context(), jobK, end), "a repeat is success")
	g.codes["job/stop"] = wire.KillJobFailed
	err := c.StopJob(t.Context(), jobK, end)
	require.True(t, openflow.CodeOf(err).Retryable(), "what could not be killed is stopped again: %v", err)
}

// A peer that refuses one call of the end gets the others all the same, or its runs would go on. The end has not been heard
// whole, so it is told again.
func TestStopThatIsRefusedInPart(t *testing.T) {
	end := openflow.JobEnd{Status: openflow.JobFailed, Reason: "why", Tasks: []openflow.TaskUpdate{{Key: psi, Status: openflow.TaskFailed, Progress: 50}}}
	whole := []string{"task/status/update", "task/stop", "job/update", "job/status/update", "job/stop"}
	for _, path := range whole {
		g, c := newGenuine(t)
		g.codes[path] = wire.ServerException
		err := c.StopJob(t.Context(), jobK, end)
		require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err), path)
		var called []string
		for _, call := range g.calls {
			name, _, _ := strings.Cut(call, " ")
			called = append(called, name)
		}
		require.Equal(t, whole, called, path)
	}
	g, c := newGenuine(t)
	g.lose = "task/status/update"
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(c.StopJob(t.Context(), jobK, end)))
	g.mu.Lock() // the call that is lost has no answer to wait for
	defer g.mu.Unlock()
	require.Len(t, g.calls, 1, "what would not arrive is not sent")
}

func TestRerun(t *testing.T) {
	g, c := newGenuine(t)
	again := psi
	again.Version = 1
	require.NoError(t, c.StartTask(t.Context(), openflow.TaskStart{TaskKey: again, Ended: []openflow.TaskUpdate{
		{Key: psi, Status: openflow.TaskFailed, Reason: "exit code 7"},
	}}))
	require.Equal(t, []string{
		`task/status/update {"reason":"exit code 7","status":"failed","task_version":0}`,
		`task/stop {"reason":"exit code 7","status":"failed","task_version":0}`,
		`task/rerun {"new_version":1,"task_version":0}`,
		`task/resource/apply {"task_version":1}`,
		`task/status/update {"status":"running","task_version":1}`,
		`task/start {"task_version":1}`,
	}, g.calls)
}

// What a scheduler tells beside starts and ends is told in FATE-Flow's own calls; a reason alone has none.
func TestNews(t *testing.T) {
	g, c := newGenuine(t)
	again := psi
	again.Version = 1
	require.NoError(t, c.Tell(t.Context(), jobK, openflow.News{Reason: "waits"}))
	require.Empty(t, g.calls)
	require.NoError(t, c.Tell(t.Context(), jobK, openflow.News{Status: openflow.JobRunning, Tasks: []openflow.TaskUpdate{
		{Key: psi, Status: openflow.TaskFailed, Progress: 50}, {Key: again, Status: openflow.TaskWaiting},
	}}))
	require.Equal(t, []string{
		`job/start {}`,
		`task/status/update {"status":"failed","task_version":0}`,
		`task/stop {"status":"failed","task_version":0}`,
		`task/rerun {"new_version":1,"task_version":0}`,
		`job/update {"progress":50}`,
	}, g.calls)
}

// Whichever answer is lost, a repeat ends where the first try would have, and the task is started once: also by a peer that refuses
// no repeat.
func TestRepeats(t *testing.T) {
	t.Run("refused", func(t *testing.T) { repeats(t, false) })
	t.Run("taken", func(t *testing.T) { repeats(t, true) })
}

func repeats(t *testing.T, kind bool) {
	for _, lost := range []string{
		"job/create", "job/status/update", "job/resource/apply", "job/start", "task/resource/apply", "task/status/update", "task/start",
	} {
		t.Run(lost, func(t *testing.T) {
			g, c := newGenuine(t)
			g.lose, g.kind = lost, kind
			tries := 0
			do := func(call func(context.Context, openflow.PartnerService) error) {
				for i := 0; ; i++ {
					tries = i
					err := call(t.Context(), c)
					if err == nil {
						return
					}
					require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
					require.Zero(t, i, "one answer is lost")
				}
			}
			do(func(ctx context.Context, p openflow.PartnerService) error {
				return held(p.OpenJob(ctx, openflow.JobOrder{Key: jobK, DAG: dag(t)}))
			})
			do(func(ctx context.Context, p openflow.PartnerService) error {
				return p.StartTask(ctx, openflow.TaskStart{TaskKey: psi, StartsJob: true, Again: tries > 0})
			})
			g.mu.Lock()
			defer g.mu.Unlock()
			require.Empty(t, g.lose)
			require.Equal(t, 1, g.starts)
			require.True(t, g.held["job/resource/apply"])
			require.True(t, g.held["task/resource/apply"])
		})
	}
}

func TestRefusals(t *testing.T) {
	for path, tc := range map[string]struct {
		answer int
		want   openflow.Code
	}{
		"job/resource/apply":  {wire.JobResourceBusy, openflow.CodeUnavailable}, // it will not call when that changes
		"task/resource/apply": {wire.TaskResourceBusy, openflow.CodeExhausted},
	} {
		g, c := newGenuine(t)
		g.codes[path] = tc.answer
		err := held(c.OpenJob(t.Context(), openflow.JobOrder{Key: jobK, DAG: dag(t)}))
		if err == nil {
			err = c.StartTask(t.Context(), openflow.TaskStart{TaskKey: psi, StartsJob: true})
		}
		var e *openflow.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, tc.want, e.Code, path)
		require.Equal(t, openflow.AboutResource, e.Subject)
		require.Zero(t, g.starts)
	}
}

// FATE-Flow is recognised by its envelope, whatever it refuses; silence, HTML and our own envelope are none.
func TestProbe(t *testing.T) {
	_, c := newGenuine(t)
	require.NoError(t, c.Probe(t.Context()))
	for answer, speaks := range map[string]bool{
		`{"code":6000,"message":"unknown"}`: true, `{"code":5001,"message":"missing job_id"}`: true, `{"code":5003,"message":"signature"}`: false,
		`{"openflow":1,"error":{"code":"unimplemented","message":"no route"}}`: false, `<html>`: false, `{}`: false,
		`{"code":6001,"message":"no route"}`: false,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
		c.URL = srv.URL
		require.Equal(t, speaks, c.Probe(t.Context()) == nil, answer)
		srv.Close()
	}
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(c.Probe(t.Context())))
	_, err := c.Examine(t.Context(), true)
	require.ErrorIs(t, err, openflow.ErrAbsent)
}

// What FATE-Flow has no call for is said so, and nothing is sent.
func TestWhatIsNotSpoken(t *testing.T) {
	g, c := newGenuine(t)
	require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(c.Scheduler().WakeJob(t.Context(), "9999", "1")))
	_, err := c.Scheduler().EndedJobs(t.Context(), "9999", []openflow.JobID{"1"})
	require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(err))
	require.Empty(t, g.calls)
}
