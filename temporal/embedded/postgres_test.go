package embedded_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkclient "go.temporal.io/sdk/client"

	"openflow"
	"openflow/store/catalogue/postgrestest"
	"openflow/temporal/embedded"
	"openflow/temporal/loopback"
	"openflow/tests/fuzzing"
)

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports, err := loopback.FreePorts(1, nil)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", ports[0])
}

// A workflow that was started on PostgreSQL is there after a restart, and goes on.
func TestPostgresKeepsWorkflows(t *testing.T) {
	o := embedded.Options{Postgres: postgrestest.Database(t), Listen: freeAddress(t), Token: "a token of the site"}
	id := uuid.NewString()
	func() {
		s, err := embedded.Start(t.Context(), o)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		require.Equal(t, o.Listen, s.Frontend())
		c := dial(t, s, "first")
		require.Equal(t, 90, run(t, c, work(t, c), 10))
		_, err = c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: id}, sequence, 1)
		require.NoError(t, err)

		_, err = embedded.Start(t.Context(), embedded.Options{Postgres: o.Postgres})
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "a second server on one database: %v", err)
		other := embedded.Options{Dir: t.TempDir(), Listen: o.Listen}
		_, err = embedded.Start(t.Context(), other)
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "a second server on one address: %v", err)
		require.ErrorContains(t, err, o.Listen)
	}()
	s := start(t, o)
	c := dial(t, s, "second")
	d, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
	require.Equal(t, 2, run(t, c, work(t, c), 2))
}

// launch starts a server in a process of its own and returns when it is ready.
func launch(t *testing.T, url, listen string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self)
	c.Env = append(os.Environ(), killPostgresEnv+"="+url+" "+listen)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() }) // it may have been killed already
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ready\n", said)
	return c
}

// After kill −9, the next server takes the database at once, and the workflow that was under way goes on.
func TestPostgresSurvivesKill(t *testing.T) {
	url, listen := postgrestest.Database(t), freeAddress(t)
	c := launch(t, url, listen)
	client, err := sdkclient.DialContext(t.Context(), sdkclient.Options{HostPort: listen, Namespace: "openflow", Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer client.Close()
	id := uuid.NewString()
	_, err = client.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: id}, sequence, 3)
	require.NoError(t, err)
	require.NoError(t, c.Process.Kill())
	_ = c.Wait() // killed, as asked

	s := start(t, embedded.Options{Postgres: url, Listen: listen})
	again := dial(t, s, "second")
	queue := work(t, again)
	require.Equal(t, 6, run(t, again, queue, 3))
	d, err := again.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())
}

func TestPostgresRefuses(t *testing.T) {
	good := postgrestest.Database(t)
	foreign := postgrestest.Database(t)
	execPostgres(t, foreign, `create table accounts (id text)`)
	newer := postgrestest.Database(t)
	name := newer[strings.LastIndex(newer, "/")+1 : strings.Index(newer, "?")]
	execPostgres(t, newer, `create table schema_version (version_partition int, db_name text, curr_version text)`,
		`insert into schema_version values (0, '`+name+`', '99.0')`)
	for title, test := range map[string]struct {
		o    embedded.Options
		code openflow.Code
		say  string
	}{
		"two places":         {embedded.Options{Dir: t.TempDir(), Postgres: good}, openflow.CodeInvalid, "either"},
		"not a URL":          {embedded.Options{Postgres: "mysql://u:hidden@h/d"}, openflow.CodeInvalid, "postgres://"},
		"no user":            {embedded.Options{Postgres: "postgres://h/d"}, openflow.CodeInvalid, "no user"},
		"no database":        {embedded.Options{Postgres: "postgres://u:hidden@h:1"}, openflow.CodeInvalid, "h:1 names no database"},
		"unknown setting":    {embedded.Options{Postgres: "postgres://u:hidden@h/d?sslmode=x"}, openflow.CodeInvalid, "settings"},
		"nobody listens":     {embedded.Options{Postgres: "postgres://u:hidden@127.0.0.1:1/d?sslmode=disable"}, openflow.CodeUnavailable, "127.0.0.1:1/d"},
		"wrong password":     {embedded.Options{Postgres: strings.Replace(good, ":a", ":hidden", 1)}, openflow.CodeUnauthorized, "pg_hba.conf"},
		"somebody else's":    {embedded.Options{Postgres: foreign}, openflow.CodeConflict, "not of Temporal"},
		"a newer release's":  {embedded.Options{Postgres: newer}, openflow.CodeConflict, "newer"},
		"space in password":  {embedded.Options{Postgres: "postgres://u:hidden%20x@h/d"}, openflow.CodeInvalid, "space"},
		"no address":         {embedded.Options{Postgres: good, Listen: "localhost"}, openflow.CodeInvalid, "not an address"},
		"open to the world":  {embedded.Options{Postgres: good, Listen: "0.0.0.0:7233", Open: true}, openflow.CodeInvalid, "everybody"},
		"open with a token":  {embedded.Options{Postgres: good, Open: true, Token: "t"}, openflow.CodeInvalid, "token"},
		"half a certificate": {embedded.Options{Postgres: good, Certificate: "c.pem"}, openflow.CodeInvalid, "go together"},
	} {
		t.Run(title, func(t *testing.T) {
			_, err := embedded.Start(t.Context(), test.o)
			require.Equal(t, test.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, test.say)
			require.NotContains(t, err.Error(), "hidden")
			require.NotContains(t, err.Error(), "p@ss")
		})
	}
}

