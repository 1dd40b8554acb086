package attacks_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/site/partner"
	"openflow/tests/env"
)

// takes has the attacker create a job at the victim that takes so many cores, and start it without a task.
func (a *attacker) takes(id openflow.JobID, cores int) openflow.JobKey {
	a.t.Helper()
	k, r, err := a.asks(id, cores, 0)
	require.NoError(a.t, err)
	require.True(a.t, r.Held, "%v", r.Err())
	require.NoError(a.t, a.calls().Partner().Tell(a.t.Context(), k, openflow.News{Status: openflow.JobRunning}))
	return k
}

// asks has the attacker create a job at the victim that needs so many cores.
func (a *attacker) asks(id openflow.JobID, cores, priority int) (openflow.JobKey, openflow.Reservation, error) {
	a.t.Helper()
	host := openflow.Party{Role: openflow.RoleHost, ID: a.Victim}
	guest := openflow.Party{Role: openflow.RoleGuest, ID: a.Party}
	d := env.DAG([]openflow.Party{guest, host}, env.Noop("a", nil))
	d.Conf = openflow.JobConf{
		Scheduler: a.Party, Initiator: a.Party, SyncType: openflow.Callback, ModelID: "m", ModelVersion: "0", Cores: &cores, Priority: priority,
	}
	k := openflow.JobKey{Scheduler: a.Party, Job: id, Party: host}
	r, err := a.calls().Partner().OpenJob(a.t.Context(), a.env.Order(a.t, k, d))
	return k, r, err
}

// heldAt waits until jobs hold so many cores of a site: what an ended job holds is given back when its programs have ended.
func heldAt(t *testing.T, e *env.Env, id string, cores int) {
	t.Helper()
	env.WaitUntil(t, env.Patience, fmt.Sprintf("%d cores are held at %s", cores, id), func() (bool, string) {
		held := e.CoresHeld(t, id)
		return held == cores, fmt.Sprintf("%d are held", held)
	})
}

// endsHere waits until a job has ended at the victim and holds nothing, and returns why.
func endsHere(t *testing.T, e *env.Env, user *env.Client, k openflow.JobKey, status openflow.JobStatus) string {
	t.Helper()
	rows := user.WaitFor(k.Job, status)
	heldAt(t, e, string(k.Party.ID), 0)
	return rows[0].Reason
}

// A scheduler that reserves all cores and then says nothing more keeps them for ever.
func TestSilentSchedulerHoldsCores(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), env.Limits(func(l *partner.Limits) { l.Lease = time.Second }))
	e.Stop(t, "9999") // it never answers whether its job goes on
	k := attack(t, e, "9999", "10000").takes("202601021504050000000", 4)
	user := e.As(t, "10000")
	reason := endsHere(t, e, user, k, openflow.JobFailed)
	require.Equal(t, "party 9999, which schedules the job, has not answered for 1s whether the job goes on", reason)
	alone := env.Parties("guest 10000")
	user.WaitFor(user.Submit(env.DAG(alone, env.Noop("a", nil))), openflow.JobSuccess)
}

// A scheduler that renews its job for ever, and never starts a task here, keeps the cores of everybody else.
func TestIdleReservationHoldsCores(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), env.Limits(func(l *partner.Limits) { l.Idle = time.Second }))
	parties := env.Parties("guest 9999", "host 10000")
	release := e.HoldAt(t, "9999", "first") // as long as the attacker likes
	first := env.Noop("first", nil)
	first.Parties = parties[:1]
	all := 4
	d := env.DAG(parties, first, env.Noop("second", nil, "first"))
	d.Conf.Cores = &all
	attacker, user := e.As(t, "9999"), e.As(t, "10000")
	job := attacker.Submit(d)
	attacker.WaitForTask(job, "first", openflow.TaskRunning)

	own := env.DAG(env.Parties("guest 10000"), env.Noop("a", nil))
	own.Conf.Cores = &all
	user.WaitFor(user.Submit(own), openflow.JobSuccess)
	require.Equal(t, string(openflow.JobRunning), user.Jobs(job)[0].Status, "the job goes on, and only holds nothing")

	release()
	attacker.WaitFor(job, openflow.JobSuccess)
	user.WaitFor(job, openflow.JobSuccess)
	e.NoCoresHeld(t)
}

