package catalogue_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// bounded is a catalogue with small bounds of the same size for rows and objects.
func bounded(t *testing.T, place catalogue.Options, q catalogue.Bound) *catalogue.Catalogue {
	t.Helper()
	place.Rows, place.Objects = q, q
	return mustOpen(t, place)
}

// plenty is more than the rows of a sample job take, in bytes.
const plenty = 64 << 10

func aMetric(k openflow.TaskKey, n int) []openflow.MetricRecord {
	return []openflow.MetricRecord{{Task: k, Name: fmt.Sprint("m", n), Type: strings.Repeat("x", 1000)}}
}

// Whatever a run puts here stops at its bound, names whose it is, and lets others go on.
func TestBoundOfARun(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Run: plenty})
		_, tasks := createJob(t, c, "one", guest)
		k, other := tasks[0].Key, tasks[1].Key
		for name, put := range map[string]func(n int) error{
			"metrics": func(n int) error { return c.AppendMetrics(t.Context(), k, aMetric(k, n)) },
			"outputs": func(n int) error {
				table := sampleTable("ns", fmt.Sprint("t", n))
				return c.SaveOutput(t.Context(), openflow.OutputRecord{Task: k, OutputKey: "o", Index: n, Table: table.Name}, &table)
			},
			"objects": func(int) error { return c.TakeObjects(t.Context(), k, 1000) },
		} {
			var err error
			n := 0
			for ; err == nil && n < 1000; n++ {
				err = put(n)
			}
			requireCode(t, openflow.CodeExhausted, err)
			require.ErrorContains(t, err, k.String(), name)
			require.ErrorContains(t, err, fmt.Sprint(plenty), name)
			require.Contains(t, openflow.ForPartners(err).Error(), "would have more than", name)
		}
		metrics, err := c.Metrics(t.Context(), k)
		require.NoError(t, err)
		require.NoError(t, c.AppendMetrics(t.Context(), k, metrics), "a repeat takes nothing")
		require.NoError(t, c.AppendMetrics(t.Context(), other, aMetric(other, 0)))
		require.NoError(t, c.TakeObjects(t.Context(), other, 1000))
	})
}

// What is refused is not there, and holds no room.
func TestWhatABoundRefusesIsNotKept(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Run: 4 << 10, Job: plenty})
		_, tasks := createJob(t, c, "one", guest)
		k := tasks[0].Key
		requireCode(t, openflow.CodeExhausted, c.AppendMetrics(t.Context(), k, []openflow.MetricRecord{
			{Task: k, Name: "small"}, {Task: k, Name: "large", Type: strings.Repeat("x", 8<<10)},
		}))
		metrics, err := c.Metrics(t.Context(), k)
		require.NoError(t, err)
		require.Empty(t, metrics)
		requireCode(t, openflow.CodeExhausted, c.TakeObjects(t.Context(), k, 5<<10))
		require.NoError(t, c.TakeObjects(t.Context(), k, 4<<10))
		require.NoError(t, c.TakeObjects(t.Context(), k, -(4<<10)))
		require.NoError(t, c.TakeObjects(t.Context(), k, 4<<10), "what was given back")

		d := sampleDAG()
		d.Conf.Extra = map[string]any{"x": strings.Repeat("x", plenty)}
		j, more := sampleJob("two", guest)
		j.DAG = d
		requireCode(t, openflow.CodeExhausted, c.CreateJob(t.Context(), j, more))
		_, err = c.Job(t.Context(), j.Key())
		requireCode(t, openflow.CodeNotFound, err)
		_, err = c.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: "two", Initiator: "10000", DAG: d})
		requireCode(t, openflow.CodeExhausted, err)
		_, err = c.ScheduledJob(t.Context(), "two")
		requireCode(t, openflow.CodeNotFound, err)
	})
}

