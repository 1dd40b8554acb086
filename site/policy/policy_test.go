package policy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/policy"
	"openflow/tests/fuzzing"
)

func TestParse(t *testing.T) {
	changed := func(change func(*openflow.SitePolicy)) openflow.SitePolicy {
		p := openflow.DefaultSitePolicy()
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		text string
		want openflow.SitePolicy
	}{
		"empty":          {"", openflow.DefaultSitePolicy()},
		"comments only":  {"# nothing\n# at all\n", openflow.DefaultSitePolicy()},
		"empty document": {"---\n", openflow.DefaultSitePolicy()},
		"empty section":  {"psi:\ncoordinated_lr:\n", openflow.DefaultSitePolicy()},
		"one key":        {"psi:\n  min_intersection: 50 # rows\n", changed(func(p *openflow.SitePolicy) { p.PSI.MinIntersection = 50 })},
		"in one line":    {"psi: {max_partner_ids: 1_000}", changed(func(p *openflow.SitePolicy) { p.PSI.MaxPartnerIDs = 1000 })},
		"days":           {"coordinated_lr:\n  score_memory: 90d\n", changed(func(p *openflow.SitePolicy) { p.CoordinatedLR.ScoreMemory = 90 * 24 * time.Hour })},
		"all": {
			"psi:\n  max_partner_ids: 7\n  min_intersection: 3\ncoordinated_lr:\n  rows_per_column: 20\n  allow_common_arbiter: true\n  score_memory: \"36h\"\n",
			changed(func(p *openflow.SitePolicy) {
				p.PSI = openflow.PSIPolicy{MaxPartnerIDs: 7, MinIntersection: 3}
				p.CoordinatedLR = openflow.CoordinatedLRPolicy{RowsPerColumn: 20, AllowCommonArbiter: true, ScoreMemory: 36 * time.Hour}
			}),
		},
		"a list":           {"images:\n  registries: [registry.acme.example/psi, \"/opt/acme\"]\n", changed(func(p *openflow.SitePolicy) { p.Images.Registries = []string{"registry.acme.example/psi", "/opt/acme"} })},
		"one entry a line": {"containers:\n  networks:\n    - acme lake\n    - \"* cache\"\n", changed(func(p *openflow.SitePolicy) { p.Containers.Networks = []string{"acme lake", "* cache"} })},
		"an empty list":    {"images: {registries: []}", changed(func(p *openflow.SitePolicy) { p.Images.Registries = nil })},
		"amounts": {"containers: {max_memory: 4GiB, max_log: 2000001, max_disk: \"10MB\"}", changed(func(p *openflow.SitePolicy) {
			p.Containers.MaxMemory, p.Containers.MaxLog, p.Containers.MaxDisk = 4<<30, 2000001, 10e6
		})},
		"a severity": {"images: {blocking_severity: never, unrated: low}", changed(func(p *openflow.SitePolicy) {
			p.Images.BlockingSeverity, p.Images.Unrated = openflow.SeverityNever, openflow.SeverityLow
		})},
		"a folder":               {"images: {vulnerabilities: /srv/osv}", changed(func(p *openflow.SitePolicy) { p.Images.Vulnerabilities = "/srv/osv" })},
		"with a byte order mark": {"\ufeffpsi:\n  min_intersection: 2\n", changed(func(p *openflow.SitePolicy) { p.PSI.MinIntersection = 2 })},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policy.Parse("policy.yaml", []byte(c.text))
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown section":     {"# site\npsii:\n  min_intersection: 2\n", `policy.yaml, line 2: there is no key "psii" (keys are psi.max_partner_ids, `},
		"unknown key":         {"psi:\n  max_ids: 2\n", `line 2: there is no key "psi.max_ids"`},
		"key at the top":      {"min_intersection: 2\n", `line 1: there is no key "min_intersection"`},
		"dotted key":          {"psi.min_intersection: 2\n", `there is no key "psi.min_intersection"`},
		"twice":               {"psi:\n  min_intersection: 2\n  min_intersection: 3\n", "min_intersection"},
		"section twice":       {"psi:\n  min_intersection: 2\npsi:\n  min_intersection: 3\n", "psi"},
		"in two documents":    {"psi:\n  min_intersection: 2\n---\npsi:\n  min_intersection: 3\n", `key "psi" is there twice`},
		"zero":                {"psi:\n  min_intersection: 0\n", "psi.min_intersection is 0, it must be 1 to 2147483647"},
		"negative":            {"psi:\n  max_partner_ids: -1\n", "psi.max_partner_ids is -1"},
		"too large":           {"psi:\n  max_partner_ids: 99999999999999999999\n", "psi.max_partner_ids"},
		"a fraction":          {"psi:\n  max_partner_ids: 1.5\n", "must be a whole number"},
		"exponent":            {"psi:\n  max_partner_ids: 1e6\n", "must be a whole number"},
		"quoted number":       {"psi:\n  max_partner_ids: \"5\"\n", "must be a whole number"},
		"no value":            {"psi:\n  max_partner_ids:\n", "must be a whole number"},
		"word for a switch":   {"coordinated_lr:\n  allow_common_arbiter: yes\n", "coordinated_lr.allow_common_arbiter must be true or false"},
		"number for duration": {"coordinated_lr:\n  score_memory: 30\n", "must be a duration (write it like 30d or 36h)"},
		"wrong duration":      {"coordinated_lr:\n  score_memory: 30 days\n", `"30 days" is not a duration`},
		"negative duration":   {"coordinated_lr:\n  score_memory: -30h\n", "it must be 1h0m0s to 3650d"},
		"overflow":            {"coordinated_lr:\n  score_memory: 4294967295d\n", "is not a duration"},
		"a list":              {"- psi\n", "holds no keys with values"},
		"a word":              {"psi\n", "holds no keys with values"},
		"section a number":    {"psi: 3\n", `"psi" holds no keys with values`},
		"alias":               {"psi: &a\n  min_intersection: 2\n", "holds no keys with values"},
		"merge":               {"psi:\n  <<: {min_intersection: 2}\n", "a key must be a plain word"},
		"a text for a list":   {"images: {registries: acme}", "images.registries must be a list of texts"},
		"a list in a list":    {"images: {registries: [[a]]}", "images.registries: an entry must be a text"},
		"a number in a list":  {"images: {registries: [5000]}", "images.registries: an entry must be a text"},
		"no value for a list": {"images: {registries: }", "images.registries must be a list of texts"},
		"a pattern":           {"images: {registries: [\"*.example\"]}", "is not how references of images begin"},
		"no digest":           {"images: {digests: [\"sha256:12\"]}", "images.digests: \"sha256:12\" is not the ID of an image"},
		"a key of nobody":     {"images: {publishers: [RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3]}", "does not say whose it is"},
		"no key":              {"images: {publishers: [acme RWQ]}", "is not a publisher's key"},
		"no severity":         {"images: {blocking_severity: bad}", "\"bad\" is no severity"},
		"severity of nothing": {"images: {unrated: never}", "\"never\" is no severity"},
		"relative folder":     {"images: {vulnerabilities: osv}", "is not the whole path of a folder"},
		"no vulnerability":    {"images: {accepted: [everything]}", "is not the ID of a vulnerability"},
		"a way out":           {"containers: {capabilities: [acme SYS_ADMIN]}", "no container gets the capability \"SYS_ADMIN\""},
		"the machine":         {"containers: {mounts: [\"acme /:/host\"]}", "it would show the machine itself"},
		"the host's network":  {"containers: {networks: [acme host]}", "no container gets the network \"host\""},
		"the node's variable": {"containers: {environment: [acme CONFIG=x]}", "is the node's to set"},
		"no amount":           {"containers: {max_memory: much}", "\"much\" is not an amount of memory"},
		"nothing as amount":   {"containers: {max_memory: true}", "containers.max_memory must be an amount of bytes"},
		"too little":          {"containers: {max_memory: 1KiB}", "containers.max_memory is 1KiB, it must be 16MiB to 1TiB"},
		"many entries":        {"images: {accepted: [" + strings.Repeat("CVE-1, ", 1001) + "]}", "has 1001 entries"},
		"no YAML":             {"psi: [\n", "is not YAML"},
		"tab":                 {"psi:\n\tmin_intersection: 2\n", "is not YAML"},
		"not UTF-8":           {"psi:\n  min_intersection: \xff\n", "is not UTF-8"},
		"large":               {strings.Repeat("# x\n", 20_000), "is larger than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policy.Parse("policy.yaml", []byte(c.text))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%+v", got)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "policy.yaml")
		})
	}
}

