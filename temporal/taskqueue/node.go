// Package taskqueue builds Temporal workers: of a site's node, and of a machine of its pool. It says which task queues they serve,
// what they are registered for, and how many things they do at once, and holds no logic of its own.
package taskqueue

import (
	"time"

	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow/activities"
	"openflow/workflows"
)

// Options of a worker.
type Options struct {
	Queue    string
	Identity string // must tell this process from earlier ones: orphans are found by it
	// Interceptors see every activity, beside those that the client has.
	Interceptors []interceptor.WorkerInterceptor
}

// deadlock is how long a step of a workflow may take. Steps take microseconds, so on a machine with time for this process
// the SDK's second is plenty. A machine without it would panic a sound workflow.
const deadlock = 20 * time.Second

// New registers both workflows and all activities on a worker that has not been started.
//
// One activity slot is taken by every running container for its whole life, so there are many. Heartbeats are passed on
// every second, because a cancellation arrives in the answer to one.
func New(
	c sdkclient.Client, o Options, scheduling *activities.Scheduling, placing *activities.Placing, running *activities.Running,
) sdkworker.Worker {
	pollers := sdkworker.NewPollerBehaviorAutoscaling(sdkworker.PollerBehaviorAutoscalingOptions{
		InitialNumberOfPollers: 4, MinimumNumberOfPollers: 2, MaximumNumberOfPollers: 20,
	})
	w := sdkworker.New(c, o.Queue, sdkworker.Options{
		Identity:                     o.Identity,
		WorkflowTaskPollerBehavior:   pollers,
		ActivityTaskPollerBehavior:   pollers,
		MaxHeartbeatThrottleInterval: time.Second,
		WorkerStopTimeout:            2 * time.Second,
		DisableRegistrationAliasing:  true,
		Interceptors:                 o.Interceptors,
		DeadlockDetectionTimeout:     deadlock,
	})
	w.RegisterWorkflow(workflows.Job)
	w.RegisterWorkflow(workflows.Task)
	w.RegisterActivity(scheduling)
	w.RegisterActivity(placing)
	w.RegisterActivity(running)
	return w
}

// StickyCache bounds the workflows that an embedded node keeps in memory.
const StickyCache = 600

// Limit sets what holds for the whole process. Call it once, before New.
func Limit() { sdkworker.SetStickyWorkflowCacheSize(StickyCache) }
