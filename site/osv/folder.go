package osv

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"openflow"
	"openflow/site/sbom"
)

// Bounds of a folder. All that OSV has of Go, Debian and PyPI are about a hundred thousand records.
const (
	maxRecords = 1_000_000
	maxFound   = 10_000 // vulnerabilities of one list of parts
)

// Folder is the path of a folder with records, one in each file that ends in .json, in any folders below it. Links are not
// followed.
type Folder string

// each visits the files of records, in order.
func (f Folder) each(ctx context.Context, visit func(path string, e fs.DirEntry) error) error {
	n := 0
	err := filepath.WalkDir(string(f), func(path string, e fs.DirEntry, err error) error {
		if ended := ctx.Err(); ended != nil {
			return ended
		}
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(path, ".json") {
			return err
		}
		if n++; n > maxRecords {
			return openflow.Errorf(openflow.CodeInvalid, "it has more than %d records", maxRecords)
		}
		return visit(path, e)
	})
	if err == nil && n == 0 {
		return openflow.Errorf(openflow.CodeInvalid,
			"the folder of vulnerabilities, %s, has no record, no file that ends in .json: nothing of a provider is registered or run", f).
			WithHint("put records there, one JSON file in OSV's format for each, or leave images.vulnerabilities out of the policy")
	}
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	code := openflow.CodeOf(err)
	if code != openflow.CodeInvalid {
		code = openflow.CodeUnavailable
	}
	return openflow.Errorf(code, "the folder of vulnerabilities, %s, cannot be read: %w", f, err).
		WithHint("see images.vulnerabilities of the policy: put the records there, one JSON file in OSV's format for each")
}

// Check refuses a folder that cannot be read or holds no record, by which nothing could be registered or run. It reads none.
// Errors: CodeUnavailable, CodeInvalid; the context's.
func (f Folder) Check(ctx context.Context) error {
	return f.each(ctx, func(string, fs.DirEntry) error { return fs.SkipAll })
}

// State is a hash of what the folder holds, by names, sizes and times of files: nothing is read. Errors: CodeUnavailable,
// CodeInvalid (it holds nothing, or too much); the context's.
func (f Folder) State(ctx context.Context) (string, error) {
	h := sha256.New()
	err := f.each(ctx, func(path string, e fs.DirEntry) error {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // it has gone while the folder was looked at
			return nil
		}
		if err != nil {
			return err
		}
		var b []byte
		b = binary.AppendUvarint(b, uint64(len(path)))
		b = append(b, path...)
		b = binary.AppendVarint(b, info.Size())
		b = binary.AppendVarint(b, info.ModTime().UnixNano())
		_, err = h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// Match finds the known vulnerabilities of parts, the worst first. What a record does not rate is rated as what it is called
// elsewhere. A release of Debian that no record names is one that nobody knows. Errors: CodeUnavailable, CodeInvalid (a record
// that cannot be read, with its file); the context's.
func (f Folder) Match(ctx context.Context, parts []sbom.Part) ([]openflow.Vulnerability, error) {
	m := matching{
		parts: map[string][]measure{}, ratings: map[string]openflow.Severity{}, names: map[string][]string{}, releases: map[string]bool{},
	}
	for _, p := range parts {
		m.parts[p.Key()] = append(m.parts[p.Key()], measured(p))
	}
	err := f.each(ctx, func(path string, _ fs.DirEntry) error {
		text, err := read(path)
		if err != nil {
			return err
		}
		r, err := ParseRecord(text)
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %w", path, err)
		}
		return m.record(ctx, r)
	})
	if err == nil {
		err = m.elsewhere()
	}
	if err != nil {
		return nil, err
	}
	return m.result(), nil
}

// read reads a record, and no more than one may have.
func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxRecord+1))
	return text, errors.Join(err, file.Close())
}

// matching is the state of one Match.
type matching struct {
	parts    map[string][]measure // by their keys
	ratings  map[string]openflow.Severity
	names    map[string][]string // other IDs of what a record that was found is about
	releases map[string]bool     // of Debian, that records name
	found    []match
	// Of parts whose release no record has named so far: what is found if none does.
	doubtful []match
}

// match is a vulnerability of a part.
type match struct {
	is      openflow.Vulnerability
	release string // of the part
}

func (m *matching) record(ctx context.Context, r Record) error {
	if r.Withdrawn != "" {
		return nil
	}
	own := worst(r.Severity)
	if own == "" {
		own = r.Database.severity()
	}
	if own != "" { // for those that are the same by another name
		for _, id := range append([]string{r.ID}, r.Aliases[:min(len(r.Aliases), maxNames)]...) {
			m.ratings[id] = worse(m.ratings[id], own)
		}
	}
	m.named(r)
	for key, about := range r.about(func(key string) bool { return len(m.parts[key]) > 0 }) {
		for _, p := range m.parts[key] {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.part(r, about, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// named notes which releases of Debian a record names.
func (m *matching) named(r Record) {
	for _, a := range r.Affected {
		ecosystem, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		if ecosystem != sbom.Debian || release == "" || m.releases[release] {
			continue
		}
		m.releases[release] = true
		m.doubtful = slices.DeleteFunc(m.doubtful, func(d match) bool { return d.release == release })
	}
}

func (m *matching) part(r Record, about []bounds, p measure) error {
	release := p.part.Release
	if v, hit := r.match(about, p); hit {
		if m.found = append(m.found, match{v, release}); len(m.found) > maxFound {
			return tooMany()
		}
		m.call(r)
	}
	if release == "" || m.releases[release] || len(m.doubtful) > maxFound {
		return nil
	}
	p.part.Release = ""
	if v, hit := r.match(about, p); hit {
		m.doubtful = append(m.doubtful, match{v, release})
		m.call(r)
	}
	return nil
}

// call notes by which other names a record goes.
func (m *matching) call(r Record) {
	m.names[r.ID] = append(slices.Clone(r.Aliases[:min(len(r.Aliases), maxNames)]), r.Upstream[:min(len(r.Upstream), maxNames)]...)
}

func tooMany() error {
	return openflow.Errorf(openflow.CodeInvalid, "it has more than %d vulnerabilities of one image", maxFound)
}

// elsewhere takes parts of a release that no record names for parts of any.
func (m *matching) elsewhere() error {
	m.found = slices.DeleteFunc(m.found, func(f match) bool { return f.release != "" && !m.releases[f.release] })
	if m.found = append(m.found, m.doubtful...); len(m.found) > maxFound {
		return tooMany()
	}
	return nil
}

// maxNames is how many other names of a vulnerability are looked at.
const maxNames = 50

// result rates what nobody has rated by its other names, and puts all in order.
func (m *matching) result() []openflow.Vulnerability {
	found := make([]openflow.Vulnerability, len(m.found))
	for i, f := range m.found {
		v := f.is
		if v.Severity == "" {
			for _, id := range append([]string{v.ID}, m.names[v.ID]...) {
				v.Severity = worse(v.Severity, m.ratings[id])
			}
		}
		found[i] = v
	}
	slices.SortFunc(found, func(a, b openflow.Vulnerability) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), strings.Compare(a.Package, b.Package), strings.Compare(a.ID, b.ID), strings.Compare(a.Version, b.Version))
	})
	return found
}
