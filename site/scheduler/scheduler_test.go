package scheduler_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/scheduler"
	"openflow/store/catalogue"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
)

type engine struct {
	openflow.Engine
	plans    []openflow.JobPlan
	warnings []string
	startErr error
	stops    []openflow.JobStatus
	stopped  openflow.Stopped
	stopErr  error
	runs     bool
	runsErr  error
	rerunErr error
	reports  []openflow.Report
	report   error
	woken    []openflow.JobID
}

func (e *engine) StartJob(_ context.Context, p openflow.JobPlan) ([]string, error) {
	e.plans = append(e.plans, p)
	return e.warnings, e.startErr
}

func (e *engine) EndJob(_ context.Context, p openflow.JobPlan) error {
	e.plans = append(e.plans, p)
	return nil
}

func (e *engine) JobRuns(context.Context, openflow.JobID) (bool, error) { return e.runs, e.runsErr }

func (e *engine) RerunJob(_ context.Context, p openflow.JobPlan) error {
	e.plans = append(e.plans, p)
	return e.rerunErr
}

func (e *engine) StopJob(_ context.Context, _ openflow.JobID, s openflow.JobStatus, reason string) (openflow.Stopped, error) {
	if reason == "" {
		return openflow.Stopped{}, openflow.Errorf(openflow.CodeInternal, "nobody would know why")
	}
	e.stops = append(e.stops, s)
	return e.stopped, e.stopErr
}

func (e *engine) Stopped(context.Context, openflow.JobID) (openflow.Stopped, error) {
	return e.stopped, e.stopErr
}

func (e *engine) WakeJobs(_ context.Context, ids []openflow.JobID) error {
	e.woken = append(e.woken, ids...)
	return nil
}

func (e *engine) ReportTask(_ context.Context, r openflow.Report) error {
	e.reports = append(e.reports, r)
	return e.report
}

// mandates believes every peer but one, and itself.
type mandates struct{}

func (mandates) OfSubmission(_ context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Authority, error) {
	if caller == "666" {
		return openflow.Authority{}, openflow.Errorf(openflow.CodePermission, "nobody has signed job %s", sub.ID)
	}
	return openflow.Authority{Initiator: caller, Scheduler: sub.DAG.Conf.Scheduler, Signed: true}, nil
}

type node struct {
	*scheduler.Service
	engine    *engine
	catalogue *catalogue.Catalogue
	file      string // of the catalogue
}

func newNode(t *testing.T) *node {
	t.Helper()
	file := filepath.Join(t.TempDir(), "catalogue.db")
	c, err := catalogue.Open(t.Context(), catalogue.Options{File: file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for _, id := range []openflow.PartyID{"10000", "10001"} {
		require.NoError(t, c.SaveSite(t.Context(), openflow.SiteRecord{Party: id, URL: "http://x"}))
	}
	for _, id := range []openflow.PartyID{"10000", "10001", "666", "777"} {
		_, err := c.AddGrant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: id})
		require.NoError(t, err)
	}
	e := &engine{}
	return &node{&scheduler.Service{
		Self: "9999", Store: c, Mandates: mandates{}, Engine: e, NewID: func() openflow.JobID { return "made-here" },
		Timing: openflow.Timing{Create: 1, Partner: 2, Undo: 3, Collect: 4}, Log: slog.New(slog.DiscardHandler),
	}, e, c, file}
}

func dag() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{
			{Name: "lr_0", Component: "lr", DependsOn: []openflow.TaskName{"reader_0"}},
			{Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"secret": "s"}},
		},
	}
}

func (n *node) record(t *testing.T, id openflow.JobID, s openflow.JobStatus) {
	t.Helper()
	_, err := n.catalogue.UpdateScheduledJob(t.Context(), id, s, "why")
	require.NoError(t, err)
}

