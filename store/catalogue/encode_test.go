package catalogue_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/document"
	"openflow/store/document/documenttest"
)

// What columns hold as JSON has forms of its own; encode takes no other types.
func TestColumnsHoldTaggedForms(t *testing.T) {
	documenttest.Tagged(t, catalogue.Columns...)
	documenttest.RoundTrip(t, catalogue.EncodeSource, catalogue.DecodeSource)
	require.Contains(t, catalogue.Columns, reflect.TypeFor[document.DAG]())
}

// A job that an earlier or a later release has created is known again, though its document lacks a field, has one that is not
// known here, or has its fields in another order.
func TestJobOfAnotherReleaseIsTheSame(t *testing.T) {
	place := catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")}
	c := mustOpen(t, place)
	job := openflow.JobRecord{ID: "1", Party: guest, Scheduler: "9999", DAG: sampleDAG()}
	task := openflow.TaskRecord{
		Key:  openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Party: guest},
		Spec: openflow.TaskSpec{Name: "a", Component: "noop", Parameters: openflow.Parameters{"n": 1}},
	}
	require.NoError(t, c.CreateJob(t.Context(), job, []openflow.TaskRecord{task}))
	stored, err := catalogue.EncodeDAG("1", job.DAG)
	require.NoError(t, err)
	version := `"schema_version":"` + job.DAG.SchemaVersion + `",`
	require.Contains(t, stored, version)
	behind := strings.TrimSuffix(strings.Replace(stored, version, "", 1), "}") + "," + strings.TrimSuffix(version, ",") + "}"
	for name, text := range map[string]string{
		"a field more":           strings.Replace(stored, version, version+`"added":{"later":[1]},`, 1),
		"a field more of a task": strings.Replace(stored, `"tasks":[{`, `"tasks":[{"added":"x",`, 1),
		"a default written out":  strings.Replace(stored, version, version+`"stage":"",`, 1),
		"another order":          behind,
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, stored, text)
			rawExec(t, place, `update job set dag = '`+strings.ReplaceAll(text, "'", "''")+`'`)
			has, err := c.HasJob(t.Context(), job.Key(), job.DAG)
			require.NoError(t, err)
			require.True(t, has)
			require.NoError(t, c.CreateJob(t.Context(), job, []openflow.TaskRecord{task}), "the creation is repeated")
			other := *job.DAG
			other.Stage = openflow.StageTrain
			has, err = c.HasJob(t.Context(), job.Key(), &other)
			require.True(t, has)
			requireCode(t, openflow.CodeConflict, err)
			another := job
			another.DAG = &other
			requireCode(t, openflow.CodeConflict, c.CreateJob(t.Context(), another, nil))
		})
	}
	rawExec(t, place, `update task set spec = '{"added":[],"parameters":{"n":1.0},"component":"noop","name":"a"}'`)
	require.NoError(t, c.AddTask(t.Context(), task))
	task.Spec.Parameters = openflow.Parameters{"n": 2}
	requireCode(t, openflow.CodeConflict, c.AddTask(t.Context(), task))
}
