package registry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// ward is a site with a program of provider acme, whose component psi is asked whether it works. It does where a file of the
// probe's name is there. Its component scale is not asked.
type ward struct {
	*Registry
	t    *testing.T
	dir  string
	time time.Time
	told []string
}

// newWard has a program whose psi has these probes, in JSON.
func newWard(t *testing.T, way, probes string) (*ward, string) {
	t.Helper()
	w := &ward{Registry: site(t), t: t, dir: t.TempDir(), time: time.Now()}
	w.begin(w.Registry)
	for name, more := range map[string]string{"psi": `,"way":"` + way + `","probes":` + probes, "scale": ""} {
		text := `{"component":{"name":"` + name + `","provider":"acme","version":"1","roles":["guest"]` + more + `}}`
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, name+".json"), []byte(text), 0o600))
	}
	return w, program(t, fmt.Sprintf(`cd %s
case "$1" in
list) echo '{"buildin":["psi","scale"]}' ;;
desc) cat "$3.json" ;;
slow) sleep 60 ;;
loud) cat /dev/zero ;;
*) test -e "$1" || { echo "there is no $1" >&2; exit 3; } ;;
esac`, w.dir))
}

func (w *ward) begin(g *Registry) {
	g.ID, g.Name, g.now = "here", "host", func() time.Time { return w.time }
	g.Tell = func(_ context.Context, c openflow.ComponentChange) {
		w.told = append(w.told, fmt.Sprintf("%s %s→%s", c.Component, c.From, c.To))
	}
	w.Registry = g
}

// works makes the answers to probes good ones; ails makes them bad.
func (w *ward) works(probes ...string) {
	for _, p := range probes {
		require.NoError(w.t, os.WriteFile(filepath.Join(w.dir, p), nil, 0o600))
	}
}

func (w *ward) ails(probe string) { require.NoError(w.t, os.Remove(filepath.Join(w.dir, probe))) }

func (w *ward) register(path string) {
	w.t.Helper()
	_, _, err := w.Register(w.t.Context(), Registration{What: path, User: "ann"})
	require.NoError(w.t, err)
}

// minutes lets time pass, with the rounds of a node.
func (w *ward) minutes(n int) {
	w.t.Helper()
	for range n {
		w.time = w.time.Add(time.Minute)
		for range 2 { // what follows from a first answer is asked in the next round
			require.NoError(w.t, w.Probe(w.t.Context()))
			require.NoError(w.t, w.AskProbes(w.t.Context()))
		}
	}
}

func (w *ward) standing(name string) openflow.ComponentStanding {
	w.t.Helper()
	list, err := w.Rows.Standings(w.t.Context())
	require.NoError(w.t, err)
	for _, c := range list {
		if c.Name == name && c.Provider.Name == "acme" {
			return c.Standing
		}
	}
	require.Fail(w.t, "there is no "+name)
	return openflow.ComponentStanding{}
}

func (w *ward) is(state openflow.ComponentState, reason string) {
	w.t.Helper()
	at := w.standing("psi")
	require.Equal(w.t, state, at.State, at.Reason)
	require.Equal(w.t, reason, at.Reason)
}

const commands = `{"startup":{"command":["up"]},"readiness":{"command":["ready"],"failures":1},"liveness":{"command":["live"]}}`

