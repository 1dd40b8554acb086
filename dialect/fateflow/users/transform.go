package users

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"time"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// takeRaw keeps a file as it is, with what was said of it: a raw table. It is read to its end all the same, so that what the
// transformer could not read is refused now.
//
// Spec: fate-flow-api §1.4 #23 (without a name).
func (a *api) takeRaw(r *http.Request, s uploadSettings, f *os.File, notes []string) (any, error) {
	if err := a.Space(); err != nil {
		return nil, err
	}
	job := localJob{ID: a.NewID(), Started: time.Now()}
	s.Namespace, s.Name = "upload", wire.Text(job.ID)
	u, err := s.upload(openflow.TableName{})
	if err != nil {
		return nil, err
	}
	u.Meta = u.Meta.Seeded()
	ref, err := a.Objects.Put(r.Context(), f)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	summary, err := a.survey(r, ref.Digest, u.Meta)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	meta, err := tables.RawMeta(u.Said, u.Meta, summary)
	if err != nil {
		return nil, err
	}
	samples, err := json.Marshal(summary.Samples)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "samples of %s: %w", u.Name, err)
	}
	err = a.Catalogue.SaveTable(r.Context(), openflow.TableRecord{
		Name: u.Name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(summary.Rows), DataType: openflow.TypeRaw, Meta: meta,
		Header: summary.Schema.Names(), Samples: samples,
	})
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	summary.Reading.Notes = append(notes, summary.Reading.Notes...)
	job.Notes = summary.Reading.Notes
	task := u.task(summary.Rows)
	task.OutputKey, task.Table, task.DataType = "table", u.Name, openflow.TypeRaw
	if err := a.recordLocal(r, job, task); err != nil {
		return nil, err
	}
	return envelope.Answer{JobID: job.ID, Data: uploaded(u.Name, summary)}, nil
}

// survey reads a file to its end and keeps nothing.
func (a *api) survey(r *http.Request, digest string, meta tables.Meta) (tables.Summary, error) {
	rows, err := a.raw(r, digest, meta)
	if err != nil {
		return tables.Summary{}, err
	}
	defer func() { _ = rows.Close() }() // reading only
	summary, err := tables.FromCSV(r.Context(), rows, meta, io.Discard)
	if err == nil && summary.Rows == 0 {
		err = errNoRows()
	}
	return summary, err
}

func errNoRows() error {
	return openflow.Errorf(openflow.CodeInvalid, "the file has no rows below its header")
}

// raw opens the file of a raw table, in a form that can be read as often as its format needs.
func (a *api) raw(r *http.Request, digest string, meta tables.Meta) (io.ReadCloser, error) {
	body, _, err := a.Objects.Get(r.Context(), digest, 0)
	if err != nil || !meta.Rereads() {
		return body, err
	}
	defer func() { _ = body.Close() }() // reading only
	kept, err := spool(body, maxSpooled)
	if err != nil {
		return nil, err
	}
	return discarding{kept}, nil
}

// discarding is a file that is kept aside until it is closed.
type discarding struct{ spooled }

// Close implements io.Closer.
func (d discarding) Close() error { d.discard(); return nil }

// transformTable makes a dataframe of a raw table, as what was said of it at its upload tells. The raw table stays: the job has
// not made it (part 7 #34).
//
// Spec: fate-flow-api §1.4 #26; fate-components §4.2.
func (a *api) transformTable(r *http.Request) (any, error) {
	var b struct {
		Warehouse struct {
			Namespace wire.Text `json:"namespace"`
			Name      wire.Text `json:"name"`
		} `json:"data_warehouse" check:"required"`
		Namespace wire.Text `json:"namespace" check:"required"`
		Name      wire.Text `json:"name" check:"required"`
		SiteName  wire.Text `json:"site_name"`
		Drop      *flag     `json:"drop"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	from := openflow.TableName{Namespace: string(b.Warehouse.Namespace), Name: string(b.Warehouse.Name)}
	if from.Namespace == "" || from.Name == "" {
		return nil, &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: data_warehouse needs a namespace and a name", Err: wire.MissingFields{"data_warehouse"},
		}
	}
	to := openflow.TableName{Namespace: string(b.Namespace), Name: string(b.Name)}
	if err := to.Check(); err != nil {
		return nil, err
	}
	if err := a.Space(); err != nil {
		return nil, err
	}
	rec, err := a.Catalogue.Table(r.Context(), from)
	if err == nil {
		err = a.vacant(r, to, b.Drop == nil || bool(*b.Drop))
	}
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	meta, err := tables.ParseRawMeta(rec.DataType, rec.Meta)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeOf(err), "table %s: %w", from, err))
	}
	job := localJob{ID: a.NewID(), Started: time.Now()}
	rows, err := a.raw(r, rec.Object, meta)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	defer func() { _ = rows.Close() }() // reading only
	summary, ref, err := a.store(r.Context(), rows, meta)
	if err == nil && summary.Rows == 0 {
		err = errNoRows()
	}
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if err := a.saveTable(r.Context(), to, summary, ref); err != nil {
		return nil, err
	}
	job.Notes = summary.Reading.Notes
	task := transformerTask(to, false)
	task.Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "table", Channels: []openflow.Channel{
		{Source: openflow.FromDataWarehouse, Namespace: from.Namespace, Name: from.Name},
	}}}
	if b.SiteName != "" {
		task.Parameters["site_name"] = string(b.SiteName)
		job.Notes = append(job.Notes, `the key "site_name" has no effect: a table takes the name of the first party that reads it in a job`)
	}
	if err := a.recordLocal(r, job, task); err != nil {
		return nil, err
	}
	return envelope.Answer{JobID: job.ID, Data: uploaded(to, summary)}, nil
}

// vacant refuses a name that a table has, unless that one may be replaced.
func (a *api) vacant(r *http.Request, name openflow.TableName, replace bool) error {
	if replace {
		return nil
	}
	_, err := a.Catalogue.Table(r.Context(), name)
	switch openflow.CodeOf(err) {
	case openflow.CodeNotFound:
		return nil
	case "":
		return openflow.Errorf(openflow.CodeConflict, "table %s exists already", name).
			WithHint("take another name, or leave drop out, which replaces it")
	}
	return err
}

// transformerTask is the transformer as a task of a job, of which the table is the output. After an upload it takes that.
func transformerTask(name openflow.TableName, afterUpload bool) localTask {
	t := localTask{
		Name: "transformer_0", Component: "dataframe_transformer", OutputKey: "dataframe_output", Table: name, DataType: openflow.TypeDataframe,
		Parameters: openflow.Parameters{"namespace": name.Namespace, "name": name.Name},
	}
	if afterUpload {
		t.Inputs = []openflow.Input{{Kind: openflow.InputData, Key: "table", Channels: []openflow.Channel{
			{Source: openflow.FromTask, ProducerTask: "upload_0", OutputKey: "table"},
		}}}
	}
	return t
}
