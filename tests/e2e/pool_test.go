package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/components/credit"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
	"openflow/workflows"
)

// alone is a job's only party.
var alone = env.Parties("guest 9999")

// pool is a node with a pool, and what its workers need to know.
type pool struct {
	node    *site
	dir     string
	runtime string
	url     string
	token   string
}

func newPool(t *testing.T, runtime string, args ...string) *pool {
	t.Helper()
	p := &pool{node: sites(t, runtime, "9999")["9999"], dir: t.TempDir(), runtime: runtime}
	listen := fmt.Sprintf("127.0.0.1:%d", env.Ports(t, 1)[0])
	// Long, since on a busy machine a worker is silent for seconds, and none is to be taken for gone that is not.
	p.node.args = append(p.node.args, "--listen-workers", listen, "--worker-wait", "3m", "--machine-gone", "3m")
	p.node.args = append(p.node.args, args...)
	p.url = "https://" + listen
	var err error
	_, p.token, err = trust.LoadOrCreateWorkerToken(p.node.home)
	require.NoError(t, err)
	p.token += "@" + p.node.key
	p.node.start(t)
	return p
}

// worker prepares a machine of the pool: a program and a home of its own.
func (p *pool) worker(t *testing.T, name string, args ...string) *site {
	t.Helper()
	w := &site{party: "worker " + name, home: filepath.Join(p.dir, name), url: p.node.url}
	w.ground = newGround(t, p.runtime, filepath.Join(p.dir, "witness-"+name), w.home)
	w.args = append([]string{
		"worker", "--site", p.url, "--token", p.token, "--home", w.home, "--runtime", p.runtime,
		"--components", w.ground.components(), "--log-level", "warn",
	}, args...)
	t.Cleanup(func() { w.close(t) })
	return w
}

// impatient restarts the node: it takes a machine for gone soon, and gives up a run soon that no worker may take.
func (p *pool) impatient(t *testing.T) {
	t.Helper()
	set(p.node.args, "--worker-wait", "4s")
	set(p.node.args, "--machine-gone", gone)
	p.node.term(t)
	p.node.start(t)
}

// gone is longer than a worker of a busy machine is silent, and short enough to be waited for.
const gone = "15s"

// lasting is a task of one core that lasts, for workers with a label.
func lasting(name string, ms int, label string, after ...openflow.TaskName) openflow.Task {
	task := env.Noop(name, env.Sleep(ms), after...)
	task.Conf.Cores, task.Conf.Label = new(1), label
	return task
}

// ran counts the starts of a job's runs at a machine.
func ran(t *testing.T, w *site, id openflow.JobID) (n int) {
	for run, starts := range w.ground.starts(t) {
		if strings.HasPrefix(run, string(id)+"_") {
			n += starts
		}
	}
	return n
}

