package catalogue_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func TestPins(t *testing.T) { onEngines(t, testPins) }

// A job goes on with what its names stood for when it was created, whatever becomes of the names.
func testPins(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	name := openflow.TableName{Namespace: "bank", Name: "people"}
	table := openflow.TableRecord{Name: name, Object: "first", Bytes: 9, Count: 60, DataType: "dataframe", Meta: json.RawMessage(`{"a": 1}`)}
	require.NoError(t, c.SaveTable(ctx, table))
	require.NoError(t, c.SaveModel(ctx, openflow.ModelRecord{ModelID: "m", Version: "0", Party: guest, Task: "lr_0", OutputKey: "model", Object: "model"}))
	j, tasks := sampleJob("j", guest)
	pins := []openflow.Pin{
		{Task: "psi_0", Kind: openflow.InputModel, InputKey: "input_model", Model: openflow.ModelRef{ID: "m", Version: "0"}, Producer: "lr_0", OutputKey: "model", Object: "model", Bytes: 5},
		{Task: "reader_0", Kind: openflow.InputData, Table: name, Object: "first", Bytes: 9, Count: 60, DataType: "dataframe", Meta: table.Meta},
	}
	require.NoError(t, c.CreateJob(ctx, j, tasks, pins...))
	require.NoError(t, c.CreateJob(ctx, j, tasks, openflow.Pin{Task: "reader_0", Kind: openflow.InputData, Table: name, Object: "later"}), "the first ones count")
	got, err := c.Pins(ctx, j.Key())
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(pins, got))

	read := func() openflow.TableRecord {
		t.Helper()
		rec, err := c.TableOf(ctx, j.Key(), name)
		require.NoError(t, err)
		return rec
	}
	require.Equal(t, "first", read().Object)
	table.Object, table.Count = "second", 1
	require.NoError(t, c.SaveTable(ctx, table))
	require.Equal(t, "first", read().Object, "uploaded again")
	require.Equal(t, int64(60), read().Count)
	requireReads(t, c, name, "j")
	for _, status := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobRunning} {
		_, err = c.UpdateJobStatus(ctx, j.Key(), status, "")
		require.NoError(t, err)
		requireReads(t, c, name, "j")
	}
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	require.NoError(t, c.DeleteTable(ctx, name))
	require.Equal(t, "first", read().Object, "deleted")
	_, err = c.DeleteModels(ctx, catalogue.ModelFilter{ModelID: "m"})
	require.NoError(t, err)
	requireReferenced(t, c, "first", true)
	requireReferenced(t, c, "model", true)

	_, err = c.TableOf(ctx, openflow.JobKey{Scheduler: "9999", Job: "other", Party: guest}, name)
	requireCode(t, openflow.CodeNotFound, err)
	requireReferenced(t, c, "first", true)
	freed, err := c.DeleteJob(ctx, j.Key())
	require.NoError(t, err)
	require.Equal(t, []string{"first", "model"}, freed)
	requireReferenced(t, c, "first", false)
}

// requireReads fails unless the table is kept because those jobs read it.
func requireReads(t *testing.T, c *catalogue.Catalogue, n openflow.TableName, jobs string) {
	t.Helper()
	err := c.DeleteTable(t.Context(), n)
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "is read by jobs that have not ended: "+jobs)
	_, err = c.Table(t.Context(), n)
	require.NoError(t, err)
}

func TestTableOfManyJobsIsKept(t *testing.T) { onEngines(t, testTableOfManyJobsIsKept) }

func testTableOfManyJobsIsKept(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	name := openflow.TableName{Namespace: "bank", Name: "people"}
	require.NoError(t, c.SaveTable(t.Context(), openflow.TableRecord{Name: name, Object: "o"}))
	for _, id := range []openflow.JobID{"1", "2", "3", "4", "5", "6", "7"} {
		j, tasks := sampleJob(id, guest)
		require.NoError(t, c.CreateJob(t.Context(), j, tasks,
			openflow.Pin{Task: "reader_0", Kind: openflow.InputData, Table: name, Object: "o"},
			openflow.Pin{Task: "psi_0", Kind: openflow.InputData, Table: name, Object: "o"}))
	}
	requireReads(t, c, name, "1, 2, 3, 4, 5 and 2 more")
}

