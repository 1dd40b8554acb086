package registry

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/tables"
	"openflow/site/programs"
	"openflow/store/catalogue"
)

// site is a registry with the built-in provider openflow:2.
func site(t *testing.T) *Registry {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	own, err := programs.Own(program(t, of("openflow", "2")), "usual")
	require.NoError(t, err)
	_, err = BuiltIn(t.Context(), here{}, rows, own)
	require.NoError(t, err)
	return &Registry{Self: "9999", Rows: rows, Device: "docker", Speaks: spoken, Machine: here{}}
}

func spoken(d openflow.Dialect) (openflow.Dialect, error) {
	switch d {
	case "", "usual":
		return "usual", nil
	case "toy":
		return d, nil
	}
	return "", openflow.Errorf(openflow.CodeInvalid, "%q is not a dialect of containers here", d).WithHint("one of usual, toy")
}

func psi(provider string) openflow.TaskSpec {
	return openflow.TaskSpec{Name: "psi_0", Component: "psi", Stage: openflow.StageDefault, Conf: openflow.TaskConf{Provider: provider}}
}

func (g *Registry) serves(t *testing.T, provider string) string {
	t.Helper()
	refs, err := g.Providers(t.Context(), []openflow.TaskSpec{psi(provider)})
	require.NoError(t, err)
	require.Len(t, refs, 1)
	return refs[0].Provider
}

func TestLifeOfAProvider(t *testing.T) {
	g, ctx := site(t), t.Context()
	var told []openflow.ComponentChange
	g.Tell = func(_ context.Context, c openflow.ComponentChange) { told = append(told, c) }
	require.Equal(t, "openflow:2@docker", g.serves(t, ""))
	path := program(t, of("acme", "1"))
	p, components, err := g.Register(ctx, Registration{Name: "acme", What: path, Dialect: "", User: "ann"})
	require.NoError(t, err)
	require.Len(t, components, 2)
	require.Equal(t, []any{"acme", "1", openflow.ProviderProgram, path, openflow.Dialect("usual"), "ann"},
		[]any{p.Name, p.Version, p.Kind, p.Place, p.Dialect, p.AddedBy})
	again, _, err := g.Register(ctx, Registration{Name: "acme", What: path, Dialect: "usual", User: "bob"})
	require.NoError(t, err)
	require.Equal(t, p, again, "the same program again changes nothing")
	require.Equal(t, "openflow:2@docker", g.serves(t, ""), "nobody is served by it who does not ask")
	require.Equal(t, "acme:1@docker", g.serves(t, "acme"))

	given, err := g.Given(ctx, "acme:1@docker", "psi")
	require.NoError(t, err)
	require.Equal(t, openflow.Parameters{"rounds": json.Number("7")}, given)
	given, err = g.Given(ctx, "openflow:2@docker", "psi")
	require.NoError(t, err)
	require.Empty(t, given, "our own program takes its own")

	require.NoError(t, g.Prefer(ctx, "psi", "acme"))
	require.Equal(t, "acme:1@docker", g.serves(t, ""))
	list, err := g.Offers(ctx)
	require.NoError(t, err)
	var offered []string
	for _, o := range list {
		text := o.Name + " " + o.Provider.String()
		if o.Default {
			text += " *"
		}
		offered = append(offered, text)
	}
	require.Equal(t, []string{"psi acme:1 *", "psi openflow:2", "scale acme:1", "scale openflow:2 *"}, offered)
	one, err := g.Offer(ctx, "psi", "openflow")
	require.NoError(t, err)
	require.False(t, one.Default)
	require.Contains(t, string(one.Description), `"openflow"`)
	_, err = g.Offer(ctx, "psi", "zeta")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))

	told = nil
	changes, err := g.Unload(ctx, "", "acme:1", "ann")
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.Equal(t, changes, told)
	require.Equal(t, "openflow:2@docker", g.serves(t, ""))
	_, err = g.Providers(ctx, []openflow.TaskSpec{psi("acme")})
	require.ErrorContains(t, err, `component "psi" of provider acme:1 is UNLOADED at this site, and takes no new jobs`)
	_, err = g.Load(ctx, "psi", "acme", "ann")
	require.NoError(t, err)
	require.Equal(t, "acme:1@docker", g.serves(t, ""))
	require.NoError(t, g.Prefer(ctx, "psi", ""))
	require.Equal(t, "openflow:2@docker", g.serves(t, ""))

	_, _, err = g.Register(ctx, Registration{Name: "acme", What: program(t, of("acme", "2")), Dialect: "toy", User: "ann"})
	require.NoError(t, err)
	next, _, err := g.Show(ctx, "acme:2")
	require.NoError(t, err)
	require.Equal(t, openflow.Dialect("toy"), next.Dialect)
	_, err = g.Remove(ctx, "acme", "ann")
	require.ErrorContains(t, err, "acme:1, acme:2")
	_, err = g.Remove(ctx, "acme:1", "ann")
	require.NoError(t, err)
	require.Equal(t, "acme:2@docker", g.serves(t, "acme"))
	var gone []string
	for _, c := range told {
		if c.To == "" {
			gone = append(gone, c.Component+" of "+c.Provider.String()+" was "+string(c.From))
		}
	}
	require.Equal(t, []string{"psi of acme:1 was LOADED", "scale of acme:1 was UNLOADED"}, gone)
	names, err := g.Names(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"psi", "scale"}, names)
}

