package catalogue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func TestCreateJobRoundTrip(t *testing.T) { onEngines(t, testCreateJobRoundTrip) }

func testCreateJobRoundTrip(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Hour) }
	j, tasks := sampleJob("j", guest)
	j.Reason, j.Progress, j.ModelID, j.ModelVersion, j.Notes, j.IdempotencyKey = "r", 7, "m", "0", "it's", "k"
	j.CreateTime, j.StartTime, j.EndTime, j.ApplyTime, j.ReturnTime, j.WaitingSince = at(1), at(2), at(3), at(4), at(5), at(6)
	j.Status, j.ResourceInUse, j.RemainingCores = openflow.JobRunning, true, 3
	exit := -1
	tasks[0].ExitCode, tasks[0].ErrorReport, tasks[0].LogDigest, tasks[0].MemoryBytes = &exit, "line\n2", "d", 1<<40
	tasks[0].Status, tasks[0].PartyStatus, tasks[0].Killed = openflow.TaskRunning, openflow.TaskFailed, true
	tasks[0].Runtime, tasks[0].ContainerName, tasks[0].Reason = "docker", "c", "r"
	tasks[0].CreateTime, tasks[0].StartTime, tasks[0].EndTime = at(1), at(2), at(3)
	require.NoError(t, c.CreateJob(t.Context(), j, tasks))

	got, err := c.Job(t.Context(), j.Key())
	require.NoError(t, err)
	require.False(t, got.UpdateTime.IsZero())
	got.UpdateTime = time.Time{}
	require.Empty(t, cmp.Diff(j, got))
	require.Equal(t, json.Number("9007199254740993"), got.DAG.Tasks[0].Parameters["seed"], "no detour over float64")

	task, err := c.Task(t.Context(), tasks[0].Key)
	require.NoError(t, err)
	task.UpdateTime = time.Time{}
	require.Empty(t, cmp.Diff(tasks[0], task))
	byID, err := c.TaskByRunID(t.Context(), tasks[0].Key.RunID())
	require.NoError(t, err)
	require.Equal(t, tasks[0].Key, byID.Key)

	second, err := c.Task(t.Context(), tasks[1].Key)
	require.NoError(t, err)
	require.Nil(t, second.ExitCode)
	require.Equal(t, openflow.TaskWaiting, second.PartyStatus)
	require.True(t, second.StartTime.IsZero())
}

func TestCreateJobAgain(t *testing.T) { onEngines(t, testCreateJobAgain) }

func testCreateJobAgain(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := createJob(t, c, "j", guest)
	_, err := c.UpdateJobStatus(t.Context(), j.Key(), openflow.JobWaiting, "")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		change func(j *openflow.JobRecord, tasks []openflow.TaskRecord)
		code   openflow.Code
	}{
		"equal":                       {func(*openflow.JobRecord, []openflow.TaskRecord) {}, ""},
		"another DAG":                 {func(j *openflow.JobRecord, _ []openflow.TaskRecord) { j.DAG.Conf.Priority++ }, openflow.CodeConflict},
		"no DAG":                      {func(j *openflow.JobRecord, _ []openflow.TaskRecord) { j.DAG = nil }, openflow.CodeInvalid},
		"a DAG that is no JSON":       {func(j *openflow.JobRecord, _ []openflow.TaskRecord) { j.DAG.Conf.Extra["f"] = func() {} }, openflow.CodeInvalid},
		"unknown status":              {func(j *openflow.JobRecord, _ []openflow.TaskRecord) { j.Status = "finished" }, openflow.CodeInvalid},
		"unknown task status":         {func(_ *openflow.JobRecord, ts []openflow.TaskRecord) { ts[0].Status = "ready" }, openflow.CodeInvalid},
		"a task of another job":       {func(_ *openflow.JobRecord, ts []openflow.TaskRecord) { ts[0].Key.Job = "k" }, openflow.CodeInvalid},
		"a task of another scheduler": {func(_ *openflow.JobRecord, ts []openflow.TaskRecord) { ts[0].Key.Scheduler = "8888" }, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			again, tasksAgain := sampleJob("j", guest)
			test.change(&again, tasksAgain)
			requireCode(t, test.code, c.CreateJob(t.Context(), again, tasksAgain))
		})
	}
	got, err := c.Job(t.Context(), openflow.JobKey{Job: "j", Party: guest})
	require.NoError(t, err)
	require.Equal(t, openflow.JobWaiting, got.Status, "a repeat does not set back")
	n, err := c.CountTasks(t.Context(), catalogue.TaskFilter{})
	require.NoError(t, err)
	require.Equal(t, len(tasks), n)

	createJob(t, c, "j", host) // another role of the same job is another row
}

