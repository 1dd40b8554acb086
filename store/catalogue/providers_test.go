package catalogue_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func provider(name, version string) (openflow.ProviderRecord, []openflow.ComponentRecord) {
	p := openflow.ProviderRecord{
		Name: name, Version: version, Kind: openflow.ProviderProgram, Place: "/opt/" + name, Digest: "sha256:" + version,
		Dialect: "toy", AddedBy: "ann",
	}
	return p, []openflow.ComponentRecord{
		{
			Name: "psi", Provider: p.Ref(), Form: "fate", Title: "PSI", Roles: []openflow.Role{openflow.RoleGuest}, Stages: []openflow.Stage{openflow.StageDefault},
			Parameters: []openflow.ComponentParameter{{Name: "curve", Optional: true, Default: json.Number("12"), Schema: json.RawMessage(`{"type":"integer"}`)}},
			Protocols:  []openflow.Protocol{{Name: "acme/psi", Version: "1"}}, Declared: true, Way: openflow.WayResident, Runs: 4,
			Description: json.RawMessage(`{"component":{"name":"psi"}}`),
		},
		{Name: "scale", Provider: p.Ref(), Form: "interop", Description: json.RawMessage(`{"componentName":"scale"}`)},
	}
}

// The same image is the same provider wherever it lies, and what only names it takes no archive from it.
func TestPlacesOfAnImage(t *testing.T) {
	onEngines(t, func(t *testing.T, newCatalogue opener) {
		c, ctx := newCatalogue(t), t.Context()
		acme, offers := provider("acme", "1")
		acme.Kind, acme.Place = openflow.ProviderImage, "acme:1"
		require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
		for _, step := range []struct{ place, archive, is, has string }{
			{acme.Digest, "", "acme:1", ""},
			{"mirror/acme:1", "", "mirror/acme:1", ""},
			{"/opt/acme.tar", "sha256:a", "/opt/acme.tar", "sha256:a"},
			{"acme:1", "", "/opt/acme.tar", "sha256:a"},
			{"/srv/acme.tar", "sha256:b", "/srv/acme.tar", "sha256:b"},
		} {
			acme.Place, acme.Archive = step.place, step.archive
			require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
			got, err := c.Provider(ctx, "acme", "1")
			require.NoError(t, err)
			require.Equal(t, []string{step.is, step.has}, []string{got.Place, got.Archive}, step.place)
		}
	})
}

// described is what components say, without how they stand.
func described(list []openflow.ComponentRecord) []openflow.ComponentRecord {
	list = slices.Clone(list)
	for i := range list {
		list[i].Standing = openflow.ComponentStanding{}
	}
	return list
}

// unload unloads all that a provider has.
func unload(p openflow.ProviderRecord) openflow.ComponentCall {
	return openflow.ComponentCall{Provider: p.Ref(), Event: openflow.ComponentUnload, By: "user ann"}
}

func TestProviders(t *testing.T) { onEngines(t, testProviders) }