func TestCreateJob(t *testing.T) {
	n := newNode(t)
	d := dag()
	d.Conf.Priority = 3
	given := &openflow.Mandate{Text: []byte("text"), Signature: []byte("signature"), Salt: []byte("salt")}
	got, err := n.CreateJob(t.Context(), "10000", openflow.Submission{DAG: d, ID: "1", UserName: "u", Mandate: given})
	require.NoError(t, err)
	require.Equal(t, openflow.Submitted{ID: "1", ModelID: "1", ModelVersion: "0"}, got)
	require.Equal(t, dag().Conf.Scheduler, d.Conf.Scheduler, "the caller's DAG is not changed")

	job, err := n.catalogue.ScheduledJob(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, openflow.JobReady, job.Status)
	require.Equal(t, openflow.PartyID("10000"), job.Initiator)
	require.Equal(t, 3, job.Priority)
	require.Equal(t, "u", job.UserName)
	require.Equal(t, given, job.Mandate, "every party gets it, also later")
	conf := job.DAG.Conf
	require.Equal(t, openflow.PartyID("9999"), conf.Scheduler)
	require.Equal(t, openflow.PartyID("10000"), conf.Initiator)
	require.Equal(t, openflow.Callback, conf.SyncType)
	require.Equal(t, 8, conf.ComputingPartitions)

	require.Equal(t, []openflow.JobPlan{{
		ID: "1", Scheduler: "9999", Initiator: "10000", Name: "2 tasks, 2 parties", UserName: "u", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.PlannedTask{
			{Name: "reader_0", Component: "reader", Parties: []openflow.Party{guest, host}},
			{Name: "lr_0", Component: "lr", Upstreams: []openflow.TaskName{"reader_0"}, Parties: []openflow.Party{guest, host}},
		},
		SyncType: openflow.Callback, Timing: openflow.Timing{Create: 1, Partner: 2, Undo: 3, Collect: 4},
	}}, n.engine.plans, "the skeleton, and no parameters")
}

// A peer submits its own jobs, to this node, and proves it. Otherwise nothing is recorded.
func TestJobOfSomebodyElse(t *testing.T) {
	for name, tc := range map[string]struct {
		caller openflow.PartyID
		conf   openflow.JobConf
		says   string
	}{
		"of another initiator": {"10000", openflow.JobConf{Initiator: "10001"}, "party 10000 may not submit a job of party 10001"},
		"of this node":         {"10000", openflow.JobConf{Initiator: "9999"}, "party 10000 may not submit a job of party 9999"},
		"another scheduler's":  {"10000", openflow.JobConf{Scheduler: "10001"}, "the job is for party 10001 to schedule"},
		"signed by nobody":     {"666", openflow.JobConf{}, "nobody has signed job 1"},
	} {
		t.Run(name, func(t *testing.T) {
			n, d := newNode(t), dag()
			d.Conf = tc.conf
			_, err := n.CreateJob(t.Context(), tc.caller, openflow.Submission{DAG: d, ID: "1"})
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
			_, err = n.catalogue.ScheduledJob(t.Context(), "1")
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
			require.Empty(t, n.engine.plans)
		})
	}
}

func TestDefaultsDoNotReplaceWhatIsThere(t *testing.T) {
	n := newNode(t)
	n.engine.warnings = []string{"host 10000 says nothing"}
	d := dag()
	d.Conf.SyncType, d.Conf.ModelID, d.Conf.ModelVersion, d.Conf.ComputingPartitions = openflow.Poll, "m", "7", 2
	got, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: d})
	require.NoError(t, err)
	require.Equal(t, openflow.Submitted{ID: "made-here", ModelID: "m", ModelVersion: "7", Warnings: []string{"host 10000 says nothing"}}, got)
	require.Equal(t, openflow.Poll, n.engine.plans[0].SyncType)
	d.Conf.ModelVersion = "" // part 7 #42
	got, err = n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: d, ID: "2"})
	require.NoError(t, err)
	require.Equal(t, "0", got.ModelVersion)
}

func TestRepeatedSubmission(t *testing.T) {
	n := newNode(t)
	first := openflow.Submission{DAG: dag(), ID: "1", IdempotencyKey: "k"}
	got, err := n.CreateJob(t.Context(), "9999", first)
	require.NoError(t, err)
	again := first
	again.ID = "2" // the initiator makes a new one each time
	repeat, err := n.CreateJob(t.Context(), "9999", again)
	require.NoError(t, err)
	require.Equal(t, got, repeat)
	require.Equal(t, openflow.JobID("1"), n.engine.plans[1].ID, "the engine knows it")

	again.DAG = dag()
	again.DAG.Tasks[0].Component = "boost"
	_, err = n.CreateJob(t.Context(), "9999", again)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "the same key with another job")
	_, err = n.CreateJob(t.Context(), "10000", openflow.Submission{DAG: again.DAG, ID: "3", IdempotencyKey: "k"})
	require.NoError(t, err, "another initiator's key")
}