// A component fails with its reason, is refused with it, and is loaded again when it works, also by a later process.
func TestComponentsAreAskedWhetherTheyWork(t *testing.T) {
	w, path := newWard(t, "container per task", commands)
	w.register(path)
	w.is(openflow.ComponentFailed, `its startup probe has failed once: asked ["up"]: exit status 3: there is no up`)
	require.Equal(t, openflow.ComponentLoaded, w.standing("scale").State, "a component that does not work is none of the others' business")
	require.Equal(t, []string{"psi →LOADED", "scale →LOADED", "psi LOADED→FAILED"}, w.told)
	_, err := w.Providers(t.Context(), []openflow.TaskSpec{psi("acme")})
	require.ErrorContains(t, err, "component \"psi\" of provider acme:1 is FAILED at this site, and takes no new jobs: its startup probe has failed once")
	require.NotContains(t, openflow.PublicText(err), "startup")
	failed, err := w.Failed(t.Context())
	require.NoError(t, err)
	require.Len(t, failed, 1)

	_, err = w.Load(t.Context(), "", "acme", "ann")
	require.ErrorContains(t, err, `component "psi" of provider acme:1 is not loaded: its startup probe has failed`)
	w.minutes(4)
	w.is(openflow.ComponentFailed, `its startup probe has failed once: asked ["up"]: exit status 3: there is no up`)
	w.works("up", "ready")
	w.minutes(1)
	require.Equal(t, openflow.ComponentFailed, w.standing("psi").State, "it can work, and does not yet")
	w.works("live")
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "")

	w.ails("live")
	w.minutes(2)
	w.is(openflow.ComponentLoaded, "")
	w.minutes(1)
	w.is(openflow.ComponentFailed, `its liveness probe has failed 3 times in a row: asked ["live"]: exit status 3: there is no live`)
	changes := len(w.told)
	w.minutes(3)
	require.Len(t, w.told, changes, "what has failed is told once")

	later := &Registry{Self: w.Self, Rows: w.Rows, Device: w.Device, Speaks: w.Speaks, Machine: w.Machine}
	w.begin(later)
	w.minutes(1)
	require.Equal(t, openflow.ComponentFailed, w.standing("psi").State, "a restart of the node changes nothing")
	w.works("live")
	w.minutes(2)
	w.is(openflow.ComponentLoaded, "")

	w.ails("ready")
	w.minutes(1)
	w.is(openflow.ComponentFailed, `its readiness probe has failed once: asked ["ready"]: exit status 3: there is no ready`)
	_, err = w.Unload(t.Context(), "psi", "acme", "ann")
	require.NoError(t, err)
	w.works("ready")
	w.minutes(5)
	w.is(openflow.ComponentUnloaded, "") // only an operator loads it again
	_, err = w.Load(t.Context(), "psi", "acme", "ann")
	require.NoError(t, err)
	w.is(openflow.ComponentLoaded, "")

	w.ails("ready")
	w.ID = "elsewhere"
	w.minutes(1)
	w.works("ready")
	w.ID = "here"
	require.NoError(t, w.TakeOver(t.Context(), []string{"elsewhere"}))
	w.minutes(5)
	require.Equal(t, openflow.ComponentFailed, w.standing("psi").State, "the machine that has found it looks again, and no other")
	require.NoError(t, w.TakeOver(t.Context(), []string{"another"}))
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "") // that machine is not there any more
	w.ails("ready")
	w.minutes(1)
	w.is(openflow.ComponentFailed, `its readiness probe has failed once: asked ["ready"]: exit status 3: there is no ready`)
	w.works("ready")
	w.Name = "another host"
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "") // whatever a machine is called
	_, err = w.Remove(t.Context(), "acme", "ann")
	require.NoError(t, err)
	require.Empty(t, w.watched)
	w.minutes(1)
}

// An answer that does not come, or does not end, is none.
func TestProbesAreBounded(t *testing.T) {
	for name, tc := range map[string]struct{ probes, says string }{
		"slow": {`{"startup":{"command":["slow"],"timeout":1}}`, "there is no answer after 1s"},
		"loud": {`{"startup":{"command":["loud"]}}`, "it answers with more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w, path := newWard(t, "container per task", tc.probes)
			w.register(path)
			w.is(openflow.ComponentFailed, `its startup probe has failed once: asked ["`+name+`"]: `+tc.says)
		})
	}
}

// silent is a machine whose runtime does not answer.
type silent struct{ here }

func (silent) Ready(context.Context, openflow.ProviderRecord) (string, error) {
	return "", openflow.Errorf(openflow.CodeUnavailable, "no daemon")
}

func (silent) Ask(context.Context, openflow.ProviderRecord, int, ...string) (driver.Answer, error) {
	return driver.Answer{}, openflow.Errorf(openflow.CodeUnavailable, "no daemon")
}

// frozen answers what it has, and runs nothing until it is too late.
type frozen struct{ silent }

func (frozen) Ask(ctx context.Context, _ openflow.ProviderRecord, _ int, _ ...string) (driver.Answer, error) {
	<-ctx.Done()
	return driver.Answer{}, ctx.Err()
}

// A runtime that does not answer says nothing of a component: a daemon that is restarted ends none.
func TestRestartOfTheRuntimeFailsNoComponent(t *testing.T) {
	w, path := newWard(t, "container per task", `{"liveness":{"command":["live"],"timeout":1,"failures":1}}`)
	w.works("live")
	w.register(path)
	w.minutes(1)
	w.ails("live") // nobody can see that
	for _, m := range []Machine{silent{}, frozen{}} {
		w.Machine = m
		w.minutes(2)
		w.is(openflow.ComponentLoaded, "")
	}
	w.Machine = here{}
	w.minutes(1)
	w.is(openflow.ComponentFailed, `its liveness probe has failed once: asked ["live"]: exit status 3: there is no live`)
}

