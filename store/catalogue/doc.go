// Package catalogue keeps what people and programs query about jobs: rows of jobs, tasks, tables, models, metrics,
// peers, grants and audit events, in SQL.
//
// It is not where running jobs live: what a job waits for and has done is durable in Temporal, and the activities that
// write here may run twice. So every write is idempotent: it states the row it wants, or it is a compare-and-set whose
// repeat is a success that changes nothing. Big things (tables, models, logs) are objects; the catalogue holds digests.
//
// The SQL is hand-written in the language that SQLite and PostgreSQL share: sqlite.go and postgres.go are all that differs.
// Start reading at [Open], then jobs.go; the row types are in the root package, records.go.
package catalogue
