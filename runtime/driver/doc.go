// Package driver is the contract between a node and what runs its algorithm containers. [Runtime] is the life of
// containers. [Host] is a runtime that a node has opened, with the answers that differ from one to the next. [Opener] is
// what a program lists to have a runtime. [Plain] has what most runtimes answer alike.
//
// A container is known by its name alone. The caller derives the name from the task attempt, so that creating it is the
// commit point of a launch. Whoever finds the name taken adopts what is there, running or exited, and never launches a
// second one. A runtime therefore keeps no memory of its own that a restart could lose.
//
// The package knows nothing of jobs or Docker. Implementations are docker (containers of the Docker Engine),
// runtime/process (plain processes, no isolation) and runtime/fake (in memory, fails on demand). runtime/runtimetest is
// the suite that all of them pass. Start reading at [Runtime].
package driver