func TestFormatIsReadBack(t *testing.T) {
	p := openflow.DefaultSitePolicy()
	p.CoordinatedLR.ScoreMemory = 90 * time.Minute
	p.CoordinatedLR.AllowCommonArbiter = true
	p.Images.Registries = []string{"registry.acme.example:5000/psi/", "/opt/acme"}
	p.Images.Vulnerabilities, p.Containers.MaxMemory = "/srv/o\u00e4 sv\"", 3<<29
	p.Containers.Environment = []string{`acme A="é' \\x7f`}
	got, err := policy.Parse("policy.yaml", []byte(policy.Format(p)))
	require.NoError(t, err)
	require.Equal(t, p, got)
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "policy.yaml")
	read := func() error { _, err := policy.Read(path); return err }
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(read()))
	require.NoError(t, os.WriteFile(path, []byte("psi:\n  min_intersection: 9\n"), 0o644))
	got, err := policy.Read(path)
	require.NoError(t, err)
	require.Equal(t, 9, got.PSI.MinIntersection)
	require.NoError(t, os.Chmod(path, 0o664))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(read()))
	require.ErrorContains(t, read(), "mode 0664) (chmod go-w "+path)
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	require.ErrorContains(t, read(), "is larger than")
	path = dir
	require.ErrorContains(t, read(), "is not a file")
}