// Two schedulers may make the same job ID: both have their rows and runs here, and neither reaches those of the other.
func TestSameJobIDFromTwoSchedulers(t *testing.T) { onEngines(t, testSameJobIDFromTwoSchedulers) }

func testSameJobIDFromTwoSchedulers(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	ours, tasks := createJob(t, c, "j", guest)
	theirs, theirTasks := sampleJob("j", guest)
	theirs.Scheduler = "8888"
	for i := range theirTasks {
		theirTasks[i].Key.Scheduler = "8888"
	}
	require.NoError(t, c.CreateJob(ctx, theirs, theirTasks))
	_, err := c.UpdateJobStatus(ctx, theirs.Key(), openflow.JobFailed, "no")
	require.NoError(t, err)
	got, err := c.Job(ctx, ours.Key())
	require.NoError(t, err)
	require.Equal(t, openflow.JobReady, got.Status)

	mine, other := tasks[0].Key, theirTasks[0].Key
	require.NotEqual(t, mine.RunID(), other.RunID())
	_, err = c.FinishTask(ctx, other, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	rec, err := c.Task(ctx, mine)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskWaiting, rec.PartyStatus)
	retry := theirTasks[0]
	retry.Key.Version = 1
	require.NoError(t, c.AddTask(ctx, retry))
	latest, err := c.TasksOfJob(ctx, ours.Key())
	require.NoError(t, err)
	require.Len(t, latest, len(tasks), "another scheduler's version is not the latest of ours")

	require.NoError(t, c.AppendMetrics(ctx, mine, []openflow.MetricRecord{{Task: mine, Name: "auc"}}))
	metrics, err := c.Metrics(ctx, other)
	require.NoError(t, err)
	require.Empty(t, metrics)
	n, err := c.DeleteMetrics(ctx, theirs.Key(), other.Task)
	require.NoError(t, err)
	require.Zero(t, n)

	out := openflow.OutputRecord{Task: mine, OutputKey: "output", Table: openflow.TableName{Namespace: "ns", Name: "ours"}}
	require.NoError(t, c.SaveOutput(ctx, out, nil))
	made, err := c.LatestOutputs(ctx, theirs.Key(), mine.Task)
	require.NoError(t, err)
	require.Empty(t, made)
	made, err = c.LatestOutputs(ctx, ours.Key(), mine.Task)
	require.NoError(t, err)
	require.Equal(t, mine, made[0].Task)

	require.NoError(t, c.AddJobWarnings(ctx, "9999", "j", []string{"ours"}))
	warnings, err := c.JobWarnings(ctx, "8888", "j")
	require.NoError(t, err)
	require.Empty(t, warnings)

	session, err := c.TasksOfSession(ctx, guest.ID, mine.SessionID())
	require.NoError(t, err)
	require.Equal(t, mine, session[0].Key)

	short := mine
	short.Scheduler = ""
	session, err = c.TasksOfSession(ctx, guest.ID, short.SessionID())
	require.NoError(t, err)
	require.Len(t, session, 2, "whose it is, the parties tell")

	// What names no scheduler fits both.
	for name, ask := range map[string]func() error{
		"a row":       func() error { _, err := c.Job(ctx, openflow.JobKey{Job: "j", Party: guest}); return err },
		"a scheduler": func() error { _, err := c.SchedulerOf(ctx, "9999", "j"); return err },
	} {
		err := ask()
		requireCode(t, openflow.CodeConflict, err)
		require.ErrorContains(t, err, "from schedulers 8888, 9999", name)
		require.NotContains(t, openflow.ForPartners(err).Error(), "8888", "that is for this site's users")
	}
	require.NoError(t, c.RememberScheduler(ctx, "j", "9999"))
	scheduler, err := c.SchedulerOf(ctx, "9999", "j")
	require.NoError(t, err, "what another party calls its job does not come in the way of one that was submitted here")
	require.Equal(t, openflow.PartyID("9999"), scheduler)
	_, err = c.ForgetSchedulersBefore(ctx, time.Now().Add(time.Hour), 10)
	require.NoError(t, err)

	_, err = c.DeleteJob(ctx, theirs.Key())
	require.NoError(t, err)
	scheduler, err = c.SchedulerOf(ctx, "9999", "j")
	require.NoError(t, err)
	require.Equal(t, openflow.PartyID("9999"), scheduler)

	for name, call := range map[string]func(k openflow.JobKey) error{
		"read": func(k openflow.JobKey) error { _, err := c.Job(t.Context(), k); return err },
		"status": func(k openflow.JobKey) error {
			_, err := c.UpdateJobStatus(t.Context(), k, openflow.JobFailed, "")
			return err
		},
		"progress": func(k openflow.JobKey) error { _, err := c.SetJobProgress(t.Context(), k, 1); return err },
		"reason":   func(k openflow.JobKey) error { return c.SetJobReason(t.Context(), k, "") },
		"notes":    func(k openflow.JobKey) error { return c.SetJobNotes(t.Context(), k, "") },
		"apply":    func(k openflow.JobKey) error { return c.ApplyJobResources(t.Context(), k, cores(100), rules) },
	} {
		t.Run(name, func(t *testing.T) {
			requireCode(t, openflow.CodeNotFound, call(openflow.JobKey{Scheduler: "7777", Job: "j", Party: guest}))
		})
	}
}

