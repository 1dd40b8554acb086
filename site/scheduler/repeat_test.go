package scheduler_test

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// hashOfFirstRelease is what the first release has stored of the submission of dag(), of which the defaults are filled in.
const hashOfFirstRelease = "93b8bb056088540ef9b835fc1b122d1b545917e472e6e3d42d721343455b6161"

// A submission is known again by a release in which the DAG has a field more, and by one in which it has a field less.
func TestSubmissionToAnotherReleaseIsTheSame(t *testing.T) {
	n := newNode(t)
	first := openflow.Submission{DAG: dag(), ID: "1", IdempotencyKey: "k"}
	_, err := n.CreateJob(t.Context(), "10000", first)
	require.NoError(t, err)
	job, err := n.catalogue.ScheduledJob(t.Context(), "1")
	require.NoError(t, err)
	require.Equal(t, hashOfFirstRelease, job.SubmitHash, "what this release makes of it is what the first one did")

	for name, query := range map[string]string{
		"it was made by this release": `select 1`,
		"by one with a field more":    `update scheduled_job set dag = '{"added":{"later":true},' || substr(dag, 2)`,
		"by one with a field less":    `update scheduled_job set dag = replace(dag, '"schema_version":"2.2.0",', '')`,
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("sqlite", "file:"+n.file)
			require.NoError(t, err)
			_, err = db.ExecContext(t.Context(), query)
			require.NoError(t, err)
			require.NoError(t, db.Close())

			again := openflow.Submission{DAG: dag(), ID: "2", IdempotencyKey: "k"}
			got, err := n.CreateJob(t.Context(), "10000", again)
			require.NoError(t, err)
			require.Equal(t, openflow.JobID("1"), got.ID, "a repeat is the first job")
			again.DAG.Stage = openflow.StagePredict
			_, err = n.CreateJob(t.Context(), "10000", again)
			require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "and another job is none")
		})
	}
}
