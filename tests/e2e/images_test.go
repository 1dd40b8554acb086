package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
	"openflow/tests/images"
)

// anyVendorsImages registers an image of a Go program and one in Python, made without our kit, and runs tasks of both in one
// job. Each keeps the contract, and what is changed afterwards does not run.
func anyVendorsImages(t *testing.T, list map[string]*site) {
	archives := map[string]string{"acme": images.Of(t, env.Acme(t, "2.0.0")), "pythonic": images.Python(t)}
	for _, s := range list {
		registry := &sdk.Client{URL: s.url}
		for name, archive := range archives {
			found, err := registry.CheckComponent(t.Context(), sdk.Registration{Place: archive})
			require.NoError(t, err)
			points := map[string]bool{}
			for _, f := range found {
				require.Equal(t, "ok", f.Status, "%s: %+v", name, f)
				points[f.Name] = true
			}
			require.True(t, points["resident: ends"], "each has a resident component, whose container was tried: %v", points)
			p, err := registry.RegisterProvider(t.Context(), sdk.Registration{Place: archive, Name: name})
			require.NoError(t, err)
			require.Equal(t, "image", p.Kind)
			require.Equal(t, "LOADED", p.Components[0].State)
		}
	}
	user := list["9999"].as(t)
	shout := openflow.Task{Name: "shout_0", Component: "shout", Parameters: openflow.Parameters{"word": "hello"}}
	greet := openflow.Task{Name: "greet_0", Component: "greet", Conf: openflow.TaskConf{Provider: "acme:2.0.0"}, DependsOn: []openflow.TaskName{"shout_0"}}
	dag := env.DAG(env.Parties("guest 9999", "host 10000"), shout, greet)
	id := user.Submit(dag)
	for party, s := range list {
		s.as(t).WaitFor(id, openflow.JobSuccess)
		p, err := (&sdk.Client{URL: s.url}).Provider(t.Context(), "pythonic")
		require.NoError(t, err)
		for _, r := range s.as(t).Tasks(id) {
			if r.TaskName == "shout_0" {
				require.Equal(t, "pythonic:3.1@docker", r.ProviderName)
				require.Equal(t, p.Digest, r.ProgramDigest)
			}
		}
		role := map[string]string{"9999": "guest", "10000": "host"}[party]
		require.JSONEq(t, `{"word":"HELLO","python":"`+pythonVersion(t)+`","user":65534}`, string(s.as(t).Metrics(env.Run(id, role, party, "shout_0"))["said"]))
	}
	nothingLeft(t, list)
	tablesWithoutOurKit(t, list["9999"])

	// One that does not end by itself is asked to, and obeys.
	shout.Parameters = openflow.Parameters{"word": "hello", "forever": true}
	id = user.Submit(env.DAG(env.Parties("guest 9999"), shout))
	user.WaitForTask(id, "shout_0", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)

	// A parameter that the description does not allow is refused before anything runs.
	shout.Parameters = nil
	require.Contains(t, user.TrySubmit(env.DAG(env.Parties("guest 9999"), shout)).Message, "dag.tasks.shout_0.parameters.word: required by component shout")
	askedImages(t, list["9999"])
	vanishingImage(t, list["9999"], archives["pythonic"])
}