func testProviders(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
	got, err := c.Provider(ctx, "acme", "1")
	require.NoError(t, err)
	require.False(t, got.AddedAt.IsZero())
	acme.AddedAt = got.AddedAt
	require.Equal(t, acme, got)
	has, err := c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, offers, described(has))
	require.Equal(t, openflow.ComponentLoaded, has[0].Standing.State)
	require.False(t, has[0].Standing.Since.IsZero())

	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}), "the same program again")
	other := slices.Clone(offers)
	other[1].Description = json.RawMessage(`{"component":{"name":"scale","description":"else"}}`)
	for _, list := range [][]openflow.ComponentRecord{other, offers[:1], append(slices.Clone(offers), openflow.ComponentRecord{Name: "new"})} {
		err := c.AddProvider(ctx, acme, list, openflow.Papers{})
		requireCode(t, openflow.CodeConflict, err)
		require.ErrorContains(t, err, "in another way than before")
		has, err := c.Components(ctx, "acme", "1")
		require.NoError(t, err)
		require.Equal(t, offers, described(has))
	}
	for what, change := range map[string]func(*openflow.ProviderRecord){
		"content": func(p *openflow.ProviderRecord) { p.Digest = "sha256:else" },
		"dialect": func(p *openflow.ProviderRecord) { p.Dialect = "else" },
		"kind":    func(p *openflow.ProviderRecord) { p.Kind = openflow.ProviderImage },
	} {
		other := acme
		change(&other)
		requireCode(t, openflow.CodeConflict, c.AddProvider(ctx, other, nil, openflow.Papers{}))
		got, err := c.Provider(ctx, "acme", "1")
		require.NoError(t, err)
		require.Equal(t, acme, got, what)
	}
	moved := acme
	moved.Place = "/else"
	require.NoError(t, c.AddProvider(ctx, moved, offers, openflow.Papers{}), "the same content at another place")
	got, err = c.Provider(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, moved, got)
	next, offers := provider("acme", "2")
	require.NoError(t, c.AddProvider(ctx, next, offers, openflow.Papers{}))
	list, err := c.Providers(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)

	require.NoError(t, c.SetDefault(ctx, "psi", next.Ref()))
	require.NoError(t, c.SetDefault(ctx, "psi", acme.Ref()))
	require.NoError(t, c.SetDefault(ctx, "scale", next.Ref()))
	defaults, err := c.Defaults(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]openflow.ProviderRef{"psi": acme.Ref(), "scale": next.Ref()}, defaults)
	require.NoError(t, c.SetDefault(ctx, "scale", openflow.ProviderRef{}))
	require.NoError(t, c.RemoveProviders(ctx, openflow.ProviderRef{Name: "acme", Version: "1"}))
	defaults, err = c.Defaults(ctx)
	require.NoError(t, err)
	require.Empty(t, defaults, "a provider that goes is no default")
	has, err = c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Empty(t, has)

	for what, call := range map[string]func() error{
		"find": func() error { _, err := c.Provider(ctx, "acme", "1"); return err },
		"load": func() error { _, err := c.ChangeComponents(ctx, unload(acme)); return err },
		"load one": func() error {
			call := unload(next)
			call.Component = "lr"
			_, err := c.ChangeComponents(ctx, call)
			return err
		},
		"remove": func() error { return c.RemoveProviders(ctx, openflow.ProviderRef{Name: "acme", Version: "1"}) },
	} {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(call()), what)
	}
}

// There is one built-in provider: a later version of its program takes the place of the one before.
func TestBuiltInProvider(t *testing.T) { onEngines(t, testBuiltInProvider) }

func testBuiltInProvider(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
	for _, version := range []string{"1", "1", "2"} {
		own, offers := provider("openflow", version)
		own.Kind = openflow.ProviderBuiltIn
		require.NoError(t, c.SetBuiltIn(ctx, own, offers))
		list, err := c.Providers(ctx)
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, own.Ref(), list[0].Ref(), "it comes first")
		has, err := c.Components(ctx, "openflow", version)
		require.NoError(t, err)
		require.Equal(t, offers, described(has))
	}
	has, err := c.Components(ctx, "openflow", "1")
	require.NoError(t, err)
	require.Empty(t, has)

	two, _ := provider("openflow", "2")
	_, err = c.ChangeComponents(ctx, unload(two))
	require.NoError(t, err)
	next, more := provider("acme", "2")
	require.NoError(t, c.AddProvider(ctx, next, more, openflow.Papers{}))
	own, _ := provider("acme", "2")
	own.Kind, own.Digest = openflow.ProviderBuiltIn, "sha256:else"
	require.NoError(t, c.SetBuiltIn(ctx, own, more), "it takes the place of a local program")
	list, err := c.Providers(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, own.Ref(), list[0].Ref())
	has, err = c.Components(ctx, "acme", "2")
	require.NoError(t, err)
	require.Equal(t, openflow.ComponentUnloaded, has[0].Standing.State, "what the operator has said stays")
	has, err = c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, offers, described(has), "another version is left alone")
}

// A provider stays as long as a run needs it, and what it has run keeps its name.
func TestRemoveProviderInUse(t *testing.T) { onEngines(t, testRemoveProviderInUse) }

