package scenarios_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/launch"
	"openflow/tests/env"
)

// foresight is two nodes whose containers are made ahead. At the host, a task named "held" runs until it is let go.
type foresight struct {
	*env.Env
	containers *fake.Runtime
	letGo      func()

	mu     *sync.Mutex
	asked  map[string]int // how often a container has been asked for, by name
	ranFor map[string]int // which of these has made the one that ran
}

func newForesight(t *testing.T) foresight {
	hold := make(chan struct{})
	f := foresight{letGo: func() { close(hold) }, mu: &sync.Mutex{}, asked: map[string]int{}, ranFor: map[string]int{}}
	f.containers = fake.New(func(s driver.Spec) fake.Plan {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.asked[s.Name]++
		nth := f.asked[s.Name]
		p := fake.Plan{Run: func(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
			f.mu.Lock()
			f.ranFor[s.Name] = nth
			f.mu.Unlock()
			return env.Execute(ctx, s, stdout, stderr)
		}}
		if strings.HasPrefix(s.Name, "of-host-10000-held-") {
			p.Hold = hold
		}
		return p
	})
	f.Env = env.New(t, env.Party("9999"), env.Party("10000"),
		env.Configure(func(c *node.Config) { c.Runtime = fake.Opener{Containers: f.containers, Ahead: true} }))
	return f
}

// begin submits a chain whose first task is held at the host, and waits until the guest, where it has ended, has made what
// follows.
func (f foresight) begin(t *testing.T) openflow.JobID {
	t.Helper()
	id := f.As(t, "9999").Submit(env.DAG(pair, env.Noop("held", nil), env.Noop("next", nil, "held"), env.Noop("last", nil, "next")))
	env.WaitUntil(t, env.Patience, "the next container is made", func() (bool, string) {
		st, err := f.containers.Inspect(t.Context(), container(id, "next", pair[0]))
		return err == nil && st.State == driver.StateCreated, fmt.Sprint(st, err)
	})
	require.Equal(t, string(openflow.TaskWaiting), f.As(t, "9999").TaskStatuses(id)["next guest 9999"])
	for _, early := range []string{container(id, "last", pair[0]), container(id, "next", pair[1])} {
		_, err := f.containers.Inspect(t.Context(), early)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "only what follows a run that has succeeded")
	}
	return id
}

// ran tells which of the calls that asked for a container has made the one that ran.
func (f foresight) ran(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ranFor[name]
}

func container(id openflow.JobID, task openflow.TaskName, p openflow.Party) string {
	return launch.Name(openflow.TaskKey{Scheduler: "9999", Job: id, Task: task, Party: p})
}

// none waits until no container of a job is left at either party.
func (f foresight) none(t *testing.T, id openflow.JobID) {
	t.Helper()
	for _, task := range []openflow.TaskName{"held", "next", "last"} {
		for _, p := range pair {
			env.WaitUntil(t, env.Patience, "no container is left", func() (bool, string) {
				st, err := f.containers.Inspect(t.Context(), container(id, task, p))
				return openflow.CodeOf(err) == openflow.CodeNotFound, st.Name + " is " + string(st.State)
			})
		}
	}
}

// The container of the next task is there before its time. Its run adopts it, also after a restart of its node.
func TestContainersAreMadeAhead(t *testing.T) {
	f := newForesight(t)
	id := f.begin(t)
	f.Restart(t, "9999")
	f.letGo()
	f.As(t, "9999").WaitFor(id, openflow.JobSuccess)
	require.Equal(t, 1, f.ran(container(id, "next", pair[0])), "the one that was made ahead has run")
	for _, task := range []openflow.TaskName{"held", "next", "last"} {
		for _, p := range pair {
			require.Equal(t, 1, f.containers.Runs(container(id, task, p)), "%s at %s", task, p)
		}
	}
	f.none(t, id)
	f.NoCoresHeld(t)
}

// What was made ahead for a job that ends before goes with the job, and a rerun makes it again.
func TestNothingMadeAheadStaysBehind(t *testing.T) {
	f := newForesight(t)
	id := f.begin(t)
	user := f.As(t, "9999")
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	f.none(t, id)
	for _, p := range pair {
		require.Zero(t, f.containers.Runs(container(id, "next", p)))
	}

	f.letGo()
	user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
	user.WaitFor(id, openflow.JobSuccess)
	for _, p := range pair {
		require.Equal(t, 1, f.containers.Runs(container(id, "next", p)))
	}
	f.none(t, id)
}
