package sbom_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/sbom"
	"openflow/tests/fuzzing"
)

// purls is a document in the form that syft and cyclonedx-gomod write.
func purls(urls ...string) []byte {
	var list []string
	for _, u := range urls {
		list = append(list, fmt.Sprintf(`{"type":"library","name":"x","purl":%q}`, u))
	}
	return []byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[` + strings.Join(list, ",") + `]}`)
}

func TestRead(t *testing.T) {
	for url, want := range map[string]sbom.Part{
		"pkg:golang/golang.org/x/net@v0.17.0":                                                  {Ecosystem: sbom.Go, Name: "golang.org/x/net", Version: "0.17.0"},
		"pkg:golang/github.com/a/b%2Fc@v1.0.0-rc.1%2Bincompatible?type=module#sub/path":        {Ecosystem: sbom.Go, Name: "github.com/a/b/c", Version: "1.0.0-rc.1+incompatible"},
		"pkg:golang/stdlib@1.21.3":                                                             {Ecosystem: sbom.Go, Name: "stdlib", Version: "1.21.3"},
		"pkg:golang/stdlib@go1.21.3":                                                           {Ecosystem: sbom.Go, Name: "stdlib", Version: "1.21.3"},
		"pkg:deb/debian/libssl3@3.0.11-1~deb12u2?arch=amd64&distro=debian-12&upstream=openssl": {Ecosystem: sbom.Debian, Name: "openssl", Version: "3.0.11-1~deb12u2", Release: "12"},
		"pkg:deb/debian/libc6@2.36-9%2Bdeb12u3?distro=debian-12&upstream=glibc%402.36-9":       {Ecosystem: sbom.Debian, Name: "glibc", Version: "2.36-9", Release: "12"},
		"pkg:deb/debian/vim@9.0.1378-2?epoch=2":                                                {Ecosystem: sbom.Debian, Name: "vim", Version: "2:9.0.1378-2"},
		"pkg:pypi/PyYAML@6.0":                                                                  {Ecosystem: sbom.PyPI, Name: "pyyaml", Version: "6.0"},
		"pkg:deb/debian/vim@1?distro=debian-12.5":                                              {Ecosystem: sbom.Debian, Name: "vim", Version: "1", Release: "12"},
		"pkg:deb/debian/vim@1?distro=bookworm":                                                 {Ecosystem: sbom.Debian, Name: "vim", Version: "1"},
		"pkg:deb/debian/vim@1?distro=debian-12a":                                               {Ecosystem: sbom.Debian, Name: "vim", Version: "1"},
		"PKG:deb/Debian/Vim@1?distro=debian-12&a;b=%zz":                                        {Ecosystem: sbom.Debian, Name: "vim", Version: "1", Release: "12"},
		"pkg:pypi/zope.interface@5.0":                                                          {Ecosystem: sbom.PyPI, Name: "zope-interface", Version: "5.0"},
	} {
		parts, total, err := sbom.Read(purls(url))
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Equal(t, []sbom.Part{want}, parts, url)
	}
	for _, url := range []string{"", "x", "pkg:", "pkg:golang", "pkg:golang/", "pkg:golang/@v1", "pkg:npm/left-pad@1", "pkg:deb/ubuntu/x@1", "pkg:golang/%zz@1", "pkg:pypi/a%1b@1", "pkg:golang/" + strings.Repeat("x", 5000)} {
		parts, total, err := sbom.Read(purls(url))
		require.NoError(t, err)
		require.Equal(t, 1, total)
		require.Empty(t, parts, url)
	}
	parts, total, err := sbom.Read([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","metadata":{"component":{"type":"application","name":"m","purl":"pkg:golang/m@v1.0.0",
		"components":[{"type":"library","name":"n","purl":"pkg:pypi/n@1","components":[{"type":"library","name":"o","purl":"pkg:pypi/o@1"}]}]}},
		"components":[{"type":"library","name":"n","purl":"pkg:pypi/n@1"}]}`))
	require.NoError(t, err)
	require.Equal(t, 4, total)
	require.Len(t, parts, 3, "each once, at every depth")
}

