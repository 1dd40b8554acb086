package attacks_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"openflow"
	"openflow/dialect/peer"
	"openflow/node"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/site/partner"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/tests/env"
)

// two are the parties of these jobs: the victim and the one that attacks it.
var two = env.Parties("guest 9999", "host 10000")

// topic is that of a message from the attacker to the victim, as a kit would name it.
func topic(name string) string { return base.TopicPrefix(two[1], two[0]) + name }

// push puts a message into a session of the victim, as a partner's node does.
func (a *attacker) push(session openflow.SessionID, topic, id string, payload []byte) error {
	link := peer.Link{Self: a.Party, Peer: a.Victim, URL: a.url, HTTP: httpclient.New(httpclient.Options{}), Signer: a}
	return link.Push(a.t.Context(), peer.Outgoing{Session: string(session), Topic: topic, ID: id, Payload: payload})
}

func session(job openflow.JobID, task openflow.TaskName) openflow.SessionID {
	return openflow.TaskKey{Scheduler: "9999", Job: job, Task: task}.SessionID()
}

// stored is what unread messages take at a node, in bytes, by its own count.
func stored(t *testing.T, e *env.Env, id string) int64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL(id)+"/metrics", nil)
	require.NoError(t, err)
	_, text := e.As(t, id).Do(r)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "openflow_message_bytes "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			require.NoError(t, err)
			return int64(n)
		}
	}
	require.Fail(t, "the node does not tell what messages take")
	return 0
}

// Twelve empty messages with IDs of megabytes took hundreds of megabytes and counted as three kilobytes: long keys are
// refused, and those that are not are paid for.
func TestLongKeysOfMessagesFillNoStore(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(two, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	into := session(job, "a")
	for i := range 12 {
		err := a.push(into, topic("x"), fmt.Sprint(i, strings.Repeat("i", 1<<20)), nil)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	}
	err := a.push(into, topic(strings.Repeat("t", messages.MaxTopic)), "id", nil)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	require.Zero(t, stored(t, e, "9999"))
	for i := range 12 {
		require.NoError(t, a.push(into, topic("x"), fmt.Sprintf("%0*d", messages.MaxID, i), nil))
	}
	require.GreaterOrEqual(t, stored(t, e, "9999"), int64(12*messages.MaxID))
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// A job that waits for its first task could be filled with messages for each of its others: nothing is taken for a task
// that has not started here. That is no refusal for good, since a partner may be a moment ahead.
func TestMessagesForATaskThatHasNotStarted(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(two, env.Noop("a", nil), env.Noop("b", nil, "a")))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	for i := range 20 {
		err := a.push(session(job, "b"), topic("x"), fmt.Sprint(i), make([]byte, 1<<20))
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "has not started")
	}
	require.Zero(t, stored(t, e, "9999"))
	require.NoError(t, a.push(session(job, "a"), topic("x"), "1", []byte("of a task that runs")))
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// A session that has ended took messages again after ten minutes: the row of the run says that it has ended, whatever the
// message store has forgotten since.
func TestMessagesForATaskThatHasEnded(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(two, env.Noop("a", nil)))
	user.WaitFor(job, openflow.JobSuccess)
	a := attack(t, e, "10000", "9999")
	refused := func() {
		t.Helper()
		err := a.push(session(job, "a"), topic("x"), "late", make([]byte, 1<<20))
		require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(err), "%v", err)
	}
	refused()
	e.Stop(t, "9999")
	db, err := sql.Open("sqlite", filepath.Join(e.Home("9999"), "messages", "messages.db"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "delete from closed") // as after the ten minutes
	require.NoError(t, err)
	require.NoError(t, db.Close())
	e.Start(t, "9999")
	refused()
	require.Zero(t, stored(t, e, "9999"))
}

// One job could hold hundreds of gigabytes of messages, a quarter of one in each of its sessions. They share the bound of
// their job; another job of the same partner goes on, and the end of the first gives all of it back.
func TestMessagesOfAJobAreBounded(t *testing.T) {
	const limit = 1 << 20
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.Bounds.Messages = messages.Options{JobBytes: limit, MessageBytes: limit / 4}
	}), env.Limits(func(l *partner.Limits) { l.TaskCores = 1 }))
	release := e.Hold(t, "a")
	releaseB := e.Hold(t, "b")
	user := e.As(t, "9999")
	full, other := user.Submit(env.DAG(two, env.Noop("a", nil), env.Noop("b", nil))), user.Submit(env.DAG(two, env.Noop("a", nil)))
	for _, task := range []string{"a", "b"} {
		user.WaitForTask(full, task, openflow.TaskRunning)
	}
	user.WaitForTask(other, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	payload := make([]byte, limit/4)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		err = a.push(session(full, []openflow.TaskName{"a", "b"}[n%2]), topic("x"), fmt.Sprint(n), payload)
	}
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, fmt.Sprintf("messages of job %s", full))
	require.ErrorContains(t, err, fmt.Sprint(limit))
	require.LessOrEqual(t, stored(t, e, "9999"), int64(limit))
	require.NoError(t, a.push(session(other, "a"), topic("x"), "1", payload))
	user.StopJob(full)
	env.WaitUntil(t, env.Patience, "the messages of the job are gone", func() (bool, string) {
		left := stored(t, e, "9999")
		return left < 2*int64(len(payload)), fmt.Sprint(left)
	})
	release()
	releaseB()
	user.WaitFor(other, openflow.JobSuccess)
}

