package users

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/tables"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// upload is what both upload routes know before the rows come.
type upload struct {
	Name  openflow.TableName
	Meta  tables.Meta
	Said  json.RawMessage // meta as an object, as it was sent
	Notes []string
	args  openflow.Parameters // of the task
}

// uploadSettings are the arguments beside the file.
//
// Spec: fate-flow-api §1.4 #23.
type uploadSettings struct {
	File       string          `json:"file"`
	Head       *flag           `json:"head"`
	Partitions *whole          `json:"partitions"`
	Meta       json.RawMessage `json:"meta"`
	ExtendSID  *flag           `json:"extend_sid"`
	Namespace  wire.Text       `json:"namespace"`
	Name       wire.Text       `json:"name"`
}

// whole is a number of partitions, which has no effect here: as JSON writes it, or as a text.
type whole int

// UnmarshalJSON implements json.Unmarshaler.
func (n *whole) UnmarshalJSON(data []byte) error {
	text := strings.Trim(string(data), `"`)
	if text == "null" {
		return nil
	}
	number, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errors.New("partitions is a whole number")
	}
	*n = whole(number)
	return nil
}

// flag is true or false, as JSON, Python or a form writes it.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(data []byte) error {
	on, err := boolean(strings.Trim(string(data), `"`))
	*f = flag(on)
	return err
}

func (s uploadSettings) upload(fallback openflow.TableName) (upload, error) {
	u := upload{Name: openflow.TableName{Namespace: string(s.Namespace), Name: string(s.Name)}}
	if u.Name.Namespace == "" || u.Name.Name == "" {
		u.Name = fallback
		u.Notes = append(u.Notes, "no namespace and name were said for the table, so it is called "+fallback.String())
	}
	if err := u.Name.Check(); err != nil {
		return u, err
	}
	meta := s.Meta
	var text string
	if json.Unmarshal(meta, &text) == nil { // an object that was written as JSON twice
		meta = json.RawMessage(text)
	}
	if len(meta) == 0 || string(meta) == "null" {
		meta = json.RawMessage("{}")
	}
	if err := wire.Bounded(meta, wire.MaxValues); err != nil { // it may have been a text so far
		return u, err
	}
	var err error
	if u.Meta, err = tables.ParseMeta(meta); err != nil {
		return u, err
	}
	u.Said = meta
	if s.Head != nil {
		u.Meta.Head, u.Meta.HeadGuessed = bool(*s.Head), false
	}
	if s.ExtendSID != nil {
		u.Meta.ExtendSID = bool(*s.ExtendSID)
	}
	var said any
	if err := json.Unmarshal(meta, &said); err != nil {
		return u, openflow.Errorf(openflow.CodeInternal, "meta: %w", err) // ParseMeta has read it
	}
	u.args = openflow.Parameters{
		"file": s.File, "head": u.Meta.Head, "meta": said, "extend_sid": u.Meta.ExtendSID, "namespace": u.Name.Namespace, "name": u.Name.Name,
	}
	if s.Partitions != nil {
		u.args["partitions"] = int(*s.Partitions)
	}
	return u, u.Meta.Validate()
}

// formSettings reads form values; booleans come in Python's spelling too (fate-client §1).
func formSettings(fields map[string]string) (uploadSettings, error) {
	s := uploadSettings{Namespace: wire.Text(fields["namespace"]), Name: wire.Text(fields["name"]), Meta: json.RawMessage(fields["meta"])}
	for key, into := range map[string]**flag{"head": &s.Head, "extend_sid": &s.ExtendSID} {
		v, ok := fields[key]
		if !ok || v == "" {
			continue
		}
		b, err := boolean(v)
		if err != nil {
			return s, openflow.Errorf(openflow.CodeInvalid, "%s: %.60q is not a boolean", key, v).WithHint("write true or false")
		}
		f := flag(b)
		*into = &f
	}
	if text := fields["partitions"]; text != "" {
		s.Partitions = new(whole)
		if err := s.Partitions.UnmarshalJSON([]byte(text)); err != nil {
			return s, openflow.Errorf(openflow.CodeInvalid, "partitions: %.60q is not a whole number", text)
		}
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
	return false, errors.New("true or false is wanted")
}

// uploadPath takes a file that lies at this node, in a folder that users may name (part 7 #14). With a namespace and a name it
// becomes a dataframe; without, a raw table, which the transformer makes one of.
//
// Spec: fate-flow-api §1.4 #23.
func (a *api) uploadPath(r *http.Request) (any, error) {
	body, err := reply.Body(r, reply.MaxBody)
	if err != nil {
		return nil, err
	}
	var s uploadSettings
	if err := wire.Decode(body, &s); err != nil {
		return nil, err
	}
	if s.File == "" {
		return nil, &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing file", Err: wire.MissingFields{"file"},
			Hint: "name a file at the node, or send one with: openflow data upload",
		}
	}
	notes, err := idleKeys(body)
	if err != nil {
		return nil, err
	}
	f, err := a.Uploads.Open(s.File)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // reading only
	if s.Namespace == "" || s.Name == "" {
		return a.takeRaw(r, s, f, notes)
	}
	return a.take(r, s, f, notes...)
}