func TestRepeatOfAnEndedJob(t *testing.T) {
	n := newNode(t)
	sub := openflow.Submission{DAG: dag(), ID: "1", IdempotencyKey: "k"}
	_, err := n.CreateJob(t.Context(), "9999", sub)
	require.NoError(t, err)
	n.record(t, "1", openflow.JobFailed)
	_, err = n.CreateJob(t.Context(), "9999", sub)
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err), "no task was started, so its parties refused it")
	require.NoError(t, n.catalogue.SetScheduledTasks(t.Context(), "1", started))
	got, err := n.CreateJob(t.Context(), "9999", sub)
	require.NoError(t, err)
	require.Equal(t, openflow.JobID("1"), got.ID)
	require.Len(t, n.engine.plans, 1, "nothing is started again")
}

// started is how the tasks of dag stand when its first one has failed.
var started = []openflow.TaskRun{{Name: "reader_0", Started: true, Status: openflow.TaskFailed}}

func TestRerun(t *testing.T) {
	n := newNode(t)
	_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	n.engine.runs = true
	require.NoError(t, n.RerunJob(t.Context(), "9999", "1"), "it runs")
	n.engine.runs, n.engine.runsErr = false, openflow.Errorf(openflow.CodeConflict, "still ending")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(n.RerunJob(t.Context(), "9999", "1")), "it ends")
	n.engine.runsErr = nil
	n.record(t, "1", openflow.JobFailed)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(n.RerunJob(t.Context(), "9999", "1")), "nothing was started")
	require.NoError(t, n.catalogue.SetScheduledTasks(t.Context(), "1", started))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.RerunJob(t.Context(), "666", "1")), "a stranger")
	require.Len(t, n.engine.plans, 1)

	require.Equal(t, openflow.CodePermission, openflow.CodeOf(n.RerunJob(t.Context(), "10000", "1")), "a party that is not its initiator")
	require.Len(t, n.engine.plans, 1)
	require.NoError(t, n.RerunJob(t.Context(), "9999", "1"))
	p := n.engine.plans[1]
	require.True(t, p.Again)
	require.Equal(t, openflow.TaskName("reader_0"), p.Tasks[0].Name)
	require.Equal(t, 1, p.Tasks[0].Version)
	require.Equal(t, 0, p.Tasks[1].Version, "it was never started")
	for _, s := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobRunning, openflow.JobSuccess} {
		n.record(t, "1", s) // as the workflow records it
	}
	require.NoError(t, n.RerunJob(t.Context(), "9999", "1"), "nothing is left to do")
	require.Len(t, n.engine.plans, 2)
}

func TestCreateJobRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*node, *openflow.Submission)
		code   openflow.Code
		text   string
	}{
		"id of a path": {func(_ *node, s *openflow.Submission) { s.ID = "../1" }, openflow.CodeInvalid, "job_id"},
		"id with _":    {func(_ *node, s *openflow.Submission) { s.ID = "1_a" }, openflow.CodeInvalid, "job_id"},
		"broken DAG":   {func(_ *node, s *openflow.Submission) { s.DAG.Tasks = nil }, openflow.CodeInvalid, "dag.tasks"},
		"refused by host": {func(n *node, _ *openflow.Submission) {
			n.engine.startErr = openflow.AtParty("10000", openflow.Errorf(openflow.CodePermission, "no grant"))
		}, openflow.CodePermission, "at party 10000: no grant"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			sub := openflow.Submission{DAG: dag(), ID: "1"}
			tc.change(n, &sub)
			_, err := n.CreateJob(t.Context(), "9999", sub)
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.text)
		})
	}
}

