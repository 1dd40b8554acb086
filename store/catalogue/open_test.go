package catalogue_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
	"openflow/tests/fuzzing"
)

func TestReopenKeepsEverything(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		if place.File != "" {
			place.Synchronous = catalogue.SyncFull
		}
		c, err := catalogue.Open(t.Context(), place)
		require.NoError(t, err)
		j, _ := createJob(t, c, "j", guest)
		want, err := c.Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.NoError(t, c.Close())

		got, err := mustOpen(t, place).Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got))
	})
}

func TestTwoProcessesShareAPlace(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		one, two := mustOpen(t, place), mustOpen(t, place)
		j, _ := createJob(t, one, "j", guest)
		changed, err := two.UpdateJobStatus(t.Context(), j.Key(), openflow.JobWaiting, "")
		require.NoError(t, err)
		require.True(t, changed)
		got, err := one.Job(t.Context(), j.Key())
		require.NoError(t, err)
		require.Equal(t, openflow.JobWaiting, got.Status)
	})
}

// Replicas that start together: one migrates, the others wait and find the tables.
func TestReplicasStartTogether(t *testing.T) {
	place := catalogue.Options{URL: postgrestest.Database(t)}
	opened := make([]*catalogue.Catalogue, 4)
	var wg sync.WaitGroup
	for i := range opened {
		wg.Go(func() {
			c, err := catalogue.Open(t.Context(), place)
			if err != nil {
				t.Error(err)
				return
			}
			opened[i] = c
		})
	}
	wg.Wait()
	for i, c := range opened {
		require.NotNil(t, c)
		createJob(t, c, openflow.JobID(fmt.Sprint("j", i)), guest)
	}
	n, err := opened[0].CountJobs(t.Context(), catalogue.JobFilter{})
	require.NoError(t, err)
	require.Equal(t, len(opened), n)
	for _, c := range opened {
		require.NoError(t, c.Close())
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		mustOpen(t, place)
		rawExec(t, place, `insert into goose_db_version (version_id, is_applied) values (9999, true)`)
		_, err := catalogue.Open(t.Context(), place)
		requireCode(t, openflow.CodeConflict, err)
		require.ErrorContains(t, err, "newer openflow")
	})
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.db")
	noDatabase := filepath.Join(t.TempDir(), "text.db")
	require.NoError(t, os.WriteFile(noDatabase, []byte("this is not a database, whatever its name may say"), 0o600))

	for name, c := range map[string]struct {
		o    catalogue.Options
		code openflow.Code
		say  string
	}{
		"no place":          {catalogue.Options{}, openflow.CodeInvalid, "no file and no URL"},
		"two places":        {catalogue.Options{File: file, URL: "postgres://h/d"}, openflow.CodeInvalid, "one place"},
		"an unknown mode":   {catalogue.Options{File: file, Synchronous: "OFF"}, openflow.CodeInvalid, "OFF"},
		"a missing folder":  {catalogue.Options{File: filepath.Join(t.TempDir(), "no", "c.db")}, openflow.CodeInternal, "c.db"},
		"not a database":    {catalogue.Options{File: noDatabase}, openflow.CodeInternal, "not a database"},
		"a folder, no file": {catalogue.Options{File: t.TempDir()}, openflow.CodeInternal, "migrate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := catalogue.Open(t.Context(), c.o)
			requireCode(t, c.code, err)
			require.ErrorContains(t, err, c.say)
		})
	}
}

// columns lists every column and index of a database.
func columns(t *testing.T, file string) []string {
	t.Helper()
	db := rawDB(t, file, "")
	rows, err := db.QueryContext(t.Context(), `select m.name || '.' || c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || c.pk
		from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'
		union select 'index ' || name from sqlite_master where type = 'index' order by 1`)
	require.NoError(t, err)
	var list []string
	for rows.Next() {
		var line string
		require.NoError(t, rows.Scan(&line))
		list = append(list, line)
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	require.Greater(t, len(list), 100)
	return list
}

// A database with the first schema opens, keeps its rows and takes new ones.
func TestMigrationFromVersion1(t *testing.T) {
	fixture, err := os.ReadFile("testdata/version1.sql")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "c.db")
	rawExec(t, catalogue.Options{File: file}, string(fixture))

	c := mustOpen(t, catalogue.Options{File: file})
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	mustOpen(t, catalogue.Options{File: fresh})
	require.Empty(t, cmp.Diff(columns(t, fresh), columns(t, file)), "migrated and new databases have one schema")
	j, err := c.Job(t.Context(), openflow.JobKey{Scheduler: "9999", Job: "j1", Party: guest})
	require.NoError(t, err)
	require.Equal(t, openflow.JobRunning, j.Status)
	require.True(t, j.ResourceInUse)
	require.Equal(t, []openflow.Party{guest, host}, j.DAG.Parties)
	tasks, _, err := c.TasksWhere(t.Context(), catalogue.TaskFilter{Job: "j1"})
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.Equal(t, openflow.TaskRunning, tasks[0].PartyStatus)
	require.Equal(t, "reader", tasks[0].Spec.Component)
	used, err := c.CapacityUse(t.Context())
	require.NoError(t, err)
	require.Equal(t, cores(4), used)

	createJob(t, c, "j2", guest)
	_, err = c.FinishTask(t.Context(), tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
}

func FuzzDecodeDAG(f *testing.F) {
	text, err := catalogue.EncodeDAG("j", sampleDAG())
	require.NoError(f, err)
	f.Add(text)
	f.Add(`null`)
	f.Add(`{"Tasks":[{"Parameters":{"a":1e400}}]}`)
	f.Add(`{} {}`)
	fuzzing.Within(f, func(t *testing.T, s string) {
		d, err := catalogue.DecodeDAG("j", s)
		if err != nil {
			require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
			return
		}
		once, err := catalogue.EncodeDAG("j", d)
		require.NoError(t, err)
		again, err := catalogue.DecodeDAG("j", once)
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(d, again))
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add("eyJUaW1lIjoxLCJLZXlzIjpbImEiXX0")
	f.Add("")
	f.Add("!!")
	fuzzing.Within(f, func(t *testing.T, s string) {
		c, err := catalogue.ParseCursor(s, 1)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		text, err := c.String()
		require.NoError(t, err)
		again, err := catalogue.ParseCursor(text, 1)
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
