package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/node"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/store/events"
	"openflow/store/events/memory"
	"openflow/store/messages"
	"openflow/store/messages/sqlite"
	"openflow/store/objects"
	"openflow/tests/env"
	"openflow/tests/pages/toydialect"
	"openflow/tests/pages/toyruntime"
	"openflow/tests/pages/toystore"
)

// The page's module is built outside of this repository, and its program is registered at each node.
func TestAddAComponent(t *testing.T) {
	p := read(t, "add-a-component.md")
	dir := t.TempDir()
	require.JSONEq(t, `{"buildin":["greet"],"thirdparty":[]}`, p.write(t, dir))
	job, err := wire.ParseDAG([]byte(p.files["job.yaml"]))
	require.NoError(t, err)

	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Trust("greeters"))
	for _, id := range e.Parties {
		site := &sdk.Client{URL: e.URL(id)}
		added, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "greeters", Place: filepath.Join(dir, "greet", "greet")})
		require.NoError(t, err)
		require.Len(t, added.Components, 1)
		require.Equal(t, "greet", added.Components[0].Name)
	}
	id := e.As(t, "9999").Submit(job)
	e.As(t, "9999").WaitFor(id, openflow.JobSuccess)
	host := e.As(t, "10000")
	run := env.Run(id, "host", "10000", "greet_0")
	require.Equal(t, map[string]json.RawMessage{"heard": json.RawMessage(`"good morning"`)}, host.Metrics(run))
	require.Contains(t, host.TaskLog(run), "the guest greets")
	require.JSONEq(t, "1", string(e.As(t, "9999").Metrics(env.Run(id, "guest", "9999", "greet_0"))["greeted"]))
}

// counted is the toy, and how many of its calls have ended.
type counted struct {
	toydialect.Dialect
	calls *atomic.Int64
}

func (c counted) Client(l peer.Link) dialect.Client {
	told := l.Called
	l.Called = func(id openflow.PartyID, took time.Duration, err error) {
		c.calls.Add(1)
		told(id, took, err)
	}
	return c.Dialect.Client(l)
}

func TestAddADialect(t *testing.T) {
	read(t, "add-a-dialect.md").is(t, "toydialect")
	toy := counted{calls: &atomic.Int64{}}
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.Dialects = append(node.Dialects(), toy)
	}))
	e.Speak(t, "toy", "9999", "10000")
	before := toy.calls.Load()
	user := e.As(t, "9999")
	id := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil), env.Noop("b", nil, "a")))
	user.WaitFor(id, openflow.JobSuccess)
	e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	require.GreaterOrEqual(t, toy.calls.Load()-before, int64(4), "the job is opened, two tasks are started, and reported, in the toy")
}

// One job has a task of the built-in provider and one of a program whose containers speak the toy. Each is told of its run in
// its own dialect, also on a machine of a pool.
func TestContainersOfTwoDialects(t *testing.T) {
	program := filepath.Join(t.TempDir(), "toilers")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "openflow/tests/pages/toyprogram")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	known := env.Configure(func(c *node.Config) { c.Dialects = append(node.Dialects(), toydialect.Dialect{}) })
	toil := func(word string) openflow.Task {
		return openflow.Task{Name: "b", Component: "toil", Parameters: openflow.Parameters{"word": word}, DependsOn: []openflow.TaskName{"a"}}
	}
	for name, tc := range map[string]struct {
		site    []env.Option
		parties []openflow.Party
	}{
		"at two nodes": {[]env.Option{known, env.Trust("toilers"), env.Party("9999"), env.Party("10000")}, env.Parties("guest 9999", "host 10000")},
		"in a pool":    {[]env.Option{known, env.Trust("toilers"), env.Party("9999"), env.Pooled()}, env.Parties("guest 9999")},
	} {
		t.Run(name, func(t *testing.T) {
			e := env.New(t, tc.site...)
			if len(tc.parties) == 1 {
				e.StartWorker(t, "9999", "m1")
			}
			for _, id := range e.Parties {
				site := &sdk.Client{URL: e.URL(id)}
				_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "toilers", Place: program, Dialect: "native"})
				require.ErrorContains(t, err, `"native" is not a dialect of containers here (use one of fate-flow, toy)`)
				added, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "toilers", Place: program, Dialect: "toy"})
				require.NoError(t, err)
				require.Equal(t, "toy", added.Dialect)
				list, err := site.Providers(t.Context())
				require.NoError(t, err)
				require.Equal(t, "fate-flow", list[0].Dialect, "what containers of our kit speak")
			}
			user := e.As(t, "9999")
			id := user.Submit(env.DAG(tc.parties, env.Noop("a", nil), toil("done")))
			user.WaitFor(id, openflow.JobSuccess)
			require.Contains(t, user.TaskLog(env.Run(id, "guest", "9999", "b")), "guest 9999 does toil")
			id = user.Submit(env.DAG(tc.parties[:1], env.Noop("a", nil), toil("tired")))
			user.WaitFor(id, openflow.JobFailed)
			reports := map[string]string{}
			for _, run := range user.Tasks(id) {
				reports[run.TaskName] = run.ErrorReport
			}
			require.Equal(t, map[string]string{"a": "", "b": "tired"}, reports)
		})
	}
}

func TestAddARuntime(t *testing.T) {
	read(t, "add-a-runtime.md").is(t, "toyruntime")
	ports := env.Ports(t, 2)
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		c.Base = net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[0]))
		c.Runtime, c.Advertise, ports = toyruntime.New(), c.Base, ports[1:]
	}))
	user := e.As(t, "9999")
	id := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
	user.WaitFor(id, openflow.JobSuccess)
	for _, p := range env.Parties("guest 9999", "host 10000") {
		party := string(p.ID)
		e.OneStartEach(t, party, id, env.Key("a", p))
		require.Contains(t, strings.Join(e.Node(t, party).Warnings(), "\n"), "the toy runtime isolates nothing")
		require.Empty(t, e.Containers(t, party), "no other runtime has run anything")
	}
}

// The toy keeps objects. Stores of messages and events are given to the nodes in the same way.
func TestAddAStore(t *testing.T) {
	read(t, "add-a-store.md").is(t, "toystore")
	toys, told := map[string]*toystore.Store{}, map[string]*memory.Store{}
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) {
		toy, notices, dir := toystore.New(), memory.New(events.Keep), t.TempDir()
		c.Stores = node.Stores{
			Objects: func(context.Context, string) (objects.Store, error) { return toy, nil },
			Messages: func(ctx context.Context, o messages.Options) (messages.Store, error) {
				return sqlite.Open(ctx, dir, sqlite.Options{Options: o})
			},
			Events: func(context.Context) (events.Store, error) { return notices, nil },
		}
		toys[string(c.Party)], told[string(c.Party)] = toy, notices
	}))
	user := e.As(t, "9999")
	user.Upload("ns", "people", `{"match_id_name": "id"}`, strings.NewReader("id,x0\n1,0.5\n"))
	id := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
	user.WaitFor(id, openflow.JobSuccess)
	e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	for _, party := range e.Parties {
		kept := 0
		require.NoError(t, toys[party].List(t.Context(), func(objects.Info) error { kept++; return nil }))
		require.NotZero(t, kept, "the store of party %s has the log of its task", party)
		last, err := told[party].Last(t.Context())
		require.NoError(t, err)
		require.NotZero(t, last, "events of party %s", party)
		for _, folder := range []string{"objects", "messages"} {
			require.NoDirExists(t, filepath.Join(e.Home(party), folder))
		}
	}
}
