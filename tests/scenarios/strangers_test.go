package scenarios_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/native"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// signer signs as a party's node does.
type signer struct{ trust.Signer }

func (s signer) Sign(r *http.Request, to openflow.PartyID, body []byte) error {
	s.Signer.Sign(r, to, body, time.Now())
	return nil
}

// link speaks to one node with the key of another.
func link(t *testing.T, e *env.Env, from, to string) *verbs.Client {
	t.Helper()
	return native.NewClient(peer.Link{
		Self: openflow.PartyID(from), Peer: openflow.PartyID(to), URL: e.PeersURL(to), HTTP: httpclient.New(httpclient.Options{}),
		Signer: signer{trust.Signer{Party: openflow.PartyID(from), Key: e.Key(t, from)}},
	})
}

// A known party that takes no part in a job, or only its own, can do nothing to the others.
func TestStrangers(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	ctx := t.Context()
	job := hold(e.As(t, "9999"), long(pair))
	e.As(t, "10000").WaitForTask(job, "a", openflow.TaskRunning)
	stranger := link(t, e, "10001", "10000")
	hostKey := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: pair[1]}
	for _, scheduler := range []openflow.PartyID{"10001", "9999"} { // the second is a lie
		row := openflow.JobKey{Scheduler: scheduler, Job: job, Party: pair[1]}
		ended := []openflow.TaskUpdate{{Key: hostKey, Status: openflow.TaskFailed}}
		calls := map[string]error{
			"stop of the job":     stranger.StopJob(ctx, row, openflow.JobEnd{Status: openflow.JobCanceled, Reason: "because", Tasks: ended}),
			"start of the job":    stranger.Tell(ctx, row, openflow.News{Status: openflow.JobRunning}),
			"news of the job":     stranger.Tell(ctx, row, openflow.News{Status: openflow.JobFailed, Reason: "because"}),
			"return of resources": stranger.Release(ctx, row),
			"start of the task":   stranger.StartTask(ctx, openflow.TaskStart{TaskKey: hostKey, Ended: ended}),
			"end of the task":     stranger.Tell(ctx, row, openflow.News{Tasks: ended}),
		}
		_, calls["look at the task"] = stranger.AskTask(ctx, hostKey)
		for what, err := range calls {
			if what == "return of resources" && err == nil {
				continue // it returns what the stranger holds here: nothing
			}
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%s: %v", what, err)
		}
	}

	atScheduler := link(t, e, "10001", "9999").Scheduler()
	_, err := atScheduler.StopJob(ctx, "10001", job, openflow.JobCanceled)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	lie := openflow.Report{Key: hostKey, Status: openflow.TaskFailed, Cause: openflow.Cause{Text: "a lie"}}
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(atScheduler.ReportTask(ctx, "10000", lie)), "a report for another party")
	lie.Key.Party = openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(atScheduler.ReportTask(ctx, "10001", lie)), "a party that is none of the job's learns nothing")

	session := string(hostKey.SessionID())
	for topic, sender := range map[string]string{
		"guest-9999~host-10000~x": "10001", // in the name of another
		"host-10001~host-10000~x": "10001", // in its own
		"host-10000~guest-9999~x": "9999",  // of a party of the task, in the name of the receiver
	} {
		err := link(t, e, sender, "10000").Push(ctx, peer.Outgoing{Session: session, Topic: topic, ID: "m", Payload: []byte("x")})
		require.Error(t, err, topic)
	}
	require.NoError(t, link(t, e, "9999", "10000").Push(ctx, peer.Outgoing{
		Session: session, Topic: "guest-9999~host-10000~x", ID: "m", Payload: []byte("x"),
	}), "the right sender")

	require.Equal(t, "running", e.As(t, "9999").Jobs(job)[0].Status)
	require.Equal(t, "running", e.As(t, "10000").Jobs(job)[0].Status)
	require.Equal(t, map[string]string{"a host 10000": "running"}, e.As(t, "10000").TaskStatuses(job))
}

