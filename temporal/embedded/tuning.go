package embedded

import (
	"time"

	"go.temporal.io/server/common/dynamicconfig"
)

// unlimited is a rate that one machine never reaches: there is one client, this process, and nobody to protect from it.
const unlimited = 100_000

// tuning are the server's settings that differ from the shipped ones, which are made for a cluster of many machines and
// tenants. The server ignores an unknown key in silence; a test looks every one up in its registry.
var tuning = map[string]any{
	// Speed. The poll rates are 20 a second as shipped: 50 ms for every hop through a queue, ten such hops make a job.
	"history.transferProcessorMaxPollRPS":   1000,
	"history.timerProcessorMaxPollRPS":      1000,
	"history.visibilityProcessorMaxPollRPS": 200,
	// Shipped 1 s, as allowance for clocks of several machines: every shorter timer and retry would take 1 s.
	"history.timerProcessorMaxTimeShift": 10 * time.Millisecond,
	// Shipped 20 s. A long poll may miss the event that it waits for and answer only when it expires.
	"history.longPollExpirationInterval": time.Second,
	// Shipped 10 s: how long a workflow stands still whose worker was killed in the middle of a workflow task.
	"history.defaultWorkflowTaskTimeout": 2 * time.Second,
	// One partition saves forwarding. Both keys, or tasks rest in a partition that nobody reads.
	"matching.numTaskqueueReadPartitions":  1,
	"matching.numTaskqueueWritePartitions": 1,

	// Shipped 1 min and 10 s. A client whose machine has lost its power, as a replica's, leaves its connection and what it
	// polls for: whatever is given to these polls is lost, until the server misses the client.
	"frontend.keepAliveTime":    10 * time.Second,
	"frontend.keepAliveTimeout": 5 * time.Second,

	// No limits among ourselves.
	"frontend.persistenceMaxQPS":       unlimited,
	"history.persistenceMaxQPS":        unlimited,
	"matching.persistenceMaxQPS":       unlimited,
	"worker.persistenceMaxQPS":         unlimited,
	"frontend.rps":                     unlimited,
	"frontend.namespaceRPS":            unlimited,
	"frontend.namespaceRPS.visibility": 1000, // shipped 10: less than one page of the UI and a restart ask for
	"history.rps":                      unlimited,
	"matching.rps":                     unlimited,

	// Memory. No schedules, batches or worker deployments here, so no worker per namespace; parent close policies are
	// carried out in place instead of by a system workflow.
	"worker.perNamespaceWorkerCount":       0,
	"system.enableParentClosePolicyWorker": false,
	// Shipped 128 000 workflows for an hour. Reading one back from SQLite takes a millisecond.
	"history.hostLevelCacheMaxSize": 512,
	"history.cacheTTL":              10 * time.Minute,
	"history.eventsCacheTTL":        10 * time.Minute,
}

func dynamicConfig() dynamicconfig.StaticClient {
	c := make(dynamicconfig.StaticClient, len(tuning))
	for key, value := range tuning {
		c[dynamicconfig.MakeKey(key)] = value
	}
	return c
}
