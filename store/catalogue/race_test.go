package catalogue_test

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
)

// replicas are several processes' catalogues at one place.
func replicas(t *testing.T, place catalogue.Options, n int) []*catalogue.Catalogue {
	t.Helper()
	opened := make([]*catalogue.Catalogue, n)
	for i := range opened {
		opened[i] = mustOpen(t, place)
	}
	return opened
}

// parallel runs n calls at once and returns their errors.
func parallel(n int, call func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// allow drops an error that is the right answer to a lost race.
func allow(err error, codes ...openflow.Code) error {
	for _, c := range codes {
		if openflow.CodeOf(err) == c {
			return nil
		}
	}
	return err
}

// Jobs and their tasks take and return resources in every order, from several replicas at once, and end. Nobody ever
// holds more than there is, and at the end nothing is held.
func TestReplicasShareTheCapacity(t *testing.T) { atEngines(t, testReplicasShareTheCapacity) }

func testReplicasShareTheCapacity(t *testing.T, place catalogue.Options) {
	const jobs, callers, steps, capacity = 6, 12, 15, 4 * 3 // half of the jobs fit
	opened := replicas(t, place, 3)
	ctx := t.Context()
	keys := make([]openflow.JobKey, jobs)
	tasks := make([][]openflow.TaskRecord, jobs)
	for i := range jobs {
		var j openflow.JobRecord
		j, tasks[i] = createJob(t, opened[0], openflow.JobID(fmt.Sprint("j", i)), guest)
		keys[i] = j.Key()
	}
	require.NoError(t, parallel(callers, func(caller int) error {
		c, random := opened[caller%len(opened)], rand.New(rand.NewPCG(1, uint64(caller)))
		for range steps {
			i := random.IntN(jobs)
			task := tasks[i][random.IntN(len(tasks[i]))].Key
			var err error
			switch random.IntN(4) {
			case 0:
				err = allow(c.ApplyJobResources(ctx, keys[i], cores(capacity), rules), openflow.CodeExhausted, openflow.CodeUnavailable)
			case 1:
				err = c.ReturnJobResources(ctx, keys[i])
			case 2:
				err = allow(c.ApplyTaskResources(ctx, task, 0, openflow.Quota{}), openflow.CodeExhausted, openflow.CodeUnavailable)
			case 3:
				err = c.ReturnTaskResources(ctx, task)
			}
			used, useErr := c.CapacityUse(ctx)
			if used.Cores < 0 || used.Cores > capacity {
				useErr = fmt.Errorf("%d of %d cores are held", used.Cores, capacity)
			}
			if err := errors.Join(err, useErr); err != nil {
				return err
			}
		}
		return nil
	}))

	held := 0
	for _, k := range keys {
		j, err := opened[0].Job(ctx, k)
		require.NoError(t, err)
		if j.ResourceInUse {
			held += j.Cores
		}
		rows, err := opened[0].TasksOfJob(ctx, k)
		require.NoError(t, err)
		left := j.Cores
		for _, r := range rows {
			if r.ResourceInUse {
				left -= r.Cores
			}
		}
		require.Equal(t, left, j.RemainingCores, "the job's counter is the sum of its tasks")
	}
	requireUse(t, opened[0], held)

	var ended atomic.Int32
	require.NoError(t, parallel(3*jobs, func(i int) error {
		changed, err := opened[i%len(opened)].UpdateJobStatus(ctx, keys[i/3], openflow.JobFailed, "no")
		if changed {
			ended.Add(1)
		}
		return err
	}))
	require.EqualValues(t, jobs, ended.Load(), "one call of three ends each job")
	require.NoError(t, parallel(jobs, func(i int) error {
		var errs []error
		for _, task := range tasks[i] {
			errs = append(errs, opened[i%len(opened)].ReturnTaskResources(ctx, task.Key))
		}
		return errors.Join(errs...)
	}), "the last run of an ended job gives back what the job holds")
	requireUse(t, opened[0], 0)
}

// One task's end is told three times at once, with and without its circumstances.
func TestReplicasFinishATaskOnce(t *testing.T) { atEngines(t, testReplicasFinishATaskOnce) }

func testReplicasFinishATaskOnce(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 3)
	ctx := t.Context()
	j, tasks := createJob(t, opened[0], "j", guest)
	k := tasks[0].Key
	holding(t, opened[0], j)
	require.NoError(t, opened[0].ApplyTaskResources(ctx, k, 0, openflow.Quota{}))
	code := 3
	var changes, won atomic.Int32
	statuses := []openflow.TaskStatus{openflow.TaskFailed, openflow.TaskCanceled, openflow.TaskSuccess}
	require.NoError(t, parallel(12, func(i int) error {
		end := openflow.TaskEnd{Status: statuses[i%3]}
		if i < 6 {
			end.ExitCode = &code
		}
		changed, err := opened[i%len(opened)].FinishTask(ctx, k, end)
		if changed {
			changes.Add(1)
		}
		if err == nil {
			won.Add(1)
		}
		return allow(err, openflow.CodeConflict)
	}))
	require.EqualValues(t, 1, changes.Load())
	require.EqualValues(t, 4, won.Load(), "those that tell the same end succeed")
	got, err := opened[0].Task(ctx, k)
	require.NoError(t, err)
	require.Equal(t, &code, got.ExitCode)
	job, err := opened[0].Job(ctx, j.Key())
	require.NoError(t, err)
	require.Equal(t, 4, job.RemainingCores, "the cores came back once")
}

