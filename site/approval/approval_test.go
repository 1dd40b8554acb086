package approval_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/approval"
	"openflow/site/trust/publisher"
	"openflow/tests/fuzzing"
)

const (
	id    = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	other = "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestFits(t *testing.T) {
	for _, tc := range []struct {
		entry, reference string
		fits             bool
	}{
		{"*", "anything:1", true},
		{"*", id, true},
		{"registry.acme.example", "registry.acme.example/psi:1", true},
		{"registry.acme.example/", "registry.acme.example/psi:1", true},
		{"registry.acme.example", "REGISTRY.acme.example/psi:1", true},
		{"registry.acme.example", "registry.acme.example.evil.org/psi:1", false},
		{"registry.acme.example", "registry.acme.example:5000/psi", false},
		{"registry.acme.example:5000", "registry.acme.example:5000/psi", true},
		{"registry.acme.example", "evil.org/registry.acme.example/psi", false},
		{"registry.acme.example/psi", "registry.acme.example/psi", true},
		{"registry.acme.example/psi", "registry.acme.example/psi:2", true},
		{"registry.acme.example/psi", "registry.acme.example/psi@" + id, true},
		{"registry.acme.example/psi", "registry.acme.example/psi/two:1", true},
		{"registry.acme.example/psi", "registry.acme.example/psi-evil:1", false},
		{"registry.acme.example/psi:1", "registry.acme.example/psi:1", true},
		{"registry.acme.example/psi:1", "registry.acme.example/psi:11", false},
		{"registry.acme.example/psi/", "registry.acme.example/psi:1", false},
		{"docker.io/acme", "acme/psi", true},
		{"acme/psi", "docker.io/acme/psi:1", true},
		{"index.docker.io/acme", "acme/psi", true},
		{"docker.io/library", "psi:1", true},
		{"docker.io", "psi", true},
		{"psi", "psi:1", true},
		{"psi", "registry.acme.example/psi:1", false},
		{"docker.io", "localhost/psi", false},
		{"localhost", "localhost/psi", true},
		{"docker.io", id, false},
		{"docker.io", "not a reference", false},
		{"docker.io", "", false},
		{"/opt/acme", "/opt/acme/run", true},
		{"/opt/acme/", "/opt/acme/run", true},
		{"/opt/acme/run", "/opt/acme/run", true},
		{"/opt/acme", "/opt/acme-evil/run", false},
		{"/opt/acme", "/opt/acme/../evil", false},
		{"/", "/opt/run", true},
		{"/opt", "opt/run:1", false},
		{"docker.io", "/docker.io/x", false},
	} {
		require.NoError(t, approval.CheckRegistry(tc.entry), tc.entry)
		require.Equal(t, tc.fits, approval.Fits(tc.entry, tc.reference), "%s for %s", tc.entry, tc.reference)
	}
}

func TestEntriesThatAreRefused(t *testing.T) {
	key, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		check func(string) error
		bad   []string
		good  []string
	}{
		"registries": {
			approval.CheckRegistry,
			[]string{"", "**", "a b", "reg*", "UPPER/case", "a.example//b", "/opt/../x", "a\nb", "https://a.example/b", strings.Repeat("a", 5000)},
			[]string{"a.example", "a.example:5000/x", "/opt/x", "psi", "a.example/x/"},
		},
		"digests":         {approval.CheckDigest, []string{"", "sha256:", id + "0", "psi@" + id}, []string{id}},
		"publishers":      {approval.CheckPublisher, []string{"", key.Public().String(), "acme", "acme x", "a b " + key.Public().String(), "../a " + key.Public().String()}, []string{"acme " + key.Public().String(), "* " + key.Public().String()}},
		"vulnerabilities": {approval.CheckVulnerability, []string{"", "*", "CVE", "CVE 1"}, []string{"CVE-2024-1234", "GO-2024-1", "GHSA-aaaa-bbbb-cccc", "DSA-5-1", "DEBIAN-CVE-2023-1"}},
		"capabilities": {
			approval.CheckCapability,
			[]string{"", "KILL", "acme ALL", "acme SYS_ADMIN", "acme NET_ADMIN", "acme NET_RAW", "acme SYS_PTRACE", "acme MKNOD", "acme SYS_MODULE", "acme kill", "acme BPF"},
			[]string{"acme KILL", "* IPC_LOCK"},
		},
		"mounts": {
			approval.CheckMount,
			[]string{
				"", "/a:/b", "acme /a", "acme a:/b", "acme /a:b", "acme /a/../b:/c", "acme /a:/b:rw", "acme /:/host", "acme /proc:/p", "acme /proc/1:/p", "acme /sys/fs:/p",
				"acme /dev/mem:/p", "acme /etc/shadow:/p", "acme /root:/p", "acme /var/run/docker.sock:/p", "acme /run/docker.sock:/p", "acme /srv/d.sock:/p",
				"acme /var/lib/docker/volumes:/p", "acme /srv:/x", "acme /srv/a:/", "acme /srv/a:/proc/x", "acme /srv/a:/tmp",
			},
			[]string{"acme /srv/models:/models", "* /srv/a b:/c"},
		},
		"networks":    {approval.CheckNetwork, []string{"", "lake", "acme host", "acme bridge", "acme none", "acme default", "acme container:x", "acme a b", "acme -x"}, []string{"acme lake"}},
		"environment": {approval.CheckVariable, []string{"", "A=1", "acme A", "acme =1", "acme A B=1", "acme CONFIG=1", "acme PATH=/", "acme LD_PRELOAD=x", "acme OPENFLOW_CREDENTIAL=x", "acme A=\x1b"}, []string{"acme A=", "acme LICENCE=a b=c"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range tc.bad {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(tc.check(text)), "%q", text)
			}
			for _, text := range tc.good {
				require.NoError(t, tc.check(text))
			}
		})
	}
}

