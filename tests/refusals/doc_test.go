// Package refusals_test drives every refusal of every component with marked cells, ids and column names of one party.
// It searches for them in what the other parties get to see: what the party tells of its failure, messages, logs,
// warnings, metrics and errors.
//
// The cases are a table; sites_test.go reads the components' source and fails on a refusal that no case reaches.
package refusals_test
