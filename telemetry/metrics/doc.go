// Package metrics counts what a node does, for Prometheus: jobs, tasks, waits, calls, messages and space.
//
// It has a registry of its own, because Temporal registers at the global one. Labels have few values: statuses, routes,
// parties that are registered, never IDs. Packages that have something to tell know nothing of this one: the node wraps
// what they call, or asks them at a scrape. Start reading at [New]; docs/operations.md says what each metric means.
package metrics
