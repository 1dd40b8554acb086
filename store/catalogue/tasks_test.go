package catalogue_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

var allTaskStatuses = []openflow.TaskStatus{
	openflow.TaskWaiting, openflow.TaskRunning, openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed,
	openflow.TaskPass, openflow.TaskSuccess,
}

// Every pair of statuses behaves as the table of the root package says, except that a version's end is final. The
// federated status touches nothing else; a party that begins to run makes that running too.
func TestTaskStatusesFollowTheTable(t *testing.T) { onEngines(t, testTaskStatusesFollowTheTable) }

func testTaskStatusesFollowTheTable(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for _, from := range allTaskStatuses {
		for _, to := range append(slices.Clone(allTaskStatuses), "finished") {
			j, tasks := sampleJob(openflow.JobID(string(from)+"-"+string(to)), guest)
			for i := range tasks {
				tasks[i].Status, tasks[i].PartyStatus = from, from
			}
			require.NoError(t, c.CreateJob(t.Context(), j, tasks))
			federated, party := tasks[0].Key, tasks[1].Key
			changedF, errF := c.SetTaskStatus(t.Context(), federated, to)
			changedP, errP := moveParty(t, c, party, to)
			f, err := c.Task(t.Context(), federated)
			require.NoError(t, err)
			p, err := c.Task(t.Context(), party)
			require.NoError(t, err)

			legal := from.CanBecome(to) && !from.Terminal()
			want, code := from, openflow.Code("")
			switch {
			case !to.Valid():
				code = openflow.CodeInvalid
			case legal:
				want = to
			case from != to:
				code = openflow.CodeConflict
			}
			name := j.ID
			requireCode(t, code, errF)
			if to == openflow.TaskWaiting { // nothing sets a run back
				code = openflow.CodeInvalid
			}
			requireCode(t, code, errP)
			require.Equal(t, legal, changedF, name)
			require.Equal(t, legal, changedP, name)
			require.Equal(t, []openflow.TaskStatus{want, from}, []openflow.TaskStatus{f.Status, f.PartyStatus}, name)
			together := from
			if legal && to == openflow.TaskRunning {
				together = openflow.TaskRunning
			}
			require.Equal(t, []openflow.TaskStatus{together, want}, []openflow.TaskStatus{p.Status, p.PartyStatus}, name)
			if legal {
				require.Equal(t, to.Terminal(), !p.EndTime.IsZero(), name)
				require.Equal(t, to == openflow.TaskRunning, !p.StartTime.IsZero(), name)
			}
		}
	}
}

// moveParty moves this party's status by what records that move.
func moveParty(t *testing.T, c *catalogue.Catalogue, k openflow.TaskKey, to openflow.TaskStatus) (changed bool, err error) {
	t.Helper()
	if to == openflow.TaskRunning {
		return c.StartTask(t.Context(), k, openflow.Launch{})
	}
	return c.FinishTask(t.Context(), k, openflow.TaskEnd{Status: to})
}

func TestStartTask(t *testing.T) { onEngines(t, testStartTask) }

