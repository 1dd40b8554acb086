// Package upload is the component upload: a file on the machine of its party's node becomes a raw table, of which the
// transformer makes a dataframe.
//
// The node opens the file, and only for jobs of its own users. Start at [Component].
package upload

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type params struct {
	File       string `json:"file"           required:"true" doc:"path at the node: below uploads in its home, or in a folder that its operator names"`
	Name       string `json:"name"           doc:"name of the table; without it and a namespace, the table goes with the job"`
	Namespace  string `json:"namespace"      doc:"namespace of the table"`
	Head       bool   `json:"head"           doc:"the first line names the columns"`
	Partitions int    `json:"partitions"     min:"0" doc:"has no effect here"`
	ExtendSID  bool   `json:"extend_sid"     doc:"make sample ids"`
	Engine     string `json:"storage_engine" doc:"has no effect: tables are kept in the store of the node"`
	Address    object `json:"address"        schema:"{\"type\":\"object\"}" doc:"has no effect: tables are kept in the store of the node"`
	Temporary  bool   `json:"is_temp_file"   doc:"refused when true: the file is its owner's, and stays"`
	Meta       object `json:"meta"           schema:"{\"type\":\"object\"}" doc:"what the columns are, see docs/data.md"`
}

// object is a JSON object as it was given.
type object json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (o *object) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "want an object")
	}
	*o = append(object{}, data...)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("{}"), nil
	}
	return o, nil
}

func defaults() params {
	return params{Head: true, Partitions: 10, Address: object("{}"), Meta: object("{}")}
}

const outputKey = "table"

var roles = []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleLocal}

// Component is the upload.
//
// Spec: fate-components §3.1.
func Component() component.Component {
	return component.Component{
		Name:        "upload",
		Description: "makes a raw table of a file on the machine of its party's node; dataframe_transformer makes a dataframe of that",
		Roles:       roles,
		Parameters:  defaults(),
		Outputs:     []component.Artifact{{Key: outputKey, Type: component.RawTable}},
		Protocols:   component.Alone,
		Run:         run,
	}
}

func run(ctx context.Context, t *component.Task) (err error) {
	p := defaults()
	if err := t.Parameters(&p); err != nil {
		return err
	}
	if p.Temporary {
		return openflow.Errorf(openflow.CodeUnimplemented, "is_temp_file is true, and files of users are never removed").
			WithPublic("upload removes no files").WithHint("leave is_temp_file out, and remove the file yourself")
	}
	m, err := p.meta()
	if err != nil {
		return unfit(err)
	}
	began := time.Now()
	file, err := component.Keep(func(w io.Writer) error { return read(ctx, t, w) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	summary, err := tables.FromCSV(ctx, file, m, io.Discard)
	if err == nil && summary.Rows == 0 {
		err = openflow.Errorf(openflow.CodeInvalid, "the file has no rows below its header")
	}
	if err != nil {
		return unfit(err)
	}
	kept, err := tables.RawMeta(json.RawMessage(p.Meta), m, summary)
	if err != nil {
		return unfit(err)
	}
	o := component.Object{Type: component.RawTable, Meta: kept, Overview: summary.Overview, Open: file.Open}
	if err := t.SaveObject(ctx, outputKey, o); err != nil {
		return err
	}
	t.Log().Info("file uploaded", "rows", summary.Rows, "seconds", time.Since(began).Seconds())
	if err := p.tell(ctx, t, summary.Reading.Notes); err != nil {
		return err
	}
	return t.Metric(ctx, component.Metric{Name: "upload", Data: map[string]any{"name": p.Name, "namespace": p.Namespace, "count": summary.Rows}})
}

// meta is what the parameters say of the columns.
func (p params) meta() (tables.Meta, error) {
	m, err := tables.ParseMeta(p.Meta)
	if err != nil {
		return m, err
	}
	m.Head, m.HeadGuessed, m.ExtendSID = p.Head && !m.Rereads(), false, m.ExtendSID || p.ExtendSID
	return m.Seeded(), m.Validate()
}

// unfit is that the file or what was said of it is wrong. What it is, this party's users read.
func unfit(err error) error {
	return openflow.Errorf(openflow.CodeOf(err), "upload: %w", err).WithPublic("upload cannot read its file as it was described")
}

func read(ctx context.Context, t *component.Task, w io.Writer) error {
	f, err := t.File(ctx)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// maxTold is how many notes about the file are told; the node keeps 50 warnings of a task.
const maxTold = 30

// tell warns of what was guessed, and of parameters without effect.
func (p params) tell(ctx context.Context, t *component.Task, notes []string) error {
	if p.Engine != "" || len(p.Address) > len("{}") {
		notes = append(notes, "storage_engine and address have no effect: tables are kept in the store of the node")
	}
	for _, note := range notes[:min(len(notes), maxTold)] {
		if err := t.Warn(ctx, "%s", note); err != nil {
			return err
		}
	}
	return nil
}