// One program filled the disk: it is ended with a reason that its users and partners read, and the job beside it goes on.
func TestWhatAProgramWritesFillsNoDisk(t *testing.T) {
	const limit = 8 << 20
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) { c.Bounds.TaskDisk = limit }))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(two, env.Noop("a", nil)))
	e.Started(t, job, "a", two[0])
	program := e.Containers(t, "9999")[0]
	folder := filepath.Join(e.Home("9999"), "tasks", program.Name, "work")
	for i := range 3 { // what the program would write itself
		require.NoError(t, os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), bytes.Repeat([]byte("x"), limit/2), 0o600))
	}
	user.WaitFor(job, openflow.JobFailed)
	require.Contains(t, user.Tasks(job)[0].Reason, fmt.Sprintf("its files hold more than the %d bytes", limit))
	e.NoContainers(t)
	require.NoFileExists(t, filepath.Join(folder, "0"))
	release()
	user.WaitFor(user.Submit(env.DAG(two, env.Noop("b", nil))), openflow.JobSuccess)
}

// own is a request of a container of the run with its credential.
func own(t *testing.T, e *env.Env, k openflow.TaskKey, method, path, contentType string, body io.Reader) wire.Envelope {
	t.Helper()
	secrets, err := trust.LoadOrCreateCredentials(e.Home(string(k.Party.ID)))
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), method, e.Node(t, string(k.Party.ID)).BaseURL()+path, body)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+secrets.Issue(k))
	r.Header.Set("Content-Type", contentType)
	return e.As(t, string(k.Party.ID)).Call(r)
}

// A container could store objects, and metrics, without end: each run has a bound of both, and others have theirs.
func TestWhatAContainerStoresIsBounded(t *testing.T) {
	const limit = 1 << 20
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.Bounds.Objects, c.Bounds.Rows = catalogue.Bound{Run: limit}, catalogue.Bound{Run: limit}
	}))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	greedy, other := user.Submit(env.DAG(two, env.Noop("a", nil))), user.Submit(env.DAG(two, env.Noop("a", nil)))
	user.WaitForTask(greedy, "a", openflow.TaskRunning)
	user.WaitForTask(other, "a", openflow.TaskRunning)
	run := func(job openflow.JobID) openflow.TaskKey {
		return openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: two[0]}
	}
	put := func(job openflow.JobID, seed byte, size int) error {
		return own(t, e, run(job), http.MethodPut, "/openflow/v1/container/data/object", wire.ArrowStream, bytes.NewReader(bytes.Repeat([]byte{seed}, size))).Err()
	}
	measure := func(job openflow.JobID, names ...string) error {
		list := make([]map[string]any, len(names))
		for i, name := range names {
			list[i] = map[string]any{"name": name, "type": "metric", "data": 1}
		}
		text, err := json.Marshal(map[string]any{"data": list})
		require.NoError(t, err)
		return own(t, e, run(job), http.MethodPost, "/v2/worker/metric/save", "application/json", bytes.NewReader(text)).Err()
	}
	require.NoError(t, put(greedy, 1, limit/2))
	before := objectsOf(t, e)
	for seed := range byte(5) {
		err := put(greedy, 10+seed, limit)
		require.Equal(t, openflow.CodeSpent, openflow.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, string(greedy))
	}
	require.Equal(t, before, objectsOf(t, e), "what is refused leaves nothing")
	require.NoError(t, put(other, 2, limit/2))
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		var names []string // an eighth of what the run may keep
		for i := range limit / 8 / 900 {
			names = append(names, fmt.Sprint(n, i, strings.Repeat("m", 900)))
		}
		err = measure(greedy, names...)
	}
	require.Equal(t, openflow.CodeSpent, openflow.CodeOf(err), "%v", err)
	require.LessOrEqual(t, n, 8)
	require.NoError(t, measure(other, "m"))
	release()
	user.WaitFor(other, openflow.JobSuccess)
	user.WaitFor(greedy, openflow.JobSuccess)
}

// objectsOf counts the files of a node's object store, whole or not.
func objectsOf(t *testing.T, e *env.Env) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(filepath.Join(e.Home("9999"), "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}))
	return n
}

// A peer without grants left hundreds of megabytes in forty requests: a job that is refused leaves no row.
func TestRefusedJobsLeaveNothing(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict())
	a := attack(t, e, "10000", "9999")
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(e.Home("9999"), "catalogue.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for i := range 40 {
		dag := env.DAG(two, env.Noop("a", openflow.Parameters{"x": strings.Repeat("x", 1<<20)}))
		key := openflow.JobKey{Scheduler: a.Party, Job: openflow.JobID(fmt.Sprint("refused", i)), Party: two[0]}
		_, err := a.calls().Partner().OpenJob(t.Context(), e.Order(t, key, dag))
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "initiate jobs")
		require.False(t, openflow.CodeOf(err).Retryable(), "%v", err)
	}
	n, err := rows.CountJobs(t.Context(), catalogue.JobFilter{})
	require.NoError(t, err)
	require.Zero(t, n)
	tasks, _, err := rows.TasksWhere(t.Context(), catalogue.TaskFilter{})
	require.NoError(t, err)
	require.Empty(t, tasks)
	var size int64
	for _, file := range []string{"catalogue.db", "catalogue.db-wal"} {
		if info, err := os.Stat(filepath.Join(e.Home("9999"), file)); err == nil {
			size += info.Size()
		}
	}
	require.Less(t, size, int64(20<<20), "40 MiB were sent")
	e.NoCoresHeld(t)
}
