package traces

import (
	"sync"

	"go.opentelemetry.io/otel/trace"

	"openflow"
)

// maxRuns is how many launches are remembered: the newest.
const maxRuns = 4096

// runs remember the span of the launch of each run.
type runs struct {
	mu    sync.Mutex
	spans map[openflow.RunID]trace.SpanContext
	order []openflow.RunID // the oldest first
}

func (r *runs) remember(id openflow.RunID, span trace.SpanContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans == nil {
		r.spans = map[openflow.RunID]trace.SpanContext{}
	}
	if _, known := r.spans[id]; !known {
		r.order = append(r.order, id)
	}
	r.spans[id] = span
	if len(r.order) > maxRuns {
		delete(r.spans, r.order[0])
		r.order = r.order[1:]
	}
}

// of is the span of a run's launch; the zero value when it is not known.
func (r *runs) of(id openflow.RunID) trace.SpanContext {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spans[id]
}
