package driver

import (
	"context"
	"io"
	"time"

	"openflow"
)

// Runtime runs containers. A container goes through created → running → exited, in that order, and stays exited, with
// its outcome and its output, until Remove: nothing disappears before somebody had the chance to record it.
//
// All methods are safe for concurrent use, also for the same name. So they are from several Runtimes over the same
// containers: the one before and the one after a restart of the node, or those of its replicas (see Followers). Every method
// may be called twice or again after an error whose outcome is unknown. A method blocks no longer than its context lives,
// and a canceled call leaves the container as it is: only Stop ends a program.
//
// Errors carry the codes of the root package. CodeUnavailable means that the runtime itself (the Docker daemon, say)
// could not be asked; it says nothing about the container. The exit code of a program, whatever it is, is never an
// error.
type Runtime interface {
	// Kind is the Opener's.
	Kind() string

	// Ensure makes the container spec.Name exist and reports how it stands. When the name is free it is created, not
	// started; of concurrent callers one creates and the others adopt. When the name is taken by a container that
	// carries every label in spec.Labels with the same value, that one is adopted in whatever state it is, and the rest
	// of spec is ignored.
	//
	// Errors: CodeInvalid (Spec.Validate), CodeConflict (the name is taken by something with other labels),
	// CodeNotFound (no such image on this machine).
	Ensure(ctx context.Context, spec Spec) (Status, error)

	// Start lets a created container run, once in its life: on one that runs or has exited it does nothing and reports
	// nil. After a crash between two steps of a Start, the next Start either finishes the work or finds it done.
	//
	// A program that cannot be executed at all shows up as CodeInvalid here or as exit code 126 or 127, depending on
	// the runtime. Errors: CodeNotFound.
	Start(ctx context.Context, name string) error

	// Wait blocks until the container has exited and returns its final status; at once when it has exited before. A
	// container that is only created has not succeeded: Wait blocks until somebody starts it and it ends. Any number of
	// callers may wait for the same name. An unreachable runtime delays Wait and does not end it.
	//
	// Errors: CodeNotFound (unknown, or removed while waiting); the context's.
	Wait(ctx context.Context, name string) (Status, error)

	// Inspect reports how the container stands now. Errors: CodeNotFound.
	Inspect(ctx context.Context, name string) (Status, error)

	// Stop ends a running container: TERM first, KILL once grace has passed, both to everything the program started.
	// It returns when the container has exited. Runtimes may round grace up to whole seconds. A container that is
	// absent, created or exited is left alone, and that is nil; a created one is then still startable, so remove it.
	Stop(ctx context.Context, name string, grace time.Duration) error

	// Remove deletes an exited or created container with all it kept: outcome, output, environment. Absent is nil.
	// Errors: CodeConflict (it runs).
	Remove(ctx context.Context, name string) error

	// Logs copies what the program has written since it was created, complete once the container has exited. It does
	// not follow. A runtime may bound what it keeps, and then keeps the beginning, HeadBytes of each output, and the newest,
	// with a line of Missing in between. Errors: CodeNotFound; the writers'.
	Logs(ctx context.Context, name string, stdout, stderr io.Writer) error

	// List returns the containers of this runtime that carry all the given labels, ordered by name; nil labels mean
	// every container that this node's runtime has made. One that cannot be looked at hides no other: the rest comes with
	// an error.
	List(ctx context.Context, labels map[string]string) ([]Status, error)
}

// Spec says what a container is to be. Only Name and Labels take part in adopting.
type Spec struct {
	Name   string            // unique per runtime; see Validate for its shape
	Labels map[string]string // identity and origin, for Ensure and List
	Made   string            // tells apart what containers of one name are made of; kept for Status, and never looked at

	// Image is what runs, as the runtime calls it: what Host.Bring returns.
	Image   string
	Command []string // arguments for the image's entry point or the executable
	Env     []string // "KEY=value"; with PATH, all that the program sees of the node's environment
	Limits  Limits
	Grants  Grants

	Resident *Residency // nil: a container of its own
}

// Grants are what a container has besides a place to compute, as its site's policy says; the zero value gives nothing. A
// runtime that isolates nothing ignores them.
type Grants struct {
	Capabilities []string         // of Linux, such as NET_BIND_SERVICE
	Mounts       []openflow.Mount // read-only; what is mounted below them is not seen
	Networks     []string         // of the runtime, by name
}

// Limits bounds what a container may use; a zero field sets no bound. A runtime that cannot enforce them (see its
// package comment) ignores them.
type Limits struct {
	CPUs        float64 // cores, as a share of time: 1.5 is one and a half
	MemoryBytes int64   // memory and swap together; beyond it the program is killed and OOMKilled reported
	PIDs        int64   // processes and threads
	DiskBytes   int64   // files that it writes; beyond it a write fails, or the program is ended and OverDisk reported
	LogBytes    int64   // of its output that are kept, in all; what the runtime keeps at least is half of it, the newest

	// GPUs are the devices that the program may use, by the numbers that the machine's driver gives them; none: no GPU.
	GPUs []string
}

// State is a container's place in its life.
type State string

// The states, in their order.
const (
	StateCreated State = "created" // exists, has never run
	StateRunning State = "running"
	StateExited  State = "exited" // final
)

// Status is one look at a container. Times are zero until they have happened, or when the runtime did not record them.
type Status struct {
	Name   string
	Labels map[string]string // at least those of the Spec; an image's own labels may be among them
	State  State
	Made   string // Spec.Made, of the Ensure that has made it

	// ExitCode means something only in StateExited: 0 success, 128+n death by signal n (or a program that chose that
	// number), -1 when nobody knows (see Lost).
	ExitCode  int
	OOMKilled bool // killed for passing Limits.MemoryBytes
	OverDisk  bool // killed for passing Limits.DiskBytes, or for filling the disk of its machine
	// Lost reports that the container has ended and its exit code was never recorded, as after a power failure. That is
	// no verdict on the program: the task may be run again under a new name.
	Lost bool
	// Full says why it is lost: the machine's disk is full, or was, so that the exit code could not be written.
	Full bool
	// Interrupted reports that the runtime itself ended the program and nobody had asked for that: the Docker daemon was
	// restarted without live-restore, or its machine was. It is no verdict on the program either, unless that has said
	// why it failed.
	Interrupted bool
	Resident    bool   // it had no container of its own; Interrupted then says that the one that served it has ended
	Reason      string // for people: why it ended or could not run; may be empty

	Created  time.Time
	Started  time.Time
	Finished time.Time
}