// versions are package URLs of many versions of one module, in both forms of its letters.
func versions(n int) (urls []string) {
	for i := range n {
		urls = append(urls, fmt.Sprintf("pkg:golang/%s@v1.0.%d", []string{"acme/net", "Acme/Net"}[i%2], i))
	}
	return urls
}

// An image may say of itself that it is of any release.
func TestReleases(t *testing.T) {
	for said, want := range map[string]string{
		`ID=debian` + "\n" + `VERSION_ID="12"`: "12", "VERSION_ID=12.5\nID=debian": "12", `ID=debian` + "\n" + `VERSION_ID="bookworm"`: "", "ID=debian": "",
		"ID=debian\nVERSION_ID=": "", "ID=ubuntu\nVERSION_ID=22.04": "", "ID=debian\nVERSION_ID=123456789": "",
	} {
		var c sbom.Collector
		require.NoError(t, c.Layer(bytes.NewReader(layer(t, file{name: "etc/os-release", text: said}, file{name: "var/lib/dpkg/status", text: status}))))
		d, ok, err := c.Document("x")
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, d.Parts[0].Release, "%q", said)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":        "",
		"no JSON":        "SPDXVersion: SPDX-2.3",
		"XML":            "<bom/>",
		"SPDX":           `{"spdxVersion":"SPDX-2.3"}`,
		"no parts":       `{"bomFormat":"CycloneDX","specVersion":"1.5"}`,
		"empty":          `{"bomFormat":"CycloneDX","specVersion":"1.5","components":[]}`,
		"another shape":  `{"bomFormat":"CycloneDX","specVersion":"1.5","components":{}}`,
		"deep":           `{"bomFormat":"CycloneDX","components":` + strings.Repeat(`[{"components":`, 100) + strings.Repeat(`}]`, 100) + `}`,
		"many values":    `{"bomFormat":"CycloneDX","components":[` + strings.Repeat(`{},`, 600_000) + `{}]}`,
		"versions":       string(purls(versions(101)...)),
		"too many parts": `{"bomFormat":"CycloneDX","components":[` + strings.Repeat(`{},`, 100_001) + `{}]}`,
		"too long":       `{"bomFormat":"CycloneDX"` + strings.Repeat(" ", sbom.MaxBytes) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := sbom.Read([]byte(text))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, "the SBOM cannot be read")
		})
	}
}

// What is written is read back, and depends on nothing but the parts.
func TestWrite(t *testing.T) {
	parts := []sbom.Part{
		{Ecosystem: sbom.Debian, Name: "openssl", Version: "1:3.0.11-1~deb12u2+b1", Release: "12"},
		{Ecosystem: sbom.Go, Name: "github.com/a/b", Version: "1.0.0+incompatible"},
		{Ecosystem: sbom.Go, Name: "github.com/a/unversioned"},
		{Ecosystem: sbom.Go, Name: "stdlib", Version: "1.26.8"},
		{Ecosystem: sbom.PyPI, Name: "requests", Version: "2.31.0"},
	}
	text, err := sbom.Write("acme psi", parts)
	require.NoError(t, err)
	got, total, err := sbom.Read(text)
	require.NoError(t, err)
	require.Equal(t, parts, got)
	require.Equal(t, len(parts)+1, total)
	slices.Reverse(parts)
	again, err := sbom.Write("acme psi", append(parts, parts...))
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
	require.Contains(t, string(text), `"specVersion": "1.6"`)
}

// program builds a program of Go, stripped.
func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":     "module acme.example/psi\n\ngo 1.26\n\nrequire (\n\tacme.example/dep v1.2.3\n\tacme.example/other v0.1.0\n)\n\nreplace acme.example/dep => ./dep\n\nreplace acme.example/other => ./other\n",
		"main.go":    "package main\n\nimport (\n\t_ \"acme.example/dep\"\n\t_ \"acme.example/other\"\n)\n\nfunc main() {}\n",
		"dep/go.mod": "module acme.example/dep\n", "dep/dep.go": "package dep\n",
		"other/go.mod": "module acme.example/other\n", "other/other.go": "package other\n",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", "program", ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	return filepath.Join(dir, "program")
}

