// Package download is the component download: it writes a table as CSV into a folder on the machine of its party's node.
//
// The node opens the folder, and only for jobs of its own users. Start at [Component].
package download

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
	Namespace string `json:"namespace" required:"true" doc:"namespace of the table"`
	Name      string `json:"name"      required:"true" doc:"name of the table"`
	Path      string `json:"path"      required:"true" doc:"folder at the node: below downloads in its home, or in a folder that its operator names"`
}

const outputKey = "output_data"

// Component is the download.
//
// Spec: fate-components §3.2.
func Component() component.Component {
	return component.Component{
		Name:        "download",
		Description: "writes a table as data/0.csv, with its header in data/0.meta, into a folder on the machine of its party's node",
		Roles:       []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleLocal},
		Parameters:  params{},
		Outputs:     []component.Artifact{{Key: outputKey, Type: component.Unresolved, Optional: true}},
		Protocols:   component.Alone,
		Run:         run,
	}
}

func run(ctx context.Context, t *component.Task) (err error) {
	var p params
	if err := t.Parameters(&p); err != nil {
		return err
	}
	began := time.Now()
	from, err := t.Named(ctx, p.Namespace, p.Name)
	if err != nil {
		return err
	}
	var header []string
	text, err := component.Keep(func(w io.Writer) (err error) { header, err = write(ctx, from, w); return err })
	if err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "table %s/%s: %w", p.Namespace, p.Name, err).WithPublic("download cannot write its table as CSV")
	}
	defer func() { err = errors.Join(err, text.Close()) }()
	if err := t.WriteFile(ctx, "0.csv", text.Open); err != nil {
		return err
	}
	meta, err := component.Keep(func(w io.Writer) error { return writeMeta(w, header) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, meta.Close()) }()
	if err := t.WriteFile(ctx, "0.meta", meta.Open); err != nil {
		return err
	}
	t.Log().Info("table written", "path", p.Path, "rows", from.Rows, "seconds", time.Since(began).Seconds())
	return t.PassTable(ctx, outputKey, p.Namespace, p.Name)
}

// write gives a table as CSV, and returns the names of its columns.
func write(ctx context.Context, from component.Table, w io.Writer) (header []string, err error) {
	rows := from.Bytes(ctx)
	defer func() { err = errors.Join(err, rows.Close()) }()
	if from.Type == openflow.TypeRaw {
		m, err := tables.ParseRawMeta(from.Type, from.Meta)
		if err != nil {
			return nil, err
		}
		return tables.RawText(w, rows, m)
	}
	schema, err := tables.ToCSV(ctx, w, rows)
	return schema.Names(), err
}

// writeMeta writes the .meta of a CSV file.
//
// Spec: fate-components §1.7.
func writeMeta(w io.Writer, header []string) error {
	b, err := json.MarshalIndent(map[string][]string{"header": header}, "", "    ")
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}