func TestPool(t *testing.T) {
	p := newPool(t, "process", "--no-tasks")
	a, b := p.worker(t, "a", "--cores", "1"), p.worker(t, "b", "--cores", "1", "--label", "gpu")
	a.start(t)
	b.start(t)
	user := p.node.as(t)

	t.Run("tasks spread", func(t *testing.T) {
		releases := []func(){a.ground.(processGround).witness.Hold(t, "a"), a.ground.(processGround).witness.Hold(t, "b"),
			b.ground.(processGround).witness.Hold(t, "a"), b.ground.(processGround).witness.Hold(t, "b")}
		id := user.Submit(env.DAG(alone, lasting("a", 0, ""), lasting("b", 0, "")))
		env.WaitUntil(t, env.Patience, "both tasks run", func() (bool, string) {
			n := ran(t, a, id) + ran(t, b, id)
			return n == 2, fmt.Sprint(n)
		})
		for _, release := range releases {
			release()
		}
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, []int{1, 1, 0}, []int{ran(t, a, id), ran(t, b, id), ran(t, p.node, id)}, "runs at the workers and at the node")
	})
	t.Run("a label has its own queue", func(t *testing.T) {
		id := user.Submit(env.DAG(alone, lasting("a", 0, "gpu"), lasting("b", 0, "gpu", "a"), lasting("c", 0, "gpu", "b")))
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, []int{0, 3}, []int{ran(t, a, id), ran(t, b, id)})
	})
	t.Run("outputs and logs arrive", func(t *testing.T) { outputsArrive(t, user) })
	t.Run("a worker killed and started again", func(t *testing.T) { workerReturns(t, p, b) })
	t.Run("the node killed meanwhile", func(t *testing.T) {
		_, release := b.ground.hold(t, "a")
		id := user.Submit(env.DAG(alone, lasting("a", 0, "gpu")))
		b.begun(t, id, 1)
		p.node.kill(t)
		p.node.start(t)
		release()
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, 1, ran(t, b, id), "starts")
		require.NotContains(t, p.history(t, id, "a"), "WorkerGone", "the node releases nothing of the pool's workers")
	})
	p.impatient(t)
	t.Run("no worker with the label", func(t *testing.T) {
		id := user.Submit(env.DAG(alone, lasting("a", 0, "tpu")))
		waits := func() (bool, string) {
			rows := user.Tasks(id)
			return len(rows) == 1 && strings.Contains(rows[0].Reason, "no worker with label tpu"), fmt.Sprintf("%+v", rows)
		}
		env.WaitUntil(t, env.Patience, "the reason of the wait is told", waits)
		rows := user.WaitFor(id, openflow.JobFailed)
		require.Contains(t, rows[0].Reason, "no worker with label tpu took the task within")
	})
	t.Run("a machine gone for good", func(t *testing.T) { machineGone(t, p, b) })
	t.Run("a machine gone for good, and retries", func(t *testing.T) {
		a.ground.hold(t, "a")
		b.ground.hold(t, "a")
		dag := env.DAG(alone, lasting("a", 0, ""))
		dag.Conf.AutoRetries = 1
		id := user.Submit(dag)
		env.WaitUntil(t, env.Patience, "its program runs", func() (bool, string) {
			n := ran(t, a, id) + ran(t, b, id)
			return n == 1, fmt.Sprint(n)
		})
		victim, other := a, b
		if ran(t, b, id) == 1 {
			victim, other = b, a
		}
		victim.kill(t)
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, []int{1, 1}, []int{ran(t, victim, id), ran(t, other, id)}, "the second version runs elsewhere")
		victim.start(t)
	})
	nothingLeft(t, map[string]*site{"a": a, "b": b, "9999": p.node})
}

// A node that runs tasks itself is one machine of its pool: it does everything at no cost while it is alone, serves its
// own labels, and shares with the others once there are any.
func TestPoolWithItsNode(t *testing.T) {
	p := newPool(t, "process", "--label", "gpu")
	user := p.node.as(t)
	id := user.Submit(env.DAG(alone, lasting("a", 0, "")))
	user.WaitFor(id, openflow.JobSuccess)
	require.NotContains(t, p.history(t, id, "a"), "ChooseMachine")

	_, release := p.node.ground.hold(t, "a")
	id = user.Submit(env.DAG(alone, lasting("a", 0, "gpu")))
	p.node.begun(t, id, 1)
	p.node.kill(t)
	p.node.start(t)
	release()
	user.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, 1, ran(t, p.node, id), "starts at the node")
	_, _, metrics, err := env.Send(t.Context(), p.node.url+"/metrics", http.MethodGet, http.Header{}, nil)
	require.NoError(t, err)
	require.Contains(t, string(metrics), `openflow_activity_attempts_total{activity="RunTask"`, "counted as a machine of the pool")
	require.Regexp(t, "WorkerGone|TIMEOUT_TYPE_HEARTBEAT", p.history(t, id, "a"),
		"the node releases what its own process has left, unless its start takes so long that Temporal does")

	w := p.worker(t, "a", "--cores", "2")
	w.start(t)
	env.WaitUntil(t, env.Patience, "the worker gets its share", func() (bool, string) {
		id := user.Submit(env.DAG(alone, lasting("a", 300, ""), lasting("b", 300, ""), lasting("c", 300, "")))
		user.WaitFor(id, openflow.JobSuccess)
		require.Equal(t, 3, ran(t, p.node, id)+ran(t, w, id), "starts")
		return ran(t, w, id) > 0, "all at the node"
	})
	nothingLeft(t, map[string]*site{"a": w, "9999": p.node})
}