// A Go program says what it was built of, also when it is stripped. A module that a folder replaces has no version.
func TestProgram(t *testing.T) {
	path := program(t)
	f, err := os.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	d, ok, err := sbom.OfProgram("acme", f)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, sbom.Derived, d.Origin)
	require.Contains(t, d.Parts, sbom.Part{Ecosystem: sbom.Go, Name: "acme.example/dep"})
	require.Contains(t, d.Parts, sbom.Part{Ecosystem: sbom.Go, Name: "acme.example/psi"})
	require.Contains(t, d.Parts, sbom.Part{Ecosystem: sbom.Go, Name: "stdlib", Version: strings.TrimPrefix(runtime.Version(), "go")})
	read, _, err := sbom.Read(d.Text)
	require.NoError(t, err)
	require.Equal(t, d.Parts, read)

	for name, text := range map[string]string{"nothing": "", "a script": "#!/bin/sh\n", "no program": "\x7fELF" + strings.Repeat("x", 1000)} {
		_, ok, err := sbom.OfProgram("x", strings.NewReader(text))
		require.NoError(t, err)
		require.False(t, ok, name)
	}
}

const (
	status = `Package: libssl3
Status: install ok installed
Source: openssl
Version: 3.0.11-1~deb12u2
Description: toolkit
 Version: 9.9 is no field

Package: removed
Status: deinstall ok config-files
Version: 1.0

Package: libc6
Status: install ok installed
Source: glibc (2.36-9)
Version: 2.36-9+b1

Package: bash
Status: install ok installed
Version: 5.2.15-2+b2
`
	os12 = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n"
)

// file is an entry of a layer.
type file struct {
	name, text string
	mode       int64
	kind       byte
}

