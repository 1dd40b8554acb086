package users

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// localJob is a job that this node has done itself while it was asked.
type localJob struct {
	ID      openflow.JobID
	Started time.Time
	Notes   []string
}

// localTask is one task of such a job.
type localTask struct {
	Name       openflow.TaskName
	Component  string
	Parameters openflow.Parameters
	Inputs     []openflow.Input
	OutputKey  string // of the table that it has made or passed on; empty: none
	Table      openflow.TableName
	DataType   string
	Metric     map[string]any // called as the component; nil: none
}

// localVersion is the version of the schema in which these jobs are written down.
const localVersion = "2.2.0"

// recordLocal writes down the ended job that a client polls with role=local, party_id=0. Of a table that it names, the record is
// its own: it stays when the job is forgotten.
//
// Spec: fate-flow-api §1.4, §2.5.6.
func (a *api) recordLocal(r *http.Request, j localJob, tasks ...localTask) error {
	local := openflow.Party{Role: openflow.RoleLocal, ID: "0"}
	self := a.About().Party
	dag := &openflow.DAG{SchemaVersion: localVersion, Parties: []openflow.Party{local}, Stage: openflow.StageDefault}
	for _, t := range tasks {
		dag.Tasks = append(dag.Tasks, openflow.Task{Name: t.Name, Component: t.Component, Parameters: t.Parameters, Inputs: t.Inputs})
	}
	specs, now := dag.ForParty(local), time.Now()
	job := openflow.JobRecord{
		ID: j.ID, Party: local, Scheduler: self, Initiator: self, Status: openflow.JobSuccess, Progress: 100, DAG: dag,
		ModelID: string(j.ID), ModelVersion: "0", UserName: r.Header.Get(wire.UserHeader), StartTime: j.Started, EndTime: now,
		Warnings: j.Notes,
	}
	records := make([]openflow.TaskRecord, len(tasks))
	for i, t := range tasks {
		records[i] = openflow.TaskRecord{
			Key: openflow.TaskKey{Scheduler: self, Job: j.ID, Task: t.Name, Party: local}, SyncType: openflow.Callback,
			Component: t.Component, Provider: "openflow:" + cmp.Or(a.About().Version, "dev") + "@local", Status: openflow.TaskSuccess, PartyStatus: openflow.TaskSuccess, Spec: specs[i],
			StartTime: j.Started, EndTime: now,
		}
	}
	if err := a.Catalogue.CreateJob(r.Context(), job, records); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	for i, t := range tasks {
		if err := a.recordMade(r, records[i].Key, t); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	return nil
}

// recordMade writes down what a task has made.
func (a *api) recordMade(r *http.Request, k openflow.TaskKey, t localTask) error {
	if t.OutputKey != "" {
		out := openflow.OutputRecord{Task: k, OutputKey: t.OutputKey, Table: t.Table, DataType: t.DataType}
		if err := a.Catalogue.SaveOutput(r.Context(), out, nil); err != nil {
			return err
		}
	}
	if t.Metric == nil {
		return nil
	}
	data, err := json.Marshal(t.Metric)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "metric of %s: %w", k, err)
	}
	return a.Catalogue.AppendMetrics(r.Context(), k, []openflow.MetricRecord{{
		Task: k, Name: t.Component, Groups: json.RawMessage("[]"), Data: data,
	}})
}
