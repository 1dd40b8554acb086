package catalogue_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/admission"
	"openflow/store/catalogue"
)

// wants records a job that needs that much, refused or not when it asks for it.
func wants(t *testing.T, c *catalogue.Catalogue, id openflow.JobID, need openflow.Resources, priority int) openflow.JobKey {
	t.Helper()
	j, _ := sampleJob(id, guest)
	j.Cores, j.Memory, j.GPUs, j.Priority = need.Cores, need.Memory, need.GPUs, priority
	j.RemainingCores, j.RemainingMemory, j.RemainingGPUs = j.Cores, j.Memory, j.GPUs
	require.NoError(t, c.CreateJob(t.Context(), j, nil))
	return j.Key()
}

func told(t *testing.T, c *catalogue.Catalogue, capacity openflow.Resources, r admission.Rules) string {
	t.Helper()
	keys, err := c.NextToWake(t.Context(), capacity, r)
	require.NoError(t, err)
	var ids []string
	for _, k := range keys {
		ids = append(ids, string(k.Job))
	}
	return strings.Join(ids, " ")
}

func TestQueue(t *testing.T) {
	now := epoch
	c, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db"), Now: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	ctx := t.Context()
	capacity := cores(8)
	ask := func(k openflow.JobKey) openflow.Code {
		return openflow.CodeOf(c.ApplyJobResources(ctx, k, capacity, rules))
	}
	all := wants(t, c, "0", cores(8), 0)
	require.Empty(t, ask(all))
	keys := map[string]openflow.JobKey{}
	for _, j := range []struct {
		id       string
		n, order int
	}{{"1", 4, 0}, {"2", 4, 0}, {"3", 4, 0}, {"4", 2, 9}, {"5", 1, 0}} {
		keys[j.id] = wants(t, c, openflow.JobID(j.id), cores(j.n), j.order)
		require.Equal(t, openflow.CodeExhausted, ask(keys[j.id]))
	}
	require.Empty(t, told(t, c, capacity, rules), "nothing is free")
	require.NoError(t, c.ReturnJobResources(ctx, all))
	require.Equal(t, "4 1 5", told(t, c, capacity, rules), "by priority, then age; a small one passes those that do not fit")
	require.Empty(t, told(t, c, capacity, rules), "what they were told of is kept for them")
	require.Equal(t, openflow.CodeExhausted, ask(keys["3"]), "also against others that ask")
	require.Empty(t, ask(keys["4"]))
	require.Empty(t, ask(keys["1"]))
	require.Empty(t, ask(keys["5"]))
	requireUse(t, c, 7)

	for _, s := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobCanceled} {
		_, err := c.UpdateJobStatus(ctx, keys["2"], s, "stopped while it waits")
		require.NoError(t, err)
	}
	require.NoError(t, c.ReturnJobResources(ctx, keys["1"]))
	now = now.Add(time.Minute)
	require.Equal(t, "3", told(t, c, capacity, rules), "who has ended waits for nothing")
	now = now.Add(time.Minute - time.Second)
	require.Empty(t, told(t, c, capacity, rules), "a job that does not come waits for another party")
	now = now.Add(time.Second)
	require.Equal(t, "3", told(t, c, capacity, rules), "or who was to call it has died: it is told after as long as it had waited")
	require.Empty(t, told(t, c, capacity, rules))
	require.NoError(t, c.NotWoken(ctx, keys["3"]))
	require.Equal(t, "3", told(t, c, capacity, rules), "a call that did not arrive is repeated")
	require.NoError(t, c.NobodyWoken(ctx))
	require.Equal(t, "3", told(t, c, capacity, rules), "and so is what a process that died has not said")
}

// The largest job of the lowest priority is passed by others only until the site's patience ends.
func TestQueueKeepsWhatBecomesFreeForAJobThatWaitsLong(t *testing.T) {
	onEngines(t, testQueueKeepsWhatBecomesFreeForAJobThatWaitsLong)
}