// A node with a worker stops as promptly as one without, although the worker's calls wait for minutes. The worker comes
// back to the next process by itself; and one that listens for none runs its tasks itself, although a worker was seen
// just now.
func TestStopOfANodeWithAWorker(t *testing.T) {
	p := newPool(t, "process")
	w := p.worker(t, "a", "--cores", "1", "--label", "far")
	w.start(t)
	user := p.node.as(t)
	id := user.Submit(env.DAG(alone, lasting("a", 0, "far")))
	user.WaitFor(id, openflow.JobSuccess)

	began := time.Now()
	p.node.term(t)
	took := time.Since(began)
	t.Logf("ended %s after SIGTERM", took.Round(time.Millisecond))
	require.Less(t, took, time.Minute, "the budget is 5 s, on a machine that does nothing else; the worker's calls wait for longer")

	p.node.start(t)
	id = user.Submit(env.DAG(alone, lasting("a", 0, "far")))
	user.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, 1, ran(t, w, id), "starts at the worker that came back")

	p.node.term(t)
	i := slices.Index(p.node.args, "--listen-workers")
	p.node.args = slices.Delete(p.node.args, i, i+2)
	p.node.start(t)
	id = user.Submit(env.DAG(alone, lasting("a", 0, "")))
	user.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, 1, ran(t, p.node, id), "starts at the node")
	require.NotContains(t, p.history(t, id, "a"), "ChooseMachine")
}

// outputsArrive reads a table in a container of the pool, and what it has made and said from the node.
func outputsArrive(t *testing.T, user *env.Client) {
	const rows = 500
	g, _, err := credit.Generate(7, rows, rows, rows/2)
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = g.WriteTo(&b)
	require.NoError(t, err)
	user.OK(user.Upload("credit", "guest", guestMeta, &b), nil)
	dag := env.DAG(alone, openflow.Task{
		Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "credit", "name": "guest"},
	}, env.Noop("failing", openflow.Parameters{"fail": true}, "reader_0"))
	id := user.Submit(dag)
	user.WaitFor(id, openflow.JobFailed)
	files := user.Archive("/v2/output/data/download", env.Run(id, "guest", "9999", "reader_0")...)
	require.Equal(t, rows+1, bytes.Count(files["output_data/0.csv"], []byte("\n")), "rows")
	require.Contains(t, user.TaskLog(env.Run(id, "guest", "9999", "failing")), "fail", "the log of a container at another machine")
}

// workerReturns kills a worker while its container runs. The container ends before anybody follows it again, unless it
// lasts for a time, so that the job's end tells how long it takes until somebody does.
func workerReturns(t *testing.T, p *pool, w *site) {
	user := p.node.as(t)
	lasts, release := w.ground.hold(t, "a")
	task := lasting("a", 0, "gpu")
	task.Parameters = lasts
	id := user.Submit(env.DAG(alone, task))
	w.begun(t, id, 1)
	killed := time.Now()
	w.kill(t)
	require.NotEmpty(t, w.ground.containers(t), "the program outlives the worker")
	release()
	w.start(t)
	user.WaitFor(id, openflow.JobSuccess)
	adopted := time.Since(killed)
	t.Logf("adopted and ended %s after the kill", adopted.Round(time.Millisecond))
	require.Less(t, adopted, time.Minute, "the budget is 8 s, on a machine that does nothing else")
	require.Equal(t, 1, ran(t, w, id), "starts")
}

