package registry

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// The rule of docs/providers.md, case by case.
func TestResolve(t *testing.T) {
	ref := func(text string) openflow.ProviderRef {
		r, err := openflow.ParseProvider(text)
		require.NoError(t, err)
		return r
	}
	refs := func(texts ...string) (list []openflow.ProviderRef) {
		for _, text := range texts {
			list = append(list, ref(text))
		}
		return list
	}
	base := func() offers {
		return offers{
			device: "docker", builtIn: ref("openflow:2"), known: map[string]bool{"openflow": true, "acme": true, "zeta": true},
			of: map[string][]openflow.ProviderRef{
				"psi":   refs("acme:1", "acme:2", "openflow:2", "zeta:1"),
				"noop":  refs("openflow:2"),
				"scale": refs("acme:1"),
				"tree":  refs("acme:1", "acme:2"),
				"join":  refs("acme:1", "zeta:1"),
			},
			closed: map[string][]openflow.ProviderRef{"psi": refs("acme:9"), "slow": refs("acme:9"), "lost": refs("acme:9")},
			standing: map[component]openflow.ComponentStanding{
				{ref("acme:9"), "psi"}: {State: openflow.ComponentUnloaded}, {ref("acme:9"), "slow"}: {State: openflow.ComponentUnloaded},
				{ref("acme:9"), "lost"}: {State: openflow.ComponentFailed, Reason: "its image is gone"},
			},
			defaults: map[string]openflow.ProviderRef{},
		}
	}
	prefer := func(component, provider string) func(*offers) {
		return func(o *offers) { o.defaults[component] = ref(provider) }
	}
	usual := func(*offers) {}
	for name, tc := range map[string]struct {
		component, wanted string
		site              func(*offers)
		want              string // or
		says              string
	}{
		"the built-in one":                   {"psi", "", usual, "openflow:2@docker", ""},
		"nothing but stars":                  {"psi", "*:*@*", usual, "openflow:2@docker", ""},
		"by name":                            {"psi", "zeta", usual, "zeta:1@docker", ""},
		"by name and version":                {"psi", "acme:1", usual, "acme:1@docker", ""},
		"by version":                         {"psi", "*:2", usual, "openflow:2@docker", ""},
		"in full":                            {"psi", "acme:1@docker", usual, "acme:1@docker", ""},
		"several versions":                   {"psi", "acme", usual, "", `component "psi" has several providers at this site (name one of them in the task's conf.provider: acme:1, acme:2)`},
		"several versions, one is preferred": {"psi", "acme", prefer("psi", "acme:2"), "acme:2@docker", ""},
		"what the site prefers":              {"psi", "", prefer("psi", "zeta:1"), "zeta:1@docker", ""},
		"the job's wish goes first":          {"psi", "openflow", prefer("psi", "zeta:1"), "openflow:2@docker", ""},
		"what it prefers is gone":            {"psi", "", prefer("psi", "zeta:9"), "openflow:2@docker", ""},
		"the only one":                       {"scale", "", usual, "acme:1@docker", ""},
		"two versions and no wish":           {"tree", "", usual, "", "acme:1, acme:2"},
		"two providers and no wish":          {"join", "", usual, "", "acme:1, zeta:1"},
		"two providers, one is preferred":    {"join", "", prefer("join", "zeta:1"), "zeta:1@docker", ""},
		"FATE's own name":                    {"psi", "fate:2.2.0@local", usual, "openflow:2@docker", ""},
		"FATE's own name and a preference":   {"psi", "fate", prefer("psi", "acme:1"), "acme:1@docker", ""},
		"FATE is registered":                 {"psi", "fate:2.2.0@docker", func(o *offers) { o.known["fate"] = true }, "", "no provider"},
		"another name":                       {"psi", "other", usual, "", `no provider "other" of component "psi" at this site (its providers: acme:1, acme:2, openflow:2, zeta:1`},
		"another version":                    {"psi", "acme:3", usual, "", `no provider "acme:3"`},
		"another component of it":            {"noop", "acme", usual, "", `no provider "acme" of component "noop"`},
		"another device":                     {"psi", "acme:1@k8s", usual, "", `which runs on device docker`},
		"unloaded, and the only one": {"slow", "", usual, "", `component "slow" of provider acme:9 is UNLOADED at this site, and takes no new jobs ` +
			`(the operator of that site runs: openflow component load slow --provider acme:9)`},
		"unloaded, and there are others": {"psi", "acme:9", usual, "", `load psi --provider acme:9; or name another provider: acme:1, acme:2`},
		"another than the unloaded one":  {"slow", "zeta", usual, "", `no provider "zeta" of component "slow" at this site (those that have it take no jobs of it: acme:9)`},
		"failed":                         {"lost", "", usual, "", `component "lost" of provider acme:9 is FAILED at this site, and takes no new jobs: its image is gone`},
		"no such component":              {"gone", "acme", usual, "", `no component "gone" at this site (it has: join, noop, psi, scale, tree)`},
	} {
		t.Run(name, func(t *testing.T) {
			o := base()
			tc.site(&o)
			got, err := o.resolve(tc.component, ref(tc.wanted))
			if tc.says != "" {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				require.ErrorContains(t, err, tc.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got.String())
		})
	}
}
