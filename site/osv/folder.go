package osv

import (
	"cmp"
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
func (f Folder) each(visit func(path string, e fs.DirEntry) error) error {
	n := 0
	err := filepath.WalkDir(string(f), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.HasSuffix(path, ".json") {
			return err
		}
		if n++; n > maxRecords {
			return openflow.Errorf(openflow.CodeInvalid, "it has more than %d records", maxRecords)
		}
		return visit(path, e)
	})
	if err == nil && n == 0 {
		err = openflow.Errorf(openflow.CodeInvalid, "it has no record: no file that ends in .json")
	}
	if err == nil {
		return nil
	}
	code := openflow.CodeOf(err)
	if code != openflow.CodeInvalid {
		code = openflow.CodeUnavailable
	}
	return openflow.Errorf(code, "the folder of vulnerabilities, %s, cannot be read: %w", f, err).
		WithHint("see images.vulnerabilities of the policy: put the records there, one JSON file in OSV's format for each")
}

// State is a hash of what the folder holds, by names, sizes and times of files: nothing is read. Errors: CodeUnavailable,
// CodeInvalid (it holds nothing, or too much).
func (f Folder) State() (string, error) {
	h := sha256.New()
	err := f.each(func(path string, e fs.DirEntry) error {
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
// elsewhere. Errors: CodeUnavailable, CodeInvalid (a record that cannot be read, with its file).
func (f Folder) Match(parts []sbom.Part) ([]openflow.Vulnerability, error) {
	m := matching{parts: map[string][]sbom.Part{}, ratings: map[string]openflow.Severity{}, names: map[string][]string{}}
	for _, p := range parts {
		m.parts[p.Ecosystem+" "+p.Name] = append(m.parts[p.Ecosystem+" "+p.Name], p)
	}
	err := f.each(func(path string, _ fs.DirEntry) error {
		text, err := read(path)
		if err != nil {
			return err
		}
		r, err := ParseRecord(text)
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%s: %w", path, err)
		}
		return m.record(r)
	})
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
	parts   map[string][]sbom.Part // by ecosystem and name
	ratings map[string]openflow.Severity
	names   map[string][]string // other IDs of what a record that was found is about
	found   []openflow.Vulnerability
}

func (m *matching) record(r Record) error {
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
	seen := map[string]bool{}
	for _, a := range r.Affected {
		ecosystem, _, _ := strings.Cut(a.Package.Ecosystem, ":")
		name := a.Package.Name
		if ecosystem == sbom.PyPI {
			name = sbom.Normal(name)
		}
		key := ecosystem + " " + name
		if seen[key] {
			continue
		}
		seen[key] = true
		for _, p := range m.parts[key] {
			v, hit := r.Match(p)
			if !hit {
				continue
			}
			if m.found = append(m.found, v); len(m.found) > maxFound {
				return openflow.Errorf(openflow.CodeInvalid, "it has more than %d vulnerabilities of one image", maxFound)
			}
			m.names[v.ID] = append(slices.Clone(r.Aliases[:min(len(r.Aliases), maxNames)]), r.Upstream[:min(len(r.Upstream), maxNames)]...)
		}
	}
	return nil
}

// maxNames is how many other names of a vulnerability are looked at.
const maxNames = 50

// result rates what nobody has rated by its other names, and puts all in order.
func (m *matching) result() []openflow.Vulnerability {
	for i, v := range m.found {
		if v.Severity != "" {
			continue
		}
		for _, id := range append([]string{v.ID}, m.names[v.ID]...) {
			m.found[i].Severity = worse(m.found[i].Severity, m.ratings[id])
		}
	}
	slices.SortFunc(m.found, func(a, b openflow.Vulnerability) int {
		return cmp.Or(cmp.Compare(b.Severity.Rank(), a.Severity.Rank()), strings.Compare(a.Package, b.Package), strings.Compare(a.ID, b.ID), strings.Compare(a.Version, b.Version))
	})
	return m.found
}
