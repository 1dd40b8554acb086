package scenarios_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
	"openflow/tests/env"
)

var single = env.Parties("guest 9999")

// quick is a job of one short task at that many cores and that priority.
func quick(parties []openflow.Party, n, priority int) *openflow.DAG {
	d := cores(n, env.DAG(parties, env.Noop("a", nil)))
	d.Conf.Priority = priority
	d.Conf.Task.Cores = &n
	return d
}

// waitsFor waits until a job says that it waits.
func waitsFor(user *env.Client, id openflow.JobID) string {
	user.Helper()
	var reason string
	env.WaitUntil(user, env.Patience, "the job waits and says for what", func() (bool, string) {
		rows := user.Jobs(id)
		if len(rows) > 0 {
			reason = rows[0].Reason
		}
		return reason != "", reason
	})
	return reason
}

// served lists jobs in the order in which they got their resources at the user's node.
func served(user *env.Client, ids []openflow.JobID) []openflow.JobID {
	user.Helper()
	at := map[openflow.JobID]int64{}
	for _, id := range ids {
		rows := user.WaitFor(id, openflow.JobSuccess)
		require.NotNil(user, rows[0].ApplyResourceTime)
		at[id] = *rows[0].ApplyResourceTime
	}
	list := slices.Clone(ids)
	slices.SortStableFunc(list, func(a, b openflow.JobID) int { return int(at[a] - at[b]) })
	return list
}

func TestQueue(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), env.Limits(func(l *partner.Limits) {
		l.Memory, l.GPUs, l.Patience = 1<<30, 2, time.Hour // nobody is overdue, however long this takes
	}))

	t.Run("by priority, then age", func(t *testing.T) {
		guest := e.As(t, "9999")
		first := hold(guest, cores(4, long(pair)))
		var ids []openflow.JobID
		for _, priority := range []int{0, 5, 0, 9} {
			ids = append(ids, guest.Submit(quick(pair, 4, priority)))
			waitsFor(guest, ids[len(ids)-1])
		}
		guest.StopJob(first)
		require.Equal(t, []openflow.JobID{ids[3], ids[1], ids[0], ids[2]}, served(guest, ids))
		e.NoCoresHeld(t)
	})

	t.Run("a job that cannot fit yet blocks nobody", func(t *testing.T) {
		guest := e.As(t, "9999")
		first := hold(guest, cores(1, long(pair)))
		large := guest.Submit(quick(pair, 4, 0))
		waitsFor(guest, large)
		guest.WaitFor(guest.Submit(quick(pair, 3, 0)), openflow.JobSuccess)
		guest.StopJob(first)
		guest.WaitFor(large, openflow.JobSuccess)
		e.NoCoresHeld(t)
	})

	t.Run("memory and GPUs", func(t *testing.T) {
		guest := e.As(t, "9999")
		big := long(pair)
		memory, gpus := int64(768<<20), 1
		big.Conf.Memory, big.Conf.GPUs = &memory, &gpus
		big.Conf.Task.Cores, big.Conf.Task.GPUs, big.Conf.Task.Memory = new(1), &gpus, &memory
		first := hold(guest, cores(1, big))
		require.Equal(t, openflow.Resources{Cores: 1, Memory: 768 << 20, GPUs: 1}, e.CapacityHeld(t, "9999"))
		require.Equal(t, []string{"0"}, guest.Tasks(first)[0].GPUIDs)

		other := quick(pair, 1, 0)
		other.Conf.Task.GPUs = new(1)
		free := guest.Submit(other)
		guest.WaitFor(free, openflow.JobSuccess)
		require.Equal(t, []string{"1"}, guest.Tasks(free)[0].GPUIDs, "a device is one task's at a time")

		memoryTask, gpuTask := quick(pair, 1, 0), quick(pair, 1, 0)
		memoryTask.Conf.Task.Memory = new(int64(512 << 20))
		gpuTask.Conf.Task.GPUs = new(2)
		ids := []openflow.JobID{guest.Submit(memoryTask), guest.Submit(gpuTask)}
		for i, want := range []string{"needs 512MiB of memory, 256MiB of 1GiB are free", "needs 2 GPUs, 1 of 2 are free"} {
			reason := waitsFor(guest, ids[i])
			require.Contains(t, reason, want)
			require.Regexp(t, `waiting since 20\d\d-`, reason)
			require.Regexp(t, `(guest|host) (9999|10000)`, reason)
		}
		guest.StopJob(first)
		for _, id := range ids {
			guest.WaitFor(id, openflow.JobSuccess)
		}
		e.NoCoresHeld(t)
	})

	t.Run("further ends give everything back", func(t *testing.T) {
		late := quick(pair, 4, 0)
		late.Tasks[0].Parameters, late.Conf.Task.Timeout = env.Sleep(300_000), time.Second
		late.Conf.Task.GPUs = new(2)
		guest := e.As(t, "9999")
		rows := guest.WaitFor(guest.Submit(late), openflow.JobFailed) // which clients are told of a timeout
		require.Contains(t, rows[0].Reason, "timeout")
		e.NoCoresHeld(t)

		refused := cores(4, env.DAG(pair, openflow.Task{Name: "a", Component: "noop", Parties: pair[:1]}, openflow.Task{
			Name: "b", Component: "reader", Parties: pair[1:], Parameters: openflow.Parameters{"namespace": "none", "name": "none"},
		}))
		require.NotZero(t, guest.TrySubmit(refused).Code, "the host refuses to create it")
		e.NoCoresHeld(t)

		interrupted := hold(guest, cores(4, long(pair)))
		waiting := guest.Submit(quick(pair, 4, 0))
		waitsFor(guest, waiting)
		e.Restart(t, "9999", "10000")
		guest.StopJob(interrupted)
		guest.WaitFor(waiting, openflow.JobSuccess)
		e.NoCoresHeld(t)
	})
}