// The jobs of one party stop at its bound and those of others go on; what ends and is deleted makes room.
func TestBoundOfAPeer(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Peer: plenty})
		create := func(id openflow.JobID, scheduler openflow.PartyID) error {
			j, tasks := sampleJob(id, guest)
			j.Scheduler = scheduler
			for i := range tasks {
				tasks[i].Key.Scheduler = scheduler
			}
			return c.CreateJob(t.Context(), j, tasks)
		}
		key := func(n int) openflow.JobKey {
			return openflow.JobKey{Scheduler: "10000", Job: openflow.JobID(fmt.Sprint("j", n)), Party: guest}
		}
		var err error
		n := 0
		for ; err == nil && n < 1000; n++ {
			err = create(key(n).Job, "10000")
		}
		requireCode(t, openflow.CodeExhausted, err)
		require.ErrorContains(t, err, "the jobs of party 10000")
		require.NoError(t, create("x", "10001"))
		require.NoError(t, create(key(0).Job, "10000"), "a repeat")
		_, err = c.UpdateJobStatus(t.Context(), key(0), openflow.JobFailed, "")
		require.NoError(t, err)
		_, err = c.DeleteJob(t.Context(), key(0))
		require.NoError(t, err)
		require.NoError(t, create("again", "10000"))
		requireCode(t, openflow.CodeExhausted, create("more", "10000"))
	})
}

// Versions of a task are rows too.
func TestBoundOfAJob(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Job: plenty})
		_, tasks := createJob(t, c, "one", guest)
		further := tasks[0]
		var err error
		for ; err == nil && further.Key.Version < 1000; further.Key.Version++ {
			if further.Key.Version > 0 {
				err = c.AddTask(t.Context(), further)
			}
		}
		requireCode(t, openflow.CodeExhausted, err)
		createJob(t, c, "two", guest)
	})
}

// Models outlive their jobs, and the bound of the party that schedules them holds all the same.
func TestBoundOfModels(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Peer: 1 << 20})
		save := func(scheduler openflow.PartyID, n int, bytes int64) error {
			return c.SaveModel(t.Context(), openflow.ModelRecord{
				ModelID: fmt.Sprint("m", n), Version: "0", Party: guest, OutputKey: "m", Object: "o", Scheduler: scheduler, Bytes: bytes,
			})
		}
		require.NoError(t, save("10000", 0, 1<<20))
		requireCode(t, openflow.CodeExhausted, save("10000", 1, 1))
		require.NoError(t, save("10001", 1, 1))
		_, err := c.DeleteModels(t.Context(), catalogue.ModelFilter{ModelID: "m0"})
		require.NoError(t, err)
		require.NoError(t, save("10000", 1, 1))
		for range 3 { // in place of the one before
			require.NoError(t, save("10000", 1, 1<<20))
		}
		requireCode(t, openflow.CodeExhausted, save("10000", 1, 1<<21))
		require.NoError(t, save("10000", 1, 0))
		rows := func(n int) error {
			return c.SaveModel(t.Context(), openflow.ModelRecord{
				ModelID: "rows", Version: fmt.Sprint(n), Party: guest, OutputKey: "m", Object: "o", Scheduler: "10002", Meta: []byte(`"` + strings.Repeat("é", 100<<10) + `"`),
			})
		}
		for range 2 { // what is deleted counts no more
			for n := range 5 {
				require.NoError(t, rows(n))
			}
			requireCode(t, openflow.CodeExhausted, rows(5))
			n, err := c.DeleteModels(t.Context(), catalogue.ModelFilter{ModelID: "rows"})
			require.NoError(t, err)
			require.Equal(t, 5, n)
		}
	})
}

// Runs that put at the same time do not get more than there is.
func TestBoundUnderConcurrency(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Total: plenty})
		_, tasks := createJob(t, c, "one", guest)
		var wg sync.WaitGroup
		taken := make([]int64, len(tasks))
		errs := make([]error, len(tasks))
		for i := range tasks {
			wg.Go(func() {
				for range 100 {
					switch err := c.TakeObjects(t.Context(), tasks[i].Key, 1000); openflow.CodeOf(err) {
					case "":
						taken[i] += 1000
					case openflow.CodeExhausted:
					default:
						errs[i] = err
					}
				}
			})
		}
		wg.Wait()
		var sum int64
		for i := range tasks {
			require.NoError(t, errs[i])
			sum += taken[i]
		}
		require.LessOrEqual(t, sum, int64(plenty))
		require.Greater(t, sum, int64(plenty-1000))
	})
}

