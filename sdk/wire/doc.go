// Package wire holds the JSON shapes that clients, containers and workers share with a node, and their two-way conversion to
// the domain. What only nodes tell each other is in dialect/forms.
//
// It contains shapes and conversions and no behaviour: who may call what, and what then happens, is decided elsewhere.
// The same types serve the server, the Go SDK and the component kit, so what one writes the others read. Types cite their
// clauses of the specification. Messages between containers have their own dialect in sdk/wire/ptp.
//
// Start reading at [ParseDAG] (what people write), then rows.go (what they read) and worker.go (what a container reads and
// reports).
package wire
