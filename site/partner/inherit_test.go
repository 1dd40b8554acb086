package partner_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
)

// inherits has a job take tasks over from another one.
func inherits(from openflow.JobID, tasks ...openflow.TaskName) func(*openflow.DAG) {
	return func(d *openflow.DAG) { d.Conf.Inheritance = &openflow.Inheritance{Job: from, Tasks: tasks} }
}

// trained is a job 1 that has run: its task lr_0 has made a table, a model, a metric and a log.
func trained(t *testing.T, s *site) openflow.TaskKey {
	t.Helper()
	require.NoError(t, s.creates(t.Context(), order("1")))
	s.makes("1")
	k := taskKey("1", "lr_0", host)
	require.NoError(t, s.catalogue.SaveModel(t.Context(), openflow.ModelRecord{
		ModelID: "1", Version: "0", Party: host, Task: "lr_0", OutputKey: "output_model", Job: "1", Scheduler: "9999", Initiator: "9999",
		TypeName: "json_model", Object: "model of 1", Bytes: 7, Meta: json.RawMessage(`{"a":1}`),
	}))
	require.NoError(t, s.catalogue.AppendMetrics(t.Context(), k, []openflow.MetricRecord{{Task: k, Name: "loss", Data: json.RawMessage(`[0.5]`)}}))
	for _, task := range []openflow.TaskName{"reader_0", "lr_0"} {
		run := taskKey("1", task, host)
		_, err := s.catalogue.FinishTask(t.Context(), run, openflow.TaskEnd{Status: openflow.TaskSuccess, LogDigest: "log of " + string(task)})
		require.NoError(t, err)
		_, err = s.catalogue.SetTaskStatus(t.Context(), run, openflow.TaskSuccess)
		require.NoError(t, err)
	}
	return k
}

func TestATaskIsTakenOver(t *testing.T) {
	s := bare(t)
	s.grants(append(entry(), whole())...)
	trained(t, s)
	later := order("2", inherits("1", "lr_0"), func(d *openflow.DAG) { d.Conf.ModelID, d.Conf.ModelVersion = "2", "0" })
	require.NoError(t, s.creates(t.Context(), later))
	_, err := s.Reserve(t.Context(), later.Key)
	require.NoError(t, err)
	k := taskKey("2", "lr_0", host)
	for range 2 { // a repeat is answered as the first time, and reports once more
		require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k, StartsJob: true}))
	}
	require.Len(t, s.engine.started, 2)
	require.True(t, s.engine.started[0].Report)

	run, err := s.catalogue.Task(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, run.PartyStatus)
	require.Equal(t, "taken over from job 1", run.Reason)
	require.Equal(t, "log of lr_0", run.LogDigest)
	require.False(t, run.ResourceInUse)
	made, err := s.catalogue.Outputs(t.Context(), k)
	require.NoError(t, err)
	require.Len(t, made, 1)
	require.Equal(t, "output_data", made[0].OutputKey)
	models, err := s.catalogue.ModelsOfTask(t.Context(), later.Key, "lr_0")
	require.NoError(t, err)
	require.Len(t, models, 1)
	require.Equal(t, []string{"2", "model of 1", `{"a":1}`, "9999"}, []string{models[0].ModelID, models[0].Object, string(models[0].Meta), string(models[0].Initiator)})
	metrics, err := s.catalogue.Metrics(t.Context(), k)
	require.NoError(t, err)
	require.Len(t, metrics, 1)

	// The earlier job may go: what was taken over stays.
	_, err = s.catalogue.UpdateJobStatus(t.Context(), jobKey("1", host), openflow.JobFailed, "")
	require.NoError(t, err)
	freed, err := s.catalogue.DeleteJob(t.Context(), jobKey("1", host))
	require.NoError(t, err)
	require.NotContains(t, freed, "made by 1")
	rec, err := s.catalogue.TableOf(t.Context(), later.Key, made[0].Table)
	require.NoError(t, err)
	require.Equal(t, "made by 1", rec.Object)
}

// A FATE-Flow site starts no task that is taken over: it says that the job runs, and waits for the reports.
func TestAllIsTakenOverAtTheStart(t *testing.T) {
	s := bare(t)
	s.grants(append(entry(), whole())...)
	trained(t, s)
	later := order("2", inherits("1", "reader_0", "lr_0"), func(d *openflow.DAG) { d.Conf.ModelID, d.Conf.ModelVersion = "2", "0" })
	require.NoError(t, s.creates(t.Context(), later))
	_, err := s.Reserve(t.Context(), later.Key)
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, s.Tell(t.Context(), later.Key, openflow.News{Status: openflow.JobRunning, Inherit: true}))
	}
	tasks, err := s.catalogue.TasksOfJob(t.Context(), later.Key)
	require.NoError(t, err)
	for _, run := range tasks {
		require.Equal(t, openflow.TaskSuccess, run.PartyStatus, run.Key)
	}
	require.Len(t, s.engine.started, 4)
}