func TestStopJob(t *testing.T) {
	for name, tc := range map[string]struct {
		caller openflow.PartyID
		status openflow.JobStatus
		want   openflow.JobStatus // handed to the engine
		code   openflow.Code
	}{
		"the scheduler itself": {"9999", openflow.JobCanceled, openflow.JobCanceled, ""},
		"the initiator":        {"777", openflow.JobCanceled, openflow.JobCanceled, ""},
		"a party":              {"10000", openflow.JobTimeout, openflow.JobTimeout, ""},
		"unsaid":               {"10000", "", openflow.JobCanceled, ""},
		"a stranger":           {"666", openflow.JobCanceled, "", openflow.CodeNotFound},
		"as success":           {"10000", openflow.JobSuccess, "", openflow.CodeInvalid},
		"as running":           {"10000", openflow.JobRunning, "", openflow.CodeInvalid},
		"as nonsense":          {"10000", "stopped", "", openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			_, err := n.CreateJob(t.Context(), "777", openflow.Submission{DAG: dag(), ID: "1"})
			require.NoError(t, err)
			_, err = n.Service.StopJob(t.Context(), tc.caller, "1", tc.status)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			if tc.want == "" {
				require.Empty(t, n.engine.stops)
				return
			}
			require.Equal(t, []openflow.JobStatus{tc.want}, n.engine.stops)
		})
	}
}

func TestStopTellsHowFarItIs(t *testing.T) {
	n := newNode(t)
	stop := func() (openflow.Stopped, error) { return n.Service.StopJob(t.Context(), "9999", "1", "") }
	_, err := stop()
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	_, err = n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	n.engine.stopErr = openflow.Errorf(openflow.CodeUnavailable, "Temporal is away")
	_, err = stop()
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))

	n.engine.stopped, n.engine.stopErr = openflow.Stopped{Status: openflow.JobCanceled, Stopping: []openflow.Party{host}}, nil
	got, err := stop()
	require.NoError(t, err)
	require.Equal(t, n.engine.stopped, got)
	n.record(t, "1", openflow.JobCanceled)
	got, err = stop()
	require.NoError(t, err)
	require.False(t, got.Over(), "the record has the end, and a party is still asked")
	require.Len(t, n.engine.stops, 2, "what has ended is not stopped again")

	n.engine.stopErr = openflow.Errorf(openflow.CodeNotFound, "its workflow has ended")
	got, err = stop()
	require.NoError(t, err)
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: "why"}, got)
	require.True(t, got.Over())
}

func TestReportTask(t *testing.T) {
	report := openflow.Report{Key: openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "lr_0", Party: host}, Status: openflow.TaskSuccess}
	for name, tc := range map[string]struct {
		caller openflow.PartyID
		change func(*node, *openflow.Report)
		code   openflow.Code
		handed bool
	}{
		"own run":        {"10000", func(*node, *openflow.Report) {}, "", true},
		"another's run":  {"9999", func(*node, *openflow.Report) {}, openflow.CodePermission, false},
		"unknown status": {"10000", func(_ *node, r *openflow.Report) { r.Status = "finished" }, openflow.CodeInvalid, false},
		"waiting":        {"10000", func(_ *node, r *openflow.Report) { r.Status = openflow.TaskWaiting }, openflow.CodeInvalid, false},
		"no status":      {"10000", func(_ *node, r *openflow.Report) { r.Status = "" }, openflow.CodeInvalid, false},
		"job has ended":  {"10000", func(n *node, _ *openflow.Report) { n.engine.report = openflow.Errorf(openflow.CodeNotFound, "ended") }, "", true},
		"unknown job": {"10000", func(n *node, r *openflow.Report) {
			r.Key.Job = "2"
			n.engine.report = openflow.Errorf(openflow.CodeNotFound, "none")
		}, openflow.CodeNotFound, false},
		"a stranger's run": {"10001", func(_ *node, r *openflow.Report) { r.Key.Party.ID = "10001" }, openflow.CodeNotFound, false},
		"unknown task":     {"10000", func(_ *node, r *openflow.Report) { r.Key.Task = "lr_1" }, openflow.CodeNotFound, false},
		"another role":     {"10000", func(_ *node, r *openflow.Report) { r.Key.Party.Role = openflow.RoleArbiter }, openflow.CodeNotFound, false},
		"Temporal is away": {"10000", func(n *node, _ *openflow.Report) { n.engine.report = openflow.Errorf(openflow.CodeUnavailable, "away") }, openflow.CodeUnavailable, true},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
			require.NoError(t, err)
			r := report
			tc.change(n, &r)
			var heard []openflow.TaskKey
			n.Heard = func(k openflow.TaskKey) { heard = append(heard, k) }
			require.Equal(t, tc.code, openflow.CodeOf(n.ReportTask(t.Context(), tc.caller, r)))
			require.Equal(t, tc.handed && n.engine.report == nil, len(heard) == 1)
			require.Equal(t, tc.handed, len(n.engine.reports) == 1)
		})
	}
}