func layer(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: max(f.mode, 0o644), Size: int64(len(f.text)), Typeflag: tar.TypeReg}
		if f.kind != 0 {
			h.Typeflag, h.Size, h.Linkname, f.text = f.kind, 0, f.text, ""
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write([]byte(f.text))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func deb(name, version string) sbom.Part {
	return sbom.Part{Ecosystem: sbom.Debian, Name: name, Version: version, Release: "12"}
}

func TestImage(t *testing.T) {
	text, err := os.ReadFile(program(t))
	require.NoError(t, err)
	dpkg := file{name: "var/lib/dpkg/status", text: status}
	release := file{name: "./etc/os-release", text: os12}
	three := []sbom.Part{deb("bash", "5.2.15-2+b2"), deb("glibc", "2.36-9"), deb("openssl", "3.0.11-1~deb12u2")}
	metadata := file{name: "usr/lib/python3/dist-packages/PyYAML-6.0.dist-info/METADATA", text: "Metadata-Version: 2.1\r\nName: PyYAML\r\nVersion: 6.0\r\n\r\nName: other\n"}
	yaml := sbom.Part{Ecosystem: sbom.PyPI, Name: "pyyaml", Version: "6.0"}
	list := string(purls("pkg:pypi/listed@1"))
	listed := sbom.Part{Ecosystem: sbom.PyPI, Name: "listed", Version: "1"}
	for name, tc := range map[string]struct {
		named  string
		layers [][]file
		want   []sbom.Part
		origin string
	}{
		"Debian":             {layers: [][]file{{release, dpkg}}, want: three},
		"distroless":         {layers: [][]file{{{name: "usr/lib/os-release", text: os12}, {name: "var/lib/dpkg/status.d/tz", text: "Package: tzdata\nVersion: 2024a-0\n"}, {name: "var/lib/dpkg/status.d/tz.md5sums", text: "Package: x\nVersion: 1\n"}}}, want: []sbom.Part{deb("tzdata", "2024a-0")}},
		"another system":     {layers: [][]file{{{name: "etc/os-release", text: "ID=ubuntu\nVERSION_ID=22.04\n"}, {name: "var/lib/dpkg/status", text: "Package: a\nVersion: 1\n"}}}, want: []sbom.Part{{Ecosystem: sbom.Debian, Name: "a", Version: "1"}}},
		"Python":             {layers: [][]file{{metadata}}, want: []sbom.Part{yaml}},
		"replaced":           {layers: [][]file{{release, dpkg}, {{name: "var/lib/dpkg/status", text: "Package: a\nVersion: 1\n"}}}, want: []sbom.Part{deb("a", "1")}},
		"removed":            {layers: [][]file{{metadata, release, dpkg}, {{name: "var/lib/dpkg/.wh.status"}}}, want: []sbom.Part{yaml}},
		"a folder gone":      {layers: [][]file{{metadata, release, dpkg}, {{name: "usr/lib/.wh.python3"}}}, want: three},
		"opaque":             {layers: [][]file{{metadata, release, dpkg}, {{name: "usr/lib/.wh..wh..opq"}}}, want: three},
		"replaced by a link": {layers: [][]file{{metadata, release, dpkg}, {{name: metadata.name, text: "/x", kind: tar.TypeSymlink}}}, want: three},
		// What removes files stands before or behind those of its own layer, and never removes them.
		"removed below only":      {layers: [][]file{{{name: "var/lib/dpkg/status", text: "Package: a\nVersion: 1\n"}}, {release, dpkg, {name: "var/lib/dpkg/.wh..wh..opq"}, {name: "var/lib/dpkg/.wh.status"}}}, want: three},
		"a list":                  {layers: [][]file{{{name: "usr/share/sbom/sbom.cdx.json", text: list}}}, want: []sbom.Part{listed}, origin: "/usr/share/sbom/sbom.cdx.json in the image"},
		"a list that lacks much":  {layers: [][]file{{dpkg, release, {name: "sbom.cdx.json", text: list}}}, want: append(slices.Clone(three), listed), origin: "/sbom.cdx.json in the image, with what the image says of its parts"},
		"a list of nothing":       {layers: [][]file{{metadata, {name: "sbom.cdx.json", text: `{"bomFormat":"CycloneDX","Components":[{"name":"x"}]}`}}}, want: []sbom.Part{yaml}, origin: "/sbom.cdx.json in the image, with what the image says of its parts"},
		"a list that has all":     {layers: [][]file{{metadata, {name: "sbom.cdx.json", text: string(purls("pkg:pypi/pyyaml@6.0"))}}}, want: []sbom.Part{yaml}, origin: "/sbom.cdx.json in the image"},
		"a list that is named":    {named: "/opt/acme/parts.json", layers: [][]file{{{name: "sbom.cdx.json", text: "x"}, {name: "opt/acme/parts.json", text: list}}}, want: []sbom.Part{listed}, origin: "/opt/acme/parts.json in the image"},
		"a list that was removed": {layers: [][]file{{release, dpkg, {name: "sbom.cdx.json", text: list}}, {{name: ".wh.sbom.cdx.json"}}}, want: three},
	} {
		t.Run(name, func(t *testing.T) {
			c := sbom.Collector{Named: tc.named, Temp: t.TempDir()}
			for _, files := range tc.layers {
				require.NoError(t, c.Layer(bytes.NewReader(layer(t, files...))))
			}
			d, ok, err := c.Document("acme/psi:1")
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, tc.want, d.Parts)
			if tc.origin == "" {
				tc.origin = sbom.Derived
			}
			require.Equal(t, tc.origin, d.Origin)
			read, _, err := sbom.Read(d.Text)
			require.NoError(t, err)
			require.Equal(t, d.Parts, read)
		})
	}

	c := sbom.Collector{Temp: t.TempDir()}
	require.NoError(t, c.Layer(bytes.NewReader(layer(t, file{name: "app/run", text: string(text), mode: 0o755}, file{name: "app/data", text: string(text)}))))
	d, ok, err := c.Document("x")
	require.NoError(t, err)
	require.True(t, ok)
	require.Contains(t, d.Parts, sbom.Part{Ecosystem: sbom.Go, Name: "acme.example/psi"})

	c = sbom.Collector{Temp: t.TempDir()}
	require.NoError(t, c.Layer(bytes.NewReader(layer(t, file{name: "app/run", text: "x", mode: 0o755}))))
	_, ok, err = c.Document("x")
	require.NoError(t, err)
	require.False(t, ok, "nothing says what it is")
}