func TestWhatIsNotTakenOver(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, s *site, k openflow.TaskKey)
		change  func(*openflow.DAG)
		says    string
	}{
		"no such job":    {change: inherits("5", "lr_0"), says: "dag.conf.inheritance.job_id: no job 5"},
		"no such task":   {change: func(d *openflow.DAG) { d.Tasks[1].Name = "lr_1"; inherits("1", "lr_1")(d) }, says: `job 1 has no task "lr_1"`},
		"no task":        {change: inherits("1"), says: "dag.conf.inheritance.task_list: it names no task"},
		"not in the DAG": {change: inherits("1", "psi_0"), says: `dag.conf.inheritance.task_list: unknown task "psi_0"`},
		"no job ID":      {change: inherits("../1", "lr_0"), says: `dag.conf.inheritance.job_id: "../1" is no job ID`},
		"it ran something else": {change: func(d *openflow.DAG) {
			d.Tasks[1].Component = "psi"
			inherits("1", "lr_0")(d)
		}, says: `task "lr_0" of job 1 ran lr, and this one is psi`},
		"it has failed elsewhere": {prepare: func(t *testing.T, s *site, _ openflow.TaskKey) {
			t.Helper()
			require.NoError(t, s.creates(t.Context(), order("3")))
			_, err := s.catalogue.FinishTask(t.Context(), taskKey("3", "lr_0", host), openflow.TaskEnd{Status: openflow.TaskSuccess})
			require.NoError(t, err)
			_, err = s.catalogue.SetTaskStatus(t.Context(), taskKey("3", "lr_0", host), openflow.TaskFailed)
			require.NoError(t, err)
		}, change: inherits("3", "lr_0"), says: `task "lr_0" of job 3 has not succeeded: it is failed`},
		"its table is gone": {prepare: func(t *testing.T, s *site, _ openflow.TaskKey) {
			t.Helper()
			require.NoError(t, s.catalogue.DeleteTable(t.Context(), openflow.TableName{Namespace: "1_lr_0", Name: "made"}))
		}, change: inherits("1", "lr_0"), says: `output "output_data" of task "lr_0" of job 1 is not here any more`},
	} {
		t.Run(name, func(t *testing.T) {
			s := bare(t)
			s.grants(append(entry(), whole())...)
			k := trained(t, s)
			if tc.prepare != nil {
				tc.prepare(t, s, k)
			}
			err := s.creates(t.Context(), order("2", tc.change))
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, wire.InheritanceFailed, wire.Failure(err).Code)
			_, err = s.catalogue.Job(t.Context(), jobKey("2", host))
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "nothing is recorded")
		})
	}
}

// What was made of a table is for those only who may read the table, also when no task reads it again. A job of another initiator
// is none.
func TestInheritanceNeedsTheGrantsOfTheData(t *testing.T) {
	s := bare(t)
	ids := s.grants(append(entry(), whole(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "8888", Scheduler: "9999"},
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "8888", Scheduler: "9999", Components: []openflow.GrantedComponent{{Name: "*"}},
			Tables: []openflow.GrantedTable{{Name: breast}}},
		openflow.Grant{Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "*"}}})...)
	trained(t, s)
	alone := func(from openflow.JobID) func(*openflow.DAG) {
		return func(d *openflow.DAG) {
			d.Tasks = d.Tasks[1:]
			d.Tasks[0].DependsOn, d.Tasks[0].Inputs = nil, nil
			inherits(from, "lr_0")(d)
		}
	}
	require.NoError(t, s.creates(t.Context(), order("2", alone("1"))))
	finish(t, s, "2")
	err := s.creates(t.Context(), order("3", alone("1"), func(d *openflow.DAG) { d.Conf.Initiator = "8888" }))
	require.ErrorContains(t, err, "no job 1", "it is of another initiator")

	_, err = s.catalogue.DeleteGrant(t.Context(), ids[2])
	require.NoError(t, err)
	s.refusesFor(order("4", alone("1")), "table experiment/breast")
	s.refusesFor(order("5", alone("2")), "table experiment/breast")
}

// finish lets lr_0 of a job succeed.
func finish(t *testing.T, s *site, id openflow.JobID) {
	t.Helper()
	k := taskKey(id, "lr_0", host)
	_, err := s.catalogue.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	_, err = s.catalogue.SetTaskStatus(t.Context(), k, openflow.TaskSuccess)
	require.NoError(t, err)
}
