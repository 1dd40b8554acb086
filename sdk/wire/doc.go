// Package wire holds the JSON shapes of the FATE-Flow v2 dialect and their two-way conversion to the domain.
//
// It contains shapes and conversions and no behaviour: who may call what, and what then happens, is decided elsewhere.
// The same types serve the server, the Go SDK, the partner client and the component kit, so what one writes the others
// read. Types cite their clauses of the specification. Messages between containers have their own dialect in sdk/wire/ptp.
//
// Start reading at [ParseDAG] (what people write), then partner.go (what nodes send each other) and worker.go (what a
// container reads and reports).
package wire
