package osv_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/osv"
	"openflow/site/sbom"
	"openflow/tests/fuzzing"
)

func goPart(version string) sbom.Part {
	return sbom.Part{Ecosystem: sbom.Go, Name: "acme.example/net", Version: version}
}

func debPart(version, release string) sbom.Part {
	return sbom.Part{Ecosystem: sbom.Debian, Name: "openssl", Version: version, Release: release}
}

func pyPart(version string) sbom.Part {
	return sbom.Part{Ecosystem: sbom.PyPI, Name: "acme-yaml", Version: version}
}

// record is one in the form of those of Go's, of Debian's or of PyPI's database.
func record(ecosystem, name, more string) string {
	return fmt.Sprintf(`{"schema_version":"1.6.0","id":"X-2024-1","modified":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},%s}]}`, ecosystem, name, more)
}

func span(kind, events string) string {
	return fmt.Sprintf(`"ranges":[{"type":%q,"events":[%s]}]`, kind, events)
}

func TestMatch(t *testing.T) {
	const (
		one  = `{"introduced":"0"},{"fixed":"0.17.0"}`
		two  = `{"introduced":"1.2.0"},{"fixed":"1.2.5"},{"introduced":"1.3.0"},{"fixed":"1.3.1"}`
		last = `{"introduced":"1.0.0"},{"last_affected":"1.4.0"}`
	)
	golang := func(more string) string { return record("Go", "acme.example/net", more) }
	debian := func(more string) string { return record("Debian:12", "openssl", more) }
	python := func(more string) string { return record("PyPI", "Acme_YAML", more) }
	for name, tc := range map[string]struct {
		record string
		part   sbom.Part
		hit    bool
		fixed  string
	}{
		"before the fix":            {golang(span("SEMVER", one)), goPart("0.16.9"), true, "[0.17.0]"},
		"the fix":                   {golang(span("SEMVER", one)), goPart("0.17.0"), false, ""},
		"a candidate of the fix":    {golang(span("SEMVER", one)), goPart("0.17.0-rc.1"), true, "[0.17.0]"},
		"behind the fix":            {golang(span("SEMVER", one)), goPart("0.100.0"), false, ""},
		"before the first":          {golang(span("SEMVER", two)), goPart("1.1.9"), false, ""},
		"in the first":              {golang(span("SEMVER", two)), goPart("1.2.4"), true, "[1.2.5 1.3.1]"},
		"between":                   {golang(span("SEMVER", two)), goPart("1.2.5"), false, ""},
		"in the second":             {golang(span("SEMVER", two)), goPart("1.3.0"), true, "[1.3.1]"},
		"behind both":               {golang(span("SEMVER", two)), goPart("1.3.1"), false, ""},
		"events in any order":       {golang(span("SEMVER", `{"fixed":"1.3.1"},{"introduced":"1.3.0"},{"fixed":"1.2.5"},{"introduced":"1.2.0"}`)), goPart("1.2.7"), false, ""},
		"the last one":              {golang(span("SEMVER", last)), goPart("1.4.0"), true, "[]"},
		"behind the last one":       {golang(span("SEMVER", last)), goPart("1.4.1"), false, ""},
		"never mended":              {golang(span("SEMVER", `{"introduced":"0"}`)), goPart("9.9.9"), true, "[]"},
		"within the limit":          {golang(span("SEMVER", `{"introduced":"0"},{"limit":"2.0.0"}`)), goPart("1.9.0"), true, "[]"},
		"beyond the limit":          {golang(span("SEMVER", `{"introduced":"0"},{"limit":"2.0.0"}`)), goPart("2.0.0"), false, ""},
		"without a limit":           {golang(span("SEMVER", `{"introduced":"0"},{"limit":"*"}`)), goPart("2.0.0"), true, "[]"},
		"one of two limits":         {golang(span("SEMVER", `{"introduced":"0"},{"limit":"1.0.0"},{"limit":"3.0.0"}`)), goPart("2.0.0"), true, "[]"},
		"a pseudo-version":          {golang(span("SEMVER", one)), goPart("0.0.0-20190101000000-aaaaaaaaaaaa"), true, "[0.17.0]"},
		"another module":            {record("Go", "acme.example/net/http", span("SEMVER", one)), goPart("0.1.0"), false, ""},
		"another ecosystem":         {record("npm", "acme.example/net", span("SEMVER", one)), goPart("0.1.0"), false, ""},
		"no version":                {golang(span("SEMVER", one)), goPart(""), true, "[0.17.0]"},
		"what is no version":        {golang(span("SEMVER", one)), goPart("(devel)"), true, "[0.17.0]"},
		"listed":                    {golang(`"versions":["1.0.0","1.0.1"]`), goPart("1.0.1"), true, "[]"},
		"not listed":                {golang(`"versions":["1.0.0","1.0.1"]`), goPart("1.0.2"), false, ""},
		"listed in another form":    {python(`"versions":["1.0rc1"]`), pyPart("1.0.0c1"), true, "[]"},
		"listed, and no version":    {golang(`"versions":["1.0.0"]`), goPart(""), true, "[]"},
		"listed beside a range":     {python(`"versions":["3.0"],` + span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"2.0"}`)), pyPart("3.0"), true, "[]"},
		"in one of two ranges":      {golang(`"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]},{"type":"SEMVER","events":[{"introduced":"2.0.0"},{"fixed":"2.1.0"}]}]`), goPart("2.0.5"), true, "[2.1.0]"},
		"by commits only":           {golang(span("GIT", `{"introduced":"0"},{"fixed":"abc"}`)), goPart("1.0.0"), false, ""},
		"the package as a whole":    {golang(`"database_specific":{}`), goPart("1.0.0"), true, "[]"},
		"a version nobody can read": {golang(span("SEMVER", `{"introduced":"0"},{"fixed":"soon"}`)), goPart("1.0.0"), true, "[soon]"},
		"withdrawn":                 {strings.Replace(golang(span("SEMVER", one)), `"id"`, `"withdrawn":"2024-02-01T00:00:00Z","id"`, 1), goPart("0.1.0"), false, ""},
		"Debian, before":            {debian(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}`)), debPart("3.0.11-1~deb12u1", "12"), true, "[3.0.11-1~deb12u2]"},
		"Debian, the fix":           {debian(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}`)), debPart("3.0.11-1~deb12u2", "12"), false, ""},
		"Debian, without deb12":     {debian(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.0.11-1~deb12u2"}`)), debPart("3.0.11-1", "12"), false, ""},
		"Debian, an epoch":          {debian(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"1:1.0-1"}`)), debPart("9.0-1", "12"), true, "[1:1.0-1]"},
		"Debian, another release":   {debian(span("ECOSYSTEM", `{"introduced":"0"}`)), debPart("1.0-1", "11"), false, ""},
		"Debian, no release known":  {debian(span("ECOSYSTEM", `{"introduced":"0"}`)), debPart("1.0-1", ""), true, "[]"},
		"Debian, of all releases":   {record("Debian", "openssl", span("ECOSYSTEM", `{"introduced":"0"}`)), debPart("1.0-1", "12"), true, "[]"},
		"PyPI, a name's form":       {python(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"5.4"}`)), pyPart("5.4rc1"), true, "[5.4]"},
		"PyPI, a post-release":      {python(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"5.4"}`)), pyPart("5.4.post1"), false, ""},
		"PyPI, an epoch":            {python(span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"5.4"}`)), pyPart("1!1.0"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := osv.ParseRecord([]byte(tc.record))
			require.NoError(t, err)
			v, hit := r.Match(tc.part)
			require.Equal(t, tc.hit, hit)
			if hit {
				require.Equal(t, tc.fixed, fmt.Sprint(append([]string{}, v.Fixed...)))
				require.Equal(t, "X-2024-1", v.ID)
				require.Equal(t, tc.part.Version, v.Version)
			}
		})
	}
}