// A user stops a job here whose scheduler does not want it to stop, and the scheduler opens it again.
func TestSchedulerForbidsTheStop(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	e.Stop(t, "9999")
	a, user := attack(t, e, "9999", "10000"), e.As(t, "10000")
	k := a.takes("202601021504050000000", 4)
	run := openflow.TaskKey{Scheduler: k.Scheduler, Job: k.Job, Task: "a", Party: k.Party}
	hold := e.Hold(t, "a")
	defer hold()
	require.NoError(t, a.calls().Partner().StartTask(t.Context(), openflow.TaskStart{TaskKey: run}))
	user.WaitForTask(k.Job, "a", openflow.TaskRunning)

	client := &sdk.Client{URL: user.URL, User: "ann", Scheduler: "9999"}
	stopped, err := client.StopHere(t.Context(), k.Job)
	require.NoError(t, err)
	require.Equal(t, openflow.JobCanceled, stopped.Status)
	require.Equal(t, "stopped at party 10000 by its operator", endsHere(t, e, user, k, openflow.JobCanceled))
	e.NoContainers(t)
	audit, err := client.Audit(t.Context(), sdk.AuditFilter{})
	require.NoError(t, err)
	require.Equal(t, []string{"user ann", "job/stop-here", string(k.Job)}, []string{audit.Events[0].Actor, audit.Events[0].Action, audit.Events[0].Subject})

	p := a.calls().Partner()
	r, err := p.Reserve(t.Context(), k)
	require.False(t, err == nil && r.Held, "it opens the job again")
	_ = p.StartTask(t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true})
	_ = p.Tell(t.Context(), k, openflow.News{Status: openflow.JobWaiting, Reason: "it goes on"}) // refused or not, neither changes anything
	require.Len(t, e.Starts(t, "10000", k.Job), 1)
	e.NoContainers(t)
	rows := user.Jobs(k.Job)
	require.Equal(t, string(openflow.JobCanceled), rows[0].Status)
	require.Equal(t, "stopped at party 10000 by its operator", rows[0].Reason)
	require.Zero(t, e.CoresHeld(t, "10000"))
}

// A peer that was removed keeps what its jobs hold here, and what this site's own jobs with it hold.
func TestRemovedPeerHoldsCores(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	user := e.As(t, "10000")
	release := e.HoldAt(t, "9999", "a")
	defer release()
	two := 2
	d := env.DAG(env.Parties("guest 10000", "host 9999"), env.Noop("a", nil))
	d.Conf.Cores = &two
	own := user.Submit(d)
	e.As(t, "9999").WaitForTask(own, "a", openflow.TaskRunning)
	e.Stop(t, "9999")
	k := attack(t, e, "9999", "10000").takes("202601021504050000000", 2)

	client := &sdk.Client{URL: user.URL, User: "ann"}
	require.NoError(t, client.RemoveSite(t.Context(), "9999"))
	for _, id := range []openflow.JobID{k.Job, own} {
		require.Contains(t, user.WaitFor(id, openflow.JobCanceled)[0].Reason, "party 9999 was removed at party 10000")
	}
	heldAt(t, e, "10000", 0)
	e.Restart(t, "10000")
	require.Zero(t, e.CoresHeld(t, "10000"))
}

// A scheduler that starts tasks without ever asking for the job's cores takes more than the site has.
func TestTasksOfAJobThatReservesNothing(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	e.Stop(t, "9999")
	a := attack(t, e, "9999", "10000")
	a.takes("202601021504050000000", 4)
	k, r, err := a.asks("202601021504050000001", 4, 0)
	require.NoError(t, err)
	require.False(t, r.Held)
	run := openflow.TaskKey{Scheduler: k.Scheduler, Job: k.Job, Task: "a", Party: k.Party}
	err = a.calls().Partner().StartTask(t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true})
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "%v", err)
	require.Equal(t, 4, e.CoresHeld(t, "10000"))
	require.Empty(t, e.Starts(t, "10000", k.Job))
}
