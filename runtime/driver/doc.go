// Package driver is the contract between a node and what runs its algorithm containers: one interface, [Runtime], and
// the few values that cross it.
//
// A container is known by its name alone. The caller derives the name from the task attempt, so that creating it is the
// commit point of a launch. Whoever finds the name taken adopts what is there, running or exited, and never launches a
// second one. A runtime therefore keeps no memory of its own that a restart could lose.
//
// The package knows nothing of jobs, tasks or Docker. Implementations are docker/engine (containers), runtime/process
// (plain processes, no isolation) and runtime/fake (in memory, fails on demand); runtime/runtimetest is the suite that all
// of them pass. Start reading at [Runtime].
package driver