// The page has a row for every key with its default and bounds, and no row for a key that does not exist.
func TestPageHasEveryKey(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "policy.md"))
	require.NoError(t, err)
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|(.*)$").FindAllStringSubmatch(string(page), -1) {
		require.NotContains(t, rows, m[1])
		rows[m[1]] = m[2]
	}
	for _, k := range policy.Keys() {
		require.Contains(t, rows, k.Path)
		require.Contains(t, rows[k.Path], " `"+k.Default+"` |", k.Path)
		if k.Least != "" {
			require.Contains(t, rows[k.Path], " "+k.Least+" – "+k.Most+" |", k.Path)
		}
		delete(rows, k.Path)
	}
	require.Empty(t, rows)

	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(string(page))
	require.NotNil(t, example)
	got, err := policy.Parse("docs/policy.md", []byte(example[1]))
	require.NoError(t, err)
	require.Equal(t, openflow.DefaultSitePolicy(), got, "the page shows the defaults")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(policy.Format(openflow.DefaultSitePolicy())))
	f.Add([]byte("psi: {min_intersection: 3}\n---\n# x\n"))
	f.Add([]byte("psi: &a\n  b: *a\n"))
	f.Add([]byte("images: {registries: [a.example/b, \"/opt\"], vulnerabilities: /srv/osv, unrated: low}\ncontainers: {max_memory: 3GiB, mounts: [\"* /srv/a:/a\"]}\n"))
	fuzzing.Within(f, func(t *testing.T, data []byte) {
		p, err := policy.Parse("policy.yaml", data)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.Equal(t, openflow.DefaultSitePolicy(), p)
			return
		}
		again, err := policy.Parse("policy.yaml", []byte(policy.Format(p)))
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}

func TestWhereThePolicyComesFrom(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "elsewhere.yaml")
	read := func(named string) (openflow.SitePolicy, string, error) { return policy.From(named, dir).Read() }
	got, file, err := read("")
	require.NoError(t, err)
	require.Empty(t, file)
	require.Equal(t, openflow.DefaultSitePolicy(), got)
	_, _, err = read(elsewhere)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "a file that was named must be there")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte("psi: {min_intersection: 7}\n"), 0o600))
	require.NoError(t, os.WriteFile(elsewhere, []byte("psi: {min_intersection: 8}\n"), 0o600))
	got, file, err = read("")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "policy.yaml"), file)
	require.Equal(t, 7, got.PSI.MinIntersection)
	got, file, err = read(elsewhere)
	require.NoError(t, err)
	require.Equal(t, elsewhere, file)
	require.Equal(t, 8, got.PSI.MinIntersection)
}
