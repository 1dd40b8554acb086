package evaluation

import (
	"context"
	"time"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/tables"
)

type params struct {
	Setting string   `json:"default_eval_setting" choices:"binary,multi,regression" doc:"which set of metrics to compute when metrics is not given"`
	Metrics []string `json:"metrics"              enum:"auc,ks,binary_accuracy,binary_precision,binary_recall,binary_f1_score,multi_accuracy,multi_precision,multi_recall,multi_f1_score,multi_confusion_matrix,confusion_matrix,lift,gain,biclass_precision_table,biclass_recall_table,biclass_accuracy_table,fscore_table,rmse,mse,mae,r2_score" doc:"the metrics to compute, instead of a default set"`
	Predict *string  `json:"predict_column_name"  doc:"column of predictions; by default predict_result for the metrics of several classes, and predict_score for all others"`
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
		Protocols:  component.Alone,
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
		began := time.Now()
		r, err := in.Open(ctx)
		if err != nil {
			return err
		}
		rows, err := r.ReadAll()
		_ = r.Close() // it was only read
		if err != nil {
			return err
		}
		entries, poor, err := p.evaluate(rows, metrics)
		if err != nil {
			return openflow.Errorf(openflow.CodeOf(err), "data of task %q: %w", in.Producer, err)
		}
		for _, text := range poor {
			if err := t.Warn(ctx, "data of task %q: %s", in.Producer, text); err != nil {
				return err
			}
		}
		t.Log().Info("evaluated", "data_of", in.Producer, "rows", rows.Rows(), "types", len(entries.names), "metrics", len(metrics),
			"seconds", time.Since(began).Seconds())
		result.set(string(in.Producer), entries)
	}
	return t.Metric(ctx, component.Metric{Name: "evaluation", Type: "evaluation", Data: result})
}

// evaluate judges the rows of one input, each type of rows for itself, and lists what is worse than a constant.
func (p params) evaluate(f *tables.Frame, metrics []metric) (result *object, poor []string, err error) {
	if f.Rows() == 0 {
		return nil, nil, openflow.Errorf(openflow.CodeInvalid, "it has no rows").WithPublic("its input has no rows")
	}
	result = &object{}
	for _, part := range split(f) {
		in := input{frame: f, params: p, rows: part.rows, made: map[family]data{}}
		entries := make([]any, 0, len(metrics))
		for _, m := range metrics {
			d, err := in.data(m.family)
			if err != nil {
				return nil, nil, err // it names the column
			}
			value, err := m.compute(d)
			if err != nil {
				return nil, nil, openflow.Errorf(openflow.CodeOf(err), "metric %s of %s: %w", m.name, part.name, err)
			}
			entries = append(entries, value)
		}
		result.set(part.name, entries)
		for _, text := range in.poor(metrics) {
			poor = append(poor, text+" ("+part.name+")")
		}
	}
	return result, poor, nil
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
