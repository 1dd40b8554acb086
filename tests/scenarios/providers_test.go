package scenarios_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// by is a task of a component of that provider; empty: whoever serves it.
func by(provider, component, name string, parameters openflow.Parameters) openflow.Task {
	return openflow.Task{Name: openflow.TaskName(name), Component: component, Parameters: parameters, Conf: openflow.TaskConf{Provider: provider}}
}

// A program of another provider, registered at two sites in different versions, runs beside the built-in one. Each site
// resolves for itself, and its rows say what ran.
func TestProgramOfAnotherProvider(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"), env.Party("10000"))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	registry := func(id string) *sdk.Client { return &sdk.Client{URL: e.URL(id), User: "ann"} }
	parties := env.Parties("guest 9999", "host 10000")
	greeting := env.DAG(parties, by("acme", "greet", "greet_0", nil), env.Noop("a", nil))

	answer := guest.TrySubmit(greeting)
	require.Contains(t, answer.Message, `no component "greet" at this site`)
	own, err := registry("9999").RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "1.0.0")})
	require.NoError(t, err)
	require.Equal(t, []string{"greet", "noop"}, []string{own.Components[0].Name, own.Components[1].Name})
	require.Equal(t, "user ann", own.AddedBy)
	answer = guest.TrySubmit(greeting)
	require.Contains(t, answer.Message, `no component "greet" there`, "the host lacks it")
	require.NotContains(t, answer.Message, "noop", "what it has instead is its own affair")
	require.Contains(t, answer.Message, "10000")
	theirs, err := registry("10000").RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "2.0.0")})
	require.NoError(t, err)
	require.NotEqual(t, own.Digest, theirs.Digest)

	id := guest.Submit(greeting)
	for _, c := range []*env.Client{guest, host} {
		c.WaitFor(id, openflow.JobSuccess)
	}
	require.JSONEq(t, `{"from":"host 10000","by":"1.0.0","speaks":"acme/greet@1"}`, string(guest.Metrics(env.Run(id, "guest", "9999", "greet_0"))["greeting"]))
	require.JSONEq(t, `{"from":"guest 9999","by":"2.0.0","speaks":"acme/greet@1"}`, string(host.Metrics(env.Run(id, "host", "10000", "greet_0"))["greeting"]))
	rows := map[string][]string{}
	for _, c := range []*env.Client{guest, host} {
		for _, r := range c.Tasks(id) {
			rows[r.TaskName+" "+r.PartyID] = []string{r.ProviderName, r.ProgramDigest}
		}
	}
	require.Equal(t, []string{"acme:1.0.0@local", own.Digest}, rows["greet_0 9999"])
	require.Equal(t, []string{"acme:2.0.0@local", theirs.Digest}, rows["greet_0 10000"])
	require.Regexp(t, "^openflow:.+@local$", rows["a 9999"][0])
	require.Contains(t, rows["a 9999"][1], "sha256:")

	// Each site checks and runs what serves the task there.
	said := env.DAG(parties[:1], by("", "noop", "a", openflow.Parameters{"word": "x"}), by("acme", "noop", "b", openflow.Parameters{"word": "x"}))
	id = guest.Submit(said)
	guest.WaitFor(id, openflow.JobSuccess)
	require.NotEmpty(t, guest.Jobs(id)[0].Warnings, "the built-in noop knows no word")
	require.JSONEq(t, `{"word":"x","by":"1.0.0"}`, string(guest.Metrics(env.Run(id, "guest", "9999", "b"))["said"]))
	require.NoError(t, registry("9999").PreferProvider(t.Context(), "noop", "acme"))
	answer = guest.TrySubmit(env.DAG(parties[:1], env.Noop("a", nil)))
	require.Contains(t, answer.Message, "dag.tasks.a.parameters.word: required by component noop")
	require.NoError(t, registry("9999").PreferProvider(t.Context(), "noop", ""))
}