// Commands read a version as jobs do: what begins so is meant, the very one before all others, and several are listed.
func TestVersionsOfCommands(t *testing.T) {
	g, ctx := site(t), t.Context()
	add := func(version string) {
		_, _, err := g.Register(ctx, Registration{What: program(t, of("acme", version)), User: "ann"})
		require.NoError(t, err)
	}
	add("1.2.0")
	require.NoError(t, g.Prefer(ctx, "psi", "acme:1.2"))
	require.Equal(t, "acme:1.2.0@docker", g.serves(t, ""))
	_, err := g.Load(ctx, "psi", "acme:1", "ann")
	require.NoError(t, err)
	_, err = g.Load(ctx, "psi", "acme:1.20", "ann")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	add("1.2.1")
	_, err = g.Load(ctx, "psi", "acme:1.2", "ann")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "provider acme:1.2 has several versions (name one of: acme:1.2.0, acme:1.2.1)")
	add("1.2")
	p, _, err := g.Show(ctx, "acme:1.2")
	require.NoError(t, err)
	require.Equal(t, "1.2", p.Version)
}

func TestRegistryRefuses(t *testing.T) {
	g, ctx := site(t), t.Context()
	acme := program(t, of("acme", "1"))
	_, _, err := g.Register(ctx, Registration{Name: "acme", What: acme, Dialect: "", User: "ann"})
	require.NoError(t, err)
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(acme, link))
	plain := filepath.Join(folder, "plain")
	require.NoError(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o600))
	for name, tc := range map[string]struct {
		do   func() error
		code openflow.Code
		says string
	}{
		"of somebody else":    {g.adds("acme", program(t, of("zeta", "1"))), openflow.CodeInvalid, `is of provider zeta:1, not of acme`},
		"as the built-in one": {g.adds("openflow", program(t, of("openflow", "3"))), openflow.CodeInvalid, "stands for the built-in provider"},
		"as FATE":             {g.adds("fate", program(t, of("fate", "2.2.0"))), openflow.CodeInvalid, "stands for the built-in provider"},
		"another program":     {g.adds("acme", program(t, of("acme", "1")+"\n# changed")), openflow.CodeConflict, "another program"},
		"in another dialect": {func() error {
			_, _, err := g.Register(ctx, Registration{Name: "acme", What: acme, Dialect: "toy", User: "ann"})
			return err
		}, openflow.CodeConflict, "containers that speak usual"},
		"in no dialect": {func() error {
			_, _, err := g.Register(ctx, Registration{Name: "acme", What: acme, Dialect: "esperanto", User: "ann"})
			return err
		}, openflow.CodeInvalid, "one of usual, toy"},
		"a folder":             {g.adds("acme", folder), openflow.CodeInvalid, "nothing says which interpreter runs it"},
		"a link":               {g.adds("acme", link), openflow.CodeInvalid, "name the file itself: " + acme},
		"not executable":       {g.adds("acme", plain), openflow.CodeInvalid, "permission denied"},
		"no file":              {g.adds("acme", "/nowhere/x"), openflow.CodeInvalid, "no such file"},
		"no whole path":        {g.adds("acme", "x"), openflow.CodeInvalid, "runs no images"},
		"no component of it":   {func() error { return g.Prefer(ctx, "lr", "acme") }, openflow.CodeInvalid, `has no component "lr"`},
		"no such provider":     {func() error { return g.Prefer(ctx, "psi", "zeta") }, openflow.CodeNotFound, "zeta is not registered"},
		"remove the built-in":  {func() error { _, err := g.Remove(ctx, "openflow", "ann"); return err }, openflow.CodeConflict, "built-in"},
		"remove nobody":        {func() error { _, err := g.Remove(ctx, "acme:9", "ann"); return err }, openflow.CodeNotFound, "acme:9 is not registered"},
		"remove what":          {func() error { _, err := g.Remove(ctx, "a b", "ann"); return err }, openflow.CodeInvalid, "name of a provider"},
		"remove any":           {func() error { _, err := g.Remove(ctx, "", "ann"); return err }, openflow.CodeInvalid, "does not name one"},
		"remove on one device": {func() error { _, err := g.Remove(ctx, "acme:1@docker", "ann"); return err }, openflow.CodeInvalid, "does not name one"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := g.List(ctx)
			require.NoError(t, err)
			err = tc.do()
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			after, err := g.List(ctx)
			require.NoError(t, err)
			require.Equal(t, before, after, "the registry is as it was")
		})
	}
}

