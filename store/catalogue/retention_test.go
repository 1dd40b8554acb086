package catalogue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// finishedJob makes one finished job with a log, an intermediate table, a table for people and a metric.
func finishedJob(t *testing.T, c *catalogue.Catalogue, id openflow.JobID, log, object string) (openflow.JobRecord, openflow.TaskKey) {
	t.Helper()
	ctx := t.Context()
	j, tasks := createJob(t, c, id, guest)
	k := tasks[0].Key
	require.NoError(t, c.ApplyJobResources(ctx, j.Key(), cores(100), rules))
	for _, intermediate := range []bool{true, false} {
		table := sampleTable("upload", "kept")
		if intermediate {
			table = sampleTable(string(id), object)
		}
		table.Intermediate = intermediate
		o := openflow.OutputRecord{Task: k, OutputKey: table.Name.Name, Table: table.Name}
		require.NoError(t, c.SaveOutput(ctx, o, &table))
	}
	require.NoError(t, c.AppendMetrics(ctx, k, []openflow.MetricRecord{{Task: k, Name: "auc"}}))
	require.NoError(t, c.SaveModel(ctx, openflow.ModelRecord{ModelID: string(id), Version: "0", Party: guest, OutputKey: "m", Object: "model-" + string(id), Job: id}))
	_, err := c.FinishTask(ctx, k, openflow.TaskEnd{Status: openflow.TaskFailed, LogDigest: log})
	require.NoError(t, err)
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	return j, k
}

func requireReferenced(t *testing.T, c *catalogue.Catalogue, digest string, want bool) {
	t.Helper()
	got, err := c.ReferencedObject(t.Context(), digest)
	require.NoError(t, err)
	require.Equal(t, want, got, digest)
}

// What a run has stored stays until the run has ended, also when it has yet to name it.
func TestUploadsOfOpenRunsStay(t *testing.T) { onEngines(t, testUploadsOfOpenRunsStay) }

func testUploadsOfOpenRunsStay(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "open", guest)
	holding(t, c, j)
	k := tasks[0].Key
	require.NoError(t, c.ApplyTaskResources(ctx, k, 0, openflow.Quota{}))
	require.NoError(t, c.RecordUpload(ctx, k, "stored"))
	requireReferenced(t, c, "stored", true)
	requireReferenced(t, c, "another", false)
	_, err := c.FinishTask(ctx, k, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	requireReferenced(t, c, "stored", false)
}

func TestDeleteJob(t *testing.T) { onEngines(t, testDeleteJob) }

func testDeleteJob(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	one, k := finishedJob(t, c, "one", "log-1", "object-1")
	two, _ := finishedJob(t, c, "two", "log-1", "object-2") // an equal log is the same object
	for _, digest := range []string{"log-1", "object-1", "object-2", "kept", "model-one"} {
		requireReferenced(t, c, digest, true)
	}
	requireReferenced(t, c, "", false)
	requireReferenced(t, c, "nobody's", false)

	freed, err := c.DeleteJob(ctx, one.Key())
	require.NoError(t, err)
	require.Equal(t, []string{"object-1"}, freed)
	requireReferenced(t, c, "object-1", false)
	for _, digest := range []string{"log-1", "object-2", "kept", "model-one"} {
		requireReferenced(t, c, digest, true)
	}
	_, err = c.Task(ctx, k)
	requireCode(t, openflow.CodeNotFound, err)
	metrics, err := c.Metrics(ctx, k)
	require.NoError(t, err)
	require.Empty(t, metrics)
	outputs, err := c.Outputs(ctx, k)
	require.NoError(t, err)
	require.Empty(t, outputs)
	freed, err = c.DeleteJob(ctx, one.Key())
	require.NoError(t, err)
	require.Empty(t, freed)

	freed, err = c.DeleteJob(ctx, two.Key())
	require.NoError(t, err)
	require.Equal(t, []string{"log-1", "object-2"}, freed)
	_, err = c.Table(ctx, openflow.TableName{Namespace: "ns", Name: "upload"})
	require.NoError(t, err, "what people uploaded stays")
}

// A job that inherited a table from an earlier one keeps it when the earlier one goes; the last one takes it along.
func TestDeleteJobKeepsInheritedTables(t *testing.T) { onEngines(t, testDeleteJobKeepsInheritedTables) }