// A model belongs to the scheduler whose job has made it; its jobs read that one first.
func TestSameModelIDFromTwoSchedulers(t *testing.T) { onEngines(t, testSameModelIDFromTwoSchedulers) }

func testSameModelIDFromTwoSchedulers(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	ref := openflow.ModelRef{ID: "j", Version: "0"}
	read := func(scheduler openflow.PartyID) (openflow.ModelRecord, error) {
		return c.Model(ctx, scheduler, ref, guest, "lr_0", "output_model")
	}
	_, err := read("9999")
	requireCode(t, openflow.CodeNotFound, err)
	for _, s := range []openflow.PartyID{"9999", "8888"} {
		require.NoError(t, c.SaveModel(ctx, openflow.ModelRecord{
			ModelID: ref.ID, Version: ref.Version, Party: guest, Task: "lr_0", OutputKey: "output_model", Job: "j", Scheduler: s, Object: "of " + string(s),
		}))
		m, err := read("7777")
		if s == "9999" {
			require.NoError(t, err, "there is one")
			require.Equal(t, "of 9999", m.Object)
		} else {
			requireCode(t, openflow.CodeConflict, err)
			require.ErrorContains(t, err, "from schedulers 8888, 9999")
		}
	}
	for _, s := range []openflow.PartyID{"9999", "8888"} {
		m, err := read(s)
		require.NoError(t, err)
		require.Equal(t, "of "+string(s), m.Object)
	}
	n, err := c.DeleteModels(ctx, catalogue.ModelFilter{Job: "j", Scheduler: "8888"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

var allJobStatuses = []openflow.JobStatus{
	openflow.JobReady, openflow.JobWaiting, openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed,
	openflow.JobSuccess,
}

// Every pair of statuses behaves as the table of the root package says, in both job tables; the scheduler's record may
// also run and succeed without having waited.
func TestUpdateJobStatusFollowsTheTable(t *testing.T) {
	onEngines(t, testUpdateJobStatusFollowsTheTable)
}

func testUpdateJobStatusFollowsTheTable(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for _, from := range allJobStatuses {
		for _, to := range append(slices.Clone(allJobStatuses), "finished") {
			id := openflow.JobID(string(from) + "-" + string(to))
			j, tasks := sampleJob(id, guest)
			j.Status = from
			require.NoError(t, c.CreateJob(t.Context(), j, tasks))
			before, err := c.Job(t.Context(), j.Key())
			require.NoError(t, err)
			_, err = c.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: id, Status: from, DAG: sampleDAG()})
			require.NoError(t, err)

			changed, err := c.UpdateJobStatus(t.Context(), j.Key(), to, "because")
			changedToo, errToo := c.UpdateScheduledJob(t.Context(), id, to, "because")
			after, rerr := c.Job(t.Context(), j.Key())
			require.NoError(t, rerr)
			unwaited := from == openflow.JobReady && (to == openflow.JobRunning || to == openflow.JobSuccess)
			switch {
			case !to.Valid():
				requireCode(t, openflow.CodeInvalid, err)
				requireCode(t, openflow.CodeInvalid, errToo)
			case unwaited:
				requireCode(t, openflow.CodeConflict, err)
				require.NoError(t, errToo)
			case from == to:
				require.NoError(t, err)
				require.NoError(t, errToo)
			case from.CanBecome(to):
				require.NoError(t, err)
				require.NoError(t, errToo)
				require.Equal(t, to, after.Status)
				require.Equal(t, "because", after.Reason)
				require.Equal(t, to.Terminal(), !after.EndTime.IsZero(), id)
				require.Equal(t, to == openflow.JobRunning, !after.StartTime.IsZero(), id)
			default:
				requireCode(t, openflow.CodeConflict, err)
				requireCode(t, openflow.CodeConflict, errToo)
			}
			require.Equal(t, from.CanBecome(to), changed, id)
			require.Equal(t, from.CanBecome(to) || unwaited, changedToo, id)
			if !changed {
				require.Empty(t, cmp.Diff(before, after), "nothing is touched")
			}
		}
	}
}

func TestReasonsOfAJob(t *testing.T) { onEngines(t, testReasonsOfAJob) }

func testReasonsOfAJob(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	step := func(to openflow.JobStatus, reason, want string) {
		t.Helper()
		_, err := c.UpdateJobStatus(t.Context(), j.Key(), to, reason)
		require.NoError(t, err)
		got, err := c.Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.Equal(t, want, got.Reason)
	}
	step(openflow.JobWaiting, "for cores", "for cores")
	step(openflow.JobRunning, "", "")
	for range 2 {
		_, err := c.SetRunningReason(t.Context(), j.Key(), "waiting for task psi_0 at 10000 (host)")
		require.NoError(t, err)
	}
	step(openflow.JobFailed, "", "") // what it waited for while it ran is not why it failed
	changed, err := c.SetRunningReason(t.Context(), j.Key(), "late")
	require.NoError(t, err)
	require.False(t, changed, "an end keeps its reason")
	step(openflow.JobWaiting, "", "")
	require.NoError(t, c.SetJobReason(t.Context(), j.Key(), "for memory"))
	step(openflow.JobCanceled, "", "for memory")
}

func TestReasonsOfRunningJobs(t *testing.T) { onEngines(t, testReasonsOfRunningJobs) }

func testReasonsOfRunningJobs(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	j, _ := createJob(t, c, "j", guest)
	_, err := c.AdmitScheduledJob(ctx, openflow.Quota{}, openflow.ScheduledJob{ID: "j", Initiator: "9999", DAG: j.DAG})
	require.NoError(t, err)
	none, err := c.RunningJobs(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobWaiting, "")
	require.NoError(t, err)
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobRunning, "")
	require.NoError(t, err)
	_, err = c.UpdateScheduledJob(ctx, "j", openflow.JobRunning, "")
	require.NoError(t, err)
	jobs, err := c.RunningJobs(ctx, 10)
	require.NoError(t, err)
	require.Len(t, jobs, 1)
	scheduled, err := c.RunningScheduledJobs(ctx, 10)
	require.NoError(t, err)
	require.Len(t, scheduled, 1)

	const why = "waiting for party 10000 (host): it has not answered since 2026-01-02T15:04:05Z"
	for _, want := range []bool{true, false} {
		changed, err := c.SetRunningScheduledReason(ctx, "j", why)
		require.NoError(t, err)
		require.Equal(t, want, changed)
	}
	counts, err := c.WaitCounts(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int{why: 1}, counts)
	_, err = c.UpdateScheduledJob(ctx, "j", openflow.JobSuccess, "")
	require.NoError(t, err)
	changed, err := c.SetRunningScheduledReason(ctx, "j", why)
	require.NoError(t, err)
	require.False(t, changed)
}