// A rerun adds versions and opens the job while another replica deletes it: either it is gone, whole, or it is there,
// whole.
func TestReplicasRerunAndDelete(t *testing.T) { atEngines(t, testReplicasRerunAndDelete) }

func testReplicasRerunAndDelete(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 2)
	ctx := t.Context()
	for round := range 10 {
		j, k := finishedJob(t, opened[0], openflow.JobID(fmt.Sprint("j", round)), "log", "object")
		_, tasks := sampleJob(j.ID, guest)
		version := tasks[0]
		version.Key.Version = 1
		table := sampleTable("late", "late")
		table.Intermediate = true
		require.NoError(t, parallel(4, func(i int) error {
			c := opened[i%2]
			switch i {
			case 0:
				_, err := c.DeleteJob(ctx, j.Key())
				return allow(err, openflow.CodeConflict)
			case 1:
				return allow(c.AddTask(ctx, version), openflow.CodeNotFound)
			case 2:
				_, err := c.UpdateJobStatus(ctx, j.Key(), openflow.JobWaiting, "")
				return allow(err, openflow.CodeNotFound)
			default:
				o := openflow.OutputRecord{Task: k, OutputKey: "late", Table: table.Name}
				return allow(c.SaveOutput(ctx, o, &table), openflow.CodeNotFound)
			}
		}))
		_, err := opened[0].Job(ctx, j.Key())
		gone := openflow.CodeOf(err) == openflow.CodeNotFound
		n, err := opened[0].CountTasks(ctx, catalogue.TaskFilter{Job: j.ID})
		require.NoError(t, err)
		made, err := opened[0].Outputs(ctx, k)
		require.NoError(t, err)
		if gone {
			require.Zero(t, n, "tasks without their job")
			require.Empty(t, made, "outputs without their task")
		} else {
			require.Equal(t, len(tasks)+1, n)
		}
		_, err = opened[0].UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
		require.NoError(t, allow(err, openflow.CodeNotFound))
		_, err = opened[0].DeleteJob(ctx, j.Key())
		require.NoError(t, err)
		require.NoError(t, allow(opened[0].DeleteTable(ctx, table.Name), openflow.CodeNotFound))
	}
}

// A table is deleted at one replica while a job that reads it is created at another: there is the table, or no job.
func TestReplicasCreateAndDeleteTable(t *testing.T) { atEngines(t, testReplicasCreateAndDeleteTable) }

func testReplicasCreateAndDeleteTable(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 2)
	ctx := t.Context()
	for round := range 10 {
		name := openflow.TableName{Namespace: "bank", Name: fmt.Sprint("t", round)}
		require.NoError(t, opened[0].SaveTable(ctx, openflow.TableRecord{Name: name, Object: "o"}))
		j, tasks := sampleJob(openflow.JobID(fmt.Sprint("reads", round)), guest)
		var created, deleted error
		require.NoError(t, parallel(2, func(i int) error {
			if i == 0 {
				deleted = opened[0].DeleteTable(ctx, name)
				return allow(deleted, openflow.CodeConflict)
			}
			created = opened[1].CreateJob(ctx, j, tasks, openflow.Pin{Task: "reader_0", Kind: openflow.InputData, Table: name, Object: "o"})
			return allow(created, openflow.CodeUnavailable)
		}))
		require.NotEqual(t, created == nil, deleted == nil, "created: %v; deleted: %v", created, deleted)
	}
}

// One submission arrives many times at all replicas, by key and by ID: it is one job.
func TestReplicasTakeASubmissionOnce(t *testing.T) { atEngines(t, testReplicasTakeASubmissionOnce) }

