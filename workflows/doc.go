// Package workflows holds the two durable workflows of a node: [Job] at the scheduler of a job, and [Task] at every
// party for each run of a task.
//
// They order steps, wait and cancel; what to do next is decided in workflows/plan, and done by activities. They hold
// references only: no parameters, no data, no secrets. Whatever changes here must replay the histories in
// testdata/replay; see docs/workflows.md, "Changing a workflow". Names that clients need are in names.go.
//
// The job workflow has a file for each phase: create.go, admit.go, execute.go, end.go. What others tell it meanwhile comes
// in by desk.go. The task workflow is in task.go, and how it finds a machine in place.go.
package workflows
