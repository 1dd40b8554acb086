package scenarios_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// genuine is a FATE-Flow 2.2 node as a partner in poll mode (fate-flow-api §2.3, §2.5.2): it notes what it is called for
// and knows no other routes. Each of its runs is seen running once, and then as ends says.
type genuine struct {
	mu     sync.Mutex
	calls  []string          // paths without /v2/partner/, with the status where there is one; collects are left out
	status map[string]string // party_status by task_id
	seen   map[string]bool
	ends   string
}

// ServeHTTP implements http.Handler.
func (g *genuine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	var body struct {
		TaskID string `json:"task_id"`
		Status string `json:"status"`
	}
	e := wire.Envelope{Message: "success"}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		e.Code = wire.ServerException
	}
	path := strings.TrimPrefix(r.URL.Path, "/v2/partner/")
	switch path {
	case "job/create", "job/start", "job/status/update", "job/update", "job/resource/apply", "job/resource/return", "job/stop",
		"task/resource/apply", "task/resource/return", "task/status/update":
	case "task/start":
		g.status[body.TaskID] = "running"
	case "task/stop":
		if g.status[body.TaskID] == "running" {
			g.status[body.TaskID] = body.Status
		}
	case "task/collect":
		data, _ := json.Marshal(map[string]string{"party_status": g.status[body.TaskID]}) // strings can be encoded
		e.Data = data
		if g.seen[body.TaskID] && g.ends != "" && g.status[body.TaskID] == "running" {
			g.status[body.TaskID] = g.ends
		}
		g.seen[body.TaskID] = true
	default:
		e = wire.Envelope{Code: wire.ServerException, Message: "<NotFound '404: Not Found'>"}
	}
	if path != "task/collect" {
		g.calls = append(g.calls, strings.TrimSpace(path+" "+body.Status))
	}
	_ = json.NewEncoder(w).Encode(e) // a caller that has gone is its own business
}

// begin forgets what has been, and lets runs end so; empty: they do not.
func (g *genuine) begin(ends string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls, g.ends, g.status, g.seen = nil, ends, map[string]string{}, map[string]bool{}
}

func (g *genuine) called() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.calls...)
}

// A job with a genuine FATE-Flow partner: it gets FATE-Flow's own sequence, and nothing else.
func TestGenuinePartner(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	user := e.As(t, "9999")
	fate := &genuine{}
	fate.begin("success")
	srv := httptest.NewServer(fate)
	t.Cleanup(srv.Close)
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	key, err := trust.LoadOrCreateKey(home)
	require.NoError(t, err)
	user.OK(user.Post("/openflow/v1/user/site/add", map[string]string{"party_id": "8888", "url": srv.URL, "key": key.Public().String(), "dialect": "fate-flow"}), nil)

	parties := env.Parties("guest 9999", "host 8888")
	submit := func(tasks ...openflow.Task) openflow.JobID {
		d := env.DAG(parties, tasks...)
		d.Conf.SyncType = openflow.Poll
		return user.Submit(d)
	}
	sequence := func(want ...string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the partner is told of the end", func() (bool, string) {
			calls := fate.called()
			return len(calls) > 0 && calls[len(calls)-1] == "job/stop", strings.Join(calls, ", ")
		})
		require.Equal(t, want, fate.called())
	}

	id := submit(env.Noop("a", nil), env.Noop("b", nil, "a"))
	user.WaitFor(id, openflow.JobSuccess)
	sequence("job/create", "job/status/update waiting", "job/resource/apply", "job/start",
		"task/resource/apply", "task/status/update running", "task/start",
		"task/status/update success", "task/stop success",
		"task/resource/apply", "task/status/update running", "task/start", "job/update",
		"task/status/update success", "task/stop success", "job/update", "job/status/update success", "job/stop")

	fate.begin("failed")
	id = submit(env.Noop("a", env.Sleep(300_000)), env.Noop("b", nil, "a"))
	rows := user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, rows[0].Reason, `task "a" failed at party 8888 (host)`)
	sequence("job/create", "job/status/update waiting", "job/resource/apply", "job/start",
		"task/resource/apply", "task/status/update running", "task/start",
		"task/status/update failed", "task/stop failed", "job/update", "job/status/update failed", "job/stop")

	fate.begin("")
	id = submit(env.Noop("a", env.Sleep(300_000)))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	env.WaitUntil(t, env.Patience, "the partner has started", func() (bool, string) {
		calls := strings.Join(fate.called(), ", ")
		return strings.HasSuffix(calls, "task/start"), calls
	})
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	sequence("job/create", "job/status/update waiting", "job/resource/apply", "job/start",
		"task/resource/apply", "task/status/update running", "task/start",
		"task/status/update canceled", "task/stop canceled", "job/status/update canceled", "job/stop")
	env.WaitUntil(t, env.Patience, "it says when everything has stopped", func() (bool, string) {
		s := user.StopJob(id)
		return s.Over(), s.Reason
	})
	e.NothingRuns(t)
	e.NoCoresHeld(t)
}
