package scenarios_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// An operator looks at a table, sees who may read it and who does, deletes it when nobody reads it any more, and finds
// that in the record.
func TestTablesOfAnOperator(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict())
	user := e.As(t, "9999")
	client := &sdk.Client{URL: user.URL}
	name := openflow.TableName{Namespace: "demo", Name: "t"}
	user.OK(user.Upload("demo", "t", hostMeta, strings.NewReader("id,x0,x1\n1,0.5,7\n2,0.25,8\n")), nil)
	_, err := client.Grant(t.Context(), openflow.Grant{
		Kind: openflow.GrantUse, Initiator: "10000", Components: []openflow.GrantedComponent{{Name: "psi"}}, Tables: []openflow.GrantedTable{{Name: name}},
	})
	require.NoError(t, err)

	id := user.Submit(env.DAG(env.Parties("guest 9999"), openflow.Task{
		Name: "reader_0", Component: "reader", Parameters: openflow.Parameters{"namespace": "demo", "name": "t"},
	}, env.Noop("slow", env.Sleep(300_000), "reader_0")))
	user.WaitForTask(id, "slow", openflow.TaskRunning)

	info, err := client.Table(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, int64(2), *info.Count)
	columns, err := info.Columns()
	require.NoError(t, err)
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name + " " + c.Type
	}
	require.Contains(t, names, "x0 float64")
	uses, err := client.TableUses(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, "10000", string(uses.Parties[0]))
	require.Len(t, uses.Jobs, 1)
	require.Equal(t, string(id), uses.Jobs[0].JobID)

	err = client.DeleteTable(t.Context(), name)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, string(id))
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	require.NoError(t, client.DeleteTable(t.Context(), name))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(client.DeleteTable(t.Context(), name)))

	page, err := client.Audit(t.Context(), sdk.AuditFilter{Limit: 1, Since: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Len(t, page.Events, 1)
	require.Equal(t, "data/delete", page.Events[0].Action)
	require.Equal(t, "demo/t", page.Events[0].Subject, "the newest is the deletion")
	require.NotEmpty(t, page.Next)
	page, err = client.Audit(t.Context(), sdk.AuditFilter{After: page.Next, Action: "grant"})
	require.NoError(t, err)
	require.NotEmpty(t, page.Events)
	for _, e := range page.Events {
		require.Contains(t, e.Subject, "10000")
	}
	page, err = client.Audit(t.Context(), sdk.AuditFilter{Until: time.Now().Add(-time.Hour)})
	require.NoError(t, err)
	require.Empty(t, page.Events)
}
