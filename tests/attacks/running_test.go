package attacks_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// waits is a job of the attacker with tasks a0, a1 … at the victim, whose programs last until they are killed.
func (a *attacker) waits(tasks int, role openflow.Role) (*openflow.DAG, openflow.Party) {
	host := openflow.Party{Role: role, ID: a.Victim}
	d := env.DAG([]openflow.Party{{Role: openflow.RoleGuest, ID: a.Party}, host})
	for i := range tasks {
		name := fmt.Sprintf("a%d", i)
		d.Tasks = append(d.Tasks, env.Noop(name, nil))
		a.t.Cleanup(a.env.Hold(a.t, openflow.TaskName(name)))
	}
	d.Conf.Scheduler, d.Conf.Initiator, d.Conf.SyncType, d.Conf.ModelID, d.Conf.ModelVersion = a.Party, a.Party, openflow.Callback, "m", "0"
	return d, host
}

// opens has the attacker open such a job at the victim.
func (a *attacker) opens(id openflow.JobID, d *openflow.DAG, at openflow.Party) (openflow.JobKey, openflow.Reservation) {
	a.t.Helper()
	k := openflow.JobKey{Scheduler: a.Party, Job: id, Party: at}
	r, err := a.calls().Partner().OpenJob(a.t.Context(), a.env.Order(a.t, k, d))
	require.NoError(a.t, err)
	return k, r
}

// starts has the attacker start a version of a task at the victim.
func (a *attacker) starts(k openflow.JobKey, task openflow.TaskName, version int) error {
	run := openflow.TaskKey{Scheduler: k.Scheduler, Job: k.Job, Task: task, Version: version, Party: k.Party}
	return a.calls().Partner().StartTask(a.t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true})
}

// ends waits until a run has ended at the victim, and returns how.
func (a *attacker) ends(k openflow.JobKey, task openflow.TaskName, version int) (status openflow.TaskStatus) {
	a.t.Helper()
	run := openflow.TaskKey{Scheduler: k.Scheduler, Job: k.Job, Task: task, Version: version, Party: k.Party}
	env.WaitUntil(a.t, env.Patience, "the run ends", func() (bool, string) {
		at, err := a.calls().Partner().AskTask(a.t.Context(), run)
		require.NoError(a.t, err)
		status = at.PartyStatus
		return status.Terminal(), string(status)
	})
	return status
}

// programs are those of a job at a site.
func programs(t *testing.T, e *env.Env, id string) (n int) {
	t.Helper()
	for _, c := range e.Containers(t, id) {
		if c.State == "running" {
			n++
		}
	}
	return n
}

// A scheduler gives back the cores of a job whose program goes on, and takes them for the next.
func TestCoresOfARunningProgram(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), bounded(nil))
	e.Stop(t, "9999")
	a, user := attack(t, e, "9999", "10000"), e.As(t, "10000")
	d, host := a.waits(1, openflow.RoleHost)
	d.Conf.Cores = new(4)
	first, r := a.opens("2026010215040500001", d, host)
	require.True(t, r.Held)
	require.NoError(t, a.starts(first, "a0", 0))
	user.WaitForTask(first.Job, "a0", openflow.TaskRunning)

	for name, gives := range map[string]func(){
		"release": func() { _ = a.calls().Partner().Release(t.Context(), first) },
		"FATE's resource/return": func() {
			a.post("/v2/partner/job/resource/return", map[string]any{"job_id": first.Job, "role": "host", "party_id": "10000"})
		},
	} {
		gives()
		require.Equal(t, 4, e.CoresHeld(t, "10000"), name)
	}
	second, r := a.opens("2026010215040500002", d, host)
	require.False(t, r.Held)
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(a.starts(second, "a0", 0)))
	require.Equal(t, 1, programs(t, e, "10000"))

	require.NoError(t, a.calls().Partner().StopJob(t.Context(), first, openflow.JobEnd{Status: openflow.JobCanceled}))
	heldAt(t, e, "10000", 0)
	require.Zero(t, programs(t, e, "10000"), "what was held is free when the program has ended")
}

