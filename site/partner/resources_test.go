package partner_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
)

// fate-flow-api §4.7.
func TestCores(t *testing.T) {
	n := func(i int) *int { return &i }
	for name, tc := range map[string]struct {
		party    openflow.Party
		cores    *int
		run      *int
		job, per int
	}{
		"defaults":                {host, nil, nil, 4, 4},
		"of the job":              {host, n(2), nil, 2, 2},
		"task below the job":      {host, n(4), new(2), 4, 2},
		"task above the job":      {host, n(2), new(6), 6, 6},
		"arbiters hold no cores":  {arbiter, n(4), new(2), 0, 0},
		"a task has at least one": {host, n(0), nil, 1, 1},
		"its program gets one":    {host, n(0), new(0), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			d := dag()
			d.Conf.Cores, d.Conf.Task.Cores = tc.cores, tc.run
			require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", tc.party), DAG: d}))
			j, err := s.catalogue.Job(t.Context(), jobKey("1", tc.party))
			require.NoError(t, err)
			require.Equal(t, tc.job, j.Cores)
			require.Equal(t, tc.job, j.RemainingCores)
			require.Equal(t, tc.per, s.task(taskKey("1", "lr_0", tc.party)).Cores)
		})
	}
}

// Memory and GPUs are ours: docs/divergences.md §4.7.
func TestMemoryAndGPUs(t *testing.T) {
	const gib = int64(1) << 30
	size := func(n int64) *int64 { return &n }
	two := 2
	for name, tc := range map[string]struct {
		party  openflow.Party
		memory *int64
		gpus   *int
		run    openflow.TaskConf
		site   int64              // bytes of a job that does not say
		job    openflow.Resources // without cores
		task   openflow.Resources
		limit  int64
	}{
		"a job that says nothing takes none": {host, nil, nil, openflow.TaskConf{}, 0, openflow.Resources{}, openflow.Resources{}, 4 * gib},
		"unless the site has it so": {
			host, nil, nil, openflow.TaskConf{}, 2 * gib, openflow.Resources{Memory: 2 * gib}, openflow.Resources{Memory: 2 * gib}, 2 * gib,
		},
		"of the job": {
			host, size(8 * gib), &two, openflow.TaskConf{}, 0, openflow.Resources{Memory: 8 * gib, GPUs: 2}, openflow.Resources{Memory: 4 * gib}, 4 * gib,
		},
		"of the task": {
			host, size(8 * gib), &two, openflow.TaskConf{Memory: size(gib), GPUs: new(1)}, 0,
			openflow.Resources{Memory: 8 * gib, GPUs: 2}, openflow.Resources{Memory: gib, GPUs: 1}, gib,
		},
		"a task above the job": {
			host, size(gib), nil, openflow.TaskConf{Memory: size(2 * gib), GPUs: new(3)}, 0,
			openflow.Resources{Memory: 2 * gib, GPUs: 3}, openflow.Resources{Memory: 2 * gib, GPUs: 3}, 2 * gib,
		},
		"arbiters hold memory only": {
			arbiter, size(gib), &two, openflow.TaskConf{GPUs: new(1)}, 0, openflow.Resources{Memory: gib}, openflow.Resources{Memory: gib}, gib,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Limits.JobMemory = tc.site
			d := dag()
			d.Conf.Memory, d.Conf.GPUs, d.Conf.Task.Memory, d.Conf.Task.GPUs, d.Conf.Priority = tc.memory, tc.gpus, tc.run.Memory, tc.run.GPUs, 7
			require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", tc.party), DAG: d}))
			j, err := s.catalogue.Job(t.Context(), jobKey("1", tc.party))
			require.NoError(t, err)
			require.Equal(t, 7, j.Priority)
			task := s.task(taskKey("1", "lr_0", tc.party))
			tc.job.Cores, tc.task.Cores = j.Cores, task.Cores
			require.Equal(t, tc.job, j.Needs())
			require.Equal(t, tc.job, openflow.Resources{Cores: j.RemainingCores, Memory: j.RemainingMemory, GPUs: j.RemainingGPUs})
			require.Equal(t, tc.task, task.Needs())
			require.Equal(t, tc.limit, task.MemoryBytes)
		})
	}
}