// The programs of a task's parties may differ, and need a protocol in common. A job of those that have none is refused before
// anything runs, and says who does not fit whom. Programs that speak several are told which one.
func TestPartiesNeedAProtocolInCommon(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"), env.Party("10000"))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	for id, versions := range map[string][]string{"9999": {"1.0.0", "3.0.0"}, "10000": {"2.0.0", "3.0.0"}} {
		for _, v := range versions {
			_, err := (&sdk.Client{URL: e.URL(id)}).RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, v)})
			require.NoError(t, err)
		}
	}
	parties := env.Parties("guest 9999", "host 10000")
	greeting := func(ours, theirs string) *openflow.DAG {
		d := env.DAG(parties, by("", "greet", "greet_0", nil))
		for i, provider := range []string{ours, theirs} {
			d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{Site: fmt.Sprint(i), Parties: parties[i : i+1], Tasks: map[openflow.TaskName]openflow.TaskOverride{
				"greet_0": {Conf: openflow.TaskConf{Provider: provider}},
			}})
		}
		return d
	}
	answer := guest.TrySubmit(greeting("acme:1", "acme:3.0.0"))
	require.Contains(t, answer.Message, "dag.tasks.greet_0: its parties have no protocol in common: "+
		"guest 9999 with greet of acme:1.0.0, which speaks acme/greet@1; host 10000 with greet of acme:3.0.0, which speaks acme/greet@2")
	for _, c := range []*env.Client{guest, host} {
		var list struct {
			Data []wire.JobRow `json:"data"`
		}
		c.OK(c.Get("/v2/job/list/query", "limit", "10", "page", "1"), &list)
		require.Len(t, list.Data, 1)
		id := openflow.JobID(list.Data[0].JobID)
		c.WaitFor(id, openflow.JobFailed)
		require.Empty(t, c.Tasks(id)[0].ProgramDigest, "nothing has run")
	}

	for want, versions := range map[string][2]string{"acme/greet@1": {"acme:1", "acme.local@2"}, "acme/greet@2": {"acme:3.0.0", "acme:2"}} {
		id := guest.Submit(greeting(versions[0], versions[1]))
		for _, c := range []*env.Client{guest, host} {
			c.WaitFor(id, openflow.JobSuccess)
			require.Equal(t, want, c.Tasks(id)[0].Speaks)
			require.Empty(t, c.Jobs(id)[0].Warnings)
		}
		require.Contains(t, string(guest.Metrics(env.Run(id, "guest", "9999", "greet_0"))["greeting"]), `"speaks":"`+want+`"`)
		require.Contains(t, string(host.Metrics(env.Run(id, "host", "10000", "greet_0"))["greeting"]), `"speaks":"`+want+`"`)
	}

	// The same by reference, where the newest that fits is meant, and the other site has one of its own.
	d := env.DAG(parties, openflow.Task{Name: "greet_0", Component: "greet", Of: openflow.ProviderRef{Name: "acme", Version: "3"}})
	id := guest.Submit(d)
	guest.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, "acme/greet@2", guest.Tasks(id)[0].Speaks)

	// A party whose dialect has no word for protocols says nothing: then nothing is compared, and the job warns of that.
	e.Speak(t, "fate-flow", "9999", "10000")
	id = guest.Submit(greeting("acme:1", "acme:2"))
	for _, c := range []*env.Client{guest, host} {
		c.WaitFor(id, openflow.JobSuccess)
	}
	require.Contains(t, guest.Jobs(id)[0].Warnings, "host 10000 does not say which protocols its programs speak, so nothing is compared with it: "+
		"greet_0 fails there if they do not understand each other")
	require.Equal(t, "acme/greet@1", guest.Tasks(id)[0].Speaks, "its own first")
	require.Equal(t, "acme/greet@2", host.Tasks(id)[0].Speaks, "its own first")
}

