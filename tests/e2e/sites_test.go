package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// site is a node as a program of its own.
type site struct {
	party  string
	home   string
	args   []string
	url    string // for users
	peers  string // for other nodes
	key    string // public
	ground ground

	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has been waited for
	output *output
}

// output collects what a program writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// sites prepares nodes that know each other, without starting them.
func sites(t *testing.T, runtime string, parties ...string) map[string]*site {
	t.Helper()
	dir := t.TempDir()
	ports := env.Ports(t, 2*len(parties))
	list := map[string]*site{}
	peers := map[string]string{}
	for i, party := range parties {
		s := &site{party: party, home: filepath.Join(dir, party), url: fmt.Sprintf("http://127.0.0.1:%d", ports[2*i]), peers: fmt.Sprintf("https://127.0.0.1:%d", ports[2*i+1])}
		require.NoError(t, os.Mkdir(s.home, 0o700))
		key, err := trust.LoadOrCreateKey(s.home)
		require.NoError(t, err)
		s.key = key.Public().String()
		peers[party] = s.peer()
		s.ground = newGround(t, runtime, filepath.Join(dir, "witness-"+party), s.home)
		s.args = []string{
			"server", "--cores", "32", "--party", party, "--listen", strings.TrimPrefix(s.url, "http://"), "--home", s.home, "--runtime", runtime,
			"--listen-interconnection", strings.TrimPrefix(s.peers, "https://"),
			"--components", s.ground.components(), "--grant-all", "--log-level", "warn",
		}
		list[party] = s
	}
	for _, s := range list {
		for party, peer := range peers {
			if party != s.party {
				s.args = append(s.args, "--peer", peer)
			}
		}
		t.Cleanup(func() { s.close(t) })
	}
	return list
}

// run makes a command of the node's binary that sees nothing of this process's settings.
func run(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(env.Openflow(t), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OPENFLOW_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

// start starts the program and waits until it takes jobs. It tells how long that took.
func (s *site) start(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	s.output, s.ended = &output{}, make(chan struct{})
	s.cmd = run(t, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	require.NoError(t, s.cmd.Start())
	go func() {
		_ = s.cmd.Wait() // the exit code is looked at where it matters
		close(s.ended)
	}()
	env.WaitUntil(t, env.Patience, "party "+s.party+" is ready", func() (bool, string) {
		select {
		case <-s.ended:
			t.Fatalf("party %s ended at its start: %s", s.party, s.output)
		default:
		}
		return strings.Contains(s.output.String(), "\nready\n"), s.output.String()
	})
	return time.Since(began)
}

// kill ends the program as the kernel or a power button would.
func (s *site) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGKILL))
	<-s.ended
}

// term asks the program to end, which it does properly.
func (s *site) term(t *testing.T) {
	t.Helper()
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.ended:
	case <-time.After(env.Patience):
		t.Fatalf("party %s does not end: %s", s.party, s.output)
	}
	require.Zerof(t, s.cmd.ProcessState.ExitCode(), "%s", s.output)
}

// peer is how another site names this one on its command line.
func (s *site) peer() string { return s.party + "=" + s.peers + "," + s.key }

func (s *site) as(t *testing.T) *env.Client { return &env.Client{TB: t, URL: s.url} }

func (s *site) close(t *testing.T) {
	if t.Failed() && s.cmd != nil {
		s.showWorkflows(t)
	}
	if s.cmd != nil {
		if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("end party %s: %v", s.party, err)
		}
		<-s.ended
	}
	s.ground.end(t)
	if t.Failed() && s.output != nil {
		t.Logf("party %s wrote:\n%s", s.party, s.output)
	}
}

// showWorkflows logs what the node's open workflows wait for, as its Temporal UI would show it.
func (s *site) showWorkflows(t *testing.T) {
	get := func(path string, into any) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _, body, err := env.Send(ctx, s.url+"/temporal/api/v1/namespaces/openflow"+path, http.MethodGet, http.Header{}, nil)
		if err == nil {
			err = json.Unmarshal(body, into)
		}
		if err != nil {
			t.Logf("party %s: workflows not shown: %v", s.party, err)
		}
	}
	type execution struct {
		WorkflowID string `json:"workflowId"`
		RunID      string `json:"runId"`
	}
	var list struct {
		Executions []struct{ Execution execution }
	}
	get("/workflows?query="+url.QueryEscape(`ExecutionStatus="Running"`), &list)
	for _, e := range list.Executions {
		var open struct {
			PendingActivities, PendingWorkflowTask, WorkflowExecutionInfo json.RawMessage
		}
		get("/workflows/"+url.PathEscape(e.Execution.WorkflowID)+"?execution.runId="+e.Execution.RunID, &open)
		t.Logf("party %s, open workflow %s: %s %s", s.party, e.Execution.WorkflowID, open.PendingActivities, open.PendingWorkflowTask)
		var h struct {
			History struct{ Events []map[string]any }
		}
		get("/workflows/"+url.PathEscape(e.Execution.WorkflowID)+"/history?execution.runId="+e.Execution.RunID, &h)
		for _, event := range h.History.Events {
			t.Logf("    %v %v %v", event["eventId"], event["eventTime"], event["eventType"])
		}
	}
}

// begun waits until that many programs of a job have been started here. That a run's row says so comes a moment before.
func (s *site) begun(t *testing.T, id openflow.JobID, n int) {
	t.Helper()
	env.WaitUntil(t, env.Patience, "the programs of job "+string(id)+" run at "+s.party, func() (bool, string) {
		got := ran(t, s, id)
		return got == n, fmt.Sprint(got)
	})
}

// basePort is where the node's tasks find it.
func (s *site) basePort(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.home, "home.json"))
	require.NoError(t, err)
	var home struct {
		BasePort int `json:"base_port"`
	}
	require.NoError(t, json.Unmarshal(data, &home))
	require.NotZero(t, home.BasePort)
	return home.BasePort
}

// startedOnce asserts that of these runs each that has been started was started once.
func (s *site) startedOnce(t *testing.T, rows []wire.TaskRow) {
	t.Helper()
	starts := s.ground.starts(t)
	for _, r := range rows {
		require.LessOrEqual(t, starts[r.RunID], 1, "starts of %s at party %s", r.RunID, s.party)
		if r.PartyStatus == string(openflow.TaskSuccess) {
			require.Equal(t, 1, starts[r.RunID], "starts of %s at party %s", r.RunID, s.party)
		}
	}
}

// oneStartEach asserts that every run of these that a party has begun was started once.
func (s *site) oneStartEach(t *testing.T, rows []wire.TaskRow) {
	t.Helper()
	want := map[string]int{}
	for _, r := range rows {
		want[r.RunID] = 1
	}
	var got map[string]int
	env.WaitUntil(t, env.Patience, "starts are known", func() (bool, string) { // a daemon tells of them a moment later
		got = s.ground.starts(t)
		for id := range got {
			if _, mine := want[id]; !mine {
				delete(got, id)
			}
		}
		return len(got) == len(want), fmt.Sprint(got)
	})
	require.Equal(t, want, got, "starts of programs at party %s", s.party)
}