func testQueueKeepsWhatBecomesFreeForAJobThatWaitsLong(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t) // its clock moves a second at every look
	ctx := t.Context()
	capacity := cores(8)
	strict := admission.Rules{Patience: 20 * time.Second}
	running := wants(t, c, "0", cores(2), 0)
	require.NoError(t, c.ApplyJobResources(ctx, running, capacity, strict))
	large := wants(t, c, "1", cores(8), -1)
	requireCode(t, openflow.CodeExhausted, c.ApplyJobResources(ctx, large, capacity, strict))
	small := func(i int) openflow.JobKey { return wants(t, c, openflow.JobID(fmt.Sprint("2", i)), cores(1), 9) }
	var passed []openflow.JobKey
	for i := 0; ; i++ {
		require.Less(t, i, 20, "it is passed for ever")
		k := small(i)
		err := c.ApplyJobResources(ctx, k, capacity, strict)
		if err != nil {
			requireCode(t, openflow.CodeExhausted, err)
			require.ErrorContains(t, err, "the rest is kept for jobs that come first")
			break
		}
		require.NoError(t, c.ReturnJobResources(ctx, k))
		passed = append(passed, k)
	}
	require.NotEmpty(t, passed, "before that it is no obstacle")
	require.Empty(t, told(t, c, capacity, strict))
	require.NoError(t, c.ReturnJobResources(ctx, running))
	require.Equal(t, "1", told(t, c, capacity, strict))
	require.NoError(t, c.ApplyJobResources(ctx, large, capacity, strict))
}

func TestMemoryAndGPUsOfJobs(t *testing.T) {
	onEngines(t, testMemoryAndGPUsOfJobs)
}

func testMemoryAndGPUsOfJobs(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	capacity := openflow.Resources{Cores: 8, Memory: 8 << 30, GPUs: 2}
	one := wants(t, c, "1", openflow.Resources{Cores: 1, Memory: 6 << 30, GPUs: 1}, 0)
	two := wants(t, c, "2", openflow.Resources{Cores: 1, Memory: 3 << 30, GPUs: 2}, 0)
	three := wants(t, c, "3", openflow.Resources{Cores: 1, Memory: 9 << 30, GPUs: 3}, 0)
	require.NoError(t, c.ApplyJobResources(ctx, one, capacity, rules))
	err := c.ApplyJobResources(ctx, two, capacity, rules)
	requireCode(t, openflow.CodeExhausted, err)
	require.ErrorContains(t, err, "needs 3GiB of memory, 2GiB of 8GiB are free, and 2 GPUs, 1 of 2 are free; waiting since 2025-")
	err = c.ApplyJobResources(ctx, three, capacity, rules)
	require.ErrorIs(t, err, catalogue.ErrBeyondCapacity)
	require.ErrorContains(t, err, "needs 9GiB of memory, the site has 8GiB, and needs 3 GPUs, the site has 2: more than the site has")
	used, err := c.CapacityUse(ctx)
	require.NoError(t, err)
	require.Equal(t, openflow.Resources{Cores: 1, Memory: 6 << 30, GPUs: 1}, used, "a refused job holds nothing of anything")
	require.NoError(t, c.ReturnJobResources(ctx, one))
	require.NoError(t, c.ApplyJobResources(ctx, two, capacity, rules))
	used, err = c.CapacityUse(ctx)
	require.NoError(t, err)
	require.Equal(t, openflow.Resources{Cores: 1, Memory: 3 << 30, GPUs: 2}, used)
}

// Tasks of several jobs run at once; no device is given to two of them, and each gets its own back.
func TestGPUsOfTasks(t *testing.T) {
	onEngines(t, testGPUsOfTasks)
}

