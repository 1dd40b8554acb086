// Package openflow is the vocabulary of a node for federated jobs: job, task, party, role, component, DAG, statuses,
// errors, and the service interfaces that the layers of a node and its partners implement.
//
// It holds types, validation and pure derivations only and knows no technology: no HTTP, no SQL, no Temporal, no
// containers. Wire shapes live in sdk/wire, decisions about what runs next in workflows/plan. Start reading at [DAG]
// (what a user writes), then [TaskKey] (how one run is named everywhere), then services.go (who calls whom).
package openflow