func TestSeverity(t *testing.T) {
	for name, tc := range map[string]struct {
		more, affected string
		want           openflow.Severity
	}{
		"none":                 {"", "", ""},
		"3.1, critical":        {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`, "", openflow.SeverityCritical},
		"3.1, high":            {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],`, "", openflow.SeverityHigh},
		"3.0, medium":          {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"}],`, "", openflow.SeverityMedium},
		"3.1, nothing":         {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N"}],`, "", openflow.SeverityLow},
		"4.0, critical":        {`"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],`, "", openflow.SeverityCritical},
		"4.0, low":             {`"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N"}],`, "", openflow.SeverityLow},
		"2":                    {`"severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}],`, "", openflow.SeverityCritical},
		"the worst counts":     {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N"},{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],`, "", openflow.SeverityCritical},
		"of the package":       {"", `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],`, openflow.SeverityHigh},
		"no vector":            {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:X"}],`, "", ""},
		"a number":             {`"severity":[{"type":"CVSS_V3","score":"9.8"}],`, "", ""},
		"GitHub's word":        {`"database_specific":{"severity":"MODERATE"},`, "", openflow.SeverityMedium},
		"a vector over a word": {`"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],"database_specific":{"severity":"LOW"},`, "", openflow.SeverityHigh},
		"another's value":      {`"database_specific":{"severity":{"x":1}},`, "", ""},
		"Debian's urgency":     {"", `"ecosystem_specific":{"urgency":"unimportant"},`, openflow.SeverityLow},
		"Debian has none yet":  {"", `"ecosystem_specific":{"urgency":"not yet assigned"},`, ""},
		"Ubuntu's":             {`"severity":[{"type":"Ubuntu","score":"high"}],`, "", openflow.SeverityHigh},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := osv.ParseRecord([]byte(`{"id":"X-1",` + tc.more + `"affected":[{"package":{"ecosystem":"Go","name":"acme.example/net"},` + tc.affected + span("SEMVER", `{"introduced":"0"}`) + `}]}`))
			require.NoError(t, err)
			v, hit := r.Match(goPart("1.0.0"))
			require.True(t, hit)
			require.Equal(t, tc.want, v.Severity)
		})
	}
}

func TestParseRecordRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"no JSON":       "id: X",
		"a list":        "[]",
		"no ID":         "{}",
		"a long ID":     `{"id":"` + strings.Repeat("x", 201) + `"}`,
		"an ID of more": `{"id":"a\u001b[2J"}`,
		"other shapes":  `{"id":"X","affected":{}}`,
		"deep":          `{"id":"X","affected":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
		"many values":   `{"id":"X","aliases":[` + strings.Repeat(`"a",`, 600_000) + `"a"]}`,
		"long":          `{"id":"X"` + strings.Repeat(" ", osv.MaxRecord) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := osv.ParseRecord([]byte(text))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		})
	}
}

// folder writes records, each in a file of its own.
func folder(t *testing.T, records map[string]string) osv.Folder {
	t.Helper()
	dir := t.TempDir()
	for name, text := range records {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return osv.Folder(dir)
}

// A folder is searched with all below it. What one database does not rate is rated as another does, in whatever order.
func TestFolder(t *testing.T) {
	f := folder(t, map[string]string{
		"README.txt":               "no record",
		"Go/GO-2024-1.json":        `{"id":"GO-2024-1","aliases":["CVE-2024-1","GHSA-1"],"summary":"Bad\u001b thing","affected":[{"package":{"ecosystem":"Go","name":"acme.example/net"},` + span("SEMVER", `{"introduced":"0"},{"fixed":"1.1.0"}`) + `}]}`,
		"Go/GO-2024-2.json":        `{"id":"GO-2024-2","affected":[{"package":{"ecosystem":"Go","name":"acme.example/net"},` + span("SEMVER", `{"introduced":"0"}`) + `}]}`,
		"GHSA/GHSA-1.json":         `{"id":"GHSA-1","aliases":["CVE-2024-1"],"database_specific":{"severity":"CRITICAL"},"affected":[{"package":{"ecosystem":"Go","name":"acme.example/net"},` + span("SEMVER", `{"introduced":"0"},{"fixed":"1.1.0"}`) + `}]}`,
		"Debian/a/DEBIAN-CVE.json": `{"id":"DEBIAN-CVE-2024-3","upstream":["CVE-2024-3"],"affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},` + span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.1-1"}`) + `}]}`,
		"cve/CVE-2024-3.json":      `{"id":"CVE-2024-3","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}]}`,
		"PyPI/PYSEC-1.json":        `{"id":"PYSEC-1","withdrawn":"2024-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"acme-yaml"},` + span("ECOSYSTEM", `{"introduced":"0"}`) + `}]}`,
	})
	found, err := f.Match(t.Context(), []sbom.Part{goPart("1.0.0"), debPart("3.0-1", "12"), pyPart("1.0"), {Ecosystem: "npm", Name: "x", Version: "1"}})
	require.NoError(t, err)
	var told []string
	for _, v := range found {
		told = append(told, fmt.Sprintf("%s %s %s %v", v.ID, v.Severity, v.Package, v.Fixed))
	}
	require.Equal(t, []string{
		"GHSA-1 critical Go acme.example/net [1.1.0]",
		"GO-2024-1 critical Go acme.example/net [1.1.0]",
		"DEBIAN-CVE-2024-3 high Debian openssl [3.1-1]",
		"GO-2024-2  Go acme.example/net []",
	}, told)
	require.NotContains(t, fmt.Sprint(found), "\x1b")
	found, err = f.Match(t.Context(), []sbom.Part{goPart("1.1.0"), debPart("3.1-1", "12")})
	require.NoError(t, err)
	require.Len(t, found, 1)
}