// A provider that runs is not removed, and one whose program has changed is not run: the job fails with what to do about it.
func TestProviderInUseAndProgramThatChanges(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"))
	user, parties := e.As(t, "9999"), env.Parties("guest 9999")
	registry := &sdk.Client{URL: e.URL("9999")}
	path := env.Acme(t, "1.0.0")
	_, err := registry.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: path})
	require.NoError(t, err)
	say := by("acme", "noop", "b", openflow.Parameters{"word": "x"})
	say.DependsOn = []openflow.TaskName{"a"}
	dag := env.DAG(parties, env.Noop("a", env.Sleep(300_000)), say)
	id := user.Submit(dag)
	user.WaitForTask(id, "a", openflow.TaskRunning)
	_, err = registry.RemoveProvider(t.Context(), "acme")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "%v", err)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)

	program, err := os.ReadFile(path)
	require.NoError(t, err)
	replace(t, path, append(program, 0))
	alone := env.DAG(parties, by("acme", "noop", "b", openflow.Parameters{"word": "x"}))
	id = user.Submit(alone)
	reason := user.WaitFor(id, openflow.JobFailed)[0].Reason
	require.Contains(t, user.Tasks(id)[0].Reason, "has changed since it was registered")
	require.NotContains(t, reason, path, "what the scheduler is told of it")
	e.Restart(t, "9999")
	require.Contains(t, e.Node(t, "9999").Warnings(), user.Tasks(id)[0].Reason)
	var wrong string
	for _, f := range e.Node(t, "9999").Examine(t.Context()) {
		if f.Check == "provider acme:1.0.0" {
			require.Equal(t, openflow.VerdictFail, f.Verdict)
			wrong = f.Detail
		}
	}
	require.Contains(t, wrong, path)

	replace(t, path, program)
	id = user.Submit(alone)
	user.WaitFor(id, openflow.JobSuccess)
	_, err = registry.RemoveProvider(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "acme:1.0.0@local", user.Tasks(id)[0].ProviderName, "what has run keeps its name")
	require.Contains(t, user.TrySubmit(alone).Message, `no provider "acme"`)
	e.NoCoresHeld(t)
}

// A machine of the pool runs a registered program that it has at the same path, and says so when it has not.
func TestProgramOfAnotherProviderInAPool(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"), env.Pooled())
	e.StartWorker(t, "9999", "m1")
	user := e.As(t, "9999")
	path := env.Acme(t, "1.0.0")
	_, err := (&sdk.Client{URL: e.URL("9999")}).RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: path})
	require.NoError(t, err)
	dag := env.DAG(env.Parties("guest 9999"), by("acme", "noop", "b", openflow.Parameters{"word": "x"}))
	id := user.Submit(dag)
	user.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, "acme:1.0.0@local", user.Tasks(id)[0].ProviderName)
	require.NotEmpty(t, user.Tasks(id)[0].ProgramDigest)

	require.NoError(t, os.Remove(path)) // as on a machine that never had it: the two here share a disk
	id = user.Submit(dag)
	user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, user.Tasks(id)[0].Reason, "lacks the program of provider acme:1.0.0, "+path)
	e.NoCoresHeld(t)
}

// A container that runs is followed to its end by the next process of its node, also when its program has changed meanwhile.
func TestProgramThatChangesWhileItRuns(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"))
	path := env.Acme(t, "1.0.0")
	_, err := (&sdk.Client{URL: e.URL("9999")}).RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: path})
	require.NoError(t, err)
	user := e.As(t, "9999")
	while := filepath.Join(t.TempDir(), "while")
	require.NoError(t, os.WriteFile(while, nil, 0o600))
	id := user.Submit(env.DAG(env.Parties("guest 9999"), by("acme", "noop", "b", openflow.Parameters{"word": "x", "while": while})))
	user.WaitForTask(id, "b", openflow.TaskRunning)
	pid := env.Program(t, e.Home("9999"), user.Tasks(id)[0].Container)
	env.WaitUntil(t, env.Patience, "its process runs the program", func() (bool, string) {
		runs, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return filepath.Dir(runs) == filepath.Join(e.Home("9999"), "programs"), fmt.Sprint(runs, err)
	})
	replace(t, path, []byte("another"))
	e.Restart(t, "9999")
	require.NoError(t, os.Remove(while))
	user.WaitFor(id, openflow.JobSuccess)
}

// replace puts another file in the place of a program, as an installation does.
func replace(t *testing.T, path string, program []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path+".new", program, 0o700))
	require.NoError(t, os.Rename(path+".new", path))
}