// A task is as large as its component needs, whatever the job says.
func TestTasksAreAsLargeAsTheirComponentsNeed(t *testing.T) {
	const gib = int64(1) << 30
	size := func(n int64) *int64 { return &n }
	for name, tc := range map[string]struct {
		party     openflow.Party
		cores     int
		memory    *int64
		site      int64 // bytes of a task that does not say
		job, task openflow.Resources
		limit     int64
	}{
		"a smaller job":        {host, 2, size(gib), 4 * gib, openflow.Resources{Cores: 6, Memory: 2 * gib}, openflow.Resources{Cores: 6, Memory: 2 * gib}, 2 * gib},
		"a larger job":         {host, 8, size(8 * gib), 4 * gib, openflow.Resources{Cores: 8, Memory: 8 * gib}, openflow.Resources{Cores: 6, Memory: 4 * gib}, 4 * gib},
		"a job that says none": {host, 2, nil, 4 * gib, openflow.Resources{Cores: 6}, openflow.Resources{Cores: 6}, 4 * gib},
		"less than it needs":   {host, 2, nil, gib, openflow.Resources{Cores: 6, Memory: 2 * gib}, openflow.Resources{Cores: 6, Memory: 2 * gib}, 2 * gib},
		"an arbiter's memory":  {arbiter, 2, size(gib), 4 * gib, openflow.Resources{Memory: 2 * gib}, openflow.Resources{Memory: 2 * gib}, 2 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Limits.TaskMemory = tc.site
			d := dag()
			d.Conf.Cores, d.Conf.Memory = &tc.cores, tc.memory
			for i := range d.Tasks {
				d.Tasks[i].Component = "hungry"
			}
			require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", tc.party), DAG: d}))
			j, err := s.catalogue.Job(t.Context(), jobKey("1", tc.party))
			require.NoError(t, err)
			task := s.task(taskKey("1", "lr_0", tc.party))
			require.Equal(t, tc.job, j.Needs())
			require.Equal(t, tc.task, task.Needs())
			require.Equal(t, tc.limit, task.MemoryBytes)
		})
	}
}

// A job and a task that name no cores take four, as in FATE-Flow, or as many as there are: on a small machine they would
// otherwise wait for ever.
func TestCoresOfThoseWhoDoNotSay(t *testing.T) {
	two, six := 2, 6
	for name, tc := range map[string]struct {
		capacity  int
		job       *int
		run       *int
		jobs, own int
	}{
		"a large capacity":          {32, nil, nil, 4, 4},
		"two cores":                 {2, nil, nil, 1, 1}, // host and arbiter are both here, and run at once
		"one core":                  {1, nil, nil, 1, 1},
		"the job says":              {32, &six, nil, 6, 4},
		"the job says less":         {32, &two, nil, 2, 2},
		"the task says":             {32, nil, new(3), 4, 3},
		"the task says, above four": {32, nil, new(6), 6, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Limits.Cores = tc.capacity
			d := dag()
			d.Conf.Cores, d.Conf.Task.Cores = tc.job, tc.run
			require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: d}))
			j, err := s.catalogue.Job(t.Context(), jobKey("1", host))
			require.NoError(t, err)
			require.Equal(t, tc.jobs, j.Cores)
			require.Equal(t, tc.own, s.task(taskKey("1", "lr_0", host)).Cores)
		})
	}
}