// A party that calls without end uses up nothing but its own calls.
func TestWakesAreCounted(t *testing.T) {
	n := newNode(t)
	_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	refused := 0
	for range 500 {
		if err := n.WakeJob(t.Context(), "10000", "1"); err != nil {
			require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
			refused++
		}
	}
	require.Equal(t, 500-len(n.engine.woken), refused)
	require.Less(t, len(n.engine.woken), 100)
	n.record(t, "1", openflow.JobWaiting)
	n.record(t, "1", openflow.JobRunning)
	require.NoError(t, n.WakeJob(t.Context(), "10000", "1"))
}

// A stop of a job whose workflow is gone ends it all the same.
func TestStopOfALostJob(t *testing.T) {
	n := newNode(t)
	_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	n.engine.stopErr = openflow.Errorf(openflow.CodeNotFound, "no such workflow")
	_, err = n.StopJob(t.Context(), "10000", "1", "")
	require.NoError(t, err)
	want := openflow.Lost{Status: openflow.JobCanceled, Reason: "stopped by party 10000"}
	require.Len(t, n.engine.plans, 2)
	require.Equal(t, want, n.engine.plans[1].Lost)
	require.Len(t, n.engine.plans[1].Parties, 2)

	n.record(t, "1", openflow.JobCanceled)
	_, err = n.StopJob(t.Context(), "10000", "1", "")
	require.NoError(t, err)
	require.NoError(t, n.EndLost(t.Context(), "1", want), "it has ended")
	require.Len(t, n.engine.plans, 2)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.EndLost(t.Context(), "2", want)))
}

func TestWakeJob(t *testing.T) {
	n := newNode(t)
	_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	ctx := t.Context()
	require.NoError(t, n.WakeJob(ctx, "10000", "1"), "a party may call before the wait is on record")
	n.record(t, "1", openflow.JobWaiting)
	require.NoError(t, n.WakeJob(ctx, "10000", "1"))
	require.Equal(t, []openflow.JobID{"1", "1"}, n.engine.woken)
	for _, id := range []openflow.JobID{"1", "2"} {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(n.WakeJob(ctx, "666", id)), "a stranger learns nothing")
	}
	n.record(t, "1", openflow.JobRunning)
	require.NoError(t, n.WakeJob(ctx, "10000", "1"))
	require.Len(t, n.engine.woken, 2, "a job that runs needs no call")
}

func TestCreateJobWithStranger(t *testing.T) {
	n := newNode(t)
	d := dag()
	d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: "7777"})
	_, err := n.CreateJob(t.Context(), "10000", openflow.Submission{DAG: d, ID: "1"})
	require.ErrorContains(t, err, "party 7777 is not a peer of party 9999, which is to schedule the job")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Empty(t, n.engine.plans)
	_, err = n.catalogue.ScheduledJob(t.Context(), "1")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

