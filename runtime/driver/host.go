package driver

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"openflow"
)

// Opener is a kind of runtime before it is opened. The fields of the type behind it are its settings. Whoever adds a
// runtime writes an Opener; docs/add-a-runtime.md is the page for that.
type Opener interface {
	// Kind is its name: in --runtime, in messages, and in the rows of runs. Nobody decides anything by it.
	Kind() string

	// Traits are the same for every Host that it opens.
	Traits() Traits

	// Open opens the runtime for one node, or worker, whose process has the home folder to itself. A later process on the
	// same home finds the same containers. Errors: CodeUnavailable (it does not answer), CodePermission (not to this user).
	Open(ctx context.Context, o Options) (Host, error)

	// Probe tells in a sentence what tasks get of it on this machine, and changes nothing. An error tells why it cannot be
	// used here.
	Probe(ctx context.Context) (string, error)

	// Vacate removes what the node of a home has in this runtime outside of that home, and ends what runs. The node does
	// not run. It lists what it removed, a few words each. What other replicas may follow stays. Errors: CodeUnavailable and
	// CodePermission (the runtime could not be asked).
	Vacate(ctx context.Context, o Options) (removed []string, err error)

	// VacateGone does so for the nodes whose home folders are no more, and for no others: Options.Identity tells. It
	// leaves alone what runs. Of o, Home and Node are empty. Errors: as of Vacate.
	VacateGone(ctx context.Context, o Options) (removed []string, err error)
}

// Traits are the answers of a runtime that never change.
type Traits struct {
	// Device is what a provider of components is said to run on: "local", "docker", "k8s".
	Device string
	// Followers says who may follow a container.
	Followers Followers
	// Isolates says that a container reaches nothing of the machine but the base layer: not its files, its other processes
	// or what its user may do. Without that, only programs run that the operator trusts as the node itself.
	Isolates bool
	// Ahead says that a container is better made before its time, since that takes long and holds nothing: no cores, no
	// memory, no place on a machine.
	Ahead bool
}

// Followers says who may adopt a container, wait for it, stop it and remove it.
type Followers int

// The values of Followers.
const (
	// ThisMachine: the processes on the home that made it, one after the other. While none runs, nobody follows it.
	ThisMachine Followers = iota
	// AnyReplica: every replica of the node, at any moment, also several at once. When one dies, another goes on.
	AnyReplica
)

// Options say for whom a runtime is opened.
type Options struct {
	Home string // absolute path of the home folder
	// Node tells whose containers are whose. It is the UUID of the home or, where any replica follows, the name that all
	// replicas have.
	Node string
	// Identity reads the UUID of the node in a home folder. An error that fs.ErrNotExist recognises: there is none.
	Identity func(home string) (node string, err error)
	// Unconfined is the operator's word that containers may run where Confine cannot limit what they reach.
	Unconfined bool
	Log        *slog.Logger
}

// Host is a runtime that a node has opened: its containers, and the answers that differ from one runtime to the next.
type Host interface {
	Runtime
	Images

	// Gateway is how containers find this machine. The zero Gateway: they have no way of their own, so the operator gives
	// the address of the base layer.
	Gateway(ctx context.Context) (Gateway, error)

	// Bring makes a program of this machine something that containers run, and returns Spec.Image for it. What is there is
	// not brought a second time. program is the absolute path of an executable. Errors: CodeInvalid (it cannot be run).
	Bring(ctx context.Context, program string) (image string, err error)

	// Ask runs a program that Bring has brought to its end. The program gets arguments, and no variable of the node and no
	// home folder. Where the runtime isolates, it has no network either, and no file but its own. The program and all that it has
	// started end with ctx, or once it has said too much. Nothing of it stays, and List never has it. How the program ends
	// is no error. Errors: CodeInvalid (it cannot be run), CodeUnavailable (the runtime does not answer); the context's.
	Ask(ctx context.Context, q Question) (Answer, error)

	// Confine limits what containers reach of this machine to one TCP port: the base layer, which listens by now. What
	// cannot be limited is a warning for the operator, as is a runtime that limits nothing. A runtime that limits starts no
	// container before. One that cannot limit here starts none afterwards either, unless it was opened as Unconfined.
	Confine(ctx context.Context, port int) (warnings []string, err error)

	// Resources are what containers share. The zero value: they share this machine. Otherwise all of it counts.
	Resources(ctx context.Context) (openflow.Resources, error)

	// Examine looks at what can be wrong with the runtime, at the images that Bring has returned and at what Confine has
	// done. It changes nothing.
	Examine(ctx context.Context) []openflow.Finding

	// Trim is called every few seconds. It bounds the output and the files of programs that run, where nothing else does.
	Trim(ctx context.Context) error

	// Close gives up connections. Containers run on.
	Close() error
}

// Gateway is how containers find a machine.
type Gateway struct {
	Listen string // address of this machine that they reach: the node listens there
	Host   string // what they call it
}

// Openers are the runtimes that a program has, the one to prefer first.
type Openers []Opener

// Find is the runtime of that name. Errors: CodeInvalid.
func (o Openers) Find(kind string) (Opener, error) {
	i := slices.IndexFunc(o, func(one Opener) bool { return one.Kind() == kind })
	if i < 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown runtime %q", kind).WithHint("use %s", strings.Join(o.kinds(), " or "))
	}
	return o[i], nil
}

func (o Openers) kinds() []string {
	kinds := make([]string, len(o))
	for i, one := range o {
		kinds[i] = one.Kind()
	}
	return kinds
}