// machineGone kills a worker for longer than its machine may be silent: the run fails, with the machine's name. When the
// machine is back, it ends the container that nobody needs any more.
func machineGone(t *testing.T, p *pool, w *site) {
	user := p.node.as(t)
	id := user.Submit(env.DAG(alone, lasting("a", 300_000, "gpu")))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	w.kill(t)
	rows := user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, rows[0].Reason, "is gone: its worker has not come back within "+gone)
	require.NotEmpty(t, w.ground.containers(t), "the program runs on at the machine that nobody hears of")
	w.start(t)
	nothingLeft(t, map[string]*site{"machine": w})
}

// history is a task's workflow as the Temporal UI has it.
func (p *pool) history(t *testing.T, id openflow.JobID, task string) string {
	t.Helper()
	workflow := workflows.TaskWorkflowID(openflow.TaskKey{Scheduler: "9999", Job: id, Task: openflow.TaskName(task), Party: alone[0]})
	_, _, body, err := env.Send(t.Context(), p.node.url+"/temporal/api/v1/namespaces/openflow/workflows/"+url.PathEscape(workflow)+"/history",
		http.MethodGet, http.Header{}, nil)
	require.NoError(t, err)
	require.Contains(t, string(body), "RunTask")
	return string(body)
}

// The node of one party takes no worker of another, and a worker's home stays with its party.
func TestStrangersOfAPool(t *testing.T) {
	p := newPool(t, "process", "--no-tasks")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"wrong token":    {[]string{"--token", strings.Repeat("x", 43) + "@" + p.node.key}, 1, "the worker token is not that of this node"},
		"a token alone":  {[]string{"--token", strings.Repeat("x", 43)}, 1, "does not say which"},
		"half a token":   {[]string{"--token", p.token[:len(p.token)-1]}, 2, "not whole"},
		"without TLS":    {[]string{"--site", "http://192.0.2.1:9391"}, 2, "is without TLS"},
		"no token":       {[]string{"--token", ""}, 2, "no worker token"},
		"another's home": {[]string{"--home", homeOf(t, "10000")}, 1, "belongs to party 10000, not 9999"},
		"not a site":     {[]string{"--site", p.node.url}, 2, "--listen-workers"},
		"no node there":  {[]string{"--site", "http://127.0.0.1:1"}, 3, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			w := p.worker(t, strings.ReplaceAll(name, " ", "-"))
			out, err := run(t, append(w.args, c.args...)...).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, c.code, exit.ExitCode(), "%s", out)
			require.Contains(t, string(out), c.says)
		})
	}
	t.Run("a worker is listed", func(t *testing.T) {
		w := p.worker(t, "real", "--label", "gpu")
		w.start(t)
		out, err := run(t, "site", "workers", "--node", p.node.url, "-o", "json").Output()
		require.NoError(t, err)
		var list []wire.Worker
		require.NoError(t, json.Unmarshal(out, &list))
		require.Len(t, list, 1)
		require.Equal(t, []string{"gpu"}, list[0].Labels)
	})
}

// homeOf is a home folder that belongs to a party.
func homeOf(t *testing.T, party string) string {
	t.Helper()
	s := sites(t, "process", party)[party]
	s.start(t)
	s.term(t)
	return s.home
}

// Containers of a pool's machine reach their node through the machine's own network.
func TestDockerPool(t *testing.T) {
	requireDocker(t)
	p := newPool(t, "docker", "--no-tasks")
	w := p.worker(t, "a", "--label", "gpu")
	w.start(t)
	outputsArrive(t, p.node.as(t))
	workerReturns(t, p, w)
	nothingLeft(t, map[string]*site{"a": w, "9999": p.node})
}