// tablesWithoutOurKit has the component in Python read a table, pass it on and save a model, twice: the second task reads what the
// first one has made.
func tablesWithoutOurKit(t *testing.T, s *site) {
	user := s.as(t)
	var rows strings.Builder
	rows.WriteString("id,y,x0\n")
	for i := range 20_000 { // more than one batch
		fmt.Fprintf(&rows, "名%05d,%d,%d.5\n", i, i%2, i)
	}
	user.OK(user.Upload("python", "rows", guestMeta, strings.NewReader(rows.String())), nil)
	table := func(c openflow.Channel) openflow.Input {
		return openflow.Input{Kind: openflow.InputData, Key: "table", Channels: []openflow.Channel{c}}
	}
	first := openflow.Task{Name: "keep_0", Component: "keep", Inputs: []openflow.Input{
		table(openflow.Channel{Source: openflow.FromDataWarehouse, Namespace: "python", Name: "rows"}),
	}}
	second := openflow.Task{Name: "keep_1", Component: "keep", Inputs: []openflow.Input{
		table(openflow.Channel{Source: openflow.FromTask, ProducerTask: "keep_0", OutputKey: "copy"}),
		{Kind: openflow.InputModel, Key: "before", Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: "keep_0", OutputKey: "kept"}}},
	}}
	id := user.Submit(env.DAG(env.Parties("guest 9999"), first, second))
	user.WaitFor(id, openflow.JobSuccess)
	run := env.Run(id, "guest", "9999", "keep_1")
	require.JSONEq(t, `{"rows":20000,"first":"名00000","last":"名19999","before":20000}`, string(user.Metrics(run)["kept"]))
	copied := user.Archive("/v2/output/data/download", run...)["copy/0.csv"]
	require.Equal(t, 20_001, bytes.Count(copied, []byte("\n")))
	original := user.Archive("/v2/data/download", "namespace", "python", "name", "rows")["data/0.csv"]
	require.True(t, bytes.Equal(original, copied), "the copy is another table")
	var model json.RawMessage
	user.OK(user.Get("/v2/output/model/query", run...), &model)
	require.Contains(t, string(model), `"before":20000`)
	nothingLeft(t, map[string]*site{s.party: s})
}

// askedImages registers an image whose component says how it is asked whether it works, and one that never does. Each question is a
// container without a network.
func askedImages(t *testing.T, s *site) {
	registry, user := &sdk.Client{URL: s.url}, s.as(t)
	for version, want := range map[string]string{
		"9.0.0": "LOADED ", "9.9.9": `FAILED its startup probe has failed once: asked ["works" "--name" "noop"]: exit status 1: this version never works`,
	} {
		found, err := registry.CheckComponent(t.Context(), sdk.Registration{Place: images.Of(t, env.Acme(t, version))})
		require.NoError(t, err)
		said := ""
		for _, f := range found {
			if f.Name == "startup probe of noop" {
				said = f.Status
			}
		}
		require.Equal(t, map[string]string{"9.0.0": "ok", "9.9.9": "FAIL"}[version], said)
		_, err = registry.RegisterProvider(t.Context(), sdk.Registration{Place: images.Of(t, env.Acme(t, version))})
		require.NoError(t, err)
		one, err := registry.Component(t.Context(), "noop", "acme:"+version)
		require.NoError(t, err)
		require.Equal(t, want, one.State+" "+one.Reason)
	}
	dag := env.DAG(env.Parties("guest "+s.party), openflow.Task{
		Name: "say", Component: "noop", Parameters: openflow.Parameters{"word": "x"}, Conf: openflow.TaskConf{Provider: "acme:9.9.9"},
	})
	require.Contains(t, user.TrySubmit(dag).Message, "this version never works")
	dag.Tasks[0].Conf.Provider = "acme:9.0.0"
	user.WaitFor(user.Submit(dag), openflow.JobSuccess)

	// A resident component is asked in the container that serves, which does not say that it is not ready.
	dag.Tasks[0].Component, dag.Tasks[0].Conf.Provider = "stay", "acme:9.9.9"
	user.WaitFor(user.Submit(dag), openflow.JobSuccess)
	env.WaitUntil(t, env.Patience, "the resident container is asked", func() (bool, string) {
		one, err := registry.Component(t.Context(), "stay", "acme:9.9.9")
		require.NoError(t, err)
		return one.State == "FAILED" && strings.Contains(one.Reason, `its startup probe has failed once: asked ["works" "--name" "stay"]: exit status 1: this version never works`), one.State + " " + one.Reason
	})
	for _, version := range []string{"9.0.0", "9.9.9"} { // before anybody is asked again
		_, err := registry.RemoveProvider(t.Context(), "acme:"+version)
		require.NoError(t, err)
	}
	nothingLeft(t, map[string]*site{s.party: s})
}

