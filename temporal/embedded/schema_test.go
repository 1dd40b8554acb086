package embedded_test

import (
	"bufio"
	"context"
	"database/sql"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/server/schema"

	"openflow"
	"openflow/temporal/embedded"
)

// edit opens the database file of o, creating it if necessary, and executes statements on it.
func edit(t *testing.T, o embedded.Options, statements ...string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(o.Dir, 0o700))
	db, err := sql.Open("sqlite", o.File())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, s := range statements {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
}

// ask returns the one value that query yields.
func ask[T any](t *testing.T, o embedded.Options, query string) (v T) {
	t.Helper()
	db, err := sql.Open("sqlite", o.File())
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.QueryRow(query).Scan(&v), query)
	return v
}

func asset(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(schema.Assets(), name)
	require.NoError(t, err)
	return string(data)
}

// definitions is the text of everything in the database, in order.
const definitions = `select group_concat(type || name || coalesce(sql, ''), x'0a')
	from (select * from sqlite_master where name not like 'sqlite_%' order by type, name)`

func TestHalfMadeSchemaIsRebuilt(t *testing.T) {
	whole := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, whole.PrepareStore(t.Context()))
	want := ask[string](t, whole, definitions)

	main := asset(t, "sqlite/v3/temporal/schema.sql")
	visibility := asset(t, "sqlite/v3/visibility/schema.sql")
	for name, statements := range map[string][]string{
		"empty file":         {},
		"one table":          {main[:strings.Index(main, ";")+1]},
		"some tables":        {main[:strings.Index(main, "CREATE TABLE executions(")]},
		"no visibility":      {main},
		"all but the number": {main, visibility},
	} {
		t.Run(name, func(t *testing.T) {
			o := embedded.Options{Dir: t.TempDir()}
			edit(t, o, statements...)
			require.NoError(t, o.PrepareStore(t.Context()))
			require.Equal(t, want, ask[string](t, o, definitions))
			require.Equal(t, 11, ask[int](t, o, "pragma user_version"))
			require.Equal(t, 1, ask[int](t, o, "select count(*) from namespace_metadata"))
		})
	}
}

func TestForeignDatabaseIsNotTouched(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	edit(t, o, asset(t, "sqlite/v3/temporal/schema.sql"),
		"insert into namespaces values (54321, x'01', 'default', 1, x'', 'Proto3', 0)")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(o.PrepareStore(t.Context())))
	require.Equal(t, 1, ask[int](t, o, "select count(*) from namespaces"))
}

func TestNewerSchemaIsRefused(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, o.PrepareStore(t.Context()))
	edit(t, o, "pragma user_version = 12")
	_, err := embedded.Start(t.Context(), o)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, "start the release that wrote it")
	require.Equal(t, 12, ask[int](t, o, "pragma user_version"))
}

func TestOlderSchemaIsMigrated(t *testing.T) {
	whole := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, whole.PrepareStore(t.Context()))
	want := ask[string](t, whole, definitions)

	o := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, o.PrepareStore(t.Context()))
	edit(t, o, "drop table current_chasm_executions", "drop table tasks_v2", "drop table task_queues_v2",
		"insert into namespaces values (54321, x'01', 'kept', 1, x'', 'Proto3', 0)", "pragma user_version = 9")
	require.NoError(t, o.PrepareStore(t.Context()))
	require.Equal(t, 11, ask[int](t, o, "pragma user_version"))
	require.Equal(t, "kept", ask[string](t, o, "select name from namespaces"))
	require.Equal(t, tables(want), tables(ask[string](t, o, definitions)))
}

// tables is definitions without comments and layout, in which the steps and the whole schema differ.
func tables(definitions string) string {
	lines := strings.Split(definitions, "\n")
	for i, line := range lines {
		line, _, _ = strings.Cut(line, "--")
		lines[i] = strings.ReplaceAll(line, " ", "")
	}
	return strings.ReplaceAll(strings.Join(lines, ""), "\t", "")
}

// An interrupted migration leaves the old version, and the next start completes it.
func TestFailedMigrationChangesNothing(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, o.PrepareStore(t.Context()))
	edit(t, o, "drop table current_chasm_executions", "pragma user_version = 9") // step 10 fails: tasks_v2 exists
	before := ask[string](t, o, definitions)
	require.Error(t, o.PrepareStore(t.Context()))
	require.Equal(t, before, ask[string](t, o, definitions))
	require.Equal(t, 9, ask[int](t, o, "pragma user_version"))
}

func TestOlderVisibilityTableIsRebuilt(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	require.NoError(t, o.PrepareStore(t.Context()))
	want := ask[string](t, o, definitions)

	shipped := asset(t, "sqlite/v3/visibility/schema.sql")
	var kept []string
	for line := range strings.Lines(shipped) {
		if !strings.Contains(line, "TemporalExternalPayload") { // came with v1.32 without a version
			kept = append(kept, line)
		}
	}
	old := strings.Join(kept, "")
	require.NotEqual(t, shipped, old)
	edit(t, o, "drop table executions_visibility_fts_text", "drop table executions_visibility_fts_keyword_list",
		"drop table executions_visibility", old,
		`insert into executions_visibility (namespace_id, run_id, start_time, execution_time, workflow_id,
			workflow_type_name, status, encoding, search_attributes)
			values ('n', 'r', '2026-01-01', '2026-01-01', 'w', 'job', 1, 'json', '{"Keyword01":"j1","Text01":"some words"}')`)

	require.NoError(t, o.PrepareStore(t.Context()))
	require.Equal(t, want, ask[string](t, o, definitions))
	require.Equal(t, "w", ask[string](t, o, "select workflow_id from executions_visibility where Keyword01 = 'j1'"))
	require.Equal(t, 1, ask[int](t, o, `select count(*) from executions_visibility_fts_text where Text01 match 'words'`))
}

// Processes are killed at many moments of their very first starts; then a start must succeed and work.
func TestKilledFirstStarts(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	for delay := 40 * time.Millisecond; delay < 400*time.Millisecond; delay += 30 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), delay)
		p := exec.CommandContext(ctx, os.Args[0]) // CommandContext kills with SIGKILL
		p.Env = append(os.Environ(), killEnv+"="+o.Dir)
		out, err := p.CombinedOutput()
		cancel()
		require.Error(t, err)
		require.NotContains(t, string(out), "failed")
	}
	require.Equal(t, "ok", ask[string](t, o, "pragma integrity_check"))
	c := dial(t, start(t, o), "worker")
	require.Equal(t, 2, run(t, c, work(t, c), 2))
}

// What was answered before a kill is there after it.
func TestKilledServerKeepsWorkflows(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	p := exec.CommandContext(t.Context(), os.Args[0])
	p.Env = append(os.Environ(), killEnv+"="+o.Dir)
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "started\n", line)
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())

	c := dial(t, start(t, o), "worker")
	d, err := c.DescribeWorkflowExecution(t.Context(), keptID, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
}