// What an image wants to be asked is bounded, before it is registered.
func TestDescriptionsOfProbes(t *testing.T) {
	many := `["a"` + repeat(`,"a"`, 16) + `]`
	for name, tc := range map[string]struct{ way, probes, says string }{
		"no way to ask":     {"resident", `{"liveness":{"every":60}}`, "needs either a command or a path of http"},
		"two ways":          {"resident", `{"liveness":{"command":["a"],"http":"/a"}}`, "needs either a command or a path of http"},
		"no container":      {"container per task", `{"liveness":{"http":"/a"}}`, "needs a resident container"},
		"no path":           {"resident", `{"liveness":{"http":"a"}}`, "a path that none can be"},
		"a path with hosts": {"resident", `{"liveness":{"http":"//evil/x"}}`, "a path that none can be"},
		"a query":           {"resident", `{"liveness":{"http":"/a?b"}}`, "a path that none can be"},
		"too often":         {"resident", `{"liveness":{"command":["a"],"every":29}}`, "every 29s; want 30 to 86400 seconds"},
		"never":             {"resident", `{"liveness":{"command":["a"],"every":86401}}`, "no whole number from 0 to 86400"},
		"at once":           {"resident", `{"liveness":{"command":["a"],"timeout":0}}`, "want 1 to 60 seconds"},
		"too long":          {"resident", `{"liveness":{"command":["a"],"timeout":61}}`, "no whole number from 0 to 60"},
		"no failures":       {"resident", `{"liveness":{"command":["a"],"failures":0}}`, "want 1 to 10"},
		"many words":        {"resident", `{"liveness":{"command":` + many + `}}`, "more than 16 words"},
		"a long word":       {"resident", `{"liveness":{"command":["` + repeat("a", 1025) + `"]}}`, "more than 1024 bytes"},
		"no object":         {"resident", `{"liveness":7}`, "no object"},
	} {
		t.Run(name, func(t *testing.T) {
			w, path := newWard(t, tc.way, tc.probes)
			_, _, err := w.Register(t.Context(), Registration{What: path, User: "ann"})
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
	all := program(t, `case "$1" in
list) echo '{"buildin":["a","b","c","d","e","f","g","h","i"]}' ;;
desc) echo '{"component":{"name":"'$3'","provider":"acme","version":"1","roles":["guest"],"probes":{"startup":{"command":["x"]},"readiness":{"command":["x"]},"liveness":{"command":["x"]}}}}' ;;
esac`)
	_, _, err := site(t).Register(t.Context(), Registration{What: all, User: "ann"})
	require.ErrorContains(t, err, "its components have more than 24 probes together")
	w, path := newWard(t, "resident", `{"liveness":{"http":"/healthz","every":45},"wellness":{}}`)
	w.register(path)
	one, err := w.Offer(t.Context(), "psi", "acme")
	require.NoError(t, err)
	require.Equal(t, []openflow.ComponentProbe{{Kind: "liveness", HTTP: "/healthz", Every: 45 * time.Second, Timeout: 10 * time.Second, Failures: 3}}, one.Probes)
	require.Contains(t, one.Warnings, "component.probes.wellness is not known here; it is ignored")
}

func repeat(s string, n int) (all string) {
	for range n {
		all += s
	}
	return all
}

// Who holds a program against the contract asks its probes.
func TestContractAsksProbes(t *testing.T) {
	w, path := newWard(t, "container per task", commands)
	w.works("up", "ready")
	found, err := w.Hold(t.Context(), Registration{What: path})
	require.NoError(t, err)
	said := map[string]string{}
	for _, f := range found {
		said[f.Check] = string(f.Verdict) + " " + f.Detail
	}
	require.Equal(t, string(openflow.VerdictOK)+` ["up"] ends with exit code 0`, said["startup probe of psi"])
	require.Equal(t, string(openflow.VerdictFail)+` asked ["live"]: exit status 3: there is no live`, said["liveness probe of psi"])
}

// rooms are resident containers: what is in their folder is what works there.
type rooms struct {
	w        *ward
	serve    []string
	replaced []string
	asked    int // for a container
	refuse   bool
	waits    []waiting
}

// waiting is who has waited for a container, and how.
type waiting struct {
	component string
	bounded   bool
	stays     time.Duration
}

func (r *rooms) Serving(_ openflow.ProviderRef, component string) []string {
	if component != "psi" {
		return nil
	}
	return append([]string{}, r.serve...)
}

func (r *rooms) Serve(ctx context.Context, _ openflow.ProviderRef, component string, stays time.Duration) error {
	r.asked++
	until, bounded := ctx.Deadline()
	r.waits = append(r.waits, waiting{component, bounded && time.Until(until) <= askedFor, stays})
	if r.refuse {
		return openflow.Errorf(openflow.CodeInvalid, "it does not begin")
	}
	r.serve = append(r.serve, fmt.Sprintf("new%d", r.asked))
	return nil
}

func (r *rooms) Get(_ context.Context, container, path string) (int, error) {
	if _, err := os.Stat(filepath.Join(r.w.dir, container+filepath.Base(path))); err != nil {
		return 503, nil
	}
	return 204, nil
}

func (r *rooms) Execute(ctx context.Context, container string, args []string, _ int) (driver.Answer, error) {
	if _, err := os.Stat(filepath.Join(r.w.dir, container+args[0])); err != nil {
		return driver.Answer{ExitCode: 1}, nil
	}
	return driver.Answer{}, nil
}

func (r *rooms) Replace(_ context.Context, container, why string) error {
	r.replaced = append(r.replaced, container+": "+why)
	for i, name := range r.serve {
		if name == container {
			r.serve = append(r.serve[:i], r.serve[i+1:]...)
			break
		}
	}
	return nil
}

// Resident containers are asked themselves. One that ails is replaced; a component of which none has ever worked has failed.
func TestResidentContainersAreAsked(t *testing.T) {
	w, path := newWard(t, "resident", `{"readiness":{"http":"/ready","failures":1},"liveness":{"command":["live"],"failures":2}}`)
	r := &rooms{w: w}
	w.Residents = r
	w.register(path)
	w.minutes(3)
	w.is(openflow.ComponentLoaded, "") // nobody runs, and nobody is asked
	require.Zero(t, r.asked)

	r.serve = []string{"a", "b"}
	w.works("aready", "alive", "bready", "blive")
	w.minutes(1)
	w.ails("bready")
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "") // the other one takes runs
	w.ails("alive")
	w.minutes(1)
	require.Empty(t, r.replaced)
	w.minutes(1)
	require.Equal(t, []string{`a: its liveness probe has failed 2 times in a row: asked ["live"]: exit status 1`}, r.replaced)
	w.minutes(1)
	w.is(openflow.ComponentFailed, "its readiness probe has failed 3 times in a row: asked GET /ready: status 503")
	require.Equal(t, []string{"b"}, r.serve, "what is not ready goes on")
	w.works("bready")
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "")

	r.serve, r.refuse = []string{"c"}, true // which never works
	w.works("cready")
	w.minutes(2)
	w.is(openflow.ComponentFailed, `its liveness probe has failed 2 times in a row: asked ["live"]: exit status 1`)
	require.Empty(t, r.serve)
	before := r.asked
	w.minutes(2)
	require.Equal(t, before+2, r.asked, "a container is asked for now and then")
	r.refuse = false
	next := fmt.Sprintf("new%d", before+3)
	w.works(next+"ready", next+"live")
	w.minutes(1)
	w.is(openflow.ComponentLoaded, "")
}

// Containers that do not begin keep nobody long: one is waited for in a round of a provider, after its questions and within their
// time, and each has its turn. One that begins stays until its probes have said whether it works.
func TestContainersThatDoNotBegin(t *testing.T) {
	w := &ward{Registry: site(t), t: t, dir: t.TempDir(), time: time.Now()}
	w.begin(w.Registry)
	r := &rooms{w: w, refuse: true}
	w.Residents = r
	path := program(t, `case "$1" in
list) echo '{"buildin":["a","b","c"]}' ;;
desc) echo '{"component":{"name":"'$3'","provider":"acme","version":"1","roles":["guest"],"way":"resident","probes":{"readiness":{"http":"/ready"}}}}' ;;
esac`)
	w.register(path)
	of := openflow.ProviderRef{Name: "acme", Version: "1"}
	_, err := w.Rows.ChangeComponents(t.Context(), openflow.ComponentCall{
		Provider: of, Event: openflow.ComponentFail, Reason: "it ails", By: "machine host", Machine: "here",
	})
	require.NoError(t, err)
	takes := time.Minute + 3*70*time.Second
	var all []waiting
	for _, name := range []string{"a", "b", "c", "a"} {
		if name == "a" {
			w.time = w.time.Add(openflow.MinProbeEvery)
		}
		require.NoError(t, w.AskProbes(t.Context()))
		all = append(all, waiting{name, true, takes})
		require.Equal(t, all, r.waits)
	}
	for range 3 {
		require.NoError(t, w.AskProbes(t.Context()))
	}
	require.Len(t, r.waits, 6, "each is asked for now and then")
}
