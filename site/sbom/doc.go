// Package sbom knows what images and programs are made of: it reads and writes lists of parts in CycloneDX's JSON, and makes
// one of what an image holds.
//
// [Read] reads a list that somebody else made. [Of] makes one of a program, and a [Collector] of the layers of an image. It goes by
// what Go programs, Debian's packages and Python's say of themselves there. [Join] adds that to a list that somebody else made.
package sbom

import (
	"cmp"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"openflow"
)

// The ecosystems of parts that are compared with known vulnerabilities, as OSV calls them.
const (
	Go     = "Go"
	Debian = "Debian"
	PyPI   = "PyPI"
)

// Part is a piece of software that an image or program is made of.
type Part struct {
	Ecosystem string
	Name      string // a module of Go, a source package of Debian, a project of PyPI in its normal form
	Version   string // as its ecosystem writes it; Go's without "v"
	Release   string // of Debian, such as "12"; empty: nobody knows
}

// String names the part as messages do.
func (p Part) String() string { return p.Ecosystem + " " + p.Name + " " + p.Version }

// maxText bounds each text of a part.
const maxText = 512

// sound reports whether each text of a part is there and short.
func (p Part) sound() bool {
	return p.Name != "" && len(p.Name) <= maxText && len(p.Version) <= maxText && len(p.Release) <= maxText &&
		openflow.Line(p.Name+p.Version+p.Release) == p.Name+p.Version+p.Release
}

// purl is the part's package URL, which every tool understands.
func (p Part) purl() string {
	name := p.Name
	switch p.Ecosystem {
	case Go:
		at := ""
		if p.Version != "" {
			at = "@v" + escape(p.Version)
			if p.Name == stdlib {
				at = "@" + escape(p.Version)
			}
		}
		return "pkg:golang/" + escapePath(name) + at
	case Debian:
		u := "pkg:deb/debian/" + escape(name) + "@" + escape(p.Version) + "?arch=source"
		if p.Release != "" {
			u += "&distro=debian-" + escape(p.Release)
		}
		return u
	}
	return "pkg:pypi/" + escape(name) + "@" + escape(p.Version)
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

func escapePath(s string) string {
	parts := strings.Split(s, "/")
	for i, p := range parts {
		parts[i] = escape(p)
	}
	return strings.Join(parts, "/")
}

// partOf reads a package URL; false for an ecosystem that is not compared, or for what is none.
func partOf(text string) (Part, bool) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(scheme, "pkg") || len(text) > 4*maxText {
		return Part{}, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	qualifiers, _ := url.ParseQuery(query) // those that can be read: a part with fewer of them is compared with more
	kind, rest, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	version := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest, version = rest[:at], rest[at+1:]
	}
	name, err1 := url.PathUnescape(strings.Trim(rest, "/"))
	version, err2 := url.PathUnescape(version)
	if err1 != nil || err2 != nil {
		return Part{}, false
	}
	p := Part{Name: name, Version: version}
	switch strings.ToLower(kind) {
	case "golang":
		p.Ecosystem, p.Version = Go, strings.TrimPrefix(strings.TrimPrefix(version, "go"), "v")
	case "deb":
		space, of, _ := strings.Cut(name, "/")
		if !strings.EqualFold(space, "debian") {
			return Part{}, false
		}
		p.Ecosystem, p.Name = Debian, strings.ToLower(of)
		if source := qualifiers.Get("upstream"); source != "" {
			p.Name, p.Version = sourceOf(strings.ReplaceAll(source, "@", " ("), version)
		}
		if epoch := qualifiers.Get("epoch"); epoch != "" && !strings.Contains(p.Version, ":") {
			p.Version = epoch + ":" + p.Version
		}
		p.Release = whole(strings.TrimPrefix(qualifiers.Get("distro"), "debian-"))
	case "pypi":
		p.Ecosystem, p.Name = PyPI, Normal(path.Base(name))
	default:
		return Part{}, false
	}
	return p, p.sound()
}

// sourceOf is the source package of a field such as "openssl" or "glibc (2.36-9)", whose version is the binary's if none is said.
func sourceOf(field, version string) (name, of string) {
	name, of, ok := strings.Cut(field, " (")
	if !ok {
		return strings.TrimSpace(field), version
	}
	return strings.TrimSpace(name), strings.TrimSuffix(strings.TrimSpace(of), ")")
}

var separators = regexp.MustCompile(`[-_.]+`)

// Normal is the name of a project as PyPI compares it (PEP 503).
func Normal(name string) string { return strings.ToLower(separators.ReplaceAllString(name, "-")) }

// Key is the name by which parts are compared, whatever letters it is written in: package URLs of Go's modules have small ones
// only, and records those of the module.
func (p Part) Key() string { return Key(p.Ecosystem, p.Name) }

// Key is the name by which a package of an ecosystem is compared.
func Key(ecosystem, name string) string {
	if ecosystem == PyPI {
		return ecosystem + " " + Normal(name)
	}
	return ecosystem + " " + strings.ToLower(name)
}

// maxVersions is how many versions of one package a list may have. Each is compared with every record of that package.
const maxVersions = 100

// fewVersions refuses a list with more versions of one package. Errors: CodeInvalid.
func fewVersions(parts []Part) error {
	versions := map[string]int{}
	for _, p := range parts {
		key := p.Key()
		if versions[key]++; versions[key] > maxVersions {
			return openflow.Errorf(openflow.CodeInvalid, "it has more than %d versions of %s", maxVersions, openflow.Line(key))
		}
	}
	return nil
}

// whole is a number of Debian's release: "12" of "12.5" too. What is none, such as "bookworm", is empty: of any release.
func whole(release string) string {
	number, _, _ := strings.Cut(release, ".")
	if number == "" || len(number) > 8 || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return number
}

func compare(a, b Part) int {
	return cmp.Or(strings.Compare(a.Ecosystem, b.Ecosystem), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Release, b.Release))
}

// sorted is a list of parts in order, each once.
func sorted(parts []Part) []Part {
	parts = slices.Clone(parts)
	slices.SortFunc(parts, compare)
	return slices.Compact(parts)
}