func (g *Registry) adds(name, path string) func() error {
	return func() error {
		_, _, err := g.Register(context.Background(), Registration{Name: name, What: path, Dialect: "", User: "ann"})
		return err
	}
}

// A job is checked with what the provider says that serves it, and with the schemas of this site's tables.
func TestJobsAreCheckedWithDescriptionsAndTables(t *testing.T) {
	g := site(t)
	_, _, err := g.Register(t.Context(), Registration{Name: "acme", What: program(t, of("acme", "1")), Dialect: "", User: "ann"})
	require.NoError(t, err)
	guest, name := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.TableName{Namespace: "bank", Name: "people"}
	schema := tables.Schema{SampleID: "sid", MatchID: "id", Features: []tables.Column{{Name: "x0", DType: tables.Float64}}}
	unlabelled, err := schema.DataMeta()
	require.NoError(t, err)
	labelled := schema.Clone()
	labelled.Label = &tables.Column{Name: "y", DType: tables.Int32}
	withLabel, err := labelled.DataMeta()
	require.NoError(t, err)
	for text, tc := range map[string]struct {
		provider, protocol string
		meta               json.RawMessage
		mistakes           []string
	}{
		"right":                   {"", "openflow", withLabel, nil},
		"a table without a label": {"", "openflow", unlabelled, []string{"has no label column"}},
		"a table of another kind": {"", "openflow", json.RawMessage(`{}`), nil},
		"a parameter of another":  {"", "acme", withLabel, []string{"parameters.protocol"}},
		"right for the other":     {"acme", "acme", withLabel, nil},
		"wrong for the other":     {"acme", "openflow", withLabel, []string{"parameters.protocol"}},
		"nobody":                  {"zeta:1", "openflow", withLabel, []string{`dag.tasks.psi_0.conf.provider: no provider "zeta:1" of component "psi" at this site`}},
		"no name":                 {"a b", "openflow", withLabel, []string{`dag.tasks.psi_0.conf.provider: "a b" is not the name of a provider`}},
	} {
		t.Run(text, func(t *testing.T) {
			d := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{
				Name: "psi_0", Component: "psi", Parameters: openflow.Parameters{"protocol": tc.protocol, "protocl": 1}, Conf: openflow.TaskConf{Provider: tc.provider},
				Inputs: []openflow.Input{{Kind: openflow.InputData, Key: "in", Channels: []openflow.Channel{
					{Source: openflow.FromDataWarehouse, Namespace: name.Namespace, Name: name.Name},
				}}},
			}}}
			known := map[openflow.TableName]openflow.TableRecord{name: {Name: name, Meta: tc.meta}}
			mistakes, _, err := g.Check(t.Context(), d, d.Parties, known)
			require.NoError(t, err)
			require.Len(t, mistakes, len(tc.mistakes), "%v", mistakes)
			for i, m := range mistakes {
				require.Contains(t, m.String(), tc.mistakes[i])
			}
		})
	}
	unknown := &openflow.DAG{SchemaVersion: "1", Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "x", Component: "x"}}}
	mistakes, _, err := g.Check(t.Context(), unknown, unknown.Parties, nil)
	require.NoError(t, err)
	require.Contains(t, mistakes[0].String(), `dag.tasks.x.component_ref: no component "x" at this site, which has: psi, scale`)
}

