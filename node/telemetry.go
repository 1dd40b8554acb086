package node

import (
	"context"

	"openflow"
	"openflow/server"
	"openflow/telemetry/counting"
	"openflow/telemetry/metrics"
	"openflow/telemetry/traces"
)

// openTelemetry begins to count and, when spans have somewhere to go, to trace.
func (n *Node) openTelemetry(context.Context) error {
	n.metrics = metrics.New(n.config.Version)
	n.metrics.Observe(n.state)
	n.traces = traces.New(traces.Options{Party: n.config.Party, Version: n.config.Version, Exporter: n.config.Spans})
	n.onClose("traces", n.traces.Close)
	return nil
}

// state is what a scrape finds once the node is ready.
func (n *Node) state(ctx context.Context) (metrics.State, error) {
	if !n.ready.Load() {
		return metrics.State{}, openflow.Errorf(openflow.CodeUnavailable, "the node is starting or stopping")
	}
	return n.counts.State(ctx)
}

// runs is this site's record of runs, whose changes are told and whose ends are counted.
func (n *Node) runs() counting.Runs { return counting.Runs{Rows: n.changes(), Metrics: n.metrics} }

// counted is a layer whose requests are counted.
func (n *Node) counted(name string, l server.Layer) server.Layer {
	return server.Guarded{Layer: l, Guard: n.metrics.Requests(name)}
}