func TestRerunOpensTheEndAndKeepsTheStart(t *testing.T) {
	onEngines(t, testRerunOpensTheEndAndKeepsTheStart)
}

func testRerunOpensTheEndAndKeepsTheStart(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	var started time.Time
	for _, to := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobRunning, openflow.JobFailed, openflow.JobWaiting, openflow.JobRunning} {
		_, err := c.UpdateJobStatus(t.Context(), j.Key(), to, "")
		require.NoError(t, err)
		got, err := c.Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.Equal(t, to.Terminal(), !got.EndTime.IsZero(), to)
		if to == openflow.JobRunning && started.IsZero() {
			started = got.StartTime
		}
		require.Equal(t, started, got.StartTime)
	}
}

func TestJobProgressOnlyGrows(t *testing.T) { onEngines(t, testJobProgressOnlyGrows) }

func testJobProgressOnlyGrows(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	for _, step := range []struct{ set, want int }{{30, 30}, {20, 30}, {30, 30}, {0, 30}, {100, 100}, {99, 100}} {
		before, err := c.Job(t.Context(), j.Key())
		require.NoError(t, err)
		changed, err := c.SetJobProgress(t.Context(), j.Key(), step.set)
		require.NoError(t, err)
		require.Equal(t, step.set > before.Progress, changed)
		got, err := c.Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.Equal(t, step.want, got.Progress)
	}
	for _, percent := range []int{-1, 101} {
		_, err := c.SetJobProgress(t.Context(), j.Key(), percent)
		requireCode(t, openflow.CodeInvalid, err)
	}
}