// A program may describe itself as the InterOp standard has it. Jobs are checked by that like by any other description.
func TestJobsAreCheckedByTheStandardsDescription(t *testing.T) {
	g := site(t)
	info, err := os.ReadFile(filepath.Join("..", "..", "description", "interop", "testdata", "psi.json"))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "info.json")
	require.NoError(t, os.WriteFile(file, info, 0o600))
	standard := Registration{What: program(t, `case "$1" in list) echo '{"buildin":["EcdhPsi"]}' ;; desc) cat `+file+` ;; esac`), User: "ann"}
	_, components, err := g.Register(t.Context(), standard)
	require.NoError(t, err)
	require.Equal(t, "interop", components[0].Form)
	require.Equal(t, []string{foreignStart}, components[0].Warnings, "how it is started is another matter")
	found, err := g.Hold(t.Context(), standard)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(found, func(f openflow.Finding) bool {
		return f.Check == "form of description" && f.Verdict == openflow.VerdictWarn && f.Detail == foreignStart
	}), "%+v", found)
	one, err := g.Offer(t.Context(), "acme:EcdhPsi@1.4", "")
	require.NoError(t, err)
	require.Equal(t, []openflow.Protocol{{Name: "acme/EcdhPsi", Version: "1.4"}}, one.Protocols)
	require.Len(t, one.Parameters, 3)

	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	for text, tc := range map[string]struct {
		parameters openflow.Parameters
		parties    []openflow.Party
		mistakes   []string
	}{
		"right":                {openflow.Parameters{"key_column": "id", "curve": "c25519"}, []openflow.Party{guest, host}, nil},
		"what is mandatory":    {openflow.Parameters{}, []openflow.Party{guest, host}, []string{"dag.tasks.psi_0.parameters.key_column: required by component EcdhPsi"}},
		"not among the offers": {openflow.Parameters{"key_column": "id", "curve": "p999"}, []openflow.Party{guest, host}, []string{"dag.tasks.psi_0.parameters.curve: want one of p256, c25519"}},
		"another role": {
			openflow.Parameters{"key_column": "id"}, []openflow.Party{{Role: openflow.RoleArbiter, ID: "9999"}}, []string{`component "EcdhPsi" has no part for a party in the role arbiter`},
		},
	} {
		t.Run(text, func(t *testing.T) {
			d := &openflow.DAG{SchemaVersion: "1", Parties: tc.parties, Tasks: []openflow.Task{{Name: "psi_0", Component: "EcdhPsi", Parameters: tc.parameters}}}
			mistakes, _, err := g.Check(t.Context(), d, d.Parties, nil)
			require.NoError(t, err)
			require.Len(t, mistakes, len(tc.mistakes), "%v", mistakes)
			for i, m := range mistakes {
				require.Contains(t, m.String(), tc.mistakes[i])
			}
		})
	}
	spoken, err := g.Spoken(t.Context(), []openflow.TaskRecord{
		{Key: openflow.TaskKey{Task: "psi_0"}, Component: "EcdhPsi", Provider: "acme:1.4.0@docker"}, {Key: openflow.TaskKey{Task: "gone"}, Component: "x", Provider: "zeta:1@docker"},
	})
	require.NoError(t, err)
	require.Equal(t, []openflow.Spoken{{Task: "psi_0", Provider: openflow.ProviderRef{Name: "acme", Version: "1.4.0"}, Protocols: one.Protocols}}, spoken)
}

// A node whose program stayed as it was starts without asking it again.
func TestBuiltInIsAskedOnce(t *testing.T) {
	g := site(t)
	path := program(t, of("openflow", "2"))
	own, err := programs.Own(path, "usual")
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	again, err := BuiltIn(t.Context(), here{}, g.Rows, own)
	require.NoError(t, err)
	require.Equal(t, "openflow:2", again.Ref().String())

	own.Dialect = "toy"
	_, err = BuiltIn(t.Context(), here{}, g.Rows, own)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
}

// What a component needs at least goes to who sizes its tasks.
func TestWhatAComponentNeeds(t *testing.T) {
	g := site(t)
	script := strings.ReplaceAll(of("acme", "1"), `"description":"for tests"`, `"description":"for tests","wishes":{"cores":4,"memory":1073741824,"disk":5}`)
	_, _, err := g.Register(t.Context(), Registration{What: program(t, script), User: "ann"})
	require.NoError(t, err)
	served, err := g.Providers(t.Context(), []openflow.TaskSpec{psi("acme"), psi("")})
	require.NoError(t, err)
	require.Equal(t, openflow.Resources{Cores: 4, Memory: 1 << 30}, served[0].Least)
	require.Zero(t, served[1].Least)
}
