// Package plan decides what happens in the life of a job. It says when the job gets its resources, which tasks start, and
// which party is called with which news. It says when to ask again, how the job ends, and when nothing of it is left.
//
// Everything here is pure, over plain values, tested by tables and without Temporal. The job workflow tells what has
// happened and carries out the answers. Its phases have a file each:
//
//   - agreement.go: [Agree], what the programs of a task's parties have in common;
//   - admission.go: [Admit] and [Queue], from the parties' answers to the wait for resources;
//   - execution.go: [Execution], who is called while tasks run;
//   - ending.go: [Farewell], from the end of the job to the last word about it.
//
// All of them stand on [State], what the scheduler knows of the job's tasks.
package plan

import (
	"slices"

	"openflow"
)

// Of takes the skeleton of a valid DAG: tasks with upstreams and parties, upstreams first.
func Of(d *openflow.DAG) ([]openflow.PlannedTask, error) {
	order, err := d.Order()
	if err != nil {
		return nil, err
	}
	upstreams, parts := d.Edges(), d.Parts()
	tasks := make([]openflow.PlannedTask, 0, len(order))
	for _, name := range order {
		t, _ := parts.Task(name)
		tasks = append(tasks, openflow.PlannedTask{
			Name: name, Component: t.Component, Upstreams: upstreams[name], Parties: parts.Parties(name),
		})
	}
	return tasks, nil
}

// Rerun is the skeleton of a further run: tasks that succeeded are done, tasks that were started get a new version.
//
// Spec: fate-flow-api §2.5.5.
func Rerun(tasks []openflow.PlannedTask, before []openflow.TaskRun) []openflow.PlannedTask {
	again, ran := slices.Clone(tasks), make(map[openflow.TaskName]openflow.TaskRun, len(before))
	for _, r := range before {
		ran[r.Name] = r
	}
	for i, t := range again {
		r, has := ran[t.Name]
		if !has {
			continue
		}
		again[i].Version, again[i].Done, again[i].Protocol = r.Version, r.Status.Succeeded(), r.Protocol
		if r.Started && !again[i].Done {
			again[i].Version++
		}
	}
	return again
}
