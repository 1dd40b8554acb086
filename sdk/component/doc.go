// Package component is the kit of an algorithm's author: it runs inside a task's container and turns the node's HTTP
// interface into typed calls for parameters, tables, models, metrics and messages to the other parties.
//
// A component is a value of [Component] with one function, Run, which gets a [Task]. A [Program] is one or more components
// of a provider; its Main is the whole main function of an image. The kit talks to its own node only, never to another
// party: messages travel through the nodes. It retries while its node restarts, so an algorithm never has to.
//
// A payload larger than 16 MiB travels as several messages: each message begins with one byte, 1 when more of the same
// payload follow and 0 when it is the last.
//
// A component that says so ([Component].Resident) is served by one container for many runs. Each is a process of its own there.
//
// An error that Run returns is for the users of this party. The other parties learn its code and what was marked with
// WithPublic, and of a panic that there was one: docs/errors.md.
//
// Start at [Component], then [Task] and [Program]. Package componenttest runs a component for several parties in one process.
package component
