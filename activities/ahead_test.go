package activities_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
)

// chain is a job of one party: a, then b, then c.
type chain struct {
	mu     sync.Mutex
	status openflow.JobStatus
	asked  func() // hears of every look at the job
}

func (c *chain) Job(context.Context, openflow.JobKey) (openflow.JobRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked != nil {
		c.asked()
	}
	return openflow.JobRecord{Status: c.status, DAG: &openflow.DAG{Tasks: []openflow.Task{
		{Name: "a"}, {Name: "b", DependsOn: []openflow.TaskName{"a"}}, {Name: "c", DependsOn: []openflow.TaskName{"b"}},
	}}}, nil
}

func (c *chain) TasksOfJob(context.Context, openflow.JobKey) (list []openflow.TaskRecord, err error) {
	for _, name := range []openflow.TaskName{"a", "b", "c"} {
		list = append(list, openflow.TaskRecord{Key: runOf(name), Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting})
	}
	return list, nil
}

func runOf(name openflow.TaskName) openflow.TaskKey {
	k := key
	k.Task = name
	return k
}

// byTask names containers by their tasks.
type byTask struct{}

func (byTask) Spec(_ context.Context, r openflow.TaskRecord) (driver.Spec, openflow.Launch, error) {
	name := "of-" + string(r.Key.Task)
	return driver.Spec{Name: name, Image: "x", Made: "today"}, openflow.Launch{Container: name}, nil
}

func forerunner(c *chain) (*activities.Ahead, *fake.Runtime) {
	rt := fake.New(nil)
	return &activities.Ahead{Jobs: c, Runtime: rt, Launcher: byTask{}, Log: slog.New(slog.DiscardHandler)}, rt
}

func names(t *testing.T, rt driver.Runtime) (list []string) {
	t.Helper()
	all, err := rt.List(t.Context(), nil)
	require.NoError(t, err)
	for _, c := range all {
		require.Equal(t, driver.StateCreated, c.State, "nothing runs before its time")
		list = append(list, c.Name)
	}
	return list
}

func TestAheadMakesWhatFollows(t *testing.T) {
	a, rt := forerunner(&chain{status: openflow.JobRunning})
	for range 2 { // a second attempt of the run
		a.Follow(t.Context(), runOf("a"))
		require.Equal(t, []string{"of-b"}, names(t, rt))
	}
	a.Take("of-b")
	a.Follow(t.Context(), runOf("b"))
	require.Equal(t, []string{"of-b", "of-c"}, names(t, rt))

	other := key.JobKey()
	other.Job = "2"
	a.Ended(other)
	a.Ended(key.JobKey())
	require.Eventually(t, func() bool { return len(names(t, rt)) == 1 }, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"of-b"}, names(t, rt), "what a run has taken is the run's")
}

// The job ends while the container is being made: whoever comes later removes it.
func TestAheadOfAJobThatEndsMeanwhile(t *testing.T) {
	c := &chain{status: openflow.JobRunning}
	a, rt := forerunner(c)
	looks := 0
	c.asked = func() {
		if looks++; looks == 2 { // the container is there, and the end has just been told
			c.status = openflow.JobCanceled
			a.Ended(runOf("a").JobKey())
		}
	}
	a.Follow(t.Context(), runOf("a"))
	require.Eventually(t, func() bool { return len(names(t, rt)) == 0 }, 5*time.Second, time.Millisecond)
}

// Nobody makes anything ahead on the machines of a pool, or with a runtime that makes containers in no time.
func TestNobodyIsAhead(t *testing.T) {
	var a *activities.Ahead
	a.Succeeded(runOf("a"))
	a.Take("of-b")
	a.Ended(key.JobKey())
}

// A node that stops waits for what goes on beside, and begins nothing any more.
func TestNothingGoesOnAfterTheNodeStops(t *testing.T) {
	c := &chain{status: openflow.JobRunning}
	a, rt := forerunner(c)
	looked, release := make(chan struct{}), make(chan struct{})
	c.asked = sync.OnceFunc(func() { close(looked); <-release })
	a.Succeeded(runOf("a"))
	<-looked
	closed := make(chan struct{})
	go func() { a.Close(); close(closed) }()
	select {
	case <-closed:
		t.Fatal("it has not waited")
	default:
	}
	close(release)
	<-closed
	before := names(t, rt)
	a.Succeeded(runOf("b"))
	a.Close()
	require.Equal(t, before, names(t, rt))
}

// A run adopts what was made for it ahead, and makes it again when it is not what it would be today.
func TestRunTakesWhatWasMadeAhead(t *testing.T) {
	for made, adopted := range map[string]bool{"today": true, "yesterday": false} {
		t.Run(made, func(t *testing.T) {
			p := newParty(t, fake.Plan{})
			p.launcher.made = "today"
			early, err := p.runtime.Ensure(t.Context(), driver.Spec{
				Name: container, Image: "x", Labels: map[string]string{"node": "n"}, Made: made,
			})
			require.NoError(t, err)
			seen := make(chan driver.Status, 1)
			p.logs.looked = func() {
				st, err := p.container()
				require.NoError(t, err)
				seen <- st
			}
			out, err := p.attempt(attempt{}, order(time.Hour))
			require.NoError(t, err)
			require.Equal(t, openflow.TaskSuccess, out.Status)
			require.Equal(t, 1, p.runtime.Runs(container))
			st := <-seen
			require.Equal(t, "today", st.Made)
			require.Equal(t, adopted, st.Created.Equal(early.Created))
			p.gone()
		})
	}
}

// A container that is removed at the moment of its start has not run: the next attempt makes it again.
func TestRunWhoseContainerIsRemovedAtItsStart(t *testing.T) {
	p := newParty(t, fake.Plan{StartErr: driver.NotFound(container)})
	_, err := p.attempt(attempt{}, order(time.Hour))
	require.True(t, retried(err))
	require.Nil(t, p.store.recorded())
	out, err := p.attempt(attempt{}, order(time.Hour))
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, out.Status)
	require.Equal(t, 1, p.runtime.Runs(container))
}
