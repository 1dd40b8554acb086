// Package sqlite keeps messages and nonces in one folder: an SQLite file for rows and small payloads, one file per
// payload above 64 KiB. It is the store of a node that runs in one process.
//
// SQLite is the truth and memory a mirror of its totals, so one process owns the folder: a second Open fails. Blocked
// callers wait on signals in memory, nothing polls. Every change is one committed transaction before it is
// acknowledged; a kill at any moment leaves at most files without a row, which Sweep removes. Survival of a power loss
// costs an fsync a write and is Options.Durable.
//
// Start reading at [Open], then push.go and read.go; state.go says what is held in memory.
package sqlite
