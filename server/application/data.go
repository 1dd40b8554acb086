package application

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"openflow"
	"openflow/catalogue"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/tables"
)

// upload is what both upload routes know before the rows come.
type upload struct {
	Name openflow.TableName
	Meta tables.Meta
}

// uploadSettings are the arguments beside the file.
//
// Spec: fate-flow-api §1.4 #23.
type uploadSettings struct {
	File       string          `json:"file"`
	Head       *bool           `json:"head"`
	Partitions json.RawMessage `json:"partitions"`
	Meta       json.RawMessage `json:"meta"`
	ExtendSID  *bool           `json:"extend_sid"`
	Namespace  wire.Text       `json:"namespace"`
	Name       wire.Text       `json:"name"`
}

func (s uploadSettings) upload(fallback openflow.TableName) (upload, error) {
	u := upload{Name: openflow.TableName{Namespace: string(s.Namespace), Name: string(s.Name)}}
	if u.Name.Namespace == "" || u.Name.Name == "" {
		u.Name = fallback
	}
	for kind, v := range map[string]string{"namespace": u.Name.Namespace, "name": u.Name.Name} {
		if err := openflow.CheckIdentifier(kind, v); err != nil {
			return u, err
		}
	}
	meta := s.Meta
	if len(meta) == 0 || string(meta) == "null" {
		meta = json.RawMessage("{}")
	}
	var err error
	if u.Meta, err = tables.ParseMeta(meta); err != nil {
		return u, err
	}
	if s.Head != nil {
		u.Meta.Head = *s.Head
	}
	if s.ExtendSID != nil {
		u.Meta.ExtendSID = *s.ExtendSID
	}
	return u, u.Meta.Validate()
}

// uploadFile streams a CSV file into a table. The form's fields come before its file, so that the rows are read once
// and never kept.
//
// Spec: fate-flow-api §1.4 #24. The job that upstream runs for it has ended here when the answer comes.
func (a *API) uploadFile(r *http.Request) (any, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "expected a multipart form: %w", err)
	}
	fields := map[string]string{}
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInvalid, "no part \"file\" in the form"))
		}
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the form ended early: %w", err)
		}
		if part.FormName() != "file" {
			if fields[part.FormName()], err = field(part); err != nil {
				return nil, err
			}
			continue
		}
		s, err := formSettings(fields)
		if err != nil {
			return nil, err
		}
		return a.take(r, s, part)
	}
}

const maxField = 1 << 20

func field(p *multipart.Part) (string, error) {
	b, err := io.ReadAll(io.LimitReader(p, maxField+1))
	if err != nil || len(b) > maxField {
		return "", openflow.Errorf(openflow.CodeInvalid, "form field %q is unreadable or larger than %d bytes", p.FormName(), maxField)
	}
	return string(b), nil
}

// formSettings reads form values; booleans come in Python's spelling too (fate-client §1).
func formSettings(fields map[string]string) (uploadSettings, error) {
	s := uploadSettings{Namespace: wire.Text(fields["namespace"]), Name: wire.Text(fields["name"]), Meta: json.RawMessage(fields["meta"])}
	for key, into := range map[string]**bool{"head": &s.Head, "extend_sid": &s.ExtendSID} {
		v, ok := fields[key]
		if !ok || v == "" {
			continue
		}
		b, err := boolean(v)
		if err != nil {
			return s, openflow.Errorf(openflow.CodeInvalid, "%s: %q is not a boolean", key, v)
		}
		*into = &b
	}
	if len(s.Meta) > 0 && !json.Valid(s.Meta) {
		return s, openflow.Errorf(openflow.CodeInvalid, "meta: not valid JSON")
	}
	return s, nil
}

func boolean(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "t", "1", "yes", "y", "on":
		return true, nil
	case "false", "f", "0", "no", "n", "off":
		return false, nil
	}
	return false, errors.New("not a boolean")
}

// uploadPath takes a file of the upload folder of this node. Paths stay inside it (part 7 #14).
//
// Spec: fate-flow-api §1.4 #23.
func (a *API) uploadPath(r *http.Request) (any, error) {
	var s uploadSettings
	if err := reply.Decode(r, &s); err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(a.Uploads)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "the upload folder cannot be opened: %w", err)
	}
	defer func() { _ = folder.Close() }() // reading only
	name := s.File
	if filepath.IsAbs(name) {
		if name, err = filepath.Rel(a.Uploads, name); err != nil {
			name = s.File
		}
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeNotFound, "no file %q in the upload folder", s.File).
			WithHint("put it into %s, or send it with: openflow data upload", a.Uploads))
	}
	defer func() { _ = f.Close() }() // reading only
	return a.take(r, s, f)
}