// Part 7 #22: a repeat after a lost answer succeeds.
func TestResourcesOfJobs(t *testing.T) {
	s := newSite(t) // eight cores, two jobs of four
	for i := 1; i <= 3; i++ {
		require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey(openflow.JobID(strconv.Itoa(i)), host), DAG: dag()}))
	}
	ctx := t.Context()
	for range 2 {
		require.NoError(t, s.reserves(ctx, jobKey("1", host)))
		require.NoError(t, s.reserves(ctx, jobKey("2", host)))
		used, err := s.catalogue.CapacityUse(ctx)
		require.NoError(t, err)
		require.Equal(t, openflow.Resources{Cores: 8}, used)
	}
	require.Equal(t, openflow.JobWaiting, s.job("1").Status)
	err := s.reserves(ctx, jobKey("3", host))
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	var e *openflow.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.AboutResource, e.Subject)

	require.NoError(t, s.Tell(ctx, jobKey("1", host), openflow.News{Status: openflow.JobRunning}))
	require.NoError(t, s.Tell(ctx, jobKey("1", host), openflow.News{Status: openflow.JobRunning}))
	require.NoError(t, s.reserves(ctx, jobKey("1", host)), "also when it runs already")
	for range 2 {
		require.NoError(t, s.Release(ctx, jobKey("2", host)))
	}
	require.NoError(t, s.reserves(ctx, jobKey("3", host)))

	big := dag()
	cores := 9
	big.Conf.Cores = &cores
	require.NoError(t, s.creates(ctx, openflow.JobOrder{Key: jobKey("4", host), DAG: big}))
	err = s.reserves(ctx, jobKey("4", host))
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.AboutResource, e.Subject)

	stranger := openflow.JobKey{Scheduler: "666", Job: "1", Party: host}
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.reserves(ctx, stranger)))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.Tell(ctx, stranger, openflow.News{Status: openflow.JobRunning})))
	require.NoError(t, s.Release(ctx, stranger), "nothing to return is success")
	require.True(t, s.job("1").ResourceInUse, "of another scheduler's job")
}

func TestTaskOfAPool(t *testing.T) {
	for label, want := range map[string]*openflow.Pooling{"gpu": {Wait: time.Minute, Gone: time.Second}, "other": nil} {
		s := newSite(t)
		s.Pool = poolOf{"gpu"}
		d := dag()
		d.Tasks[1].Conf.Label, d.Tasks[1].Conf.Cores = label, new(2)
		s.running("1", d)
		require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host)}))
		order := s.engine.started[0]
		require.Equal(t, []any{label, want, 2}, []any{order.Label, order.Pool, order.Cores})
	}
	s := newSite(t)
	s.Pool = poolOf{}
	d := dag()
	d.Tasks[1].Conf.Label = "broken"
	s.running("1", d)
	err := s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host)})
	require.True(t, openflow.CodeOf(err).Retryable(), "%v", err)
	require.Empty(t, s.engine.started)
}

// Devices are numbered at the node's own machine, so that what wants some is not for another.
func TestGPUsAreTheNodesOwn(t *testing.T) {
	for name, tc := range map[string]struct {
		label   string
		created bool // before there was a pool
		pool    partner.Pool
		code    openflow.Code
	}{
		"no pool":             {"", false, nil, ""},
		"the node runs it":    {"", false, poolOf{"gpu"}, ""},
		"the pool would":      {"gpu", false, poolOf{"gpu"}, openflow.CodeInvalid},
		"the pool would, now": {"gpu", true, poolOf{"gpu"}, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.Limits.GPUs = 4
			d := dag()
			d.Tasks[1].Conf.GPUs, d.Tasks[1].Conf.Label = new(1), tc.label
			if !tc.created && tc.code != "" {
				s.Pool = tc.pool
				err := s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: d})
				require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
				require.ErrorContains(t, err, "lr_0 asks for GPUs (1)")
				return
			}
			s.running("1", d)
			s.Pool = tc.pool
			start := func() error {
				return s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host)})
			}
			err := start()
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			if tc.code != "" {
				require.False(t, s.task(taskKey("1", "lr_0", host)).ResourceInUse)
				require.Empty(t, s.engine.started)
				return
			}
			s.Pool = poolOf{tc.label}
			require.NoError(t, start(), "a repeat, after a machine has come")
			for _, o := range s.engine.started {
				require.Nil(t, o.Pool)
			}
		})
	}
}