func applicant(change func(*approval.Applicant)) approval.Applicant {
	a := approval.Applicant{Provider: "acme", Kind: openflow.ProviderProgram, Reference: "/opt/acme/run", Digest: id}
	if change != nil {
		change(&a)
	}
	return a
}

func site(change func(*openflow.SitePolicy)) openflow.SitePolicy {
	p := openflow.DefaultSitePolicy()
	change(&p)
	return p
}

func nothing(*openflow.SitePolicy) {}

// Each rule refuses what it is for, and is named. What two rules are against is told of both.
func TestDecideNamesTheRule(t *testing.T) {
	image := func(reference string) approval.Applicant {
		return applicant(func(a *approval.Applicant) { a.Kind, a.Reference = "image", reference })
	}
	wishes := func(w openflow.Wishes) approval.Applicant {
		return applicant(func(a *approval.Applicant) { a.Wishes = w })
	}
	found := func(severity openflow.Severity) approval.Applicant {
		return applicant(func(a *approval.Applicant) {
			a.Found = []openflow.Vulnerability{{ID: "GO-1-1", Aliases: []string{"CVE-1-1"}, Package: "Go x", Version: "1.0", Severity: severity, Fixed: []string{"1.1", "2.0"}}}
		})
	}
	few := func(p *openflow.SitePolicy) {
		p.Images.Registries = []string{"registry.acme.example/psi", "/opt/acme"}
		p.Containers.Capabilities = []string{"zeta KILL"}
	}
	for name, tc := range map[string]struct {
		policy openflow.SitePolicy
		of     approval.Applicant
		want   []string // parts of the refusal; none: it is approved
	}{
		"what the operator registers":   {site(nothing), image("acme/psi:1"), nil},
		"a program":                     {site(nothing), applicant(nil), nil},
		"from a listed registry":        {site(few), image("registry.acme.example/psi:1"), nil},
		"from a listed folder":          {site(few), applicant(nil), nil},
		"from elsewhere":                {site(few), image("registry.evil.example/psi:1"), []string{"policy.images.registries: ", id, "image registry.evil.example/psi:1 of provider acme"}},
		"a program from elsewhere":      {site(few), applicant(func(a *approval.Applicant) { a.Reference = "/tmp/run" }), []string{"policy.images.registries: ", "program /tmp/run"}},
		"from nowhere":                  {site(func(p *openflow.SitePolicy) { p.Images.Registries = nil }), image("acme/psi:1"), []string{"policy.images.registries: "}},
		"by its digest":                 {site(func(p *openflow.SitePolicy) { p.Images.Registries, p.Images.Digests = nil, []string{id} }), image("acme/psi:1"), nil},
		"by its digest in the registry": {site(func(p *openflow.SitePolicy) { p.Images.Registries, p.Images.Digests = nil, []string{other} }), applicant(func(a *approval.Applicant) { a.Digests = []string{other} }), nil},
		"by another digest":             {site(func(p *openflow.SitePolicy) { p.Images.Registries, p.Images.Digests = nil, []string{other} }), image("acme/psi:1"), []string{"policy.images.registries: "}},
		"the built-in provider": {site(func(p *openflow.SitePolicy) {
			p.Images.Registries, p.Images.RequireSignature, p.Images.RequireSBOM = nil, true, true
		}), applicant(func(a *approval.Applicant) { a.Kind = openflow.ProviderBuiltIn }), nil},
		"without a signature":            {site(func(p *openflow.SitePolicy) { p.Images.RequireSignature = true }), applicant(nil), []string{"policy.images.require_signature: "}},
		"without an SBOM":                {site(func(p *openflow.SitePolicy) { p.Images.RequireSBOM = true }), applicant(nil), []string{"policy.images.require_sbom: ", "--sbom FILE"}},
		"with an SBOM":                   {site(func(p *openflow.SitePolicy) { p.Images.RequireSBOM = true }), applicant(func(a *approval.Applicant) { a.HasSBOM = true }), nil},
		"a vulnerability as bad as that": {site(nothing), found(openflow.SeverityHigh), []string{"policy.images.blocking_severity: ", "GO-1-1 (high) in Go x 1.0, mended in 1.1, 2.0"}},
		"a worse one":                    {site(nothing), found(openflow.SeverityCritical), []string{"policy.images.blocking_severity: ", "(critical)"}},
		"a milder one":                   {site(nothing), found(openflow.SeverityMedium), nil},
		"an unrated one":                 {site(nothing), found(""), []string{"policy.images.blocking_severity: ", "(unrated)"}},
		"an unrated one that is mild":    {site(func(p *openflow.SitePolicy) { p.Images.Unrated = openflow.SeverityLow }), found(""), nil},
		"nothing blocks":                 {site(func(p *openflow.SitePolicy) { p.Images.BlockingSeverity = openflow.SeverityNever }), found(openflow.SeverityCritical), nil},
		"accepted by its ID":             {site(func(p *openflow.SitePolicy) { p.Images.Accepted = []string{"GO-1-1"} }), found(openflow.SeverityCritical), nil},
		"accepted by an alias":           {site(func(p *openflow.SitePolicy) { p.Images.Accepted = []string{"CVE-1-1"} }), found(openflow.SeverityCritical), nil},
		"another was accepted":           {site(func(p *openflow.SitePolicy) { p.Images.Accepted = []string{"CVE-1-11"} }), found(openflow.SeverityCritical), []string{"policy.images.blocking_severity: "}},
		"a capability":                   {site(nothing), wishes(openflow.Wishes{Capabilities: []string{"NET_ADMIN"}}), []string{`policy.containers.capabilities: it asks for the capability "NET_ADMIN"`}},
		"a capability of another":        {site(few), wishes(openflow.Wishes{Capabilities: []string{"KILL"}}), []string{"policy.containers.capabilities: "}},
		"a mount":                        {site(nothing), wishes(openflow.Wishes{Mounts: []string{"/var/run/docker.sock"}}), []string{"policy.containers.mounts: "}},
		"a network":                      {site(nothing), wishes(openflow.Wishes{Networks: []string{"host"}}), []string{`policy.containers.networks: it asks for the network "host"`}},
		"a variable":                     {site(nothing), wishes(openflow.Wishes{Environment: []string{"OPENFLOW_TOKEN"}}), []string{"policy.containers.environment: "}},
		"cores":                          {site(nothing), wishes(openflow.Wishes{Cores: 1025}), []string{"policy.containers.max_cores: it asks for 1025 cores, and 1024 cores is the most"}},
		"memory":                         {site(nothing), wishes(openflow.Wishes{Memory: 2 << 40}), []string{"policy.containers.max_memory: it asks for 2TiB of memory"}},
		"processes":                      {site(nothing), wishes(openflow.Wishes{Processes: 513}), []string{"policy.containers.max_processes: "}},
		"disk":                           {site(nothing), wishes(openflow.Wishes{Disk: 2 << 40}), []string{"policy.containers.max_disk: "}},
		"as much as it may":              {site(nothing), wishes(openflow.Wishes{Cores: 1024, Memory: 1 << 40, Processes: 512, Disk: 1 << 40}), nil},
		"two rules": {
			site(few), applicant(func(a *approval.Applicant) { a.Reference, a.Wishes.Networks = "/tmp/x", []string{"lake"} }),
			[]string{"policy.containers.networks: ", "policy.images.registries: "},
		},
		"texts of a vendor": {site(nothing), wishes(openflow.Wishes{Networks: []string{"\x1b[2J" + strings.Repeat("x", 1000)}}), []string{"policy.containers.networks: "}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := approval.Decide(tc.policy, tc.of)
			if tc.want == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			for _, want := range tc.want {
				require.ErrorContains(t, err, want)
			}
			require.NotContains(t, err.Error(), "\x1b")
			require.Less(t, len(err.Error()), 2000)
			require.Equal(t, "the site's policy does not let the provider run", openflow.PublicText(err), "others learn nothing of the policy")
		})
	}
}

