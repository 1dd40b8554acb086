package sbom

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"openflow"
)

// What an image may hold that is looked at. It is believed to be hostile.
const (
	maxEntries = 2_000_000 // files of all layers
	maxLayers  = 64 << 30  // bytes of all layers, unpacked
	maxFile    = 64 << 20  // bytes of a file of dpkg's or Python's that is read
	maxKept    = 256 << 20 // bytes of all that are kept
	maxLooks   = 20e6      // at what is kept, for all that layers remove
	maxName    = 4 << 10   // bytes of a file's name: Linux opens none that is longer
	maxProgram = 1 << 30   // bytes of a program that is looked at; one that is larger is passed over
	maxSaid    = 300_000   // parts that all files speak of, repeats and replaced ones included
)

// wellKnown are the places in an image where a list of its parts is looked for.
var wellKnown = []string{"sbom.cdx.json", "usr/share/sbom/sbom.cdx.json", "usr/local/share/sbom/sbom.cdx.json"}

// Collector reads the layers of an image, the lowest first. The zero value is ready. It keeps what each file says that is there
// in the end: a file that a later layer replaces or removes does not count.
type Collector struct {
	Named string // where the image says that its list is; empty: the well-known places
	Temp  string // folder for one program at a time; empty: the system's

	held    held // by the layers so far
	upper   held // by the one that is read
	entries int
	looks   int
	bytes   int64
	kept    int64
	said    int
}

// held is what files say, by their path.
type held struct {
	parts map[string][]Part
	texts map[string][]byte // lists and os-release
}

func newHeld() held { return held{map[string][]Part{}, map[string][]byte{}} }

// Layer reads a layer: a tar that is not packed. Errors: CodeInvalid.
func (c *Collector) Layer(r io.Reader) error {
	if c.held.parts == nil {
		c.held = newHeld()
	}
	c.upper = newHeld()
	counted := &counting{r: r, left: maxLayers - c.bytes}
	defer func() { c.bytes += counted.n }()
	t := tar.NewReader(counted)
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			maps.Copy(c.held.parts, c.upper.parts)
			maps.Copy(c.held.texts, c.upper.texts)
			return nil
		case openflow.CodeOf(err) == openflow.CodeInvalid:
			return err
		case err != nil:
			return openflow.Errorf(openflow.CodeInvalid, "a layer of the image is not a tar archive: %w", err)
		}
		if c.entries++; c.entries > maxEntries {
			return openflow.Errorf(openflow.CodeInvalid, "the image has more than %d files", maxEntries)
		}
		if len(h.Name) > maxName {
			return openflow.Errorf(openflow.CodeInvalid, "a file of the image has a name of %d bytes, more than %d", len(h.Name), maxName)
		}
		if sparse(h) {
			return openflow.Errorf(openflow.CodeInvalid, "%s in the image is a sparse file, which layers do not have", openflow.Line(openflow.Cut(h.Name, 200)))
		}
		if err := c.entry(strings.TrimPrefix(path.Clean("/"+h.Name), "/"), h, t); err != nil {
			return err
		}
	}
}

// sparse reports whether a file has holes, so that a few bytes of a layer stand for any number of them.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// counting ends a layer that is larger than it may be.
type counting struct {
	r       io.Reader
	n, left int64
}

