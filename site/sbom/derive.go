package sbom

import (
	"bytes"
	"debug/buildinfo"
	"io"
	"regexp"
	"runtime/debug"
	"strings"

	"openflow"
)

// stdlib is what OSV calls Go's standard library.
const stdlib = "stdlib"

// devel is the version of what was built out of a folder: the program itself, or a copy of a module beside it.
const devel = "(devel)"

// Of lists what a program says that it was built of: the modules of a Go program, which a stripped one says too. ok is false
// for a program that says nothing.
func Of(program io.ReaderAt) (parts []Part, ok bool) {
	info, err := readBuild(program)
	if err != nil {
		return nil, false
	}
	add := func(path, version string) {
		p := Part{Ecosystem: Go, Name: path, Version: strings.TrimPrefix(version, "v")}
		if p.Version == devel {
			p.Version = ""
		}
		if p.sound() {
			parts = append(parts, p)
		}
	}
	if version, ok := goVersion(info.GoVersion); ok {
		add(stdlib, version)
	}
	if info.Main.Path != "" {
		add(info.Main.Path, info.Main.Version)
	}
	for _, m := range info.Deps[:min(len(info.Deps), maxParts)] {
		switch {
		case m == nil:
		case m.Replace != nil && (m.Replace.Version == "" || m.Replace.Version == devel):
			add(m.Path, "") // by a folder: what is in it, nobody knows
		case m.Replace != nil:
			add(m.Replace.Path, m.Replace.Version)
		default:
			add(m.Path, m.Version)
		}
	}
	return sorted(parts), len(parts) > 0
}

// maxBuild bounds what is read of a program for its build information, and so what that takes of memory. Go's linker puts it
// at the beginning of the data, and that of a thousand modules has a few hundred kilobytes.
const maxBuild = 8 << 20

// frugal reads until it has read enough.
type frugal struct {
	of   io.ReaderAt
	left int64
}

func (f *frugal) ReadAt(p []byte, at int64) (int, error) {
	if f.left -= int64(len(p)); f.left < 0 {
		return 0, openflow.Errorf(openflow.CodeInvalid, "the program's build information has more than %d bytes", maxBuild)
	}
	return f.of.ReadAt(p, at)
}

// readBuild is buildinfo.Read of a file that somebody else wrote: whatever it trips over is an error. That package takes as much
// as the file says, into memory.
func readBuild(program io.ReaderAt) (info *debug.BuildInfo, err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			err = openflow.Errorf(openflow.CodeInvalid, "the program's build information cannot be read: %v", trouble)
		}
	}()
	return buildinfo.Read(&frugal{program, maxBuild})
}

var goRelease = regexp.MustCompile(`^go([0-9]+\.[0-9]+(?:\.[0-9]+)?)(?:(rc|beta)([0-9]+))?`)

// goVersion writes "go1.22rc1" as OSV does: "1.22.0-rc.1".
func goVersion(text string) (string, bool) {
	m := goRelease.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	v := m[1]
	if strings.Count(v, ".") == 1 {
		v += ".0"
	}
	if m[2] != "" {
		v += "-" + m[2] + "." + m[3]
	}
	return v, true
}

// dpkg lists the source packages that a status file of dpkg has installed.
func dpkg(text []byte) []Part {
	var parts []Part
	for _, stanza := range bytes.Split(text, []byte("\n\n")) {
		f := fields(stanza, "Package", "Source", "Version", "Status")
		if f["Package"] == "" || f["Status"] != "" && !strings.HasSuffix(f["Status"], " installed") {
			continue
		}
		p := Part{Ecosystem: Debian, Name: f["Package"], Version: f["Version"]}
		if f["Source"] != "" {
			p.Name, p.Version = sourceOf(f["Source"], f["Version"])
		}
		if p.sound() && len(parts) < maxParts {
			parts = append(parts, p)
		}
	}
	return parts
}

// python reads the METADATA of an installed distribution.
func python(text []byte) []Part {
	head, _, _ := bytes.Cut(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
	f := fields(head, "Name", "Version")
	if p := (Part{Ecosystem: PyPI, Name: Normal(f["Name"]), Version: f["Version"]}); p.sound() && p.Version != "" {
		return []Part{p}
	}
	return nil
}

// fields reads those "Name: value" lines of a stanza that are wanted. The first of each counts.
func fields(stanza []byte, wanted ...string) map[string]string {
	found := map[string]string{}
	for len(stanza) > 0 {
		var line []byte
		line, stanza, _ = bytes.Cut(stanza, []byte("\n"))
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		for _, w := range wanted {
			if string(key) == w && found[w] == "" {
				found[w] = strings.TrimSpace(string(value))
			}
		}
	}
	return found
}

// release reads the number of Debian's release from a file os-release; empty for other distributions.
func release(text []byte) string {
	values := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = strings.Trim(value, `"'`)
		}
	}
	if values["ID"] != "debian" {
		return ""
	}
	return whole(values["VERSION_ID"])
}