// A refusal says once what would give a provider what it lacks, in the form of the policy, as far as any policy can.
func TestHowToGiveWishes(t *testing.T) {
	p := site(func(*openflow.SitePolicy) {})
	for _, tc := range []struct {
		wishes openflow.Wishes
		hint   string
	}{
		{
			openflow.Wishes{Mounts: []string{"/models"}, Environment: []string{"ACME_LICENCE"}, Capabilities: []string{"cap_kill"}, Networks: []string{"lake"}},
			`if it may have that, add to the policy: "acme /path/on/the/machine:/models" to containers.mounts; "acme ACME_LICENCE=value" to containers.environment; ` +
				`"acme KILL" to containers.capabilities; "acme lake" to containers.networks`,
		},
		{openflow.Wishes{Mounts: []string{"/proc"}, Networks: []string{"host"}}, "no policy can give it some of that; see docs/policy.md"},
	} {
		_, err := approval.Decide(p, applicant(func(a *approval.Applicant) { a.Wishes = tc.wishes }))
		var refused *openflow.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, tc.hint, refused.Hint)
	}
}

// A container gets what the policy lists for its provider and it has asked for, and nothing else of the list.
func TestWhatAContainerMayHave(t *testing.T) {
	p := site(func(p *openflow.SitePolicy) {
		p.Containers.Capabilities = []string{"acme KILL", "acme IPC_LOCK"}
		p.Containers.Mounts = []string{"* /srv/models:/models", "acme /srv/other:/other"}
		p.Containers.Networks = []string{"acme lake", "acme sea"}
		p.Containers.Environment = []string{"zeta LICENCE=z", "acme LICENCE=a b=c", "acme OTHER=1"}
		p.Containers.MaxMemory, p.Containers.MaxLog = 4<<30, 2<<20
	})
	got, err := approval.Decide(p, applicant(func(a *approval.Applicant) {
		a.Wishes = openflow.Wishes{Capabilities: []string{"cap_kill", "KILL"}, Mounts: []string{"/models/"}, Networks: []string{"lake"}, Environment: []string{"LICENCE"}}
	}))
	require.NoError(t, err)
	require.Equal(t, []string{"KILL"}, got.May.Capabilities)
	require.Equal(t, []openflow.Mount{{Host: "/srv/models", Container: "/models"}}, got.May.Mounts)
	require.Equal(t, []string{"lake"}, got.May.Networks)
	require.Equal(t, []string{"LICENCE=a b=c"}, got.May.Environment)
	require.EqualValues(t, 4<<30, got.May.Memory)
	require.EqualValues(t, 2<<20, got.May.Log)
	require.EqualValues(t, 512, got.May.Processes)

	none, err := approval.Decide(p, applicant(nil))
	require.NoError(t, err)
	require.Empty(t, none.May.Capabilities)
	require.Empty(t, none.May.Mounts)
	require.Empty(t, none.May.Networks)
	require.Empty(t, none.May.Environment)
}

