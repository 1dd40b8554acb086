package catalogue_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func provider(name, version string) (openflow.ProviderRecord, []openflow.ComponentRecord) {
	p := openflow.ProviderRecord{
		Name: name, Version: version, Kind: openflow.ProviderProgram, Place: "/opt/" + name, Digest: "sha256:" + version,
		Dialect: "toy", Enabled: true, AddedBy: "ann",
	}
	return p, []openflow.ComponentRecord{
		{
			Name: "psi", Provider: p.Ref(), Form: "fate", Title: "PSI", Roles: []openflow.Role{openflow.RoleGuest}, Stages: []openflow.Stage{openflow.StageDefault},
			Parameters: []openflow.ComponentParameter{{Name: "curve", Optional: true, Default: json.Number("12"), Schema: json.RawMessage(`{"type":"integer"}`)}},
			Protocols:  []openflow.Protocol{{Name: "acme/psi", Version: "1"}}, Declared: true, Way: openflow.WayTask,
			Description: json.RawMessage(`{"component":{"name":"psi"}}`),
		},
		{Name: "scale", Provider: p.Ref(), Form: "interop", Description: json.RawMessage(`{"componentName":"scale"}`)},
	}
}

func TestProviders(t *testing.T) { onEngines(t, testProviders) }

func testProviders(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	require.NoError(t, c.AddProvider(ctx, acme, offers))
	got, err := c.Provider(ctx, "acme", "1")
	require.NoError(t, err)
	require.False(t, got.AddedAt.IsZero())
	acme.AddedAt = got.AddedAt
	require.Equal(t, acme, got)
	has, err := c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, offers, has)

	require.NoError(t, c.AddProvider(ctx, acme, offers), "the same program again")
	for what, change := range map[string]func(*openflow.ProviderRecord){
		"content": func(p *openflow.ProviderRecord) { p.Digest = "sha256:else" },
		"dialect": func(p *openflow.ProviderRecord) { p.Dialect = "else" },
		"place":   func(p *openflow.ProviderRecord) { p.Place = "/else" },
	} {
		other := acme
		change(&other)
		requireCode(t, openflow.CodeConflict, c.AddProvider(ctx, other, nil))
		got, err := c.Provider(ctx, "acme", "1")
		require.NoError(t, err)
		require.Equal(t, acme, got, what)
	}
	next, offers := provider("acme", "2")
	require.NoError(t, c.AddProvider(ctx, next, offers))
	require.NoError(t, c.EnableProvider(ctx, "acme", "2", false))
	list, err := c.Providers(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.True(t, list[0].Enabled)
	require.False(t, list[1].Enabled)

	require.NoError(t, c.SetDefault(ctx, "psi", next.Ref()))
	require.NoError(t, c.SetDefault(ctx, "psi", acme.Ref()))
	require.NoError(t, c.SetDefault(ctx, "scale", next.Ref()))
	defaults, err := c.Defaults(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]openflow.ProviderRef{"psi": acme.Ref(), "scale": next.Ref()}, defaults)
	require.NoError(t, c.SetDefault(ctx, "scale", openflow.ProviderRef{}))
	require.NoError(t, c.RemoveProvider(ctx, "acme", "1"))
	defaults, err = c.Defaults(ctx)
	require.NoError(t, err)
	require.Empty(t, defaults, "a provider that goes is no default")
	has, err = c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Empty(t, has)

	for what, call := range map[string]func() error{
		"find":   func() error { _, err := c.Provider(ctx, "acme", "1"); return err },
		"enable": func() error { return c.EnableProvider(ctx, "acme", "1", true) },
		"remove": func() error { return c.RemoveProvider(ctx, "acme", "1") },
	} {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(call()), what)
	}
}

// There is one built-in provider: a later version of its program takes the place of the one before.
func TestBuiltInProvider(t *testing.T) { onEngines(t, testBuiltInProvider) }

func testBuiltInProvider(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	require.NoError(t, c.AddProvider(ctx, acme, offers))
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
		require.Equal(t, offers, has)
	}
	has, err := c.Components(ctx, "openflow", "1")
	require.NoError(t, err)
	require.Empty(t, has)

	require.NoError(t, c.EnableProvider(ctx, "openflow", "2", false))
	next, more := provider("acme", "2")
	require.NoError(t, c.AddProvider(ctx, next, more))
	own, _ := provider("acme", "2")
	own.Kind, own.Digest = openflow.ProviderBuiltIn, "sha256:else"
	require.NoError(t, c.SetBuiltIn(ctx, own, more), "it takes the place of a local program")
	list, err := c.Providers(ctx)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []any{own.Ref(), false}, []any{list[0].Ref(), list[0].Enabled}, "what the operator has said stays")
	has, err = c.Components(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, offers, has, "another version is left alone")
}

// A provider stays as long as a run needs it, and what it has run keeps its name.
func TestRemoveProviderInUse(t *testing.T) { onEngines(t, testRemoveProviderInUse) }

func testRemoveProviderInUse(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	own, offers := provider("openflow", "1.0")
	require.NoError(t, c.AddProvider(ctx, own, offers))
	near, _ := provider("openflow", "1")
	require.NoError(t, c.AddProvider(ctx, near, nil))
	job, tasks := createJob(t, c, "j", guest) // its tasks run openflow:1.0@docker
	require.NoError(t, c.RemoveProvider(ctx, "openflow", "1"), "another version is no part of it")
	err := c.RemoveProvider(ctx, "openflow", "1.0")
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "not ended: 2")
	_, err = c.FinishTask(ctx, tasks[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	require.ErrorContains(t, c.RemoveProvider(ctx, "openflow", "1.0"), "not ended: 1")
	_, err = c.UpdateJobStatus(ctx, job.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	require.NoError(t, c.RemoveProvider(ctx, "openflow", "1.0"), "the job has ended, so that its task will not start")
	rows, _, err := c.TasksWhere(ctx, catalogue.TaskFilter{Job: job.ID})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	for _, r := range rows {
		require.Equal(t, "openflow:1.0@docker", r.Provider)
	}
}
