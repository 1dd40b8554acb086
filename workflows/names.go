package workflows

import (
	"strings"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"openflow"
)

// Names of updates and signals.
const (
	UpdateCreated = "created" // waits until every party has created the job, or fails with the first refusal
	UpdateReport  = "report"  // a party's report about a task
	UpdateStop    = "stop"    // end the job early
	QueryEnding   = "ending"  // whether the job's end is being told, or has been
	QueryStopped  = "stopped" // how far the job's end has come
	SignalWake    = "wake"    // resources may have become free
	SignalEnd     = "end"     // end a task's run early
)

// ErrorStale is the type of the error by which a report that changes nothing is turned away.
const ErrorStale = "stale"

// ErrorEarly is that of a report about a run that has not been started.
const ErrorEarly = "early"

// JobWorkflowID is the workflow ID of a job at its scheduler: the job ID itself.
func JobWorkflowID(id openflow.JobID) string { return string(id) }

// TaskWorkflowID is the workflow ID of one run at one party.
func TaskWorkflowID(k openflow.TaskKey) string { return string(k.RunID()) }

// Search attributes of both workflows: what the Temporal UI can filter by.
var (
	AttributeJob       = temporal.NewSearchAttributeKeyKeyword("OfJob")
	AttributeTask      = temporal.NewSearchAttributeKeyKeyword("OfTask")
	AttributeScheduler = temporal.NewSearchAttributeKeyKeyword("OfScheduler")
	AttributeParty     = temporal.NewSearchAttributeKeyKeyword("OfParty")
	AttributeRole      = temporal.NewSearchAttributeKeyKeyword("OfRole")
	AttributeComponent = temporal.NewSearchAttributeKeyKeyword("OfComponent")
	AttributeStatus    = temporal.NewSearchAttributeKeyKeyword("OfStatus") // of the job, or of the run of a task
)

// Queues of a site's pool. What concerns a container is done from the queue of the machine that has it.
const (
	poolQueue    = "openflow.pool"
	urgentQueue  = "openflow.urgent"
	machineQueue = "openflow.machine."
)

// PoolQueue is the task queue from which machines take runs that want a worker with that label; empty: any worker.
func PoolQueue(label string) string { return labelled(poolQueue, label) }

// UrgentQueue is the one from which machines take such runs whatever they run already.
func UrgentQueue(label string) string { return labelled(urgentQueue, label) }

func labelled(queue, label string) string {
	if label == "" {
		return queue
	}
	return queue + "." + label
}

// MachineQueue is the task queue of one machine.
func MachineQueue(machine string) string { return machineQueue + machine }

// OfPool tells whether a task queue is one that workers of a pool serve.
func OfPool(queue string) bool {
	for _, offers := range []string{poolQueue, urgentQueue} {
		if queue == offers || strings.HasPrefix(queue, offers+".") {
			return true
		}
	}
	return strings.HasPrefix(queue, machineQueue)
}

// Attributes are all search attributes that workflows of this package carry.
func Attributes() []temporal.SearchAttributeKeyKeyword {
	return []temporal.SearchAttributeKeyKeyword{
		AttributeJob, AttributeScheduler, AttributeTask, AttributeParty, AttributeRole, AttributeComponent, AttributeStatus,
	}
}

// Fields of a workflow's memo: what people look for in a list, and never search by.
const (
	MemoName      = "name"      // "4 tasks, 3 parties"
	MemoUser      = "user"      // who submitted the job
	MemoInitiator = "initiator" // party ID
	MemoScheduler = "scheduler" // party ID
	MemoParties   = "parties"   // "guest 9999, host 10000"
)

// Revision is that of this code. A workflow is started with it and keeps it, so that a run of an older version can go on
// with the commands of its time, without a version marker in every new history. So far there is one.
const Revision = 1

// show makes a workflow's status searchable. A change costs one event and one write, so only changes are shown.
func show(ctx workflow.Context, status string) {
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttributeStatus.ValueSet(status)); err != nil {
		workflow.GetLogger(ctx).Warn("status not searchable", "status", status, "err", err)
	}
}