func testStartTask(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	start := func(runtime, container string) (bool, openflow.Code) {
		changed, err := c.StartTask(t.Context(), k, openflow.Launch{
			Runtime: runtime, Container: container, Provider: "openflow:2@docker", Digest: "sha256:" + container,
		})
		return changed, openflow.CodeOf(err)
	}
	for name, step := range []struct {
		runtime, container string
		changed            bool
		code               openflow.Code
	}{{"docker", "c", true, ""}, {"docker", "c", false, ""}, {"docker", "d", false, openflow.CodeConflict}, {"process", "c", false, openflow.CodeConflict}} {
		changed, code := start(step.runtime, step.container)
		require.Equal(t, step.changed, changed, name)
		require.Equal(t, step.code, code, name)
	}
	got, err := c.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskRunning, got.PartyStatus)
	require.Equal(t, openflow.TaskRunning, got.Status, "one party that runs makes the whole run (fate-flow-api §4.6.3)")
	require.Equal(t, "c", got.ContainerName)
	require.Equal(t, "openflow:2@docker", got.Provider, "what ran, whatever was resolved before")
	require.Equal(t, "sha256:c", got.ProgramDigest)
	running, _, err := c.TasksWhere(t.Context(), catalogue.TaskFilter{Job: k.Job, Statuses: []openflow.TaskStatus{openflow.TaskRunning}})
	require.NoError(t, err)
	require.Len(t, running, 1)
	require.False(t, got.StartTime.IsZero())

	_, err = c.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	_, code := start("docker", "c")
	require.Equal(t, openflow.CodeConflict, code, "a late start does not revive")
	k.Version = 5
	_, code = start("docker", "c")
	require.Equal(t, openflow.CodeNotFound, code)
}

// The algorithm reports its success before its container has exited, so the end comes in parts.
func TestFinishTaskInParts(t *testing.T) { onEngines(t, testFinishTaskInParts) }

func testFinishTaskInParts(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "j", guest)
	holding(t, c, j)
	k := tasks[0].Key
	zero, one := 0, 1
	finish := func(end openflow.TaskEnd) (bool, openflow.Code) {
		changed, err := c.FinishTask(ctx, k, end)
		return changed, openflow.CodeOf(err)
	}
	require.NoError(t, c.ApplyTaskResources(ctx, k, 4, openflow.Quota{}))
	changed, code := finish(openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "bad input", ErrorReport: "Traceback"})
	require.True(t, changed)
	require.Empty(t, code)
	first, err := c.Task(ctx, k)
	require.NoError(t, err)
	require.False(t, first.ResourceInUse)

	changed, code = finish(openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "exit code 1", ErrorReport: "other", ExitCode: &one, LogDigest: "d"})
	require.False(t, changed)
	require.Empty(t, code)
	_, code = finish(openflow.TaskEnd{Status: openflow.TaskFailed, ExitCode: &zero, LogDigest: "e"})
	require.Empty(t, code)
	_, code = finish(openflow.TaskEnd{Status: openflow.TaskSuccess, ExitCode: &zero})
	require.Equal(t, openflow.CodeConflict, code)
	_, code = finish(openflow.TaskEnd{Status: openflow.TaskRunning})
	require.Equal(t, openflow.CodeInvalid, code)

	got, err := c.Task(ctx, k)
	require.NoError(t, err)
	first.ExitCode, first.LogDigest, first.UpdateTime = &one, "d", got.UpdateTime
	require.Empty(t, cmp.Diff(first, got), "what was told first counts")

	k.Version = 5
	_, code = finish(openflow.TaskEnd{Status: openflow.TaskFailed})
	require.Equal(t, openflow.CodeNotFound, code)
}

func TestVersionsOfATask(t *testing.T) { onEngines(t, testVersionsOfATask) }