// idleKeys tells of the keys of a body that have no effect.
func idleKeys(body []byte) ([]string, error) {
	var given map[string]json.RawMessage
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	if err := wire.Unmarshal(body, &given); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the body is no JSON object")
	}
	return withoutEffect("key", slices.Collect(maps.Keys(given)))
}

// take turns the rows of a file into a table, and records the job that the FATE client will ask for. Nothing is kept
// before all of it is sure.
func (a *api) take(r *http.Request, s uploadSettings, rows io.Reader, notes ...string) (any, error) {
	if err := a.Space(); err != nil {
		return nil, err
	}
	id := a.NewID()
	u, err := s.upload(openflow.TableName{Namespace: "upload", Name: string(id)})
	if err != nil {
		return nil, err
	}
	if _, again := rows.(io.ReadSeeker); u.Meta.Rereads() && !again {
		kept, err := spool(rows, maxSpooled)
		if err != nil {
			return nil, err
		}
		defer kept.discard()
		rows = kept
	}
	started := time.Now()
	summary, ref, err := a.store(r.Context(), rows, u.Meta)
	if err != nil {
		return nil, openflow.About(openflow.AboutTable, err)
	}
	if summary.Rows == 0 {
		return nil, openflow.About(openflow.AboutTable, openflow.Errorf(openflow.CodeInvalid, "the file has no rows below its header"))
	}
	summary.Reading.Notes = slices.Concat(u.Notes, notes, summary.Reading.Notes)
	if err := a.saveTable(r.Context(), u.Name, summary, ref); err != nil {
		return nil, err
	}
	err = a.recordLocal(r, localJob{ID: id, Started: started, Notes: summary.Reading.Notes}, u.task(summary.Rows), transformerTask(u.Name, true))
	if err != nil {
		return nil, err
	}
	return envelope.Answer{JobID: id, Data: uploaded(u.Name, summary)}, nil
}

func uploaded(name openflow.TableName, summary tables.Summary) wire.Uploaded {
	return wire.Uploaded{
		Namespace: name.Namespace, Name: name.Name, Count: int64(summary.Rows), Columns: summary.Schema.Names(), Read: reading(summary),
	}
}

// task is the upload as a task of its job, with the metric that tells of its rows.
//
// Spec: fate-components §3.1.
func (u upload) task(rows int) localTask {
	told := map[string]any{"namespace": u.Name.Namespace, "name": u.Name.Name, "count": rows}
	return localTask{Name: "upload_0", Component: "upload", Parameters: u.args, Metric: told}
}

func (a *api) saveTable(ctx context.Context, name openflow.TableName, summary tables.Summary, ref stored) error {
	meta, err := summary.Schema.DataMeta()
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "schema of %s: %w", name, err)
	}
	samples, err := json.Marshal(summary.Samples)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "samples of %s: %w", name, err)
	}
	return openflow.About(openflow.AboutTable, a.Catalogue.SaveTable(ctx, openflow.TableRecord{
		Name: name, Object: ref.Digest, Bytes: ref.Bytes, Count: int64(summary.Rows), DataType: openflow.TypeDataframe, Meta: meta,
		Header: summary.Schema.Names(), Samples: samples,
	}))
}

// shownRows is how many rows an answer to an upload shows.
const shownRows = 5

// reading tells the user how the file was read.
func reading(s tables.Summary) wire.Reading {
	r := wire.Reading{
		Compression: s.Reading.Compression, Encoding: s.Reading.Encoding, Delimiter: s.Reading.Delimiter, Format: string(s.Reading.Format),
		Header: s.Reading.Header, FirstRows: s.Samples[:min(shownRows, len(s.Samples))], Notes: append([]string{}, s.Reading.Notes...),
	}
	for _, c := range s.Reading.Columns {
		r.Columns = append(r.Columns, wire.ReadColumn{Name: c.Name, Role: c.Role, DType: c.DType.Word(), Missing: c.Missing})
	}
	return r
}

type stored struct {
	Digest string
	Bytes  int64
}

// store converts while it stores; a fault in the rows leaves nothing behind.
func (a *api) store(ctx context.Context, rows io.Reader, meta tables.Meta) (tables.Summary, stored, error) {
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
