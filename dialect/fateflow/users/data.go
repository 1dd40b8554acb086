package users

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"

	"openflow"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
)

// queryTable describes a table.
//
// Spec: fate-flow-api §1.5 #28.
func (a *api) queryTable(r *http.Request) (any, error) {
	rec, err := a.NamedTable(r)
	if err != nil {
		return nil, err
	}
	info := wire.EncodeTable(rec, application.TableAddress(rec.Name))
	if rec.DataType == openflow.TypeDirectory {
		info.Engine, info.Path = "path", rec.URI // what it was made of
	}
	if text := r.URL.Query().Get("display"); text != "" {
		show, err := boolean(text)
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "display: %.60q is not a boolean", text).WithHint("write true or false")
		}
		if show {
			info.Display = orEmptyList(rec.Samples)
		}
	}
	return info, nil
}

func (a *api) deleteTable(r *http.Request) (any, error) {
	var b struct {
		Namespace wire.Text `json:"namespace" check:"required"`
		Name      wire.Text `json:"name" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	name := openflow.TableName{Namespace: string(b.Namespace), Name: string(b.Name)}
	return nil, a.Ending(func() error {
		if err := a.Catalogue.DeleteTable(r.Context(), name); err != nil {
			return err
		}
		return a.Audit(r, "data", name.String())
	})
}

// downloadTable packs one table as tar.gz.
//
// Spec: fate-flow-api §1.4 #27.
func (a *api) downloadTable(w http.ResponseWriter, r *http.Request) {
	rec, err := a.NamedTable(r)
	if err == nil {
		err = asText(rec)
	}
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	name := fmt.Sprintf("download_data_%s_%s.tar.gz", rec.Name.Namespace, rec.Name.Name)
	a.pack(w, r, name, []packed{{"data/0", rec}})
}

// downloadOutput packs the output tables of a task as tar.gz, all or those of output_key (part 7 #9).
//
// Spec: fate-flow-api §1.3 #20.
func (a *api) downloadOutput(w http.ResponseWriter, r *http.Request) {
	t, list, err := a.outputsOf(r)
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	a.pack(w, r, fmt.Sprintf("%s_%s_%s_%s", t.Key.Job, t.Key.Party.Role, t.Key.Party.ID, t.Key.Task), list)
}

func (a *api) outputsOf(r *http.Request) (openflow.TaskRecord, []packed, error) {
	t, err := a.QueriedTask(r)
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
		rec, err := a.Catalogue.TableOf(r.Context(), t.Key.JobKey(), o.Table)
		if err != nil {
			return t, nil, openflow.About(openflow.AboutTable, err)
		}
		if err := asText(rec); err != nil {
			return t, nil, err
		}
		list = append(list, packed{fmt.Sprintf("%s/%d", o.OutputKey, o.Index), rec})
	}
	if len(list) == 0 {
		return t, nil, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeNotFound, "No found table: %s", named(t.Key)).
			WithHint("the task has no output data here"))
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
func (a *api) pack(w http.ResponseWriter, r *http.Request, filename string, list []packed) {
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": filename}))
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

func (a *api) packTable(r *http.Request, out *tar.Writer, p packed) error {
	f, err := os.CreateTemp("", "openflow-table-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a leftover in the temporary folder harms nobody
	defer func() { _ = f.Close() }()           // it is removed anyway
	header, err := a.text(r, f, p.rec)
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
	meta := &bytes.Buffer{}
	if err := writeMeta(meta, header); err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: p.name + ".meta", Mode: 0o600, Size: int64(meta.Len()), ModTime: p.rec.UpdateTime}); err != nil {
		return err
	}
	_, err = meta.WriteTo(out)
	return err
}

// text writes a table as CSV and returns the names of its columns.
//
// Spec: fate-components §1.7.
func (a *api) text(r *http.Request, w io.Writer, rec openflow.TableRecord) ([]string, error) {
	if err := asText(rec); err != nil {
		return nil, err
	}
	body, _, err := a.Objects.Get(r.Context(), rec.Object, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // reading only
	if rec.DataType == openflow.TypeRaw {
		meta, err := tables.ParseRawMeta(rec.DataType, rec.Meta)
		if err != nil {
			return nil, err
		}
		return tables.RawText(w, body, meta)
	}
	schema, err := tables.ToCSV(r.Context(), w, body)
	return schema.Names(), err
}

// asText refuses a table that has no rows which could be written as text.
func asText(rec openflow.TableRecord) error {
	if rec.DataType != openflow.TypeDirectory {
		return nil
	}
	return openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeInvalid, "table %s is a folder of files, which cannot be written as CSV", rec.Name))
}

// writeMeta writes the .meta of a CSV file.
func writeMeta(w io.Writer, header []string) error {
	b, err := json.MarshalIndent(map[string][]string{"header": header}, "", "    ")
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}