// A job that looked a name up before its table was deleted or replaced does not begin with what the name stood for,
// though the object is there under another name.
func TestPinOfATableThatIsGone(t *testing.T) { onEngines(t, testPinOfATableThatIsGone) }

func testPinOfATableThatIsGone(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx, name := t.Context(), openflow.TableName{Namespace: "bank", Name: "people"}
	require.NoError(t, c.SaveTable(ctx, openflow.TableRecord{Name: openflow.TableName{Namespace: "bank", Name: "copy"}, Object: "o"}))
	j, tasks := sampleJob("j", guest)
	pin := openflow.Pin{Task: "reader_0", Kind: openflow.InputData, Table: name, Object: "o"}
	requireCode(t, openflow.CodeUnavailable, c.CreateJob(ctx, j, tasks, pin))
	require.NoError(t, c.SaveTable(ctx, openflow.TableRecord{Name: name, Object: "later"}))
	requireCode(t, openflow.CodeUnavailable, c.CreateJob(ctx, j, tasks, pin))
	require.NoError(t, c.SaveTable(ctx, openflow.TableRecord{Name: name, Object: "o"}))
	require.NoError(t, c.CreateJob(ctx, j, tasks, pin))
}

func TestPinOfWhatIsGone(t *testing.T) { onEngines(t, testPinOfWhatIsGone) }

// An object that has lost its last reference may be swept at any time, so nothing is pinned to it.
func testPinOfWhatIsGone(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := sampleJob("j", guest)
	err := c.CreateJob(t.Context(), j, tasks, openflow.Pin{Task: "reader_0", Kind: openflow.InputData, Object: "gone"})
	requireCode(t, openflow.CodeUnavailable, err)
	has, err := c.HasJob(t.Context(), j.Key(), j.DAG)
	require.NoError(t, err)
	require.False(t, has, "all or nothing")
	require.NoError(t, c.CreateJob(t.Context(), j, tasks, openflow.Pin{Task: "reader_0", Kind: openflow.InputData}), "a table kept elsewhere has no object")
}

func TestHasJob(t *testing.T) { onEngines(t, testHasJob) }

func testHasJob(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	has, err := c.HasJob(t.Context(), j.Key(), sampleDAG())
	require.NoError(t, err)
	require.True(t, has)
	other := sampleDAG()
	other.Tasks = other.Tasks[:1]
	_, err = c.HasJob(t.Context(), j.Key(), other)
	requireCode(t, openflow.CodeConflict, err)
	has, err = c.HasJob(t.Context(), openflow.JobKey{Scheduler: "1", Job: "j", Party: guest}, other)
	require.NoError(t, err)
	require.False(t, has)
}

func TestModelsOfAJobAreDeleted(t *testing.T) { onEngines(t, testModelsOfAJobAreDeleted) }

func testModelsOfAJobAreDeleted(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for _, task := range []openflow.TaskName{"lr_0", "lr_1"} {
		require.NoError(t, c.SaveModel(t.Context(), openflow.ModelRecord{ModelID: "m", Version: "0", Party: guest, Task: task, OutputKey: "model", Job: "j", Object: "x"}))
	}
	n, err := c.DeleteModels(t.Context(), catalogue.ModelFilter{Job: "j", Task: "lr_0", Role: openflow.RoleGuest, Party: "9999"})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	_, err = c.DeleteModels(t.Context(), catalogue.ModelFilter{Task: "lr_1"})
	requireCode(t, openflow.CodeInvalid, err)
}

// What the initiator learned while it checked the job is added to the rows of its site, once.
func TestAddJobWarnings(t *testing.T) { onEngines(t, testAddJobWarnings) }

func testAddJobWarnings(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := sampleJob("j", guest)
	j.Warnings = []string{"one"}
	require.NoError(t, c.CreateJob(t.Context(), j, tasks))
	for range 2 {
		require.NoError(t, c.AddJobWarnings(t.Context(), "9999", "j", []string{"one", "two"}))
	}
	got, err := c.Job(t.Context(), j.Key())
	require.NoError(t, err)
	require.Equal(t, []string{"one", "two"}, got.Warnings)
	require.NoError(t, c.AddJobWarnings(t.Context(), "9999", "nobody's", []string{"one"}))
}