func TestJobsWhere(t *testing.T) { onEngines(t, testJobsWhere) }

func testJobsWhere(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for i, p := range []openflow.Party{guest, host, guest} {
		j, _ := sampleJob(openflow.JobID(fmt.Sprintf("J_%d", i)), p)
		j.UserName, j.Notes = []string{"ann", "bob", "ann"}[i], []string{"50% of A", "", "500 of a"}[i]
		require.NoError(t, c.CreateJob(t.Context(), j, nil))
	}
	_, err := c.UpdateJobStatus(t.Context(), openflow.JobKey{Scheduler: "9999", Job: "J_0", Party: guest}, openflow.JobFailed, "")
	require.NoError(t, err)
	for name, test := range map[string]struct {
		f    catalogue.JobFilter
		want []openflow.JobID
	}{
		"all, newest first":    {catalogue.JobFilter{}, []openflow.JobID{"J_2", "J_1", "J_0"}},
		"oldest first":         {catalogue.JobFilter{Ascending: true}, []openflow.JobID{"J_0", "J_1", "J_2"}},
		"by ID":                {catalogue.JobFilter{ID: "J_1"}, []openflow.JobID{"J_1"}},
		"by part of ID":        {catalogue.JobFilter{IDContains: "j_"}, []openflow.JobID{"J_2", "J_1", "J_0"}},
		"underscore is itself": {catalogue.JobFilter{IDContains: "_0"}, []openflow.JobID{"J_0"}},
		"percent is itself":    {catalogue.JobFilter{NotesContains: "50%"}, []openflow.JobID{"J_0"}},
		"notes, any case":      {catalogue.JobFilter{NotesContains: "OF a"}, []openflow.JobID{"J_2", "J_0"}},
		"by party":             {catalogue.JobFilter{Party: "10000"}, []openflow.JobID{"J_1"}},
		"by part of party":     {catalogue.JobFilter{PartyContains: "99"}, []openflow.JobID{"J_2", "J_0"}},
		"by roles":             {catalogue.JobFilter{Roles: []openflow.Role{openflow.RoleHost, openflow.RoleArbiter}}, []openflow.JobID{"J_1"}},
		"by statuses":          {catalogue.JobFilter{Statuses: []openflow.JobStatus{openflow.JobFailed, openflow.JobSuccess}}, []openflow.JobID{"J_0"}},
		"by user":              {catalogue.JobFilter{User: "bob"}, []openflow.JobID{"J_1"}},
		"by scheduler":         {catalogue.JobFilter{Scheduler: "1"}, nil},
		"everything":           {catalogue.JobFilter{Initiator: "9999", Scheduler: "9999", Party: "9999", User: "ann", Statuses: []openflow.JobStatus{"ready"}}, []openflow.JobID{"J_2"}},
		"second page":          {catalogue.JobFilter{Limit: 2, Offset: 2}, []openflow.JobID{"J_0"}},
		"by user, then paged":  {catalogue.JobFilter{OrderBy: "user_name", Limit: 1}, []openflow.JobID{"J_1"}},
		"not SQL":              {catalogue.JobFilter{NotesContains: "' or 1=1 --"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			jobs, _, err := c.JobsWhere(t.Context(), test.f)
			require.NoError(t, err)
			var ids []openflow.JobID
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			require.Equal(t, test.want, ids)
			if test.f.Limit == 0 {
				n, err := c.CountJobs(t.Context(), test.f)
				require.NoError(t, err)
				require.Equal(t, len(test.want), n)
			}
		})
	}
	for name, f := range map[string]catalogue.JobFilter{
		"an unknown column":       {OrderBy: "dag; drop table job"},
		"a cursor that is none":   {After: "x"},
		"a cursor with an order":  {OrderBy: "status", After: "eyJUaW1lIjoxLCJLZXlzIjpbImEiLCJiIiwiYyIsImQiXX0"},
		"a cursor of other lists": {After: "eyJUaW1lIjoxLCJLZXlzIjpbImEiXX0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.JobsWhere(t.Context(), f)
			requireCode(t, openflow.CodeInvalid, err)
		})
	}
}