func TestImageThatIsRefused(t *testing.T) {
	for name, text := range map[string][]byte{
		"no archive":   []byte(strings.Repeat("x", 2000)),
		"a cut one":    layer(t, file{name: "var/lib/dpkg/status", text: strings.Repeat("x", 5000)})[:1024],
		"a large file": layer(t, file{name: "var/lib/dpkg/status", text: strings.Repeat("x", 64<<20+1)}),
	} {
		t.Run(name, func(t *testing.T) {
			var c sbom.Collector
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(c.Layer(bytes.NewReader(text))))
		})
	}
	var c sbom.Collector
	require.NoError(t, c.Layer(bytes.NewReader(layer(t, file{name: "sbom.cdx.json", text: "x"}))))
	_, _, err := c.Document("x")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "a list that lies there and is none")
}

// An image that removes files again and again costs no more than its length allows.
func TestRemovalsAreBounded(t *testing.T) {
	var below, above []file
	for i := range 20_000 {
		below = append(below, file{name: fmt.Sprintf("a/p-%d.dist-info/METADATA", i), text: "Name: p\nVersion: 1\n"})
		above = append(above, file{name: fmt.Sprintf("b/.wh.%d", i)})
	}
	var c sbom.Collector
	require.NoError(t, c.Layer(bytes.NewReader(layer(t, below...))))
	text := layer(t, above...)
	var err error
	bytesUsed, took := fuzzing.Cost(func() { err = c.Layer(bytes.NewReader(text)) })
	require.ErrorContains(t, err, "removes more files")
	fuzzing.Check(t, len(text), bytesUsed, took)
}

func FuzzRead(f *testing.F) {
	f.Add(purls("pkg:golang/golang.org/x/net@v0.17.0", "pkg:deb/debian/libc6@2.36-9?upstream=glibc&distro=debian-12"))
	f.Add(purls("pkg:pypi/a@1?epoch=1#x"))
	fuzzing.Within(f, func(t *testing.T, text []byte) {
		parts, total, err := sbom.Read(text)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.LessOrEqual(t, len(parts), total)
		if len(parts) == 0 {
			return
		}
		again, err := sbom.Write("x", parts)
		require.NoError(t, err)
		read, _, err := sbom.Read(again)
		require.NoError(t, err)
		require.Len(t, read, len(parts))
	})
}

func FuzzLayer(f *testing.F) {
	f.Add(layer(f, file{name: "var/lib/dpkg/status", text: status}, file{name: "etc/os-release", text: os12}, file{name: "a/.wh.b"}), "")
	f.Add(layer(f, file{name: "x", text: "\x7fELF\x02\x01\x01", mode: 0o755}), "/x")
	f.Add(layer(f, file{name: "a.dist-info/METADATA", text: "Name: a\nVersion: 1\n"}), "a")
	dir := f.TempDir()
	fuzzing.Within(f, func(t *testing.T, text []byte, named string) {
		c := sbom.Collector{Named: named, Temp: dir}
		if err := c.Layer(bytes.NewReader(text)); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		if _, _, err := c.Document("x"); err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		}
	})
}

func FuzzProgram(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	self, err := os.Executable()
	require.NoError(f, err)
	text, err := os.ReadFile(self)
	require.NoError(f, err)
	f.Add(text[:64<<10])
	fuzzing.Within(f, func(_ *testing.T, text []byte) { sbom.Of(bytes.NewReader(text)) })
}