func TestSignatures(t *testing.T) {
	key, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	next, _, _, err := publisher.GenerateKey()
	require.NoError(t, err)
	sign := func(k publisher.Private, m publisher.Message) string {
		text, err := k.Sign(m, "psi 1")
		require.NoError(t, err)
		return text
	}
	archive, err := publisher.Measure(strings.NewReader(strings.Repeat("archive", 100_000)))
	require.NoError(t, err)
	ofImage := openflow.PublisherSignature{Text: sign(key, publisher.Text(id+"\n"))}
	ofNext := openflow.PublisherSignature{Text: sign(next, publisher.Text(id+"\n"))}
	ofArchive := openflow.PublisherSignature{Text: sign(key, archive), File: archive.Hash()}
	entry := func(provider string, k publisher.Private) string { return provider + " " + k.Public().String() }
	for name, tc := range map[string]struct {
		publishers []string
		nameless   bool
		require    bool
		given      []openflow.PublisherSignature
		digest     string
		want       string // part of the refusal
		signer     publisher.Key
		warns      string
	}{
		"over the image":               {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{ofImage}, signer: key.Public()},
		"over the archive":             {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{ofArchive}, signer: key.Public()},
		"a key for all":                {publishers: []string{entry("*", key)}, require: true, given: []openflow.PublisherSignature{ofImage}, signer: key.Public()},
		"a key of another provider":    {publishers: []string{entry("zeta", key)}, require: true, given: []openflow.PublisherSignature{ofImage}, want: "policy.images.publishers: it has a signature, and the policy has no key"},
		"none is given":                {publishers: []string{entry("acme", key)}, want: "policy.images.publishers: it has no signature"},
		"none is asked for":            {},
		"nobody knows whose, unsigned": {nameless: true, publishers: []string{entry("acme", key)}, want: "nobody has said whose it is"},
		"nobody knows whose, signed":   {nameless: true, publishers: []string{entry("zeta", next), entry("acme", key)}, given: []openflow.PublisherSignature{ofImage}, signer: key.Public()},
		"nobody is known":              {given: []openflow.PublisherSignature{ofImage}, warns: "proves nothing here"},
		"while keys change":            {publishers: []string{entry("acme", key), entry("acme", next)}, given: []openflow.PublisherSignature{ofNext}, signer: next.Public()},
		"of both":                      {publishers: []string{entry("acme", next)}, given: []openflow.PublisherSignature{ofImage, ofNext}, signer: next.Public()},
		"a key that was revoked":       {publishers: []string{entry("acme", next)}, given: []openflow.PublisherSignature{ofImage}, want: "policy.images.publishers: the signature names key " + key.Public().ID()},
		"another image":                {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{ofImage}, digest: other, want: "another byte was signed"},
		"another archive":              {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{{Text: ofArchive.Text, File: publisher.Text("x").Hash()}}, want: "another byte was signed"},
		"the archive's for the image": {
			publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{{Text: ofArchive.Text}}, want: "another byte was signed",
		},
		"no signature at all":     {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{{Text: "x"}}, want: "policy.images.publishers: this is not a signature of minisign"},
		"no hash of the archive":  {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{{Text: ofArchive.Text, File: "x"}}, want: "is not a hash of a signed file"},
		"an image without digest": {publishers: []string{entry("acme", key)}, given: []openflow.PublisherSignature{ofImage}, digest: "psi:1", want: "is not the ID of an image"},
	} {
		t.Run(name, func(t *testing.T) {
			p := site(func(p *openflow.SitePolicy) {
				p.Images.Publishers, p.Images.RequireSignature = tc.publishers, tc.require
			})
			got, err := approval.Decide(p, applicant(func(a *approval.Applicant) {
				a.Signatures = tc.given
				if tc.nameless {
					a.Provider = ""
				}
				if tc.digest != "" {
					a.Digest = tc.digest
				}
			}))
			if tc.want != "" {
				require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
				require.ErrorContains(t, err, tc.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.signer, got.Signer.Key)
			require.Contains(t, fmt.Sprint(got.Warnings), tc.warns)
		})
	}
}

// A refusal names the first vulnerabilities and counts the rest.
func TestManyVulnerabilities(t *testing.T) {
	a := applicant(nil)
	for i := range 500 {
		a.Found = append(a.Found, openflow.Vulnerability{ID: fmt.Sprintf("CVE-1-%d", i), Package: "Debian x", Version: "1", Severity: openflow.SeverityHigh})
	}
	_, err := approval.Decide(site(nothing), a)
	require.ErrorContains(t, err, "; and 480 more")
	require.ErrorContains(t, err, "no version mends it yet")
}

func FuzzDecide(f *testing.F) {
	f.Add("registry.acme.example/psi", "registry.acme.example/psi:1", "acme", "/models", "acme /srv/models:/models")
	f.Add("/opt", "/opt/x", "acme", "lake", "* lake")
	fuzzing.Within(f, func(t *testing.T, registry, reference, provider, wish, entry string) {
		if approval.CheckRegistry(registry) != nil {
			return
		}
		p := site(func(p *openflow.SitePolicy) {
			p.Images.Registries = []string{registry}
			if approval.CheckMount(entry) == nil {
				p.Containers.Mounts = []string{entry}
			}
			if approval.CheckNetwork(entry) == nil {
				p.Containers.Networks = []string{entry}
			}
		})
		got, err := approval.Decide(p, approval.Applicant{
			Provider: provider, Kind: "image", Reference: reference, Digest: id, Wishes: openflow.Wishes{Mounts: []string{wish}, Networks: []string{wish}},
		})
		if err != nil {
			require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
			return
		}
		for _, m := range got.May.Mounts {
			require.NotEqual(t, "/", m.Host)
			require.NotContains(t, m.Host, "..")
		}
	})
}
