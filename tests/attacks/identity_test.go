package attacks_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// order is a job as its scheduler hands it to a party.
func order(t *testing.T, e *env.Env, k openflow.JobKey, d *openflow.DAG) openflow.JobOrder {
	t.Helper()
	d.Conf.Scheduler, d.Conf.Initiator = k.Scheduler, k.Scheduler
	return e.Order(t, k, d)
}

// scores are the rows of a small table, whose IDs are from n on.
func scores(n int) string {
	var rows strings.Builder
	rows.WriteString("id,x\n")
	for i := range 40 {
		fmt.Fprintf(&rows, "p%03d,%d\n", n+i, i)
	}
	return rows.String()
}

const scoresMeta = `{"match_id_name":"id","sample_id_name":"id","dtype":"float64","delimiter":","}`

// meeting reads a table at each of two parties and intersects them. 30 of 40 rows are shared.
func meeting(t *testing.T, guest, host *env.Client) *openflow.DAG {
	t.Helper()
	parties := env.Parties("guest 9999", "host 10000")
	guest.OK(guest.Upload("a", "guest", scoresMeta, strings.NewReader(scores(0))), nil)
	host.OK(host.Upload("a", "host", scoresMeta, strings.NewReader(scores(10))), nil)
	d := env.DAG(parties,
		openflow.Task{Name: "reader_0", Component: "reader"},
		openflow.Task{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "input_data", Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: "reader_0", OutputKey: "output_data"},
		}}}},
	)
	d.PartyTasks = []openflow.PartyTasks{
		env.At(parties[0], "reader_0", openflow.Parameters{"namespace": "a", "name": "guest"}),
		env.At(parties[1], "reader_0", openflow.Parameters{"namespace": "a", "name": "host"}),
	}
	return d
}

// rightAt requires the right result of a meeting at a party.
func rightAt(t *testing.T, c *env.Client, job openflow.JobID, role, party string) {
	t.Helper()
	var summary struct {
		Intersect int `json:"intersect_count"`
	}
	require.NoError(t, json.Unmarshal(c.Metrics(env.Run(job, role, party, "psi_0"))["summary"], &summary))
	require.Equal(t, 30, summary.Intersect)
}

// A third party makes a job that has the ID and the task of a victim's job, in the victim's role and in another one. The victim's
// partner is among its parties. Whatever it says, in either dialect, is about its own job. It puts nothing into the victim's
// session, and neither reads, empties nor closes that. It moves, ends and asks for no run. Both jobs end as if they were alone.
func TestJobIDOfAnotherScheduler(t *testing.T) {
	for _, d := range []openflow.Dialect{"", fateflow.Name} {
		t.Run("victims speak "+string(d), func(t *testing.T) { jobIDOfAnotherScheduler(t, d) })
	}
}

