package base

import (
	"context"

	"openflow"
)

// Report records what a container says of itself. Its exit decides; see activities.Judge.
func (s *Site) Report(ctx context.Context, t openflow.TaskRecord, status openflow.TaskStatus, text string, cause openflow.Cause) error {
	return openflow.About(openflow.AboutTask, s.Store.RecordTaskReport(ctx, t.Key, status, openflow.Heard(text), cause))
}

// Warn keeps what a container warns its own party's users of.
func (s *Site) Warn(ctx context.Context, t openflow.TaskRecord, text string) error {
	if text = openflow.Readable(text); text == "" {
		return openflow.Errorf(openflow.CodeInvalid, "the warning is empty")
	}
	return openflow.About(openflow.AboutTask, s.Store.AddTaskWarning(ctx, t.Key, openflow.Heard(text)))
}

// SaveMetrics keeps metrics of a run.
func (s *Site) SaveMetrics(ctx context.Context, t openflow.TaskRecord, metrics []openflow.MetricRecord) error {
	if len(metrics) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "no metrics in data")
	}
	if err := s.room(); err != nil {
		return err
	}
	return s.Store.AppendMetrics(ctx, t.Key, metrics)
}