func testVersionsOfATask(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "j", guest)
	_, err := c.FinishTask(ctx, tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	retry := tasks[0]
	retry.Key.Version = 1
	for range 2 {
		require.NoError(t, c.AddTask(ctx, retry))
	}
	_, err = c.StartTask(ctx, retry.Key, openflow.Launch{Runtime: "docker", Container: "c", Provider: "openflow:2@docker"})
	require.NoError(t, err)
	require.NoError(t, c.AddTask(ctx, retry), "a repeat does not set back")

	// A report about version 0, however late, leaves version 1 alone.
	_, err = c.FinishTask(ctx, tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "late"})
	require.NoError(t, err)
	_, err = c.SetTaskStatus(ctx, tasks[0].Key, openflow.TaskFailed)
	require.NoError(t, err)
	got, err := c.Task(ctx, retry.Key)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskRunning, got.PartyStatus)
	require.Equal(t, openflow.TaskRunning, got.Status)

	other := retry
	other.Spec.Component = "else"
	requireCode(t, openflow.CodeConflict, c.AddTask(ctx, other))
	other = retry
	other.Key.Scheduler = "8888"
	requireCode(t, openflow.CodeNotFound, c.AddTask(ctx, other))

	one := 1
	for name, test := range map[string]struct {
		f    catalogue.TaskFilter
		want []string
	}{
		"all":                        {catalogue.TaskFilter{Job: j.ID}, []string{"psi_0/0", "reader_0/0", "reader_0/1"}},
		"latest":                     {catalogue.TaskFilter{LatestOnly: true}, []string{"psi_0/0", "reader_0/1"}},
		"latest are not old ones":    {catalogue.TaskFilter{LatestOnly: true, PartyStatuses: []openflow.TaskStatus{openflow.TaskFailed}}, nil},
		"by party status":            {catalogue.TaskFilter{PartyStatuses: []openflow.TaskStatus{openflow.TaskFailed}}, []string{"reader_0/0"}},
		"by federated status":        {catalogue.TaskFilter{Statuses: []openflow.TaskStatus{openflow.TaskFailed, openflow.TaskPass}}, []string{"reader_0/0"}},
		"by version":                 {catalogue.TaskFilter{Version: &one}, []string{"reader_0/1"}},
		"by name":                    {catalogue.TaskFilter{Task: "psi_0", Role: openflow.RoleGuest, Party: "9999", Scheduler: "9999"}, []string{"psi_0/0"}},
		"of another role":            {catalogue.TaskFilter{Role: openflow.RoleHost}, nil},
		"of another job's namesakes": {catalogue.TaskFilter{Job: "j_"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			found, _, err := c.TasksWhere(ctx, test.f)
			require.NoError(t, err)
			var got []string
			for _, r := range found {
				got = append(got, fmt.Sprintf("%s/%d", r.Key.Task, r.Key.Version))
			}
			slices.Sort(got)
			require.Equal(t, test.want, got)
			n, err := c.CountTasks(ctx, test.f)
			require.NoError(t, err)
			require.Equal(t, len(test.want), n)
		})
	}
}

func TestTaskPages(t *testing.T) { onEngines(t, testTaskPages) }

func testTaskPages(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	want := map[openflow.TaskKey]bool{}
	for i := range 9 {
		_, tasks := createJob(t, c, openflow.JobID(fmt.Sprint("j", i)), guest)
		want[tasks[0].Key], want[tasks[1].Key] = true, true
	}
	got := map[openflow.TaskKey]bool{}
	f := catalogue.TaskFilter{Limit: 4}
	for more := true; more; more = f.After != "" {
		tasks, next, err := c.TasksWhere(t.Context(), f)
		require.NoError(t, err)
		for _, r := range tasks {
			require.False(t, got[r.Key], "%s is on two pages", r.Key)
			got[r.Key] = true
		}
		f.After = next
	}
	require.Equal(t, want, got)
	_, _, err := c.TasksWhere(t.Context(), catalogue.TaskFilter{After: "x"})
	requireCode(t, openflow.CodeInvalid, err)
}

// Task names may hold '_', so a job ID may not: the run would have the ID of another job's.
func TestKeysThatReadAlike(t *testing.T) { onEngines(t, testKeysThatReadAlike) }

func testKeysThatReadAlike(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := sampleJob("a_b", guest)
	tasks[0].Key.Task = "c"
	alike := openflow.TaskKey{Scheduler: "9999", Job: "a", Task: "b_c", Party: guest}
	require.Equal(t, tasks[0].Key.RunID(), alike.RunID())
	requireCode(t, openflow.CodeInvalid, c.CreateJob(t.Context(), j, tasks[:1]))
	_, err := c.Job(t.Context(), j.Key())
	requireCode(t, openflow.CodeNotFound, err)
}

func TestSmallTaskUpdates(t *testing.T) { onEngines(t, testSmallTaskUpdates) }