func pythonVersion(t *testing.T) string {
	t.Helper()
	target, err := os.Readlink("/usr/bin/python3")
	require.NoError(t, err)
	return target[len("python"):]
}

// vanishingImage registers an image by its tag. The tag moves, which does not matter; then the image goes, which is found.
func vanishingImage(t *testing.T, s *site, archive string) {
	g, registry := s.ground.(*dockerGround), &sdk.Client{URL: s.url}
	const tag = "openflow-e2e/acme:3"
	p, err := registry.RegisterProvider(t.Context(), sdk.Registration{Place: images.Of(t, env.Acme(t, "3.0.0"))})
	require.NoError(t, err)
	_, err = registry.RemoveProvider(t.Context(), "acme:3.0.0")
	require.NoError(t, err)
	_, err = g.api.ImageTag(t.Context(), client.ImageTagOptions{Source: p.Digest, Target: tag})
	require.NoError(t, err)
	p, err = registry.RegisterProvider(t.Context(), sdk.Registration{Place: tag})
	require.NoError(t, err)
	require.Equal(t, []string{tag, ""}, []string{p.Place, p.Archive})
	python, err := registry.Provider(t.Context(), "pythonic")
	require.NoError(t, err)
	_, err = g.api.ImageTag(t.Context(), client.ImageTagOptions{Source: python.Digest, Target: tag})
	require.NoError(t, err)
	user := s.as(t)
	dag := env.DAG(env.Parties("guest "+s.party), openflow.Task{
		Name: "say", Component: "noop", Parameters: openflow.Parameters{"word": "x"}, Conf: openflow.TaskConf{Provider: "acme:3.0.0"},
	})
	id := user.Submit(dag)
	user.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, p.Digest, user.Tasks(id)[0].ProgramDigest, "what was registered, not what the tag names now")
	nothingLeft(t, map[string]*site{s.party: s})

	state := func() string {
		one, err := registry.Component(t.Context(), "noop", "acme:3.0.0")
		require.NoError(t, err)
		return one.State + " " + one.Reason
	}
	_, err = g.api.ImageRemove(t.Context(), p.Digest, client.ImageRemoveOptions{Force: true})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return state() != "LOADED " }, time.Minute, 100*time.Millisecond)
	require.Contains(t, state(), "FAILED ")
	require.Contains(t, state(), "lacks the image of provider acme:3.0.0, "+tag)
	require.Contains(t, user.TrySubmit(dag).Message, `component "noop" of provider acme:3.0.0 is FAILED at this site`)
	_, err = g.api.ImageRemove(t.Context(), tag, client.ImageRemoveOptions{})
	require.NoError(t, err)

	s.kill(t) // what a component is survives
	s.start(t)
	require.Contains(t, state(), "FAILED ")
	again, err := registry.CheckComponent(t.Context(), sdk.Registration{Place: images.Of(t, env.Acme(t, "3.0.0"))}) // which loads it
	require.NoError(t, err)
	require.NotEmpty(t, again)
	require.Eventually(t, func() bool { return state() == "LOADED " }, time.Minute, 100*time.Millisecond)
	id = user.Submit(dag)
	user.WaitFor(id, openflow.JobSuccess)

	// The archive of a provider changes: who loads it again finds out.
	text, err := os.ReadFile(archive)
	require.NoError(t, err)
	text[len(text)/2] ^= 1
	require.NoError(t, os.WriteFile(archive, text, 0o600))
	found, err := registry.Doctor(t.Context())
	require.NoError(t, err)
	wrong := ""
	for _, f := range found {
		if f.Name == "provider pythonic:3.1" {
			wrong = f.Status + " " + f.Detail
		}
	}
	require.Contains(t, wrong, "FAIL the archive of the image of provider pythonic:3.1")
	_, err = registry.RegisterProvider(t.Context(), sdk.Registration{Place: archive})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	nothingLeft(t, map[string]*site{s.party: s})
}
