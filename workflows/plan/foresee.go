package plan

import (
	"slices"

	"openflow"
)

// maxForeseen bounds how many runs are prepared at the end of one.
const maxForeseen = 4

// Foresee returns the runs of one party that begin when a task has succeeded, as far as that party can tell: those that
// wait for it and for nothing else. runs are the latest of every task of the job there. A run with GPUs is none of
// them: which devices it gets is decided at its start. A wrong guess costs a container that is never started.
func Foresee(d *openflow.DAG, runs []openflow.TaskRecord, task openflow.TaskName) []openflow.TaskRecord {
	upstreams, status := d.Edges(), map[openflow.TaskName]openflow.TaskStatus{}
	for _, r := range runs {
		status[r.Key.Task] = r.Status
	}
	var next []openflow.TaskRecord
	for _, r := range runs {
		ups := upstreams[r.Key.Task]
		waits := r.PartyStatus == openflow.TaskWaiting && !r.ResourceInUse && r.GPUs == 0 && !d.Conf.Inherits(r.Key.Task)
		open := slices.ContainsFunc(ups, func(up openflow.TaskName) bool { return up != task && !status[up].Succeeded() })
		if waits && slices.Contains(ups, task) && !open {
			next = append(next, r)
		}
	}
	return next[:min(len(next), maxForeseen)]
}
