package evaluation

import (
	"context"
	"math"
	"slices"

	"openflow"
	"openflow/sdk/component"
	"openflow/tables"
)

type params struct {
	Setting string   `json:"default_eval_setting" choices:"binary,multi,regression" doc:"which set of metrics to compute when metrics is not given"`
	Metrics []string `json:"metrics"              enum:"auc,ks,binary_accuracy,binary_precision,binary_recall,binary_f1_score,multi_accuracy,multi_precision,multi_recall,multi_f1_score,confusion_matrix,lift,gain,biclass_precision_table,biclass_recall_table,biclass_accuracy_table,fscore_table,rmse,mse,mae,r2_score" doc:"the metrics to compute, instead of a default set"`
	Predict *string  `json:"predict_column_name"  doc:"column of predictions; by default predict_score, or predict_result for the multi set"`
	Label   *string  `json:"label_column_name"    doc:"column of labels; by default label"`
}

const (
	typeColumn = "type"
	// noType is the name of rows whose frame has no type column.
	noType = "origin"
)

// Component is the evaluation.
//
// Spec: fate-components §7.1.
func Component() component.Component {
	roles := []openflow.Role{openflow.RoleGuest, openflow.RoleHost}
	return component.Component{
		Name:       "evaluation",
		Roles:      roles,
		Parameters: defaults(),
		Inputs:     []component.Artifact{{Key: "input_datas", Multi: true, Labelled: roles, LabelName: "label_column_name"}},
		Run:        run,
	}
}

func defaults() params { return params{Setting: "binary"} }

func run(ctx context.Context, t *component.Task) error {
	p := defaults()
	if err := t.Parameters(&p); err != nil {
		return err
	}
	metrics, err := p.choose()
	if err != nil {
		return err
	}
	inputs, err := t.Tables(ctx, "input_datas")
	if err != nil {
		return err
	}
	result := &object{}
	for _, in := range inputs {
		r, err := in.Open(ctx)
		if err != nil {
			return err
		}
		rows, err := r.ReadAll()
		_ = r.Close() // it was only read
		if err != nil {
			return err
		}
		entries, err := p.evaluate(rows, metrics)
		if err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "data of task %q: %w", in.Producer, err)
		}
		result.set(string(in.Producer), entries)
	}
	return t.Metric(ctx, component.Metric{Name: "evaluation", Type: "evaluation", Data: result})
}

// evaluate judges the rows of one input, each type of rows for itself.
func (p params) evaluate(f *tables.Frame, metrics []metric) (*object, error) {
	if f.Rows() == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "it has no rows")
	}
	label := "label"
	if p.Label != nil {
		label = *p.Label
	}
	labels, err := column(f, label)
	if err != nil {
		return nil, err
	}
	scores, err := column(f, p.predictColumn())
	if err != nil {
		return nil, err
	}
	result := &object{}
	for _, part := range split(f) {
		d := data{labels: take(labels, part.rows), scores: take(scores, part.rows)}
		entries := make([]any, 0, len(metrics))
		for _, m := range metrics {
			value, err := m.compute(d)
			if err != nil {
				return nil, openflow.Errorf(openflow.CodeOf(err), "metric %s of %s: %w", m.name, part.name, err)
			}
			entries = append(entries, value)
		}
		result.set(part.name, entries)
	}
	return result, nil
}

// predictColumn follows upstream: only the default set for multi judges classes instead of scores.
func (p params) predictColumn() string {
	switch {
	case p.Predict != nil:
		return *p.Predict
	case p.Setting == "multi" && len(p.Metrics) == 0:
		return "predict_result"
	}
	return "predict_score"
}

// column finds a column of numbers, which may be the label.
func column(f *tables.Frame, name string) ([]float64, error) {
	v, err := f.Feature(name)
	if f.Schema.Label != nil && f.Schema.Label.Name == name {
		v, err = f.Label, nil
	}
	if err != nil {
		return nil, err
	}
	if v.DType.Kind() == tables.Text {
		return nil, openflow.Errorf(openflow.CodeInvalid, "column %q is text, want numbers", name)
	}
	values := v.Float64s()
	if i := slices.IndexFunc(values, math.IsNaN); i >= 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "column %q has no value in row %d (%s)", name, i, f.MatchID[i])
	}
	return values, nil
}

type part struct {
	name string
	rows []int
}

// split groups rows by the type column, types in order of appearance.
func split(f *tables.Frame) []part {
	types, err := f.Feature(typeColumn)
	if err != nil || types.DType.Kind() != tables.Text {
		all := part{name: noType, rows: make([]int, f.Rows())}
		for i := range all.rows {
			all.rows[i] = i
		}
		return []part{all}
	}
	var parts []part
	index := map[string]int{}
	for row, name := range types.Strings {
		i, known := index[name]
		if !known {
			i = len(parts)
			index[name] = i
			parts = append(parts, part{name: name})
		}
		parts[i].rows = append(parts[i].rows, row)
	}
	return parts
}

func take(values []float64, rows []int) []float64 {
	out := make([]float64, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}
