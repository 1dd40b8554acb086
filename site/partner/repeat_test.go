package partner_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A creation is known again by a release in which the DAG has a field more or less than in the one that did it.
func TestCreationAtAnotherReleaseIsTheSame(t *testing.T) {
	s := newSite(t)
	order := openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}
	require.NoError(t, s.creates(t.Context(), order))
	for name, query := range map[string]string{
		"one with a field more":           `update job set dag = '{"added":{"later":true},' || substr(dag, 2)`,
		"one that writes a default":       `update job set dag = '{"stage":"","party_tasks":null,' || substr(dag, 2)`,
		"one with a field more in a task": `update job set dag = replace(dag, '"tasks":[{', '"tasks":[{"added":1,')`,
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sql.Open("sqlite", "file:"+s.file)
			require.NoError(t, err)
			_, err = db.ExecContext(t.Context(), query)
			require.NoError(t, err)
			require.NoError(t, db.Close())

			require.NoError(t, s.opens(t.Context(), order))
			s.Components = none{}
			require.NoError(t, s.creates(t.Context(), order), "also where this site would refuse it by now")
			s.Components = components{}
			other := order
			other.DAG = dag()
			other.DAG.Tasks[1].Component = "boost"
			require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.creates(t.Context(), other)))
		})
	}
}

// none are the components of a site that has lost them all.
type none struct{ components }

func (none) Providers(context.Context, []openflow.TaskSpec) ([]openflow.Served, error) {
	return nil, openflow.Errorf(openflow.CodeNotFound, "no provider")
}