func testDeleteJobKeepsInheritedTables(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	old, _ := finishedJob(t, c, "old", "", "object")
	heir, k := finishedJob(t, c, "heir", "", "other")
	inherited := openflow.TableName{Namespace: "ns", Name: "old"}
	require.NoError(t, c.SaveOutput(ctx, openflow.OutputRecord{Task: k, OutputKey: "inherited", Table: inherited}, nil))

	freed, err := c.DeleteJob(ctx, old.Key())
	require.NoError(t, err)
	require.Empty(t, freed)
	_, err = c.Table(ctx, inherited)
	require.NoError(t, err)
	freed, err = c.DeleteJob(ctx, heir.Key())
	require.NoError(t, err)
	require.Equal(t, []string{"object", "other"}, freed)
	_, err = c.Table(ctx, inherited)
	requireCode(t, openflow.CodeNotFound, err)
}

func TestDeleteJobLeavesLiveJobsAlone(t *testing.T) { onEngines(t, testDeleteJobLeavesLiveJobsAlone) }

func testDeleteJobLeavesLiveJobsAlone(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, _ := createJob(t, c, "j", guest)
	_, err := c.DeleteJob(ctx, j.Key())
	requireCode(t, openflow.CodeConflict, err)
	freed, err := c.DeleteJob(ctx, openflow.JobKey{Scheduler: "8888", Job: "j", Party: guest})
	require.NoError(t, err)
	require.Empty(t, freed)
	_, err = c.Job(ctx, j.Key())
	require.NoError(t, err)
}

func TestJobsEndedBefore(t *testing.T) { onEngines(t, testJobsEndedBefore) }

func testJobsEndedBefore(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	one, _ := finishedJob(t, c, "b", "", "x")
	two, _ := finishedJob(t, c, "a", "", "y")
	createJob(t, c, "live", guest)
	got, err := c.JobsEndedBefore(t.Context(), epoch.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, []openflow.JobKey{one.Key(), two.Key()}, got)
	got, err = c.JobsEndedBefore(t.Context(), epoch.Add(time.Hour), 1)
	require.NoError(t, err)
	require.Len(t, got, 1)
	got, err = c.JobsEndedBefore(t.Context(), epoch, 10)
	require.NoError(t, err)
	require.Empty(t, got)
}

func TestForgetLogs(t *testing.T) { onEngines(t, testForgetLogs) }

func testForgetLogs(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	_, k := finishedJob(t, c, "one", "log-1", "object-1")
	task, err := c.Task(t.Context(), k)
	require.NoError(t, err)
	n, err := c.ForgetLogsBefore(t.Context(), task.EndTime)
	require.NoError(t, err)
	require.Zero(t, n, "one that is as old as that is young enough")
	n, err = c.ForgetLogsBefore(t.Context(), task.EndTime.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, 1, n)
	requireReferenced(t, c, "log-1", false)
	after, err := c.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, task.PartyStatus, after.PartyStatus, "the task stays")
	require.Empty(t, after.LogDigest)
}

// A mandate brings a job to a party once. What nobody has signed may come again under the same ID.
func TestDeletedJobComesAgain(t *testing.T) { onEngines(t, testDeletedJobComesAgain) }

func testDeletedJobComesAgain(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	for _, signed := range []bool{true, false} {
		for range 2 {
			j, tasks := sampleJob("j", guest)
			j.Signed = signed
			require.NoError(t, c.CreateJob(ctx, j, tasks))
			require.NoError(t, c.CreateJob(ctx, j, tasks), "a repeat")
			stored, err := c.Job(ctx, j.Key())
			require.NoError(t, err)
			require.Equal(t, signed, stored.Signed)
			_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
			require.NoError(t, err)
			_, err = c.DeleteJob(ctx, j.Key())
			require.NoError(t, err)
			if !signed {
				continue
			}
			requireCode(t, openflow.CodePermission, c.CreateJob(ctx, j, tasks))
			_, err = c.Job(ctx, j.Key())
			requireCode(t, openflow.CodeNotFound, err)
			other, tasks := sampleJob("j", host)
			other.Signed = true
			require.NoError(t, c.CreateJob(ctx, other, tasks), "another party's")
			break
		}
	}
}
