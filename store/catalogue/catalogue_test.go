package catalogue_test

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
)

// clock moves a second at every look, so that every write has a time of its own.
type clock struct{ seconds atomic.Int64 }

var epoch = time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)

func (c *clock) now() time.Time { return epoch.Add(time.Duration(c.seconds.Add(1)) * time.Second) }

func sampleDAG() *openflow.DAG {
	cores := 4
	return &openflow.DAG{
		SchemaVersion: "2.2.0",
		Parties:       []openflow.Party{guest, host},
		Conf: openflow.JobConf{
			Priority: 3, Scheduler: "9999", Initiator: "9999", Cores: &cores, SyncType: openflow.Callback, AutoRetries: 2,
			ModelWarehouse: &openflow.ModelRef{ID: "m", Version: "0"},
			Inheritance:    &openflow.Inheritance{Job: "old", Tasks: []openflow.TaskName{"reader_0"}},
			Task:           openflow.TaskConf{Timeout: time.Hour, Cores: new(4)},
			Extra:          map[string]any{"x": []any{nil, true, "é<&>"}},
		},
		Tasks: []openflow.Task{
			{Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "ns", "seed": json.Number("9007199254740993"), "none": nil}},
			{Name: "psi_0", Component: "psi", Inputs: []openflow.Input{{
				Kind: openflow.InputData, Key: "input_data",
				Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "reader_0", OutputKey: "output_data"}},
			}}},
		},
		PartyTasks: []openflow.PartyTasks{{
			Site: "guest_9999", Parties: []openflow.Party{guest},
			Tasks: map[openflow.TaskName]openflow.TaskOverride{"reader_0": {Parameters: openflow.Parameters{"name": "t", "rate": json.Number("0.10")}}},
		}},
	}
}

func sampleJob(id openflow.JobID, p openflow.Party) (openflow.JobRecord, []openflow.TaskRecord) {
	d := sampleDAG()
	j := openflow.JobRecord{ID: id, Party: p, Scheduler: "9999", Initiator: "9999", DAG: d, Cores: 4, RemainingCores: 4, UserName: "ann"}
	var tasks []openflow.TaskRecord
	for _, s := range d.ForParty(p) {
		tasks = append(tasks, openflow.TaskRecord{
			Key:      openflow.TaskKey{Scheduler: j.Scheduler, Job: id, Task: s.Name, Party: p},
			SyncType: openflow.Callback, Component: s.Component, Provider: "openflow:1.0@docker", Spec: s, Cores: 4,
		})
	}
	return j, tasks
}

func createJob(tb testing.TB, c *catalogue.Catalogue, id openflow.JobID, p openflow.Party) (openflow.JobRecord, []openflow.TaskRecord) {
	tb.Helper()
	j, tasks := sampleJob(id, p)
	require.NoError(tb, c.CreateJob(tb.Context(), j, tasks))
	return j, tasks
}

// holding has a job take what it needs, so that its tasks can.
func holding(tb testing.TB, c *catalogue.Catalogue, j openflow.JobRecord) {
	tb.Helper()
	require.NoError(tb, c.ApplyJobResources(tb.Context(), j.Key(), cores(1<<20), rules))
}

func requireCode(tb testing.TB, want openflow.Code, err error) {
	tb.Helper()
	require.Equalf(tb, want, openflow.CodeOf(err), "error: %v", err)
}
