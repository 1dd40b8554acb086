package registry

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/jobcheck"
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
				"wood":  refs("acme:1.2", "acme:1.2.7", "acme:1.20.0", "acme:1.9.3", "acme:2.0.0-rc1"),
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
	asIs := func(*offers) {}
	for name, tc := range map[string]struct {
		component, wanted string // as component_ref and as conf.provider
		site              func(*offers)
		want              string // or
		says              string
	}{
		"the built-in one":                   {"psi", "", asIs, "openflow:2@docker", ""},
		"nothing but stars":                  {"psi", "*:*@*", asIs, "openflow:2@docker", ""},
		"by name":                            {"psi", "zeta", asIs, "zeta:1@docker", ""},
		"by name and version":                {"psi", "acme:1", asIs, "acme:1@docker", ""},
		"by version":                         {"psi", "*:2", asIs, "openflow:2@docker", ""},
		"in full":                            {"psi", "acme:1@docker", asIs, "acme:1@docker", ""},
		"several versions":                   {"psi", "acme", asIs, "acme:2@docker", ""},
		"the beginning of a version":         {"wood", "acme:1", asIs, "acme:1.20.0@docker", ""},
		"the very version":                   {"wood", "acme:1.2", asIs, "acme:1.2@docker", ""},
		"no whole part of a version":         {"wood", "acme:1.2.", asIs, "", `no provider "acme:1.2." of component "wood"`},
		"a version that ends otherwise":      {"wood", "acme:1.90", asIs, "", `no provider "acme:1.90"`},
		"what is not released goes last":     {"wood", "acme:2.0.0-rc1", asIs, "acme:2.0.0-rc1@docker", ""},
		"the site prefers an older version":  {"wood", "acme:1", prefer("wood", "acme:1.9.3"), "acme:1.9.3@docker", ""},
		"by reference":                       {"zeta:psi", "", asIs, "zeta:1@docker", ""},
		"by reference and version":           {"acme:psi@1", "", asIs, "acme:1@docker", ""},
		"by the version of a reference":      {"psi@2", "", asIs, "openflow:2@docker", ""},
		"a reference and a device":           {"acme:psi@1", "acme@docker", asIs, "acme:1@docker", ""},
		"a reference and FATE's own name":    {"acme:psi@1", "fate:2.2.0@local", asIs, "acme:1@docker", ""},
		"a reference and another provider":   {"acme:psi", "zeta:1", asIs, "", `no provider "acme and zeta:1" of component "psi" at this site`},
		"a reference to nobody":              {"other:psi", "", asIs, "", `no provider "other" of component "psi" at this site`},
		"a reference to what is unloaded":    {"acme:psi@9", "", asIs, "", `component "psi" of provider acme:9 is UNLOADED`},
		"in the words of FATE's design":      {"psi", "acme.docker@1", asIs, "acme:1@docker", ""},
		"in those words, another device":     {"psi", "acme.local@1", asIs, "", "which runs on device docker"},
		"several versions, one is preferred": {"psi", "acme", prefer("psi", "acme:2"), "acme:2@docker", ""},
		"what the site prefers":              {"psi", "", prefer("psi", "zeta:1"), "zeta:1@docker", ""},
		"the job's wish goes first":          {"psi", "openflow", prefer("psi", "zeta:1"), "openflow:2@docker", ""},
		"what it prefers is gone":            {"psi", "", prefer("psi", "zeta:9"), "openflow:2@docker", ""},
		"the only one":                       {"scale", "", asIs, "acme:1@docker", ""},
		"two versions and no wish":           {"tree", "", asIs, "acme:2@docker", ""},
		"two providers and no wish":          {"join", "", asIs, "", "acme:1, zeta:1"},
		"two providers, one is preferred":    {"join", "", prefer("join", "zeta:1"), "zeta:1@docker", ""},
		"FATE's own name":                    {"psi", "fate:2.2.0@local", asIs, "openflow:2@docker", ""},
		"FATE's own name and a preference":   {"psi", "fate", prefer("psi", "acme:1"), "acme:1@docker", ""},
		"FATE is registered":                 {"psi", "fate:2.2.0@docker", func(o *offers) { o.known["fate"] = true }, "", "no provider"},
		"another name":                       {"psi", "other", asIs, "", `no provider "other" of component "psi" at this site; its providers are: acme:1, acme:2, openflow:2, zeta:1`},
		"another version":                    {"psi", "acme:3", asIs, "", `no provider "acme:3"`},
		"another component of it":            {"noop", "acme", asIs, "", `no provider "acme" of component "noop"`},
		"another device":                     {"psi", "acme:1@k8s", asIs, "", `which runs on device docker`},
		"unloaded, and the only one": {"slow", "", asIs, "", `component "slow" of provider acme:9 is UNLOADED at this site, and takes no new jobs ` +
			`(the operator of that site runs: openflow component load slow --provider acme:9)`},
		"unloaded, and there are others": {"psi", "acme:9", asIs, "", `takes no new jobs; other providers of it are: acme:1, acme:2`},
		"another than the unloaded one":  {"slow", "zeta", asIs, "", `no provider "zeta" of component "slow" at this site; those that have it take no jobs of it: acme:9`},
		"failed":                         {"lost", "", asIs, "", `component "lost" of provider acme:9 is FAILED at this site, and takes no new jobs: its image is gone`},
		"no such component":              {"gone", "acme", asIs, "", `no component "gone" at this site, which has: join, noop, psi, scale, tree, wood`},
	} {
		t.Run(name, func(t *testing.T) {
			o := base()
			tc.site(&o)
			component, of, err := openflow.ParseComponent(tc.component)
			require.NoError(t, err)
			got, err := o.resolve(component, wish{of, ref(tc.wanted)})
			if tc.says != "" {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				require.ErrorContains(t, err, tc.says)
				var refusal *openflow.Error
				require.ErrorAs(t, err, &refusal)
				for _, p := range slices.Concat(o.of[component], o.closed[component]) {
					if p.Name != o.builtIn.Name && !strings.Contains(tc.component+tc.wanted, p.Name) && !strings.Contains(tc.says, "of provider "+p.Name) {
						require.NotContains(t, openflow.PublicText(err)+refusal.Hint, p.Name, "other parties read no list of what the site has")
					}
				}
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got.String())
		})
	}
}

