package component

import (
	"context"
	"fmt"
	"net/http"

	"openflow"
)

// Warn tells this party's own users something that they should know of a result that is no failure, such as a training
// that did not converge, and what to change. Other parties do not see it. Up to 1 KiB, and 50 a task; the same text twice
// is told once.
func (t *Task) Warn(ctx context.Context, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	t.log.Warn(text)
	body := map[string]any{"warning": text}
	if err := t.node.call(ctx, request{method: http.MethodPost, path: "/openflow/v1/container/task/warning", json: body}, nil); err != nil {
		return openflow.Errorf(openflow.CodeOf(err), "warning: %w", err)
	}
	return nil
}
