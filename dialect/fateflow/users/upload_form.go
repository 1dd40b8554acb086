package users

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"os"
	"slices"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
)

// formFields are the fields of an upload. The first three say what the file becomes. FATE's clients always send partitions,
// which mean nothing here.
var formFields = []string{"namespace", "name", "meta", "head", "extend_sid", "partitions", "file"}

// idleFields are fields of FATE that somebody may rely on, and what happens instead.
var idleFields = map[string]string{
	"storage_engine": "tables are kept in the store of this node",
	"address":        "tables are kept in the store of this node",
	"destroy":        "a table of that name is always replaced",
	"drop":           "a table of that name is always replaced",
}

// withoutEffect tells of fields of an upload that have none. One that describes the columns is refused: it belongs into meta,
// and without it the file would be read as something else.
func withoutEffect(kind string, names []string) ([]string, error) {
	var notes []string
	for _, name := range slices.Sorted(slices.Values(names)) {
		shown := openflow.Cut(name, maxShownName)
		switch why := idleFields[name]; {
		case slices.Contains(formFields, name):
		case why != "":
			notes = append(notes, fmt.Sprintf("the %s %q has no effect: %s", kind, name, why))
		case slices.Contains(tables.MetaKeys(), name):
			return nil, openflow.Errorf(openflow.CodeInvalid, "the %s %q is one of meta", kind, name).
				WithHint(`write it there: meta={%q: …}`, name)
		default:
			notes = append(notes, fmt.Sprintf("the %s %q is not known and has no effect", kind, shown))
		}
	}
	return notes, nil
}

// maxShownName is how many bytes of an unknown field's name are told.
const maxShownName = 100

// maxSpooled bounds what is kept aside of a file whose form comes in the wrong order, or that is read twice.
const maxSpooled = 1 << 30

// What the fields of a form may have: bytes of one, their number, and bytes of all together, with their names.
const (
	maxField  = 1 << 20
	maxFields = 64
	maxForm   = 4 << 20
)

// uploadFile makes a table of a file. A form with namespace, name and meta before its file is streamed: the rows are read
// once and never kept. Another one is kept aside until its fields have come, in any order.
//
// Spec: fate-flow-api §1.4 #24. The job that upstream runs for it has ended here when the answer comes.
func (a *api) uploadFile(r *http.Request) (any, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected a multipart form: %w", err)
	}
	form := &uploadForm{parts: parts, fields: map[string]string{}}
	file, err := form.file()
	if err != nil {
		return nil, err
	}
	if form.settled() {
		s, notes, err := form.settings()
		if err != nil {
			return nil, err
		}
		return a.take(r, s, &lastPart{rows: file, form: form}, notes...)
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	kept, err := spool(file, maxSpooled)
	if err != nil {
		return nil, err
	}
	defer kept.discard()
	if err := form.rest(); err != nil {
		return nil, err
	}
	s, notes, err := form.settings()
	if err != nil {
		return nil, err
	}
	return a.take(r, s, kept, notes...)
}

// uploadForm is a multipart form as far as it has been read.
type uploadForm struct {
	parts  *multipart.Reader
	fields map[string]string
	bytes  int // of the fields
}

// settled reports whether the fields that say what the file becomes have come.
func (f *uploadForm) settled() bool {
	return !slices.ContainsFunc(formFields[:3], func(name string) bool { _, ok := f.fields[name]; return !ok })
}

// file reads up to the file.
func (f *uploadForm) file() (io.Reader, error) {
	for {
		part, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil, envelope.Numbered{
				Code: wire.NoFoundFile, Err: openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "no part \"file\" in the form")),
			}
		}
		if err != nil {
			return nil, err
		}
		if isFile(part) {
			return part, nil
		}
		if err := f.take(part); err != nil {
			return nil, err
		}
	}
}

// rest reads the fields after the file.
func (f *uploadForm) rest() error {
	for {
		part, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if isFile(part) {
			return openflow.Errorf(openflow.CodeInvalid, "the form has two files").WithHint("upload one after the other")
		}
		if err := f.take(part); err != nil {
			return err
		}
	}
}

func (f *uploadForm) next() (*multipart.Part, error) {
	part, err := f.parts.NextPart()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the form ended early: %w", err)
	}
	return part, err
}

func isFile(p *multipart.Part) bool { return p.FormName() == "file" }

func (f *uploadForm) take(p *multipart.Part) error {
	name := p.FormName()
	if _, twice := f.fields[name]; twice {
		return openflow.Errorf(openflow.CodeInvalid, "the form has the field %q twice", openflow.Cut(name, maxShownName))
	}
	if len(f.fields) == maxFields {
		return openflow.Errorf(openflow.CodeInvalid, "the form has more than %d fields", maxFields)
	}
	b, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(b) > maxField {
		return openflow.Errorf(openflow.CodeInvalid, "form field %q is unreadable or larger than %d bytes", openflow.Cut(name, maxShownName), maxField)
	}
	if f.bytes += len(name) + len(b); f.bytes > maxForm {
		return openflow.Errorf(openflow.CodeInvalid, "the form's fields have more than %d bytes", maxForm)
	}
	f.fields[name] = string(b)
	return nil
}

// settings reads the fields, and tells of those that have no effect.
func (f *uploadForm) settings() (uploadSettings, []string, error) {
	notes, err := withoutEffect("form field", slices.Collect(maps.Keys(f.fields)))
	if err != nil {
		return uploadSettings{}, nil, err
	}
	s, err := formSettings(f.fields)
	return s, notes, err
}

// lastPart is a file that is streamed; it must be the end of its form.
type lastPart struct {
	rows  io.Reader
	form  *uploadForm
	ended error
}

// Read implements io.Reader.
func (l *lastPart) Read(p []byte) (int, error) {
	if l.ended != nil {
		return 0, l.ended
	}
	n, err := l.rows.Read(p)
	if errors.Is(err, io.EOF) {
		err = l.end()
		l.ended = err
	}
	return n, err
}

func (l *lastPart) end() error {
	part, err := l.form.next()
	if err != nil {
		return err
	}
	return openflow.Errorf(openflow.CodeInvalid, "the form has the field %q after its file", openflow.Cut(part.FormName(), maxShownName)).
		WithHint("send all fields before the file")
}

// spooled is a file that is kept aside while it is needed.
type spooled struct{ *os.File }

// spool keeps a file of at most limit bytes.
func spool(rows io.Reader, limit int64) (spooled, error) {
	f, err := os.CreateTemp("", "openflow-upload-*")
	if err != nil {
		return spooled{}, openflow.Errorf(openflow.CodeInternal, "no place to keep the file: %w", err)
	}
	s := spooled{f}
	n, err := io.Copy(f, io.LimitReader(rows, limit+1))
	if err == nil && n > limit {
		err = openflow.Errorf(openflow.CodeInvalid, "the file has more than %d bytes and cannot be streamed", limit).
			WithHint("send namespace, name and meta before the file; upload sparse and tagged files in parts, or as dense ones")
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		s.discard()
		var known *openflow.Error
		if !errors.As(err, &known) {
			err = openflow.Errorf(openflow.CodeUnavailable, "the file did not come whole: %w", err)
		}
		return spooled{}, err
	}
	return s, nil
}

// discard removes the file. A leftover in the temporary folder harms nobody.
func (s spooled) discard() {
	_ = s.Close()
	_ = os.Remove(s.Name())
}