func testSmallTaskUpdates(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	require.NoError(t, c.SetTaskReason(ctx, k, "pulling the image"))
	got, err := c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, "pulling the image", got.Reason)
	agreed := openflow.Protocol{Name: "acme/psi", Version: "1"}
	require.NoError(t, c.SetTaskProtocol(ctx, k, agreed))
	got, err = c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, agreed, got.Protocol)

	_, err = c.FinishTask(ctx, k, openflow.TaskEnd{Status: openflow.TaskCanceled, Reason: "stopped by ann"})
	require.NoError(t, err)
	require.NoError(t, c.SetTaskReason(ctx, k, "late"))
	require.NoError(t, c.SetTaskProtocol(ctx, k, openflow.Protocol{Name: "late", Version: "1"}))
	got, err = c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, "stopped by ann", got.Reason)
	require.Equal(t, agreed, got.Protocol)

	k.Version = 7
	requireCode(t, openflow.CodeNotFound, c.SetTaskReason(ctx, k, "x"))
	requireCode(t, openflow.CodeNotFound, c.SetTaskProtocol(ctx, k, agreed))
	_, err = c.TaskByRunID(ctx, "none")
	requireCode(t, openflow.CodeNotFound, err)
}

// Two who ask for the end of a task at once, a scheduler and a user, agree on how it ends.
func TestMarkTaskKilled(t *testing.T) { onEngines(t, testMarkTaskKilled) }

func testMarkTaskKilled(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	require.NoError(t, c.MarkTaskKilled(ctx, k, openflow.TaskCanceled, "stopped by ann"))
	require.NoError(t, c.MarkTaskKilled(ctx, k, openflow.TaskFailed, "another party failed"))
	got, err := c.Task(ctx, k)
	require.NoError(t, err)
	require.True(t, got.Killed)
	require.Equal(t, openflow.TaskCanceled, got.StopStatus)
	require.Equal(t, "stopped by ann", got.Reason)

	ended := tasks[1].Key
	_, err = c.FinishTask(ctx, ended, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	require.NoError(t, c.MarkTaskKilled(ctx, ended, openflow.TaskFailed, "late"))
	got, err = c.Task(ctx, ended)
	require.NoError(t, err)
	require.False(t, got.Killed)
	require.Empty(t, got.Reason)
}

func TestRecordTaskReport(t *testing.T) { onEngines(t, testRecordTaskReport) }

func testRecordTaskReport(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	require.NoError(t, c.RecordTaskReport(ctx, k, openflow.TaskRunning, "a warning", openflow.Cause{Code: openflow.CodeInvalid, Text: "public"}))
	require.NoError(t, c.RecordTaskReport(ctx, k, openflow.TaskSuccess, "", openflow.Cause{}))
	got, err := c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, got.Reported)
	require.Equal(t, "a warning", got.ErrorReport)
	require.Equal(t, openflow.TaskWaiting, got.PartyStatus, "what a container says ends nothing by itself")

	require.Empty(t, got.Cause, "the last word counts")

	said := openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows", Consequence: true}
	require.NoError(t, c.RecordTaskReport(ctx, k, openflow.TaskFailed, "a warning", said))
	got, err = c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, said, got.Cause)
	require.NoError(t, c.RecordTaskReport(ctx, k, openflow.TaskSuccess, "", said))

	judged := openflow.Cause{Code: openflow.CodeRejected, Text: "exit code 1"}
	_, err = c.FinishTask(ctx, k, openflow.TaskEnd{Status: openflow.TaskFailed, ErrorReport: "exit code 1", Cause: judged})
	require.NoError(t, err)
	require.NoError(t, c.RecordTaskReport(ctx, k, openflow.TaskFailed, "late", openflow.Cause{Text: "late"}))
	got, err = c.Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, got.Reported)
	require.Equal(t, "exit code 1", got.ErrorReport)
	require.Equal(t, judged, got.Cause)
}