// take turns CSV rows into a table, and records the job that the FATE client will ask for.
func (a *API) take(r *http.Request, s uploadSettings, rows io.Reader) (any, error) {
	if err := a.Space(); err != nil {
		return nil, err
	}
	id := a.NewID()
	u, err := s.upload(openflow.TableName{Namespace: "upload", Name: string(id)})
	if err != nil {
		return nil, err
	}
	started := time.Now()
	summary, ref, err := a.store(r.Context(), rows, u.Meta)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if summary.Rows == 0 {
		return nil, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeInvalid, "the file has no rows below its header"))
	}
	meta, err := summary.Schema.DataMeta()
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "schema of %s: %w", u.Name, err)
	}
	samples, err := json.Marshal(summary.Samples)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "samples of %s: %w", u.Name, err)
	}
	err = a.Catalogue.SaveTable(r.Context(), openflow.TableRecord{
		Name: u.Name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(summary.Rows), DataType: "dataframe", Meta: meta,
		Header: summary.Schema.Names(), Samples: samples,
	})
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := a.recordUpload(r, id, u.Name, started); err != nil {
		return nil, err
	}
	return reply.Answer{JobID: id, Data: map[string]any{
		"namespace": u.Name.Namespace, "name": u.Name.Name, "count": summary.Rows, "columns": summary.Schema.Names(),
	}}, nil
}

type stored struct {
	Digest string
	Bytes  int64
}

// store converts while it stores; a fault in the rows leaves nothing behind.
func (a *API) store(ctx context.Context, rows io.Reader, meta tables.Meta) (tables.Summary, stored, error) {
	read, write := io.Pipe()
	type outcome struct {
		summary tables.Summary
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		s, err := tables.FromCSV(ctx, rows, meta, write)
		_ = write.CloseWithError(err) // never fails; a nil error is the end of the stream
		done <- outcome{s, err}
	}()
	ref, err := a.Objects.Put(ctx, read)
	_ = read.CloseWithError(err) // lets the converter end when the store has failed
	o := <-done
	if o.err != nil {
		return o.summary, stored{}, o.err
	}
	return o.summary, stored{ref.Digest, ref.Bytes}, err
}

// recordUpload writes the row that the client polls with role=local, party_id=0 (fate-flow-api §1.4).
func (a *API) recordUpload(r *http.Request, id openflow.JobID, name openflow.TableName, started time.Time) error {
	local := openflow.Party{Role: openflow.RoleLocal, ID: "0"}
	self := a.About().Party
	dag := &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{local}, Stage: openflow.StageDefault,
		Tasks: []openflow.Task{{Name: "upload_0", Component: "upload", Parameters: openflow.Parameters{"namespace": name.Namespace, "name": name.Name}}},
	}
	spec := dag.ForParty(local)[0]
	now := time.Now()
	job := openflow.JobRecord{
		ID: id, Party: local, Scheduler: self, Initiator: self, Status: openflow.JobSuccess, Progress: 100, DAG: dag,
		ModelID: string(id), ModelVersion: "0", UserName: r.Header.Get(wire.UserHeader), StartTime: started, EndTime: now,
	}
	task := openflow.TaskRecord{
		Key: openflow.TaskKey{Job: id, Task: "upload_0", Party: local}, Scheduler: self, SyncType: openflow.Callback,
		Component: "upload", Provider: "openflow", Status: openflow.TaskSuccess, PartyStatus: openflow.TaskSuccess, Spec: spec,
		StartTime: started, EndTime: now,
	}
	return openflow.About(openflow.AboutJob, a.Catalogue.CreateJob(r.Context(), job, []openflow.TaskRecord{task}))
}

func (a *API) namedTable(r *http.Request) (openflow.TableRecord, error) {
	v, err := required(r, "namespace", "name")
	if err != nil {
		return openflow.TableRecord{}, err
	}
	rec, err := a.Catalogue.Table(r.Context(), openflow.TableName{Namespace: v[0], Name: v[1]})
	return rec, openflow.About(openflow.AboutTable, err)
}

// queryTable describes a table.
//
// Spec: fate-flow-api §1.5 #28.
func (a *API) queryTable(r *http.Request) (any, error) {
	rec, err := a.namedTable(r)
	if err != nil {
		return nil, err
	}
	info := wire.EncodeTable(rec, "openflow:///"+rec.Name.String())
	if r.URL.Query().Get("display") != "" {
		info.Display = orEmptyList(rec.Samples)
	}
	return info, nil
}

