package component

import (
	"context"
	"net/http"
	"time"

	"openflow"
)

// Metric is one record that a task reports.
//
// Spec: fate-components §1.4.
type Metric struct {
	Name     string  // up to 30 characters
	Type     string  // such as "loss"; empty: none
	Groups   []Group // path below the root group, which is always there
	StepAxis string  // name of the loop, such as "iterations"; empty: a one-time metric
	Step     int     // position on StepAxis, from 0
	Data     any     // one-time: any JSON object or list; step: the value. NaN and infinities become null
}

// Group is a step of a metric's path, such as "train".
type Group struct {
	Name  string `json:"name"`
	Index *int   `json:"index"` // nil outside loops
}

type metricRecord struct {
	Name     string  `json:"name"`
	Type     *string `json:"type"`
	Groups   []Group `json:"groups"`
	StepAxis *string `json:"step_axis"`
	Data     any     `json:"data"`
}

type metricPoint struct {
	Value     any     `json:"metric"`
	Step      int     `json:"step"`
	Timestamp float64 `json:"timestamp"` // seconds since 1970
}

// Metric reports m and returns when the node has it. A reply that is lost can make the node record m twice.
func (t *Task) Metric(ctx context.Context, m Metric) error {
	if m.Name == "" {
		return openflow.Errorf(openflow.CodeInvalid, "a metric has no name")
	}
	record := metricRecord{
		Name:   m.Name,
		Groups: append([]Group{{Name: "default"}}, m.Groups...),
		Data:   finite(m.Data),
	}
	if m.Type != "" {
		record.Type = &m.Type
	}
	if m.StepAxis != "" {
		record.StepAxis = &m.StepAxis
		now := float64(time.Now().UnixMicro()) / 1e6
		record.Data = []metricPoint{{Value: record.Data, Step: m.Step, Timestamp: now}}
	}
	body := map[string]any{"data": []metricRecord{record}}
	path := "/v2/worker/metric/save/" + string(t.config.RunID)
	if err := t.node.call(ctx, request{method: http.MethodPost, path: path, json: body}, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "metric %q: %w", m.Name, err)
	}
	return nil
}