func jobIDOfAnotherScheduler(t *testing.T, speaks openflow.Dialect) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	if speaks != "" {
		e.Speak(t, speaks, "9999", "10000")
	}
	document := meeting(t, guest, host)
	release := e.Hold(t, "psi_0")
	job := guest.Submit(document)
	guest.WaitForTask(job, "psi_0", openflow.TaskRunning)
	host.WaitForTask(job, "psi_0", openflow.TaskRunning)
	victim := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "psi_0", Party: env.Parties("guest 9999")[0]}

	a := attack(t, e, "10001", "9999")
	calls, ctx := a.calls(), t.Context()
	twin := func(role string) openflow.JobKey {
		return openflow.JobKey{Scheduler: a.Party, Job: job, Party: env.Parties(role + " 9999")[0]}
	}
	for _, role := range []string{"guest", "host"} {
		k := twin(role)
		mine := env.DAG(append(env.Parties("arbiter 10001", "host 10000"), k.Party), env.Noop("psi_0", nil))
		got, err := calls.OpenJob(ctx, order(t, e, k, mine))
		require.NoError(t, err)
		require.True(t, got.Held)
		require.NoError(t, calls.StartTask(ctx, openflow.TaskStart{TaskKey: openflow.TaskKey{Job: job, Task: "psi_0", Party: k.Party}, StartsJob: true}))
	}

	t.Run("its messages are in no session of the victim", func(t *testing.T) {
		short := wire.FederationID(victim)
		for name, m := range map[string]peer.Outgoing{
			"by its name":                 {Session: string(victim.SessionID()), Topic: "host-10000~guest-9999~x"},
			"by its name, other topic":    {Session: string(victim.SessionID()), Topic: "x"},
			"by FATE-Flow's, as another":  {Session: short, Topic: "host-10000~guest-9999~x"},
			"by FATE-Flow's, beside it":   {Session: short, Topic: "x", Scheduler: "9999"},
			"by FATE-Flow's, another one": {Session: short, Topic: "x", Scheduler: "10000"},
		} {
			m.ID, m.Payload = "m", []byte{0}
			require.Error(t, calls.Push(ctx, m), name)
		}
		require.NoError(t, calls.Push(ctx, peer.Outgoing{Session: short, Topic: "x", ID: "m", Payload: []byte{0}}), "in its own")
	})
	t.Run("no answer tells whether there is such a session", func(t *testing.T) {
		said := map[string]bool{}
		for _, session := range []string{string(victim.SessionID()), "2026010100000000000000009_psi_0_0@9999", "x"} {
			err := calls.Push(ctx, peer.Outgoing{Session: session, Topic: "x", ID: "m", Payload: []byte{0}})
			said[strings.ReplaceAll(fmt.Sprint(openflow.CodeOf(err), " ", err), session, "S")] = true
		}
		require.Len(t, said, 1, "%v", said)
	})
	t.Run("queues are neither read nor emptied from outside", func(t *testing.T) {
		for _, op := range []string{"pop", "peek", "release"} {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL("9999")+"/v1/interconn/chan/invoke", strings.NewReader("{}"))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("x-ptp-session-id", string(victim.SessionID()))
			r.Header.Set("x-ptp-uri", "/v1/interconn/chan/"+op)
			require.NoError(t, a.Sign(r, a.Victim, []byte("{}")))
			answer := a.send(r)
			require.NotContains(t, answer, "E0000000000", op)
		}
	})
	t.Run("what it says of the victim's run, in our dialect, is about nothing", func(t *testing.T) {
		theirs := openflow.TaskKey{Scheduler: a.Party, Job: job, Task: "reader_0", Party: victim.Party}
		for what, err := range map[string]error{
			"ask for another task": func() error { _, err := calls.AskTask(ctx, theirs); return err }(),
			"start another task":   calls.StartTask(ctx, openflow.TaskStart{TaskKey: theirs}),
			"ask as the scheduler": func() error {
				_, err := calls.Scheduler().StopJob(ctx, a.Party, job, openflow.JobCanceled)
				return err
			}(),
			"rerun": calls.Scheduler().RerunJob(ctx, a.Party, job),
			"wake":  calls.Scheduler().WakeJob(ctx, a.Party, job),
			"report": calls.Scheduler().ReportTask(ctx, a.Party, openflow.Report{
				Key: openflow.TaskKey{Job: job, Task: "psi_0", Party: env.Parties("host 10001")[0]}, Status: openflow.TaskFailed,
			}),
		} {
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%s: %v", what, err)
		}
		at, err := calls.AskTask(ctx, openflow.TaskKey{Scheduler: "9999", Job: job, Task: "psi_0", Party: victim.Party})
		require.NoError(t, err, "of its own run it is told")
		require.Equal(t, openflow.TaskRunning, at.PartyStatus)
		ended, err := calls.Scheduler().EndedJobs(ctx, a.Party, []openflow.JobID{job})
		require.NoError(t, err)
		require.Equal(t, []openflow.EndedJob{{ID: job}}, ended, "as of a job that never was")
	})
	t.Run("its own job ends, and the victim's does not", func(t *testing.T) {
		own := map[string]any{"job_id": job, "role": "guest", "party_id": "9999", "task_id": string(job) + "_psi_0", "task_version": 0, "status": "failed"}
		for _, path := range []string{"/v2/partner/task/stop", "/v2/partner/job/stop"} {
			_, answer := a.post(path, own)
			require.Contains(t, string(answer), `"code":0`, path)
		}
		require.NoError(t, calls.StopJob(ctx, twin("guest"), openflow.JobEnd{Status: openflow.JobCanceled}), "which closes its session")
		for _, c := range []*env.Client{guest, host} {
			rows := c.Jobs(job)
			require.NotEmpty(t, rows)
			require.Equal(t, "running", rows[0].Status)
			require.Equal(t, "9999", rows[0].SchedulerPartyID, "the ID alone means the job that was submitted here, or the only one")
		}
	})

	release()
	guest.WaitFor(job, openflow.JobSuccess)
	rightAt(t, guest, job, "guest", "9999")
	rightAt(t, host, job, "host", "10000")
	env.WaitUntil(t, env.Patience, "the attacker's other run ends by itself", func() (bool, string) {
		at, err := calls.AskTask(ctx, openflow.TaskKey{Job: job, Task: "psi_0", Party: twin("host").Party})
		return err == nil && at.PartyStatus == openflow.TaskSuccess, fmt.Sprint(at.PartyStatus, err)
	})
	require.NoError(t, calls.StopJob(ctx, twin("host"), openflow.JobEnd{Status: openflow.JobSuccess}))
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// An initiator that submits a job under the ID of another initiator's job learns nothing of that, and gets nothing of it.
func TestJobIDOfAnotherInitiator(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	d := env.DAG(env.Parties("host 9999", "guest 10000"), env.Noop("a", nil))
	_, err := a.calls().Scheduler().CreateJob(t.Context(), a.Party, submission(t, e, a.Party, "9999", job, d))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "different submission", "whose job it is, and that it is another one, is not the peer's affair")
	require.NotContains(t, err.Error(), "initiator")
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// submission is a job as its initiator hands it to a scheduler.
func submission(t *testing.T, e *env.Env, initiator, scheduler openflow.PartyID, id openflow.JobID, d *openflow.DAG) openflow.Submission {
	t.Helper()
	d.Conf.Initiator, d.Conf.Scheduler = initiator, scheduler
	return e.Submission(t, d, id)
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

// A container that knows the digest of an object of its site can neither read what is behind it nor make an output of it, and no
// answer tells whether there is such an object. So it is with tables of its own job that are no input of its task.
func TestContainerThatKnowsADigest(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	user := e.As(t, "9999")
	user.OK(user.Upload("a", "secret", scoresMeta, strings.NewReader(scores(0))), nil)
	release := e.Hold(t, "b")
	d := env.DAG(env.Parties("guest 9999"),
		openflow.Task{Name: "a", Component: "reader", Parameters: openflow.Parameters{"namespace": "a", "name": "secret"}},
		env.Noop("b", nil, "a"),
	)
	job := user.Submit(d)
	user.WaitForTask(job, "b", openflow.TaskRunning)
	containers := e.Containers(t, "9999")
	require.Len(t, containers, 1)
	base := &env.Client{TB: t, URL: e.Node(t, "9999").BaseURL(), Token: credential(t, e, "9999", containers[0].Name)}
	var rows []wire.JobRow
	user.OK(user.Get("/v2/job/query", "job_id", string(job)), &rows)
	require.Len(t, rows[0].Pins, 1)
	digest := rows[0].Pins[0].Digest
	require.Len(t, digest, 64)

	save := func(digest string) wire.Envelope {
		return base.Post("/v2/worker/data/tracking/save", map[string]any{
			"execution_id": wire.PartyTaskID(openflow.TaskKey{Job: job, Task: "b", Party: d.Parties[0]}), "uri": "object:///sha256/" + digest,
			"output_key": "output_data", "data_type": "dataframe",
		})
	}
	known, unknown := save(digest), save(strings.Repeat("0", 64))
	require.NotZero(t, known.Code)
	require.Equal(t, unknown.Code, known.Code)
	require.Equal(t, strings.ReplaceAll(unknown.Message, strings.Repeat("0", 64), digest), known.Message)
	byName := func(name string, query ...string) wire.Envelope {
		return base.Get("/openflow/v1/container/data/table", append([]string{"namespace", "a", "name", name}, query...)...)
	}
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(byName("secret").Err()), "the reader's input is not that of the task after it")
	require.Equal(t, strings.ReplaceAll(byName("other").Error.Message, "other", "secret"), byName("secret").Error.Message)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(byName("secret", "object", digest).Err()))
	answer := base.Get("/v2/worker/data/tracking/query", append(env.Run(job, "guest", "9999", "a"), "output_key", "output_data")...)
	require.NotZero(t, answer.Code, "nor is its output, which no channel leads to the task")
	release()
	user.WaitFor(job, openflow.JobSuccess)
}