// A job that cannot fit yet is not passed for ever.
func TestLargeJobIsNotPassedForEver(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), env.Limits(func(l *partner.Limits) { l.Patience = 4 * time.Second }))
	guest := e.As(t, "9999")
	first := hold(guest, cores(1, long(pair)))
	large := guest.Submit(quick(pair, 4, 0))
	waitsFor(guest, large)
	d := quick(pair, 2, 9) // three of these at a time: two run and one waits, whenever one ends
	d.Tasks[0].Parameters = env.Sleep(300)
	passing := make([]openflow.JobID, 3)
	refill := func() {
		for i, id := range passing {
			if id == "" || env.Ended(guest.Jobs(id)[0].Status) {
				passing[i] = guest.Submit(d)
			}
		}
	}
	refill()
	guest.StopJob(first)
	env.WaitUntil(t, env.Patience, "the large job has its turn", func() (bool, string) {
		refill()
		rows := guest.Jobs(large)
		return rows[0].Status == string(openflow.JobSuccess), rows[0].Reason
	})
	for _, id := range passing {
		guest.WaitFor(id, openflow.JobSuccess)
	}
	e.NoCoresHeld(t)
}

// Two schedulers want the same two sites for all of their jobs, each of which needs all that a site has. No two jobs may
// keep each other waiting, whoever asks first where.
func TestTwoSchedulersContend(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	const each = 8
	begun := time.Now()
	waits := map[openflow.JobID]*env.Client{}
	for i, id := range e.Parties {
		parties := []openflow.Party{{Role: openflow.RoleGuest, ID: openflow.PartyID(id)}, {Role: openflow.RoleHost, ID: openflow.PartyID(e.Parties[1-i])}}
		user := e.As(t, id)
		for range each {
			waits[user.Submit(quick(parties, 4, 0))] = user
		}
	}
	for id, user := range waits {
		user.WaitFor(id, openflow.JobSuccess)
	}
	t.Logf("%d jobs of two schedulers in %.1f s", 2*each, time.Since(begun).Seconds())
	e.NoCoresHeld(t)
	e.NoContainers(t)
}