func testReplicasTakeASubmissionOnce(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 3)
	ids := make([]openflow.JobID, 18)
	require.NoError(t, parallel(len(ids), func(i int) error {
		kept, err := opened[i%3].AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{
			ID: openflow.JobID(fmt.Sprint("j", i)), Initiator: "9999", IdempotencyKey: fmt.Sprint("key", i%2), SubmitHash: "h", DAG: sampleDAG(),
		})
		ids[i] = kept.ID
		return err
	}))
	for i, id := range ids {
		require.Equal(t, ids[i%2], id)
	}
	var first [4]string
	require.NoError(t, parallel(len(first), func(i int) (err error) {
		first[i], err = opened[i%3].MetaOnce(t.Context(), "uuid", strings.Repeat("x", i+1))
		return err
	}))
	for _, v := range first {
		require.Equal(t, first[0], v)
	}
}

// Jobs that wait are woken once each, however many replicas look for one at the same time.
func TestReplicasWakeEachJobOnce(t *testing.T) { atEngines(t, testReplicasWakeEachJobOnce) }

func testReplicasWakeEachJobOnce(t *testing.T, place catalogue.Options) {
	place.Now = func() time.Time { return epoch } // a job may be told again after some seconds
	opened := replicas(t, place, 3)
	const waiting = 12
	capacity := cores(4 * waiting)
	holder := wants(t, opened[0], "holder", capacity, 0)
	require.NoError(t, opened[0].ApplyJobResources(t.Context(), holder, capacity, rules))
	for i := range waiting {
		k := wants(t, opened[0], openflow.JobID(fmt.Sprintf("j%02d", i)), cores(4), 0)
		requireCode(t, openflow.CodeExhausted, opened[i%3].ApplyJobResources(t.Context(), k, capacity, rules))
	}
	require.NoError(t, opened[0].ReturnJobResources(t.Context(), holder))
	woken := make([][]openflow.JobKey, waiting)
	require.NoError(t, parallel(waiting, func(i int) (err error) {
		woken[i], err = opened[i%3].NextToWake(t.Context(), capacity, rules)
		return err
	}))
	seen := map[openflow.JobKey]bool{}
	for _, keys := range woken {
		for _, k := range keys {
			require.False(t, seen[k], "%s was woken twice", k)
			seen[k] = true
		}
	}
	require.Len(t, seen, waiting)
}

// Metrics that several calls send at once, partly the same ones in another order, are there once.
func TestReplicasStoreMetricsOnce(t *testing.T) { atEngines(t, testReplicasStoreMetricsOnce) }

func testReplicasStoreMetricsOnce(t *testing.T, place catalogue.Options) {
	opened := replicas(t, place, 3)
	_, tasks := createJob(t, opened[0], "j", guest)
	k := tasks[0].Key
	all := make([]openflow.MetricRecord, 10)
	for i := range all {
		all[i] = openflow.MetricRecord{Task: k, Name: fmt.Sprint("m", i)}
	}
	require.NoError(t, parallel(9, func(i int) error {
		batch := append([]openflow.MetricRecord{}, all...)
		rand.New(rand.NewPCG(2, uint64(i))).Shuffle(len(batch), func(a, b int) { batch[a], batch[b] = batch[b], batch[a] })
		return opened[i%3].AppendMetrics(t.Context(), k, batch)
	}))
	got, err := opened[0].Metrics(t.Context(), k)
	require.NoError(t, err)
	require.Len(t, got, len(all))
}

// While another replica's transaction holds the writers up, however many wait here, reading goes on.
func TestWaitingWritersDoNotHoldUpReaders(t *testing.T) {
	place := catalogue.Options{URL: postgrestest.Database(t)}
	c := mustOpen(t, place)
	j, tasks := createJob(t, c, "j", guest)
	holding(t, c, j)
	db, err := sql.Open("pgx", place.URL)
	require.NoError(t, err)
	defer db.Close()
	other, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = other.ExecContext(t.Context(), catalogue.LockWriters)
	require.NoError(t, err)

	const writers = 20
	written := make(chan error, writers)
	for range writers {
		go func() { written <- c.ApplyTaskResources(t.Context(), tasks[0].Key, 0, openflow.Quota{}) }()
	}
	require.Eventually(t, func() bool { // some of them wait at the server
		var n int
		err := db.QueryRowContext(t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and not granted`).Scan(&n)
		return err == nil && n > 1
	}, 3*time.Minute, time.Millisecond)
	for range 10 {
		_, err = c.Job(t.Context(), j.Key())
		require.NoError(t, err)
	}
	require.Empty(t, written, "a writer did not wait")
	require.NoError(t, other.Rollback())
	for range writers {
		require.NoError(t, <-written)
	}
}

// A statement that two prepare at once is closed by one of them, who may wait for a connection in use. Nobody who holds the
// database waits for that.
func TestFirstWritesAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, newCatalogue opener) {
		for range 8 {
			c := newCatalogue(t)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					if _, err := ofPeer(t, c, "10000", openflow.JobID(fmt.Sprint("j", i)), 1, openflow.Quota{}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
	})
}
