package openflow_test

import (
	"cmp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestParseProvider(t *testing.T) {
	for text, want := range map[string]openflow.ProviderRef{
		"":                    {},
		"*":                   {},
		"*:*@*":               {},
		"acme":                {Name: "acme"},
		"acme:1.2.0":          {Name: "acme", Version: "1.2.0"},
		"acme@docker":         {Name: "acme", Device: "docker"},
		"fate:2.2.0@local":    {Name: "fate", Version: "2.2.0", Device: "local"},
		"*:2.2.0@local":       {Version: "2.2.0", Device: "local"},
		"acme:*@docker":       {Name: "acme", Device: "docker"},
		"acme:1.0-rc.1+build": {Name: "acme", Version: "1.0-rc.1+build"},
		"fate.docker@2.2.0":   {Name: "fate", Version: "2.2.0", Device: "docker"},
		"fate.local@2":        {Name: "fate", Version: "2", Device: "local"},
		"a.b.k8s@1":           {Name: "a.b", Version: "1", Device: "k8s"},
		"fate.docker@docker":  {Name: "fate.docker", Device: "docker"},
		"fate.docker":         {Name: "fate.docker"},
		"fate.gpu@2.2.0":      {Name: "fate.gpu", Device: "2.2.0"},
		"fate.docker:1@local": {Name: "fate.docker", Version: "1", Device: "local"},
	} {
		got, err := openflow.ParseProvider(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := openflow.ParseProvider(got.String())
		require.NoError(t, err, text)
		require.Equal(t, got, again, text)
	}
	for _, text := range []string{
		":1", "acme:", "acme@", "acme:@docker", "@docker", "a:b:c", "a@b@c", "a b", "a\x1b", "-a", "../a", "a:\n", "acme:1@", "ä",
		strings.Repeat("a", 65), "acme:" + strings.Repeat("1", 65), strings.Repeat("a:", 1<<20),
	} {
		_, err := openflow.ParseProvider(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%.80q", text)
		require.Less(t, len(err.Error()), 400, "the message does not repeat everything")
	}
}

func TestParseComponent(t *testing.T) {
	for text, want := range map[string]openflow.ProviderRef{
		"psi": {}, "acme:psi": {Name: "acme"}, "psi@1.2": {Version: "1.2"}, "acme:psi@1.2.0-rc1": {Name: "acme", Version: "1.2.0-rc1"},
	} {
		component, of, err := openflow.ParseComponent(text)
		require.NoError(t, err, text)
		require.Equal(t, "psi", component, text)
		require.Equal(t, want, of, text)
		require.Equal(t, text, openflow.ComponentRef(component, of))
	}
	for _, text := range []string{
		"", ":psi", "psi@", "acme:", "acme:@1", "a:b:psi", "psi@1@2", "acme:psi@1:2", "a b", "../psi", "acme:psi@\n", "*:psi", strings.Repeat("a", 129),
		strings.Repeat("a", 65) + ":psi",
	} {
		_, _, err := openflow.ParseComponent(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%q", text)
	}
}

func TestCompareVersions(t *testing.T) {
	inOrder := []string{"dev", "0.9", "1", "1.2.0-rc1", "1.2", "1.2.0", "1.2.7", "1.2.7+b2", "1.9.3", "1.20.0", "2"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			require.Equal(t, cmp.Compare(i, j), openflow.CompareVersions(a, b), "%s and %s", a, b)
		}
	}
}

func TestFits(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "acme": true, "acme:1": true, "acme:1.2": true, "acme:1.2.0": true, "*:1.2": true,
		"zeta": false, "acme:1.20": false, "acme:1.": false, "acme:2": false, "acme:1.2.0.1": false,
	} {
		r, err := openflow.ParseProvider(text)
		require.NoError(t, err)
		require.Equal(t, want, r.Fits(openflow.ProviderRef{Name: "acme", Version: "1.2.0"}), text)
	}
	require.True(t, openflow.ProviderRef{Version: "1.2.0"}.Fits(openflow.ProviderRef{Name: "acme", Version: "1.2.0+build"}))
}

// Whose component a task runs at a party, by where the job says so: docs/providers.md has this table.
func TestWhichProviderIsNamed(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	type said struct{ here, reference, task, party, job string }
	for name, tc := range map[string]struct {
		said said
		want string // of conf.provider
		of   string // of component_ref
	}{
		"nothing":                              {said{}, "", ""},
		"the job":                              {said{job: "job"}, "job", ""},
		"the party before the job":             {said{party: "party", job: "job"}, "party", ""},
		"the task before the party":            {said{task: "task", party: "party", job: "job"}, "task", ""},
		"the task at the party before all":     {said{here: "here", task: "task", party: "party", job: "job"}, "here", ""},
		"component_ref is the task's own word": {said{reference: "acme:psi@1", party: "party", job: "job"}, "", "acme:1"},
		"beside what the task says besides":    {said{reference: "acme:psi@1", task: "task"}, "task", "acme:1"},
		"and what it says at the party":        {said{reference: "acme:psi@1", here: "here", task: "task"}, "here", "acme:1"},
		"any is a word too":                    {said{task: "*", party: "party", job: "job"}, "*", ""},
	} {
		t.Run(name, func(t *testing.T) {
			component, of, err := openflow.ParseComponent(cmp.Or(tc.said.reference, "psi"))
			require.NoError(t, err)
			d := &openflow.DAG{
				Parties: []openflow.Party{guest, host}, Conf: openflow.JobConf{Task: openflow.TaskConf{Provider: tc.said.job}},
				Tasks: []openflow.Task{{Name: "a", Component: component, Of: of, Conf: openflow.TaskConf{Provider: tc.said.task}}},
				PartyTasks: []openflow.PartyTasks{
					{Parties: []openflow.Party{guest}, Conf: openflow.TaskConf{Provider: tc.said.party}, Tasks: map[openflow.TaskName]openflow.TaskOverride{
						"a": {Conf: openflow.TaskConf{Provider: tc.said.here}},
					}},
					{Parties: []openflow.Party{host}, Conf: openflow.TaskConf{Provider: "somebody-else"}},
				},
			}
			spec := d.ForParty(guest)[0]
			require.Equal(t, tc.want, spec.Conf.Provider)
			require.Equal(t, tc.of, spec.Of.String())
		})
	}
}

// How a task gets its container, by where the job says so: the nearest word counts.
func TestWhichWayIsNamed(t *testing.T) {
	guest, host := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	const own, shared = openflow.WayTask, openflow.WayResident
	for name, tc := range map[string]struct {
		here, task, party, job openflow.Way
		want                   openflow.Way
	}{
		"nothing":                          {},
		"the job":                          {job: shared, want: shared},
		"the party before the job":         {party: own, job: shared, want: own},
		"the task before the party":        {task: shared, party: own, job: own, want: shared},
		"the task at the party before all": {here: own, task: shared, party: shared, job: shared, want: own},
	} {
		d := &openflow.DAG{
			Parties: []openflow.Party{guest, host}, Conf: openflow.JobConf{Task: openflow.TaskConf{Way: tc.job}},
			Tasks: []openflow.Task{{Name: "a", Component: "psi", Conf: openflow.TaskConf{Way: tc.task}}},
			PartyTasks: []openflow.PartyTasks{{
				Parties: []openflow.Party{guest}, Conf: openflow.TaskConf{Way: tc.party},
				Tasks: map[openflow.TaskName]openflow.TaskOverride{"a": {Conf: openflow.TaskConf{Way: tc.here}}},
			}},
		}
		require.Equal(t, tc.want, d.ForParty(guest)[0].Conf.Way, name)
	}
}

func FuzzParseComponent(f *testing.F) {
	for _, text := range []string{"psi", "acme:psi@1.2", "a:b@c@d", "@"} {
		f.Add(text)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		component, of, err := openflow.ParseComponent(text)
		if err != nil {
			return
		}
		require.Equal(t, text, openflow.ComponentRef(component, of))
		require.NoError(t, openflow.CheckIdentifier("component", component))
	})
}

func TestCheckProvider(t *testing.T) {
	require.NoError(t, openflow.CheckProvider("acme", "1.0+b"))
	require.ErrorContains(t, openflow.CheckProvider("acme", ""), "version of a provider")
	require.ErrorContains(t, openflow.CheckProvider("a:b", "1"), "name of a provider")
}

func FuzzParseProvider(f *testing.F) {
	for _, text := range []string{"", "*", "acme", "fate:2.2.0@local", "*:1", "a@b", "a:b@c:d"} {
		f.Add(text)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		r, err := openflow.ParseProvider(text)
		if err != nil {
			return
		}
		again, err := openflow.ParseProvider(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