// A folder that cannot be read, or holds what is no record, is never taken for one without vulnerabilities.
func TestFolderThatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		f    osv.Folder
		want string
		code openflow.Code
	}{
		"not there": {osv.Folder(filepath.Join(t.TempDir(), "x")), "no such file", openflow.CodeUnavailable},
		"empty":     {folder(t, nil), "has no record", openflow.CodeInvalid},
		"no record": {folder(t, map[string]string{"a/b.json": "x"}), filepath.Join("a", "b.json"), openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.f.Match(t.Context(), []sbom.Part{goPart("1.0.0")})
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
			require.ErrorContains(t, err, "images.vulnerabilities")
			if name == "no record" {
				require.NoError(t, tc.f.Check(t.Context()), "what is there is not read")
				return
			}
			require.Equal(t, err, tc.f.Check(t.Context()))
		})
	}
}

// The state of a folder changes with every record that comes, goes or changes, and with nothing else.
func TestState(t *testing.T) {
	f := folder(t, map[string]string{"a.json": "{}", "b/c.json": "{}", "d.txt": ""})
	state := func() string {
		s, err := f.State(t.Context())
		require.NoError(t, err)
		return s
	}
	seen := map[string]bool{state(): true}
	require.True(t, seen[state()])
	changed := func() {
		t.Helper()
		s := state()
		require.False(t, seen[s])
		seen[s] = true
	}
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(string(f), name), []byte(text), 0o600))
	}
	write("d.txt", "more")
	require.True(t, seen[state()])
	write("e.json", "{}")
	changed()
	write("b/c.json", "{} ")
	changed()
	require.NoError(t, os.Chtimes(filepath.Join(string(f), "a.json"), time.Time{}, time.Unix(1, 0)))
	changed()
	require.NoError(t, os.Rename(filepath.Join(string(f), "a.json"), filepath.Join(string(f), "b", "a.json")))
	changed()
	require.NoError(t, os.Remove(filepath.Join(string(f), "e.json")))
	changed()
}