func testGPUsOfTasks(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	capacity := openflow.Resources{Cores: 8, GPUs: 4}
	start := func(id openflow.JobID, gpus int) openflow.TaskKey {
		j, tasks := sampleJob(id, guest)
		j.Cores, j.RemainingCores, j.GPUs, j.RemainingGPUs = 1, 1, 2, 2
		tasks[0].Cores, tasks[0].GPUs = 0, gpus
		require.NoError(t, c.CreateJob(ctx, j, tasks[:1]))
		require.NoError(t, c.ApplyJobResources(ctx, j.Key(), capacity, rules))
		return tasks[0].Key
	}
	given := func(k openflow.TaskKey) []string {
		r, err := c.Task(ctx, k)
		require.NoError(t, err)
		return r.GPUIDs
	}
	a, b := start("1", 1), start("2", 2)
	for range 2 {
		require.NoError(t, c.ApplyTaskResources(ctx, a, 4, openflow.Quota{}))
		require.NoError(t, c.ApplyTaskResources(ctx, b, 4, openflow.Quota{}))
		require.Equal(t, []string{"0"}, given(a))
		require.Equal(t, []string{"1", "2"}, given(b))
	}
	_, err := c.FinishTask(ctx, a, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	require.Equal(t, []string{"0"}, given(a), "it can be seen which one it had")
	_, err = c.UpdateJobStatus(ctx, openflow.JobKey{Scheduler: "9999", Job: "1", Party: guest}, openflow.JobFailed, "")
	require.NoError(t, err)
	d := start("3", 2)
	require.NoError(t, c.ApplyTaskResources(ctx, d, 4, openflow.Quota{}))
	require.Equal(t, []string{"0", "3"}, given(d))

	two := openflow.JobKey{Scheduler: "9999", Job: "2", Party: guest}
	require.NoError(t, c.ReturnJobResources(ctx, two), "a run has what it holds")
	shrunk := waitingForGPU(t, c, "4")
	_, err = c.FinishTask(ctx, b, openflow.TaskEnd{Status: openflow.TaskSuccess})
	require.NoError(t, err)
	require.NoError(t, c.ReturnJobResources(ctx, two))
	require.NoError(t, c.ApplyJobResources(ctx, openflow.JobKey{Scheduler: "9999", Job: "4", Party: guest}, capacity, rules))
	requireCode(t, openflow.CodeExhausted, c.ApplyTaskResources(ctx, shrunk, 1, openflow.Quota{}))
}

// waitingForGPU is a job of one task and one GPU that has not applied.
func waitingForGPU(t *testing.T, c *catalogue.Catalogue, id openflow.JobID) openflow.TaskKey {
	t.Helper()
	j, tasks := sampleJob(id, guest)
	j.Cores, j.RemainingCores, j.GPUs, j.RemainingGPUs = 0, 0, 1, 1
	tasks[0].Cores, tasks[0].GPUs = 0, 1
	require.NoError(t, c.CreateJob(t.Context(), j, tasks[:1]))
	return tasks[0].Key
}

// Every way for a job to end gives back what it holds of every resource, and a second end gives back nothing.
func TestEveryEndReturnsEverything(t *testing.T) {
	onEngines(t, testEveryEndReturnsEverything)
}

func testEveryEndReturnsEverything(t *testing.T, newCatalogue opener) {
	need := openflow.Resources{Cores: 2, Memory: 1 << 30, GPUs: 1}
	capacity := openflow.Resources{Cores: 2, Memory: 1 << 30, GPUs: 1}
	move := func(to openflow.JobStatus) func(*catalogue.Catalogue, openflow.JobKey) error {
		return func(c *catalogue.Catalogue, k openflow.JobKey) error {
			_, err := c.UpdateJobStatus(t.Context(), k, to, "why")
			return err
		}
	}
	for name, tc := range map[string]struct {
		running bool
		end     func(*catalogue.Catalogue, openflow.JobKey) error
	}{
		"success":               {true, move(openflow.JobSuccess)},
		"failed":                {true, move(openflow.JobFailed)},
		"canceled":              {true, move(openflow.JobCanceled)},
		"timeout":               {true, move(openflow.JobTimeout)},
		"canceled before start": {false, move(openflow.JobCanceled)},
		"failed before start":   {false, move(openflow.JobFailed)}, // undone: another party refused to create it
		"given back":            {false, func(c *catalogue.Catalogue, k openflow.JobKey) error { return c.ReturnJobResources(t.Context(), k) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			k := wants(t, c, "1", need, 0)
			require.NoError(t, move(openflow.JobWaiting)(c, k))
			require.NoError(t, c.ApplyJobResources(t.Context(), k, capacity, rules))
			if tc.running {
				require.NoError(t, move(openflow.JobRunning)(c, k))
			}
			next := wants(t, c, "2", need, 0)
			requireCode(t, openflow.CodeExhausted, c.ApplyJobResources(t.Context(), next, capacity, rules))
			for range 2 {
				require.NoError(t, tc.end(c, k))
				used, err := c.CapacityUse(t.Context())
				require.NoError(t, err)
				require.Zero(t, used)
			}
			require.Equal(t, "2", told(t, c, capacity, rules))
		})
	}
}

// However many jobs the catalogue remembers, what waits and what runs is read from indices that hold nothing else.
func TestWhatIsUnderWayIsReadFromItsIndices(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.db")
	mustOpen(t, catalogue.Options{File: file})
	db, err := sql.Open("sqlite", file)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	for name, want := range map[string]string{
		"told": "USING INDEX job_told", "late": "USING COVERING INDEX job_queue_age", "fitting": "USING COVERING INDEX job_queue",
		"running": "USING INDEX job_running", "scheduled": "USING INDEX scheduled_job_running",
	} {
		rows, err := db.QueryContext(t.Context(), "explain query plan "+catalogue.FrequentQueries[name], 1, 1, 1, 1, 1, 1, 1)
		require.NoError(t, err)
		var plan []string
		for rows.Next() {
			var a, b, c int
			var text string
			require.NoError(t, rows.Scan(&a, &b, &c, &text))
			plan = append(plan, text)
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
		require.Len(t, plan, 1, "%s is not sorted: %v", name, plan)
		require.Contains(t, plan[0], want)
	}
}
