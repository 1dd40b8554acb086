// Package transformer is the component dataframe_transformer: it makes a dataframe of a raw table, as what was said of the file
// at its upload tells.
//
// Start at [Component].
package transformer

import (
	"context"
	"errors"
	"io"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type params struct {
	Namespace *string `json:"namespace" doc:"namespace of the dataframe; without it and a name, it goes with the job"`
	Name      *string `json:"name"      doc:"name of the dataframe"`
	SiteName  *string `json:"site_name" doc:"has no effect: a table takes the name of the first party that reads it in a job"`
}

const (
	inputKey  = "table"
	outputKey = "dataframe_output"
)

// Component is the transformer.
//
// Spec: fate-components §4.2.
func Component() component.Component {
	return component.Component{
		Name:        "dataframe_transformer",
		Description: "makes a dataframe of a raw table, as its upload describes the columns",
		Roles:       []openflow.Role{openflow.RoleLocal, openflow.RoleGuest, openflow.RoleHost},
		Parameters:  params{},
		Inputs:      []component.Artifact{{Key: inputKey, Type: component.RawTable}},
		Outputs:     []component.Artifact{{Key: outputKey}},
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
	said, raw, err := t.Raw(ctx, inputKey)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	m, err := tables.ParseRawMeta(openflow.TypeRaw, said)
	if err != nil {
		return unfit(err)
	}
	rows := io.Reader(raw)
	if m.Rereads() {
		file, err := component.Keep(func(w io.Writer) error { _, err := io.Copy(w, raw); return err })
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // a leftover in the container's own folder harms nobody
		rows = file
	}
	var summary tables.Summary
	frame, err := component.Keep(func(w io.Writer) (err error) { summary, err = tables.FromCSV(ctx, rows, m, w); return err })
	if err != nil {
		return unfit(err)
	}
	defer func() { err = errors.Join(err, frame.Close()) }()
	meta, err := summary.Schema.DataMeta()
	if err != nil {
		return unfit(err)
	}
	o := component.Object{Type: component.Dataframe, Meta: meta, Overview: summary.Overview, Open: frame.Open}
	if err := t.SaveObject(ctx, outputKey, o); err != nil {
		return err
	}
	t.Log().Info("dataframe made", "rows", summary.Rows, "columns", len(summary.Schema.Features), "seconds", time.Since(began).Seconds())
	return nil
}

// unfit is that the raw table is not as its upload says. What is wrong with it, this party's users read.
func unfit(err error) error {
	return openflow.Errorf(openflow.CodeOf(err), "dataframe_transformer: %w", err).WithPublic("dataframe_transformer cannot read its raw table as it was described")
}