// A first start that was killed half way leaves tables without a version; the next one begins anew.
func TestPostgresFirstStartAfterKill(t *testing.T) {
	url := postgrestest.Database(t)
	execPostgres(t, url, `create table schema_version (version_partition int, db_name text, creation_time timestamp, curr_version text,
		min_compatible_version text, primary key (version_partition, db_name))`, `create table namespaces (half text)`)
	s := start(t, embedded.Options{Postgres: url})
	c := dial(t, s, "worker")
	require.Equal(t, 2, run(t, c, work(t, c), 2))
}

func execPostgres(t *testing.T, url string, queries ...string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for _, q := range queries {
		_, err := db.ExecContext(t.Context(), q)
		require.NoError(t, err)
	}
}

// While the database server restarts, the claim is lost and taken again.
func TestPostgresServerRestarts(t *testing.T) {
	database := postgrestest.Start(t)
	o := embedded.Options{Postgres: database.Database(t)}
	s := start(t, o)
	c := dial(t, s, "worker")
	queue := work(t, c)
	require.Equal(t, 2, run(t, c, queue, 2))
	database.Stop(t)
	database.Restart(t)
	require.Equal(t, 2, run(t, c, queue, 2))
	require.Eventually(t, func() bool { return claimed(t, o.Postgres) }, within, 10*1e6)
	_, err := embedded.Start(t.Context(), embedded.Options{Postgres: o.Postgres, Logger: slog.New(slog.DiscardHandler)})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "%v", err)
	select {
	case err := <-s.Failed():
		t.Fatal(err)
	default:
	}
}

// claimed reports whether some server has the claim on a database. A second server that only tries would take it.
func claimed(t *testing.T, url string) (yes bool) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	const held = `select exists(select 1 from pg_locks where locktype = 'advisory' and granted
		and database = (select oid from pg_database where datname = current_database()))`
	require.NoError(t, db.QueryRowContext(t.Context(), held).Scan(&yes))
	return yes
}

func FuzzParsePostgres(f *testing.F) {
	for _, s := range []string{
		"postgres://u:hidden-word@h:5432/d?sslmode=disable", "postgresql://u@h/d", "postgres://u:hidden-word@[::1]/d",
		"postgres://u:0/:hidden-word@h/d", "postgres://u:hidden-word@h1,h2/d", "",
	} {
		f.Add(s)
	}
	fuzzing.Within(f, func(t *testing.T, s string) {
		place, err := embedded.ParsePostgres(s)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			place = err.Error()
		}
		if strings.Count(s, "hidden-word") == 1 && strings.Contains(s, ":hidden-word@") {
			require.NotContains(t, place, "hidden-word")
		}
	})
}