// database is one of a node's, opened beside the node.
func database(t *testing.T, path ...string) *sql.DB {
	t.Helper()
	u := url.URL{Scheme: "file", Path: filepath.Join(path...), RawQuery: "mode=ro&_pragma=busy_timeout(10000)"}
	db, err := sql.Open("sqlite", u.String())
	require.NoError(t, err)
	db.SetMaxOpenConns(1) // a version belongs to a connection
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func number(t *testing.T, db *sql.DB, query string) (n int) {
	t.Helper()
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// A thousand jobs wait for one that has everything. While they wait, nothing is written to any of their histories, so no
// workflow or activity of theirs runs, and nothing is written to the catalogue. When what they wait for is given back they
// run in their order, for work that does not grow with their number. The gate has two hundred; `make queue` a thousand.
func TestManyJobsWait(t *testing.T) {
	n := 200
	if os.Getenv("OPENFLOW_BIG") != "" {
		n = 1000
	}
	const capacity = 8
	timing := env.Timing()
	timing.Collect = time.Hour // the job that runs is silent, and its history is not what is measured
	e := env.New(t, env.Party("9999"), env.Cores(capacity), env.Deadlines(timing))
	user := e.As(t, "9999")
	first := hold(user, cores(capacity, long(single)))
	begun := time.Now()
	ids := make([]openflow.JobID, n)
	var submitting sync.WaitGroup
	for k := range capacity {
		submitting.Go(func() {
			for i := k; i < n; i += capacity {
				for ok := false; !ok && t.Context().Err() == nil && time.Since(begun) < env.Patience; { // as users repeat what was not answered
					ids[i], ok = user.SubmitOnce(quick(single, 1, 0), fmt.Sprint("queue-", i))
				}
			}
		})
	}
	submitting.Wait()
	require.NotContains(t, ids, openflow.JobID(""))
	rows := database(t, e.Home("9999"), "catalogue.db")
	histories := database(t, e.Home("9999"), "temporal", "temporal.db")
	const written = `select count(*) from history_node`
	waiting := `select count(*) from scheduled_job where status = 'waiting' and reason like '%needs 1 core, 0 of 8 are free%'`
	env.WaitUntil(t, env.Patience, "all jobs wait", func() (bool, string) {
		k := number(t, rows, waiting)
		return k == n, fmt.Sprint(k)
	})
	submitted := time.Since(begun)

	quiet, version := number(t, histories, written), number(t, rows, `pragma data_version`)
	env.WaitUntil(t, env.Patience, "the last of them has settled", func() (bool, string) {
		before, versionBefore := quiet, version
		time.Sleep(2 * time.Second) // a period to compare over, not a wait
		quiet, version = number(t, histories, written), number(t, rows, `pragma data_version`)
		return quiet == before && version == versionBefore, fmt.Sprint(quiet-before, version-versionBefore)
	})
	// What is measured is that nothing happens, for as long as the queue is looked at twice, which is every 5 s.
	const window = 12 * time.Second
	for end := time.Now().Add(window); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		require.Equal(t, quiet, number(t, histories, written), "writes to histories while %d jobs wait", n)
		require.Equal(t, version, number(t, rows, `pragma data_version`), "writes to the catalogue while %d jobs wait", n)
	}

	begun = time.Now()
	user.StopJob(first)
	order := ids
	slices.Sort(order) // by age
	env.WaitUntil(t, 10*time.Minute, "all jobs have run", func() (bool, string) {
		k := number(t, rows, `select count(*) from scheduled_job where status = 'success'`)
		return k == n, fmt.Sprint(k)
	})
	drained := time.Since(begun)
	e.NoCoresHeld(t)
	per := float64(number(t, histories, written)-quiet) / float64(n)
	t.Logf("%d jobs: queued in %.1f s; in %v of waiting 0 writes to histories and catalogue; run in %.1f s, %.1f writes to histories per job",
		n, submitted.Seconds(), window, drained.Seconds(), per)
	require.Less(t, per, 60.0, "work per job does not grow with the queue")
	for place, id := range served(user, order) {
		was := slices.Index(order, id)
		require.InDelta(t, was, place, 2*capacity, "job %d of %d was served as number %d", was, n, place)
	}
}