// Pages by cursor show every row once, in either direction, also when all were created in one millisecond and rows come
// in between.
func TestKeysetPages(t *testing.T) {
	for _, ascending := range []bool{false, true} {
		atEngines(t, func(t *testing.T, place catalogue.Options) {
			place.Now = func() time.Time { return epoch }
			c := mustOpen(t, place)
			var want []openflow.JobKey
			for i := range 23 {
				j, _ := createJob(t, c, openflow.JobID(fmt.Sprintf("m%02d", i/2)), []openflow.Party{guest, host}[i%2])
				want = append(want, j.Key())
			}
			var got []openflow.JobKey
			f := catalogue.JobFilter{Limit: 5, Ascending: ascending}
			for pages := 0; ; pages++ {
				require.Less(t, pages, 10)
				jobs, next, err := c.JobsWhere(t.Context(), f)
				require.NoError(t, err)
				for _, j := range jobs {
					got = append(got, j.Key())
				}
				if next == "" {
					break
				}
				f.After = next
				before := map[bool]string{true: "a", false: "z"}[ascending] // on a page already read
				createJob(t, c, openflow.JobID(fmt.Sprintf("%s%d", before, pages)), guest)
			}
			require.ElementsMatch(t, want, got)
		})
	}
}

func TestCanceledCallsSayso(t *testing.T) { onEngines(t, testCanceledCallsSayso) }

func testCanceledCallsSayso(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Job(ctx, j.Key())
	requireCode(t, openflow.CodeCanceled, err)
	requireCode(t, openflow.CodeCanceled, c.SetJobReason(ctx, j.Key(), ""))
	requireCode(t, openflow.CodeCanceled, c.ApplyJobResources(ctx, j.Key(), cores(8), rules))
	require.NoError(t, c.ApplyJobResources(t.Context(), j.Key(), cores(8), rules), "the connection is whole")
}