// To a stranger, a job that is here and one that is not look the same.
func TestStrangersLearnNothingOfJobs(t *testing.T) {
	n := newNode(t)
	_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: dag(), ID: "here"})
	require.NoError(t, err)
	stranger := openflow.Party{Role: openflow.RoleHost, ID: "10001"}
	calls := map[string]func(openflow.JobID) error{
		"report": func(id openflow.JobID) error {
			return n.ReportTask(t.Context(), "10001", openflow.Report{Key: openflow.TaskKey{Scheduler: "9999", Job: id, Task: "lr_0", Party: stranger}, Status: openflow.TaskFailed})
		},
		"stop": func(id openflow.JobID) error {
			_, err := n.StopJob(t.Context(), "10001", id, openflow.JobFailed)
			return err
		},
		"rerun": func(id openflow.JobID) error { return n.RerunJob(t.Context(), "10001", id) },
		"wake":  func(id openflow.JobID) error { return n.WakeJob(t.Context(), "10001", id) },
	}
	for name, call := range calls {
		for _, id := range []openflow.JobID{"here", "nowhere"} {
			err := call(id)
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), name)
			require.EqualError(t, err, "job "+string(id)+" is not scheduled here", name)
		}
	}
	require.Empty(t, n.engine.reports)
}

// A party whose row still runs asks how its jobs have ended. Of the jobs of others it learns what it would learn of none.
func TestEndedJobs(t *testing.T) {
	n := newNode(t)
	for _, id := range []openflow.JobID{"runs", "ended", "refused", "of-others"} {
		d := dag()
		if id == "of-others" {
			d.Parties = []openflow.Party{guest, {Role: openflow.RoleHost, ID: "10001"}}
		}
		_, err := n.CreateJob(t.Context(), "9999", openflow.Submission{DAG: d, ID: id})
		require.NoError(t, err)
	}
	n.record(t, "ended", openflow.JobFailed)
	require.NoError(t, n.catalogue.SetScheduledTasks(t.Context(), "ended", started))
	n.record(t, "refused", openflow.JobFailed)
	n.record(t, "of-others", openflow.JobFailed)
	ids := []openflow.JobID{"runs", "ended", "refused", "of-others", "unknown"}
	got, err := n.EndedJobs(t.Context(), "10000", ids)
	require.NoError(t, err)
	unread := "not all parties accepted the job (rejected); party 9999, which submitted it, knows more"
	require.Equal(t, []openflow.EndedJob{
		{ID: "ended", Status: openflow.JobFailed, Reason: "why"}, {ID: "refused", Status: openflow.JobFailed, Reason: unread},
		{ID: "of-others"}, {ID: "unknown"},
	}, got)

	n.engine.stopErr = openflow.Errorf(openflow.CodeNotFound, "it has closed")
	for caller, reason := range map[openflow.PartyID]string{"10000": unread, "9999": "why"} { // a stop of what has ended answers with the reason, too
		stopped, err := n.StopJob(t.Context(), caller, "refused", "")
		require.NoError(t, err)
		require.Equal(t, openflow.Stopped{Status: openflow.JobFailed, Reason: reason}, stopped)
	}
	n.engine.stopErr, n.engine.stopped = nil, openflow.Stopped{Status: openflow.JobFailed, Reason: "why"}
	stopped, err := n.StopJob(t.Context(), "10000", "refused", "")
	require.NoError(t, err)
	require.Equal(t, unread, stopped.Reason, "also while it is ending")

	_, err = n.EndedJobs(t.Context(), "10000", make([]openflow.JobID, openflow.MaxEndedJobs+1))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}

// A peer has so many jobs under way that this node schedules, and no more; this site's own users are not bounded.
func TestJobsOfOneInitiator(t *testing.T) {
	n := newNode(t)
	n.Quota = openflow.Quota{Jobs: 2}
	create := func(caller openflow.PartyID, id openflow.JobID) openflow.Code {
		_, err := n.CreateJob(t.Context(), caller, openflow.Submission{DAG: dag(), ID: id})
		return openflow.CodeOf(err)
	}
	require.Empty(t, create("10000", "1"))
	require.Empty(t, create("10000", "2"))
	require.Equal(t, openflow.CodeExhausted, create("10000", "3"))
	require.Empty(t, create("10000", "2"), "a repeat is the first job")
	require.Empty(t, create("10001", "4"))
	for _, id := range []openflow.JobID{"5", "6", "7"} {
		require.Empty(t, create("9999", id))
	}
	n.record(t, "1", openflow.JobFailed)
	require.Empty(t, create("10000", "3"))
	require.NoError(t, n.catalogue.SaveQuota(t.Context(), "10000", openflow.Quota{Jobs: 3}))
	require.Empty(t, create("10000", "8"))
}