func (c *counting) Read(p []byte) (int, error) {
	if c.n >= c.left {
		return 0, openflow.Errorf(openflow.CodeInvalid, "the image's layers have more than %d bytes", int64(maxLayers))
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// Prefixes of names by which a layer removes what those below it have (OCI Image Specification, layer.md).
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// entry looks at one file of a layer. What removes files removes those of the layers below, wherever it stands in its own.
func (c *Collector) entry(name string, h *tar.Header, r io.Reader) error {
	dir, base := path.Split(name)
	switch {
	case base == opaque:
		return c.forget(func(p string) bool { return strings.HasPrefix(p, dir) })
	case strings.HasPrefix(base, whiteout):
		gone := dir + strings.TrimPrefix(base, whiteout)
		return c.forget(func(p string) bool { return p == gone || strings.HasPrefix(p, gone+"/") })
	}
	for _, of := range []held{c.held, c.upper} { // another file takes its place
		delete(of.parts, name)
		delete(of.texts, name)
	}
	if h.Typeflag != tar.TypeReg {
		return nil
	}
	switch {
	case c.isList(name), name == "etc/os-release", name == "usr/lib/os-release":
		text, err := c.whole(name, r)
		c.upper.texts[name] = text
		return err
	case name == "var/lib/dpkg/status" || path.Dir(name) == "var/lib/dpkg/status.d" && !strings.HasSuffix(name, ".md5sums"):
		text, err := c.whole(name, r)
		if err != nil {
			return err
		}
		return c.says(name, dpkg(text))
	case base == "METADATA" && strings.HasSuffix(path.Dir(name), ".dist-info"):
		text, err := c.whole(name, r)
		if err != nil {
			return err
		}
		return c.says(name, python(text))
	}
	return c.program(name, h, r)
}

// says keeps the parts that a file speaks of.
func (c *Collector) says(name string, parts []Part) error {
	if len(parts) == 0 {
		return nil
	}
	if c.said += len(parts); c.said > maxSaid {
		return openflow.Errorf(openflow.CodeInvalid, "the files of the image speak of more than %d parts", maxSaid)
	}
	c.upper.parts[name] = parts
	return nil
}

func (c *Collector) isList(name string) bool {
	if c.Named != "" {
		return name == strings.TrimPrefix(path.Clean("/"+c.Named), "/")
	}
	for _, known := range wellKnown {
		if name == known {
			return true
		}
	}
	return false
}

func (c *Collector) forget(gone func(string) bool) error {
	if c.looks += len(c.held.parts) + len(c.held.texts); c.looks > maxLooks {
		return openflow.Errorf(openflow.CodeInvalid, "the image removes more files than are looked for")
	}
	maps.DeleteFunc(c.held.parts, func(p string, _ []Part) bool { return gone(p) })
	maps.DeleteFunc(c.held.texts, func(p string, _ []byte) bool { return gone(p) })
	return nil
}

// whole reads a file that is kept, or counted.
func (c *Collector) whole(name string, r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, unreadable(name, err)
	}
	c.kept += int64(len(text))
	if len(text) > maxFile || c.kept > maxKept {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s in the image is larger than is read", openflow.Line(openflow.Cut(name, 200)))
	}
	return text, nil
}

func unreadable(name string, err error) error {
	if openflow.CodeOf(err) == openflow.CodeInvalid {
		return err
	}
	return openflow.Errorf(openflow.CodeInvalid, "%s in the image cannot be read: %w", openflow.Line(openflow.Cut(name, 200)), err)
}

// program looks at a file that may be a Go program: it is executable, and begins as such files do.
func (c *Collector) program(name string, h *tar.Header, r io.Reader) (err error) {
	var begin [4]byte
	if h.Mode&0o111 == 0 || h.Size < int64(len(begin)) || h.Size > maxProgram {
		return nil
	}
	if _, err := io.ReadFull(r, begin[:]); err != nil {
		return unreadable(name, err)
	}
	if string(begin[:]) != "\x7fELF" {
		return nil
	}
	f, err := os.CreateTemp(c.Temp, "openflow-sbom-")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "a program of the image: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return openflow.Errorf(openflow.CodeInternal, "a program of the image: %w", err)
	}
	if _, err := io.Copy(f, io.MultiReader(bytes.NewReader(begin[:]), r)); err != nil {
		return unreadable(name, err)
	}
	if parts, ok := Of(f); ok {
		return c.says(name, parts)
	}
	return nil
}

// Document is the list of an image's parts: its text in CycloneDX's JSON, and those parts that are compared with
// vulnerabilities.
type Document struct {
	Text   []byte
	Parts  []Part
	Origin string // where it comes from, for people
}

// Origins of documents.
const (
	Given   = "given when it was registered"
	Derived = "made from what the image says of its parts"
	both    = ", with what the image says of its parts"
)

// Document is the list that lies in the image, with what is found there besides; or else what is found. The list is its maker's
// word, and takes nothing away. ok is false when nothing there says what it is. Errors: CodeInvalid (the list in the image).
func (c *Collector) Document(subject string) (d Document, ok bool, err error) {
	found, ok, err := c.Found(subject)
	if err != nil {
		return d, false, err
	}
	for _, at := range append([]string{strings.TrimPrefix(path.Clean("/"+c.Named), "/")}, wellKnown...) {
		if text := c.held.texts[at]; text != nil && c.isList(at) {
			d, err = Join(Document{Text: text, Origin: "/" + at + " in the image"}, found)
			return d, err == nil, err
		}
	}
	return found, ok, nil
}

// Found is the list of what is found in the image, whatever list lies there. ok is false when there is nothing. Errors: CodeInvalid.
func (c *Collector) Found(subject string) (d Document, ok bool, err error) {
	of := release(c.held.texts["etc/os-release"])
	if of == "" {
		of = release(c.held.texts["usr/lib/os-release"])
	}
	var parts []Part
	for _, said := range c.held.parts {
		for _, p := range said {
			if p.Ecosystem == Debian {
				p.Release = of
			}
			parts = append(parts, p)
		}
	}
	if len(parts) == 0 {
		return Document{}, false, nil
	}
	if parts = sorted(parts); len(parts) > maxParts {
		return Document{}, false, openflow.Errorf(openflow.CodeInvalid, "the image has %d parts, more than %d", len(parts), maxParts)
	}
	if err := fewVersions(parts); err != nil {
		return Document{}, false, err
	}
	text, err := Write(subject, parts)
	return Document{text, parts, Derived}, err == nil, err
}

// Join adds what was found to a list that somebody else made. Only what that lacks is added. Errors: CodeInvalid (the list).
func Join(list, found Document) (Document, error) {
	parts, _, err := Read(list.Text)
	if err != nil {
		return list, err
	}
	list.Parts = parts
	more := slices.DeleteFunc(slices.Clone(found.Parts), func(p Part) bool {
		_, has := slices.BinarySearchFunc(parts, p, compare)
		return has
	})
	if len(more) == 0 {
		return list, nil
	}
	if list.Text, err = add(list.Text, more); err != nil {
		return list, err
	}
	list.Origin += both
	list.Parts, _, err = Read(list.Text)
	return list, err
}

// OfProgram is the list of a program's parts; ok is false for one that says nothing.
func OfProgram(subject string, program io.ReaderAt) (d Document, ok bool, err error) {
	parts, ok := Of(program)
	if !ok {
		return d, false, nil
	}
	text, err := Write(subject, parts)
	return Document{text, parts, Derived}, err == nil, err
}