// A scheduler tells that a job has ended whose program goes on.
func TestProgramOutlivesItsJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), bounded(nil))
	e.Stop(t, "9999")
	a, user := attack(t, e, "9999", "10000"), e.As(t, "10000")
	d, host := a.waits(1, openflow.RoleHost)
	d.Conf.Cores = new(4)
	tells := func(s openflow.JobStatus) func(openflow.JobKey) {
		return func(k openflow.JobKey) {
			require.NoError(t, a.calls().Partner().Tell(t.Context(), k, openflow.News{Status: s}))
		}
	}
	for i, ends := range []func(openflow.JobKey){
		tells(openflow.JobSuccess), tells(openflow.JobCanceled), tells(openflow.JobTimeout),
		func(k openflow.JobKey) {
			a.post("/v2/partner/job/status/update", map[string]any{"job_id": k.Job, "role": "host", "party_id": "10000", "status": "failed"})
		},
	} {
		k, r := a.opens(openflow.JobID(fmt.Sprintf("20260102150405%05d", i)), d, host)
		require.True(t, r.Held, "%v", r.Err())
		require.NoError(t, a.starts(k, "a0", 0))
		user.WaitForTask(k.Job, "a0", openflow.TaskRunning)
		ends(k)
		require.Equal(t, openflow.TaskCanceled, a.ends(k, "a0", 0))
		heldAt(t, e, "10000", 0)
		require.Zero(t, programs(t, e, "10000"))
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(a.starts(k, "a0", 1)), "nothing starts after the end")
	}
}

// Runs that ask for no cores are not counted, and each gets a core all the same.
func TestRunsWithoutCores(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), bounded(func(q *openflow.Quota) { q.Cores = 2 }))
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	d, arbiter := a.waits(4, openflow.RoleArbiter)
	k, r := a.opens("2026010215040500001", d, arbiter)
	require.True(t, r.Held)
	for i, want := range []openflow.Code{"", "", openflow.CodeExhausted, openflow.CodeExhausted} {
		err := a.starts(k, d.Tasks[i].Name, 0)
		require.Equal(t, want, openflow.CodeOf(err), "%v", err)
	}
	require.NoError(t, a.calls().Partner().StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobCanceled}))
	for i := range 2 {
		a.ends(k, d.Tasks[i].Name, 0)
	}

	d, host := a.waits(3, openflow.RoleHost)
	d.Conf.Cores = new(0)
	for i := range d.Tasks {
		d.Tasks[i].Conf.Cores = new(0)
	}
	k, r = a.opens("2026010215040500002", d, host)
	require.True(t, r.Held)
	require.Equal(t, 1, e.CoresHeld(t, "10000"), "its programs get a core")
	require.NoError(t, a.starts(k, "a0", 0))
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(a.starts(k, "a1", 0)))
}

// Several versions of one task run at once, each with what one of them was granted; and a stop ends all that was started.
func TestVersionsAtOnce(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), bounded(nil))
	e.Stop(t, "9999")
	a, user := attack(t, e, "9999", "10000"), e.As(t, "10000")
	d, host := a.waits(1, openflow.RoleHost)
	d.Conf.Cores, d.Conf.Task.Cores, d.Conf.AutoRetries = new(4), new(1), 8
	k, r := a.opens("2026010215040500001", d, host)
	require.True(t, r.Held)
	require.NoError(t, a.starts(k, "a0", 0))
	user.WaitForTask(k.Job, "a0", openflow.TaskRunning)
	for v := range 8 {
		require.Error(t, a.starts(k, "a0", v+1))
	}
	require.Equal(t, 1, programs(t, e, "10000"))
	require.NoError(t, a.calls().Partner().StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobCanceled}))
	heldAt(t, e, "10000", 0)
	require.Zero(t, programs(t, e, "10000"), "also of earlier versions")
}