// Other parties read of a component that failed that it takes no jobs. Why, its own users read.
func TestWhyAComponentFailsStaysHere(t *testing.T) {
	const mark = "image /opt/vendors/acme.tar: GO-2026-1 in Go stdlib 1.22.1"
	of := openflow.ProviderRef{Name: "acme", Version: "9"}
	o := offers{
		device: "docker", known: map[string]bool{"acme": true}, of: map[string][]openflow.ProviderRef{},
		closed:   map[string][]openflow.ProviderRef{"lost": {of}},
		standing: map[component]openflow.ComponentStanding{{of, "lost"}: {State: openflow.ComponentFailed, Reason: mark}},
	}
	guest, other := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleHost, ID: "9999"}
	d := &openflow.DAG{
		Parties: []openflow.Party{guest, other},
		Tasks:   []openflow.Task{{Name: "a", Component: "lost", Parties: []openflow.Party{guest, other}}, {Name: "b", Component: "lost", Parties: []openflow.Party{guest}}},
	}
	for name, parties := range map[string][]openflow.Party{"all of them": d.Parties, "one of them": {guest}} {
		t.Run(name, func(t *testing.T) {
			mistakes, _ := jobcheck.Site{Self: "9999", Find: o.find}.Check(d, parties)
			require.Len(t, mistakes, 2)
			refusal := openflow.Refusal(mistakes)
			require.ErrorContains(t, refusal, mark)
			require.Contains(t, openflow.ForPartners(refusal).Error(), `component "lost" of provider acme:9 takes no new jobs there`)
			require.NotContains(t, openflow.ForPartners(refusal).Error(), "GO-2026-1")
			for _, m := range openflow.ForPartners(refusal).Mistakes {
				require.NotContains(t, m.String(), "GO-2026-1")
			}
		})
	}
}
