// Package wire holds the JSON shapes that the Go client, the CLI and the component kit share with a node, and their
// conversion to the domain where both sides need it. What only a dialect writes or reads is in its folder, and what only nodes
// tell each other in dialect/forms.
//
// It contains shapes and conversions and no behaviour: who may call what, and what then happens, is decided elsewhere.
// The same types serve the server, the Go SDK and the component kit, so what one writes the others read. Types cite their
// clauses of the specification. Messages between containers have their own dialect in sdk/wire/ptp.
//
// Start reading at [ParseDAG] (what people write), then rows.go (what they read) and container.go (what a container reports).
package wire