// One use of a grant is any number of runs: a task that has succeeded is started as its next version.
func TestOneUseManyRuns(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict(), bounded(nil))
	operator := &sdk.Client{URL: e.URL("10000")}
	_, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "noop"}}, Uses: 1})
	require.NoError(t, err)
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	d := env.DAG([]openflow.Party{{Role: openflow.RoleGuest, ID: "9999"}, host}, env.Noop("a", nil))
	d.Conf.Scheduler, d.Conf.Initiator, d.Conf.SyncType, d.Conf.ModelID, d.Conf.ModelVersion = "9999", "9999", openflow.Callback, "m", "0"
	d.Conf.AutoRetries = 1
	k, r := a.opens("2026010215040500001", d, host)
	require.True(t, r.Held)
	require.NoError(t, a.starts(k, "a", 0))
	require.Equal(t, openflow.TaskSuccess, a.ends(k, "a", 0))
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(a.starts(k, "a", 1)), "it has succeeded")

	run := openflow.TaskKey{Scheduler: "9999", Job: k.Job, Task: "a", Party: host}
	p := a.calls().Partner()
	require.NoError(t, p.Tell(t.Context(), k, openflow.News{Tasks: []openflow.TaskUpdate{{Key: run, Status: openflow.TaskFailed}}}))
	require.NoError(t, a.starts(k, "a", 1), "it has failed elsewhere, says its scheduler")
	require.Equal(t, openflow.TaskSuccess, a.ends(k, "a", 1))
	run.Version = 1
	require.NoError(t, p.Tell(t.Context(), k, openflow.News{Tasks: []openflow.TaskUpdate{{Key: run, Status: openflow.TaskFailed}}}))
	for _, version := range []int{2, 1 << 30} {
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(a.starts(k, "a", version)), "there is one retry")
	}
	require.Len(t, e.Starts(t, "10000", k.Job), 2)
}

// A party runs a job again that its initiator has stopped.
func TestPartyRerunsAJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	user := e.As(t, "10000")
	release := e.Hold(t, "a")
	defer release()
	id := user.Submit(env.DAG(env.Parties("guest 10000", "host 9999"), env.Noop("a", nil)))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	user.Settled(id)
	e.NoCoresHeld(t)
	a := attack(t, e, "9999", "10000")
	err := a.calls().Scheduler().RerunJob(t.Context(), "9999", id)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	list, err := (&sdk.Client{URL: user.URL}).Audit(t.Context(), sdk.AuditFilter{Party: "9999", Outcome: openflow.OutcomeRefused})
	require.NoError(t, err)
	require.Equal(t, "job/rerun", list.Events[0].Action)
	require.Equal(t, string(openflow.JobCanceled), user.Jobs(id)[0].Status)
	require.Len(t, e.Starts(t, "10000", id), 1)
}

// News of ten thousand tasks of a job that is not here, or has one task, keeps the node busy.
func TestNewsOfManyTasks(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), bounded(nil))
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	p := a.calls().Partner()
	host := openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	news := func(id openflow.JobID, one bool, s openflow.TaskStatus) (list []openflow.TaskUpdate) {
		for i := range openflow.MaxTasks {
			k := openflow.TaskKey{Scheduler: "9999", Job: id, Task: "a0", Party: host}
			if !one {
				k.Version = i + 1
			}
			list = append(list, openflow.TaskUpdate{Key: k, Status: s})
		}
		return list
	}
	nowhere := openflow.JobKey{Scheduler: "9999", Job: "nothing", Party: host}
	d, _ := a.waits(1, openflow.RoleHost)
	d.Conf.Cores = new(1)
	here, _ := a.opens("2026010215040500001", d, host)
	calls := map[string]func() error{
		"a job that is not here": func() error {
			return p.Tell(t.Context(), nowhere, openflow.News{Tasks: news(nowhere.Job, false, openflow.TaskWaiting)})
		},
		"a stop of it": func() error {
			return p.StopJob(t.Context(), nowhere, openflow.JobEnd{Status: openflow.JobFailed, Tasks: news(nowhere.Job, false, openflow.TaskFailed)})
		},
		"repeats": func() error {
			return p.Tell(t.Context(), here, openflow.News{Tasks: news(here.Job, true, openflow.TaskRunning)})
		},
		"versions": func() error {
			return p.Tell(t.Context(), here, openflow.News{Tasks: news(here.Job, false, openflow.TaskWaiting)})
		},
		"a start of a task": func() error {
			run := openflow.TaskKey{Scheduler: "9999", Job: here.Job, Task: "none", Party: host}
			return p.StartTask(t.Context(), openflow.TaskStart{TaskKey: run, Ended: news(here.Job, false, openflow.TaskFailed)})
		},
	}
	want := map[string]openflow.Code{
		"a job that is not here": openflow.CodeNotFound, "a stop of it": openflow.CodeNotFound, "versions": openflow.CodeConflict,
		"a start of a task": openflow.CodeNotFound,
	}
	const size = openflow.MaxTasks * 100 // bytes of such a call
	for name, call := range calls {
		cheap(t, size, func() {
			err := call()
			require.Equal(t, want[name], openflow.CodeOf(err), "%s: %v", name, err)
		})
	}
}
