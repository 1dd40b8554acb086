// Package residence is the interface of a container that serves many runs: what a node sends to it and hears of it, and a
// [Server] that answers over whatever starts the runs. Our kit starts processes, and the runtime in memory functions.
//
// Spec: algorithm-image §12.
package residence

import "regexp"

// What a resident container is started with: one argument, and two variables besides those of its image.
const (
	Argument = "serve"
	Address  = "OPENFLOW_SERVE"     // where it listens, HOST:PORT
	Key      = "OPENFLOW_SERVE_KEY" // the secret that all calls carry, once the container has proven that it has it
)

// Bounds of the interface.
const (
	LogBytes     = 16 << 20 // of each output of a run that are kept: the newest
	MaxWait      = 60       // seconds that one call waits for the end of a run
	MaxBody      = 1 << 20  // bytes of a request
	maxValues    = 10_000   // names, values and brackets in one
	maxVariable  = 128<<10 - 1
	maxGrace     = 10 * 60 * 1000 // milliseconds
	keptPerPlace = 4              // runs that are kept for each that may run: those that have ended, and nobody has forgotten
)

// State is how a run stands.
type State string

// A run ends once, and stays until somebody forgets it.
const (
	Running State = "running"
	Ended   State = "ended"
)

// Run is one as the container tells of it. Times are milliseconds since 1970.
type Run struct {
	ID       string `json:"id"`
	State    State  `json:"state"`
	ExitCode int    `json:"exit_code"`
	Started  int64  `json:"started"`
	Finished int64  `json:"finished"` // 0 while it runs
}

// Runs answers the question for all of them.
type Runs struct {
	Runs []Run `json:"runs"`
}

// Begin asks for a run with these variables.
type Begin struct {
	Environment map[string]string `json:"environment"`
}

// End asks for the end of a run, which has so many milliseconds for it.
type End struct {
	Grace int64 `json:"grace"`
}

var id = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// CanBe reports whether a run can have that ID. "." and ".." are parts of a path.
func CanBe(run string) bool { return id.MatchString(run) && run != "." && run != ".." }