// What never began does not pile up: of each other party the newest stay.
func TestRefusedJobsAreForgotten(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := mustOpen(t, place)
		for i := range 5 {
			for _, by := range []openflow.PartyID{"9999", "10000", "10001"} {
				id := openflow.JobID(fmt.Sprintf("%s-%d", by, i))
				_, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: id, Initiator: by, DAG: sampleDAG()})
				require.NoError(t, err)
				_, err = c.UpdateScheduledJob(t.Context(), id, openflow.JobFailed, "refused")
				require.NoError(t, err)
				j, tasks := sampleJob(id, guest)
				j.Scheduler = by
				for n := range tasks {
					tasks[n].Key.Scheduler = by
				}
				require.NoError(t, c.CreateJob(t.Context(), j, tasks))
				if i == 0 && by == "10000" { // has run
					for _, to := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobRunning} {
						_, err = c.UpdateJobStatus(t.Context(), j.Key(), to, "")
						require.NoError(t, err)
					}
				}
				if i < 4 {
					_, err = c.UpdateJobStatus(t.Context(), j.Key(), openflow.JobFailed, "refused")
					require.NoError(t, err)
				}
			}
		}
		n, err := c.DeleteRefusedJobs(t.Context(), "9999", 2, 100)
		require.NoError(t, err)
		require.Equal(t, 6, n)
		for _, gone := range []openflow.JobID{"10000-0", "10000-2", "10001-1"} {
			_, err := c.ScheduledJob(t.Context(), gone)
			requireCode(t, openflow.CodeNotFound, err)
		}
		for _, kept := range []openflow.JobID{"10000-3", "10001-4", "9999-0"} {
			_, err := c.ScheduledJob(t.Context(), kept)
			require.NoError(t, err)
		}
		keys, err := c.JobsNeverStarted(t.Context(), "9999", 2, 100)
		require.NoError(t, err)
		var ids []openflow.JobID
		for _, k := range keys {
			ids = append(ids, k.Job)
		}
		require.ElementsMatch(t, []openflow.JobID{"10000-1", "10001-0", "10001-1"}, ids)
		n, err = c.DeleteScheduledJobsBefore(t.Context(), time.Now(), 100)
		require.NoError(t, err)
		require.Equal(t, 9, n)
	})
}

// What replaces what is tracked takes the room that it needs beyond that: a caller whose answer was lost does not fill its
// run, and nobody puts much in the place of little for nothing.
func TestRepeatedOutputTakesNoRoom(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c := bounded(t, place, catalogue.Bound{Run: 16 << 10})
		j, tasks := sampleJob("1", guest)
		require.NoError(t, c.CreateJob(t.Context(), j, tasks))
		o := openflow.OutputRecord{Task: tasks[0].Key, OutputKey: "data", URI: "sha256:1", DataType: "dataframe", Table: openflow.TableName{Namespace: "n", Name: "made"}}
		made := openflow.TableRecord{Name: o.Table, Object: "sha256:1", Intermediate: true}
		for range 100 {
			require.NoError(t, c.SaveOutput(t.Context(), o, &made))
		}
		large := made
		large.Samples = json.RawMessage(`["` + strings.Repeat("x", 10<<10) + `"]`)
		require.NoError(t, c.SaveOutput(t.Context(), o, &large))
		large.Samples = json.RawMessage(`["` + strings.Repeat("x", 20<<10) + `"]`)
		requireCode(t, openflow.CodeExhausted, c.SaveOutput(t.Context(), o, &large))
		var err error
		for i := 0; err == nil && i < 100; i++ {
			o.Index = i
			err = c.SaveOutput(t.Context(), o, nil)
		}
		requireCode(t, openflow.CodeExhausted, err)
	})
}
