// Package programs knows the programs of providers on one machine: which file or image runs for a provider, and whether it
// is still what was registered.
//
// [Inspect] looks at a file before it is registered, [Programs.Verify] compares one with its record, and [Programs] says what a run
// is started with.
package programs