func testRemoveProviderInUse(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	own, offers := provider("openflow", "1.0")
	require.NoError(t, c.AddProvider(ctx, own, offers, openflow.Papers{}))
	near, _ := provider("openflow", "1")
	require.NoError(t, c.AddProvider(ctx, near, nil, openflow.Papers{}))
	job, tasks := createJob(t, c, "j", guest) // its tasks run openflow:1.0@docker
	require.NoError(t, c.RemoveProviders(ctx, openflow.ProviderRef{Name: "openflow", Version: "1"}), "another version is no part of it")
	err := c.RemoveProviders(ctx, openflow.ProviderRef{Name: "openflow", Version: "1.0"})
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "not ended: 2")
	_, err = c.FinishTask(ctx, tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	require.ErrorContains(t, c.RemoveProviders(ctx, openflow.ProviderRef{Name: "openflow", Version: "1.0"}), "not ended: 1")
	free, offers := provider("openflow", "0.9")
	require.NoError(t, c.AddProvider(ctx, free, offers, openflow.Papers{}))
	requireCode(t, openflow.CodeConflict, c.RemoveProviders(ctx, free.Ref(), own.Ref()))
	requireCode(t, openflow.CodeNotFound, c.RemoveProviders(ctx, free.Ref(), near.Ref()))
	has, err := c.Components(ctx, "openflow", "0.9")
	require.NoError(t, err)
	require.Equal(t, offers, described(has), "all of them go, or none")
	_, err = c.UpdateJobStatus(ctx, job.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	require.NoError(t, c.RemoveProviders(ctx, openflow.ProviderRef{Name: "openflow", Version: "1.0"}), "the job has ended, so that its task will not start")
	rows, _, err := c.TasksWhere(ctx, catalogue.TaskFilter{Job: job.ID})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	for _, r := range rows {
		require.Equal(t, "openflow:1.0@docker", r.Provider)
	}
}

// Components change their standing together, each change with its time, its reason and a line of the audit. A probe changes
// nothing that an operator has said, nor a failure that another machine has found.
func TestStandingOfComponents(t *testing.T) { onEngines(t, testStandingOfComponents) }

func testStandingOfComponents(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
	states := func() (all []string) {
		list, err := c.Standings(ctx)
		require.NoError(t, err)
		for _, o := range list {
			all = append(all, o.Name+" "+string(o.Standing.State)+" "+o.Standing.Reason+" "+o.Standing.Machine)
		}
		return all
	}
	do := func(component string, event openflow.ComponentEvent, reason, machine string) int {
		made, err := c.ChangeComponents(ctx, openflow.ComponentCall{
			Provider: acme.Ref(), Component: component, Event: event, Reason: reason, By: "somebody", Machine: machine, Probe: machine != "",
		})
		require.NoError(t, err)
		return len(made)
	}
	require.Equal(t, 2, do("", openflow.ComponentUnload, "", ""))
	require.Equal(t, 0, do("", openflow.ComponentUnload, "", ""), "a repeat changes nothing")
	require.Equal(t, 1, do("psi", openflow.ComponentLoad, "", ""))
	require.Equal(t, []string{"psi LOADED  ", "scale UNLOADED  "}, states())

	require.Equal(t, 1, do("", openflow.ComponentFail, "its image is gone", "m1"), "what is unloaded stays so")
	require.Equal(t, []string{"psi FAILED its image is gone m1", "scale UNLOADED  "}, states())
	require.Equal(t, 0, do("", openflow.ComponentLoad, "", "m2"), "another machine has the image")
	require.NoError(t, c.AdoptFailures(ctx, "m2", []string{"m1"}))
	require.Equal(t, []string{"psi FAILED its image is gone m1", "scale UNLOADED  "}, states())
	require.NoError(t, c.AdoptFailures(ctx, "m2", nil))
	require.Equal(t, []string{"psi FAILED its image is gone m2", "scale UNLOADED  "}, states(), "nobody else is there to look again")
	require.NoError(t, c.AdoptFailures(ctx, "m1", nil))
	require.Equal(t, 1, do("", openflow.ComponentFail, "for another reason", "m1"))
	require.Equal(t, 1, do("", openflow.ComponentLoad, "", "m1"))
	require.Equal(t, []string{"psi LOADED  ", "scale UNLOADED  "}, states())

	// All or nothing: scale cannot be started.
	_, err := c.ChangeComponents(ctx, openflow.ComponentCall{Provider: acme.Ref(), Event: openflow.ComponentStart, By: "somebody"})
	requireCode(t, openflow.CodeConflict, err)
	require.Equal(t, []string{"psi LOADED  ", "scale UNLOADED  "}, states())

	audit, _, err := c.Audit(ctx, catalogue.AuditFilter{ActionContains: "component"})
	require.NoError(t, err)
	var said []string
	for _, e := range audit {
		require.False(t, e.Time.IsZero())
		require.Equal(t, "somebody", e.Actor)
		said = append(said, e.Action+" "+e.Subject+" "+e.Detail)
	}
	slices.Sort(said)
	require.Equal(t, []string{
		"component/fail psi of acme:1 FAILED → FAILED: for another reason", "component/fail psi of acme:1 LOADED → FAILED: its image is gone",
		"component/load psi of acme:1 FAILED → LOADED", "component/load psi of acme:1 UNLOADED → LOADED",
		"component/unload psi of acme:1 LOADED → UNLOADED", "component/unload scale of acme:1 LOADED → UNLOADED",
	}, said)
}
