package users

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/models"
	"openflow/server/reply"
	"openflow/store/catalogue"
)

// exported is the data of an export; ours.
type exported struct {
	Path   string `json:"path"`   // of the archive, on the node's machine
	Models int    `json:"models"` // how many it holds
}

// exportModels writes the models of one party into an archive below the folder of exports. What the client names as its path is a
// folder in there.
//
// Spec: fate-flow-api §1.7 #34; the folder: part 7 #14.
func (a *api) exportModels(r *http.Request) (any, error) {
	var b struct {
		ModelID   wire.Text `json:"model_id" check:"required"`
		Version   wire.Text `json:"model_version" check:"required"`
		Role      wire.Text `json:"role" check:"required"`
		PartyID   wire.Text `json:"party_id" check:"required"`
		Path      wire.Text `json:"path" check:"required"`
		Scheduler wire.Text `json:"scheduler_party_id"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	for key, v := range map[string]wire.Text{"model_id": b.ModelID, "model_version": b.Version, "role": b.Role, "party_id": b.PartyID} {
		if err := openflow.CheckIdentifier(key, string(v)); err != nil {
			return nil, err
		}
	}
	folder, err := a.exportFolder(string(b.Path))
	if err != nil {
		return nil, err
	}
	list, err := a.Catalogue.Models(r.Context(), catalogue.ModelFilter{
		ModelID: string(b.ModelID), Version: string(b.Version), Role: openflow.Role(b.Role), Party: openflow.PartyID(b.PartyID), Scheduler: openflow.PartyID(b.Scheduler),
	})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, noModel("model_id[%s],model_version[%s],role[%s],party_id[%s]", b.ModelID, b.Version, b.Role, b.PartyID)
	}
	if err := oneScheduler(list); err != nil {
		return nil, err
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	name := path.Join(folder, fmt.Sprintf("%s_%s_%s_%s.zip", b.ModelID, b.Version, b.Role, b.PartyID))
	if err := a.writeArchive(r.Context(), folder, name, list); err != nil {
		return nil, openflow.About(openflow.AboutFile, err)
	}
	if err := a.Audit(r, "model", string(b.ModelID)+" "+string(b.Version)); err != nil {
		return nil, err
	}
	return exported{filepath.Join(a.Exports, filepath.FromSlash(name)), len(list)}, nil
}

// noModel is that there is no such model here; the rest names it.
func noModel(format string, args ...any) error {
	return openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeNotFound, "No found output model: "+format, args...))
}

// oneScheduler refuses models that jobs of several schedulers have made under one name.
func oneScheduler(list []openflow.ModelRecord) error {
	for _, m := range list[1:] {
		if m.Scheduler != list[0].Scheduler {
			return openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeConflict,
				"model_id[%s] is here from schedulers %s and %s", m.ModelID, list[0].Scheduler, m.Scheduler).WithHint("name the scheduler: scheduler_party_id"))
		}
	}
	return nil
}

// exportFolder is the folder that a client names, as a path below that of exports.
func (a *api) exportFolder(said string) (string, error) {
	below := said
	if filepath.IsAbs(said) {
		var err error
		if below, err = filepath.Rel(a.Exports, said); err != nil {
			below = said
		}
	}
	if len(said) > openflow.MaxHeard || !filepath.IsLocal(below) {
		return "", openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodePermission, "path %q is no folder below that of exports", openflow.Heard(said)).
			WithHint("name a folder below %s; the node's operator says which that is: openflow server --exports", a.Exports))
	}
	return filepath.ToSlash(filepath.Clean(below)), nil
}

// writeArchive writes the archive aside, and gives it its name when it is whole. The root keeps links from leading elsewhere.
func (a *api) writeArchive(ctx context.Context, folder, name string, list []openflow.ModelRecord) (err error) {
	if err := os.MkdirAll(a.Exports, 0o700); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the folder of exports cannot be made: %w", err)
	}
	root, err := os.OpenRoot(a.Exports)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "the folder of exports cannot be opened: %w", err)
	}
	defer func() { _ = root.Close() }() // what was written is closed below
	if err := root.MkdirAll(folder, 0o700); err != nil {
		return openflow.Errorf(openflow.CodePermission, "no folder %q can be made below that of exports: %w", folder, err)
	}
	part := name + "." + string(a.NewID()) + ".part"
	f, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return openflow.Errorf(openflow.CodePermission, "no file can be written into folder %q of the exports: %w", folder, err)
	}
	defer func() {
		if err != nil {
			_ = root.Remove(part) // what is left of it says by its name that it is not whole
		}
	}()
	err = a.zipModels(ctx, f, list)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = root.Rename(part, name)
	}
	return err
}

// zipModels writes one package after the other.
func (a *api) zipModels(ctx context.Context, into io.Writer, list []openflow.ModelRecord) error {
	out := zip.NewWriter(into)
	for _, m := range list {
		body, _, err := a.Objects.Get(ctx, m.Object, 0)
		if err != nil {
			return openflow.About(openflow.AboutModel, err)
		}
		entry, err := out.Create(path.Join(m.ModelID, m.Version, string(m.Party.Role), string(m.Party.ID), string(m.Task), m.OutputKey))
		if err == nil {
			_, err = io.Copy(entry, body)
		}
		_ = body.Close() // reading only
		if err != nil {
			return err
		}
	}
	return out.Close()
}

// What an archive of models may have.
const (
	maxImported     = 1000    // packages
	maxImportedSize = 8 << 30 // bytes of all of them, unpacked
)

// imported is the data of an import; ours.
type imported struct {
	Models int `json:"models"`
}

// importModels takes the models of an archive that a site has exported, under the name that the form says. All of them are
// taken or none.
//
// Spec: fate-flow-api §1.7 #35; each entry is checked: part 7 #46.
func (a *api) importModels(r *http.Request) (any, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected a multipart form: %w", err)
	}
	form := &uploadForm{parts: parts, fields: map[string]string{}}
	file, err := form.file()
	if err != nil {
		return nil, err
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	kept, err := spool(file, maxSpooled)
	if err != nil {
		return nil, openflow.About(openflow.AboutFile, err)
	}
	defer kept.discard()
	if err := form.rest(); err != nil {
		return nil, err
	}
	ref, err := importName(form.fields)
	if err != nil {
		return nil, err
	}
	list, err := a.unpackModels(r.Context(), kept, ref)
	if err != nil {
		return nil, err
	}
	if err := a.Catalogue.ImportModels(r.Context(), list); err != nil {
		return nil, openflow.About(openflow.AboutModel, err)
	}
	return imported{len(list)}, a.Audit(r, "model", ref.ID+" "+ref.Version)
}

// importName reads under which name models are imported.
func importName(fields map[string]string) (openflow.ModelRef, error) {
	var missing []string
	for _, key := range []string{"model_id", "model_version"} {
		if fields[key] == "" {
			missing = append(missing, key)
		} else if err := openflow.CheckIdentifier(key, fields[key]); err != nil {
			return openflow.ModelRef{}, err
		}
	}
	if len(missing) > 0 {
		return openflow.ModelRef{}, &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing " + strings.Join(missing, ", "), Err: wire.MissingFields(missing),
		}
	}
	return openflow.ModelRef{ID: fields["model_id"], Version: fields["model_version"]}, nil
}

// unpackModels stores the packages of an archive. What it has stored without a record goes with the next sweep.
func (a *api) unpackModels(ctx context.Context, file spooled, ref openflow.ModelRef) ([]openflow.ModelRecord, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "the archive cannot be read: %w", err)
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "file: no zip archive: %w", err)
	}
	if len(archive.File) > maxImported {
		return nil, openflow.Errorf(openflow.CodeInvalid, "file: the archive has %d entries, and %d are allowed", len(archive.File), maxImported)
	}
	var list []openflow.ModelRecord
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		m, err := a.modelOf(entry.Name, ref)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	if len(list) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "file: the archive has no model")
	}
	left, n := int64(maxImportedSize), 0
	for _, entry := range archive.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		if err := a.storeModel(ctx, entry, left, &list[n]); err != nil {
			return nil, err
		}
		left, n = left-list[n].Bytes, n+1
	}
	return list, nil
}

// modelOf reads the name of an entry: <model_id>/<model_version>/<role>/<party_id>/<task_name>/<output_key>, where the first two are
// replaced. The model belongs to this site, as if a job of its own had made it.
func (a *api) modelOf(name string, ref openflow.ModelRef) (openflow.ModelRecord, error) {
	at := strings.Split(name, "/")
	if len(at) != 6 {
		return openflow.ModelRecord{}, openflow.Errorf(openflow.CodeInvalid, "file: entry %q is no model", openflow.Heard(name)).
			WithHint("entries are <model_id>/<model_version>/<role>/<party_id>/<task_name>/<output_key>, as an export writes them")
	}
	for i, kind := range []string{"model_id", "model_version", "role", "party_id", "task_name", "output_key"} {
		if err := openflow.CheckIdentifier("file: "+kind, at[i]); err != nil {
			return openflow.ModelRecord{}, err
		}
	}
	self := a.About().Party
	m := openflow.ModelRecord{
		ModelID: ref.ID, Version: ref.Version, Party: openflow.Party{Role: openflow.Role(at[2]), ID: openflow.PartyID(at[3])},
		Task: openflow.TaskName(at[4]), OutputKey: at[5], Scheduler: self, Initiator: self,
	}
	switch {
	case !m.Party.Role.Valid():
		return m, openflow.Errorf(openflow.CodeInvalid, "file: entry %q has the unknown role %q", openflow.Heard(name), at[2])
	case m.Party.ID != self:
		return m, openflow.Errorf(openflow.CodeInvalid, "file: the archive has a model of party %s, and this is party %s", m.Party.ID, self).
			WithHint("import here what was exported for party %s", self)
	}
	return m, nil
}

// storeModel stores one package and reads what it says of itself.
func (a *api) storeModel(ctx context.Context, entry *zip.File, most int64, m *openflow.ModelRecord) error {
	body, err := entry.Open()
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "file: entry %q is damaged: %w", openflow.Heard(entry.Name), err)
	}
	defer func() { _ = body.Close() }() // reading only
	bounded := &limited{body, most}
	ref, err := a.Objects.Put(ctx, bounded)
	switch {
	case bounded.left < 0:
		return openflow.Errorf(openflow.CodeInvalid, "file: the models have more than %s", openflow.FormatBytes(maxImportedSize))
	case errors.Is(err, zip.ErrChecksum) || errors.Is(err, zip.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF):
		return openflow.Errorf(openflow.CodeInvalid, "file: entry %q is damaged: %w", openflow.Heard(entry.Name), err)
	case err != nil:
		return err
	}
	stored, _, err := a.Objects.Get(ctx, ref.Digest, 0)
	if err != nil {
		return err
	}
	defer func() { _ = stored.Close() }() // reading only
	if m.Meta, err = models.Meta(stored); err != nil {
		return err
	}
	said := models.Members(m.Meta)
	if len(said) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "file: entry %q does not say what it is: it has no yaml with model_key and type_name", openflow.Heard(entry.Name))
	}
	m.Object, m.Bytes, m.TypeName = ref.Digest, ref.Bytes, openflow.Cut(said[0].TypeName, openflow.MaxHeard)
	return nil
}

// limited ends with an error after so many bytes.
type limited struct {
	from io.Reader
	left int64
}

var errTooMuch = errors.New("more than is allowed")

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooMuch
	}
	return n, err
}

// removeModels forgets models by their ID and version, and by what else the body says.
//
// Spec: fate-flow-api §1.7 #36.
func (a *api) removeModels(r *http.Request) (any, error) {
	var b struct {
		ModelID   wire.Text `json:"model_id" check:"required"`
		Version   wire.Text `json:"model_version" check:"required"`
		Role      wire.Text `json:"role"`
		PartyID   wire.Text `json:"party_id"`
		TaskName  wire.Text `json:"task_name"`
		OutputKey wire.Text `json:"output_key"`
		Scheduler wire.Text `json:"scheduler_party_id"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	n := 0
	if err := a.Ending(func() (err error) {
		n, err = a.Catalogue.DeleteModels(r.Context(), catalogue.ModelFilter{
			ModelID: string(b.ModelID), Version: string(b.Version), Role: openflow.Role(b.Role), Party: openflow.PartyID(b.PartyID),
			Task: openflow.TaskName(b.TaskName), OutputKey: string(b.OutputKey), Scheduler: openflow.PartyID(b.Scheduler),
		})
		return err
	}); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, noModel("model_id[%s],model_version[%s]", openflow.Heard(string(b.ModelID)), openflow.Heard(string(b.Version)))
	}
	return map[string]bool{"count": true}, a.Audit(r, "model", string(b.ModelID)+" "+string(b.Version))
}

// noServing refuses what FATE-Flow answers with success and does not do.
//
// Spec: fate-flow-api §1.7 #37–40, part 7 #1.
func noServing(what, instead string) reply.Handler {
	return func(*http.Request) (any, error) {
		return nil, openflow.About(openflow.AboutModel, openflow.Errorf(openflow.CodeUnimplemented, "model %s is not implemented", what).WithHint("%s", instead))
	}
}