// A release that no record names, such as 999, is one that nobody knows: so records of all are compared, in whatever order.
func TestReleaseThatNoRecordNames(t *testing.T) {
	text := func(id, release string) string {
		return strings.Replace(record("Debian:"+release, "openssl", span("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.1-1"}`)), "X-2024-1", id, 1)
	}
	f := folder(t, map[string]string{
		"a.json": text("A", "11"), "b.json": text("B", "12"), "c.json": text("C", "13"),
		"d.json": `{"id":"D","affected":[{"package":{"ecosystem":"Debian","name":"openssl"},` + span("ECOSYSTEM", `{"introduced":"0"}`) + `}]}`,
	})
	for release, want := range map[string]string{"11": "A D", "12": "B D", "13": "C D", "": "A B C D", "999": "A B C D", "012": "A B C D"} {
		found, err := f.Match(t.Context(), []sbom.Part{debPart("3.0-1", release)})
		require.NoError(t, err)
		var ids []string
		for _, v := range found {
			ids = append(ids, v.ID)
		}
		require.ElementsMatch(t, strings.Fields(want), ids, "%q", release)
	}
	found, err := f.Match(t.Context(), []sbom.Part{debPart("9.0-1", "999"), debPart("3.0-1", "12")})
	require.NoError(t, err)
	require.Len(t, found, 3)
}

// Package URLs of Go's modules are written in small letters.
func TestLettersOfNames(t *testing.T) {
	f := folder(t, map[string]string{"a.json": record("Go", "github.com/Acme/Net", span("SEMVER", `{"introduced":"0"}`))})
	found, err := f.Match(t.Context(), []sbom.Part{{Ecosystem: sbom.Go, Name: "github.com/acme/net", Version: "1.0.0"}})
	require.NoError(t, err)
	require.Len(t, found, 1)
}

// As many versions of one package as a list may have, and none of them hit, cost little in records that list many. The context
// ends it.
func TestManyVersionsCostLittle(t *testing.T) {
	var listed []string
	for i := range 1000 {
		listed = append(listed, fmt.Sprintf(`"1.%d.post1"`, i))
	}
	records := map[string]string{}
	for i := range 50 {
		records[fmt.Sprintf("%d.json", i)] = record("PyPI", "acme-yaml", `"versions":[`+strings.Join(listed, ",")+`]`)
	}
	f := folder(t, records)
	var parts []sbom.Part
	for i := range 100 {
		parts = append(parts, pyPart(fmt.Sprintf("9.9.%d", i)))
	}
	var found []openflow.Vulnerability
	var err error
	used, _ := fuzzing.Cost(func() { found, err = f.Match(t.Context(), parts) })
	require.NoError(t, err)
	require.Empty(t, found)
	require.Less(t, used, uint64(500<<20), "each version is read once a record, not once for each pair: that takes gigabytes")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Match(ended, parts)
	require.ErrorIs(t, err, context.Canceled)
	_, err = f.State(ended)
	require.ErrorIs(t, err, context.Canceled)
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(record("Go", "acme.example/net", span("SEMVER", `{"introduced":"0"},{"fixed":"1.0.0"},{"limit":"*"}`))))
	f.Add([]byte(record("PyPI", "acme-yaml", `"versions":["1.0"],"severity":[{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}]`)))
	f.Add([]byte(record("Debian:12", "openssl", span("ECOSYSTEM", `{"introduced":"0"},{"last_affected":"1:1~a-1"}`))))
	f.Add([]byte(`{"id":"X","severity":[{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"},{"type":"CVSS_V3","score":"CVSS:3.0/AV:N"}]}`))
	fuzzing.Within(f, func(t *testing.T, text []byte) {
		r, err := osv.ParseRecord(text)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		for _, p := range []sbom.Part{goPart("1.0.0"), goPart(""), debPart("1:1-1", "12"), pyPart("1.0rc1")} {
			v, hit := r.Match(p)
			if hit {
				require.Equal(t, r.ID, v.ID)
				require.Empty(t, r.Withdrawn)
			}
		}
	})
}