// listTables lists the tables that people have put here.
func (a *API) listTables(r *http.Request) (any, error) {
	list, err := a.Catalogue.TableList(r.Context(), catalogue.TableFilter{
		Namespace: r.URL.Query().Get("namespace"), SkipIntermediate: true, Limit: pageLimit,
	})
	out := make([]wire.TableInfo, 0, len(list))
	for _, rec := range list {
		out = append(out, wire.EncodeTable(rec, "openflow:///"+rec.Name.String()))
	}
	return out, err
}

func (a *API) deleteTable(r *http.Request) (any, error) {
	var b struct {
		Namespace wire.Text `json:"namespace" check:"required"`
		Name      wire.Text `json:"name" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	name := openflow.TableName{Namespace: string(b.Namespace), Name: string(b.Name)}
	if _, err := a.Catalogue.Table(r.Context(), name); err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := a.unused(r.Context(), name); err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := a.Catalogue.DeleteTable(r.Context(), name); err != nil {
		return nil, err
	}
	return nil, a.audit(r, "data", name.String())
}

// downloadTable packs one table as tar.gz.
//
// Spec: fate-flow-api §1.4 #27.
func (a *API) downloadTable(w http.ResponseWriter, r *http.Request) {
	rec, err := a.namedTable(r)
	if err != nil {
		reply.Error(a.Log, w, r, err)
		return
	}
	name := fmt.Sprintf("download_data_%s_%s.tar.gz", rec.Name.Namespace, rec.Name.Name)
	a.pack(w, r, name, []packed{{"data/0", rec}})
}

// downloadOutput packs the output tables of a task as tar.gz, all or those of output_key (part 7 #9).
//
// Spec: fate-flow-api §1.3 #20.
func (a *API) downloadOutput(w http.ResponseWriter, r *http.Request) {
	t, list, err := a.outputsOf(r)
	if err != nil {
		reply.Error(a.Log, w, r, err)
		return
	}
	a.pack(w, r, fmt.Sprintf("%s_%s_%s_%s", t.Key.Job, t.Key.Party.Role, t.Key.Party.ID, t.Key.Task), list)
}

func (a *API) outputsOf(r *http.Request) (openflow.TaskRecord, []packed, error) {
	t, err := a.queriedTask(r)
	if err != nil {
		return t, nil, err
	}
	outputs, err := a.Catalogue.Outputs(r.Context(), t.Key)
	if err != nil {
		return t, nil, err
	}
	var list []packed
	for _, o := range outputs {
		if key := r.URL.Query().Get("output_key"); key != "" && key != o.OutputKey {
			continue
		}
		rec, err := a.Catalogue.Table(r.Context(), o.Table)
		if err != nil {
			return t, nil, openflow.About(openflow.AboutTable, err)
		}
		list = append(list, packed{fmt.Sprintf("%s/%d", o.OutputKey, o.Index), rec})
	}
	if len(list) == 0 {
		return t, nil, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "No found table: task %q has no output data here", t.Key.Task))
	}
	return t, list, nil
}

// packed is a table under its name in an archive, without extension.
type packed struct {
	name string
	rec  openflow.TableRecord
}

// pack writes tables as CSV with a .meta beside each. One table is converted to a temporary file at a time, because tar
// wants a size first; memory does not grow with the rows.
//
// Spec: fate-components §1.7.
func (a *API) pack(w http.ResponseWriter, r *http.Request, filename string, list []packed) {
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s"`, filename))
	zip := gzip.NewWriter(w)
	out := tar.NewWriter(zip)
	for _, p := range list {
		if err := a.packTable(r, out, p); err != nil {
			a.Log.WarnContext(r.Context(), "table not sent whole", "table", p.rec.Name.String(), "err", err)
			panic(http.ErrAbortHandler) // a short archive must not look whole
		}
	}
	if err := closeAll(out, zip); err != nil {
		a.Log.DebugContext(r.Context(), "archive not sent whole", "err", err)
	}
}

func (a *API) packTable(r *http.Request, out *tar.Writer, p packed) error {
	body, _, err := a.Objects.Get(r.Context(), p.rec.Object, 0)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // reading only
	f, err := os.CreateTemp("", "openflow-table-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a leftover in the temporary folder harms nobody
	defer func() { _ = f.Close() }()           // it is removed anyway
	schema, err := tables.ToCSV(r.Context(), f, body)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: p.name + ".csv", Mode: 0o600, Size: size, ModTime: p.rec.UpdateTime}); err != nil {
		return err
	}
	if _, err := io.Copy(out, f); err != nil {
		return err
	}
	meta, err := json.MarshalIndent(map[string][]string{"header": schema.Names()}, "", "    ")
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: p.name + ".meta", Mode: 0o600, Size: int64(len(meta)), ModTime: p.rec.UpdateTime}); err != nil {
		return err
	}
	_, err = out.Write(meta)
	return err
}