// credential takes the secret out of a running container, as its program has it.
func credential(t *testing.T, e *env.Env, party, container string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(e.Home(party), "tasks", container, "spec.json"))
	require.NoError(t, err)
	var rec struct{ Spec struct{ Env []string } }
	require.NoError(t, json.Unmarshal(data, &rec))
	for _, v := range rec.Spec.Env {
		if token, ok := strings.CutPrefix(v, "OPENFLOW_CREDENTIAL="); ok {
			return token
		}
	}
	t.Fatal("no credential")
	return ""
}

// What a task's program can do at its node covers its own run, and the layers do not mix.
func TestCredentialsOfTasks(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	alone := env.Parties("guest 9999")
	own := hold(e.As(t, "9999"), cores(1, long(alone)))
	container := e.Containers(t, "9999")[0].Name
	other := hold(e.As(t, "9999"), cores(1, long(alone)))
	base := &env.Client{TB: t, URL: e.Node(t, "9999").BaseURL(), Token: credential(t, e, "9999", container)}
	run := func(job openflow.JobID) string {
		return wire.PartyTaskID(openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: alone[0]})
	}
	status := func(job openflow.JobID) wire.Envelope {
		return base.Post("/v2/worker/task/status", map[string]string{"execution_id": run(job), "status": "failed", "error": "sabotage"})
	}
	require.NotZero(t, status(other).Code)
	answer := base.Post("/v2/worker/metric/save/"+run(other), map[string]any{"data": []any{map[string]any{"name": "x", "data": 1}}})
	require.NotZero(t, answer.Code, answer.Message)
	answer = base.Get("/v2/worker/data/tracking/query", append(env.Run(other, "guest", "9999", "a"), "output_key", "x")...)
	require.NotZero(t, answer.Code, answer.Message)

	for name, token := range map[string]string{"none": "", "made up": "AAAA", "of another run": credential(t, e, "9999", container) + "x"} {
		nobody := &env.Client{TB: t, URL: base.URL, Token: token}
		answer := nobody.Post("/v2/worker/task/status", map[string]string{"execution_id": run(own), "status": "failed"})
		require.Contains(t, []int{wire.VerifyFailed, wire.NoPermission}, answer.Code, name)
	}
	require.NotZero(t, base.Get("/v2/job/query", "job_id", string(own)).Code, "users' routes are not on the tasks' listener")
	require.NotZero(t, base.Post("/v2/partner/job/stop", map[string]string{"job_id": string(own)}).Code, "nor are the partners'")
	user := e.As(t, "9999")
	require.Equal(t, wire.FunctionRestricted, user.Post("/v2/worker/task/status", map[string]string{"execution_id": run(own), "status": "failed"}).Code)

	require.Equal(t, "running", user.Jobs(own)[0].Status)
	require.Equal(t, "running", user.Jobs(other)[0].Status)
	require.Zero(t, status(own).Code, "its own status is its to tell")
}

// The interconnection layer has a listener of its own that can be put on the internet: nothing of the users' is there.
func TestListenersOfTheirOwn(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	user.WaitFor(user.Submit(env.DAG(pair, env.Noop("a", nil))), openflow.JobSuccess)
	partners := &env.Client{TB: t, URL: e.PeersURL("9999")}
	require.NotEqual(t, user.URL, partners.URL)
	for _, path := range []string{"/v2/job/query", "/v2/site/info/query", "/openflow/v1/user/server/about", "/openflow/v1/user/job/task/log"} {
		noRoute(t, partners, http.MethodGet, path)
	}
	noRoute(t, partners, http.MethodPost, "/v2/job/submit")
	ui, err := http.NewRequestWithContext(t.Context(), http.MethodGet, partners.URL+"/temporal", nil)
	require.NoError(t, err)
	_, page := partners.Do(ui)
	require.NotContains(t, string(page), "<html", "the Temporal UI")
	for _, path := range []string{"/v2/partner/job/create", "/v2/scheduler/task/report", "/v1/interconn/chan/invoke"} {
		noRoute(t, user, http.MethodPost, path)
	}
}

// noRoute requires that a listener does not have a route, in whatever form it says so.
func noRoute(t *testing.T, c *env.Client, method, path string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, strings.NewReader("{}"))
	require.NoError(t, err)
	_, body := c.Do(r)
	require.Contains(t, string(body), "no route "+method+" "+path)
}
