package lineage_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/lineage"
)

// site is a party's catalogue in memory.
type site struct {
	tasks   map[openflow.RunID]openflow.TaskRecord
	outputs map[openflow.TaskName][]openflow.OutputRecord
	tables  map[openflow.TableName]openflow.TableRecord
	pins    []openflow.Pin
}

func (s site) TaskByRunID(_ context.Context, id openflow.RunID) (openflow.TaskRecord, error) {
	t, ok := s.tasks[id]
	if !ok {
		return t, openflow.Errorf(openflow.CodeNotFound, "no task %s", id)
	}
	return t, nil
}

func (s site) LatestOutputs(_ context.Context, _ openflow.JobKey, task openflow.TaskName) ([]openflow.OutputRecord, error) {
	return s.outputs[task], nil
}

func (s site) TableOf(_ context.Context, _ openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error) {
	return s.tables[n], nil
}

func (s site) Pins(context.Context, openflow.JobKey) ([]openflow.Pin, error) { return s.pins, nil }

var host = openflow.Party{Role: openflow.RoleHost, ID: "10000"}

func run(name openflow.TaskName, from ...openflow.TaskName) openflow.TaskRecord {
	t := openflow.TaskRecord{Key: openflow.TaskKey{Scheduler: "9999", Job: "1", Task: name, Party: host}}
	for _, f := range from {
		t.Spec.Inputs = append(t.Spec.Inputs, openflow.Input{Kind: openflow.InputData, Key: string(f), Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: f, OutputKey: "output_data"},
		}})
	}
	return t
}

func name(n string) openflow.TableName { return openflow.TableName{Namespace: "ns", Name: n} }

// made is the output of a task: a table of its own.
func made(s *site, by openflow.TaskRecord, table string) {
	s.tasks[by.Key.RunID()] = by
	s.outputs[by.Key.Task] = append(s.outputs[by.Key.Task], openflow.OutputRecord{Task: by.Key, OutputKey: "output_data", Table: name(table)})
	s.tables[name(table)] = openflow.TableRecord{Name: name(table), Object: "content of " + table, Source: openflow.TableSource{RunID: by.Key.RunID()}}
}

func newSite() *site {
	return &site{
		tasks: map[openflow.RunID]openflow.TaskRecord{}, outputs: map[openflow.TaskName][]openflow.OutputRecord{},
		tables: map[openflow.TableName]openflow.TableRecord{},
	}
}

// Whatever tasks are in between, the tables from outside are found, each once.
func TestOfRun(t *testing.T) {
	s := newSite()
	reader, psi, lr := run("reader_0"), run("psi_0", "reader_0"), run("lr_0", "psi_0", "extra_0")
	s.pins = []openflow.Pin{
		{Task: "reader_0", Kind: openflow.InputData, Table: name("people"), Object: "people", Origins: []string{"people"}},
		{Task: "extra_0", Kind: openflow.InputData, Table: name("late"), Object: "late", Origins: []string{"people", "older"}},
		{Task: "extra_0", Kind: openflow.InputModel, Origins: []string{"a model"}},
	}
	s.tasks[reader.Key.RunID()] = reader
	s.outputs["reader_0"] = []openflow.OutputRecord{{Task: reader.Key, OutputKey: "output_data", Table: name("people")}} // it hands on what it reads
	made(s, psi, "shared")
	made(s, run("extra_0"), "joined")
	got, err := lineage.OfRun(t.Context(), s, lr)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"people", "older"}, got)
}

func TestOfTable(t *testing.T) {
	s := newSite()
	outside := openflow.TableRecord{Name: name("people"), Object: "people"}
	got, err := lineage.OfTable(t.Context(), s, outside)
	require.NoError(t, err)
	require.Equal(t, []string{"people"}, got)

	got, err = lineage.OfTable(t.Context(), s, openflow.TableRecord{Name: name("far"), URI: "hdfs://far"})
	require.NoError(t, err)
	require.Equal(t, []string{"hdfs://far"}, got, "its place stands for what is kept elsewhere")

	made(s, run("generator_0"), "invented")
	got, err = lineage.OfTable(t.Context(), s, s.tables[name("invented")])
	require.NoError(t, err)
	require.Equal(t, []string{"content of invented"}, got, "a task that reads nothing makes its table from outside")

	_, err = lineage.OfTable(t.Context(), s, openflow.TableRecord{Name: name("orphan"), Object: "x", Source: openflow.TableSource{RunID: "gone"}})
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err))
	require.ErrorContains(t, err, "has been deleted here")
}
