// Package embedded runs a Temporal server inside this process: on one SQLite file below the node's data folder, or on
// PostgreSQL for several replicas of a node, which then reach it by package cluster. It is the only package that links
// go.temporal.io/server and the Temporal UI, so that everything else builds and tests without their 150 MB.
//
// The server listens on loopback, which is no boundary: every local user and every container on the host's network
// reaches it. So the frontend answers only to a token that [Start] makes and that never leaves the process. The
// server's parts talk to each other over mutual TLS, with keys that exist in memory only. The UI has no port at all: it
// is an [http.Handler] for the node's own router, behind the node's own login.
//
// The package knows no workflow, task queue or job. It does not lock its folder: whoever starts it must be sure that no
// other process uses the same one. Start reading at [Start]; tuning.go has the settings that make it fast, schema.go
// what happens to the file at first and later starts, postgres.go the same for a database.
package embedded
