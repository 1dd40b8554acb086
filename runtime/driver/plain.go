package driver

import (
	"context"
	"io"
	"os/exec"

	"openflow"
)

// Plain is what a runtime says besides the life of containers, when it has nothing special to say. An [Opener] and its [Host]
// embed it and write the rest. It promises little: containers belong to this machine, have no gateway and are isolated by
// nothing, which it tells the operator. It removes nothing, which is enough only where nothing is kept outside of the home, or
// where any replica may follow.
type Plain struct{ Name string }

// Kind implements Opener and Runtime.
func (p Plain) Kind() string { return p.Name }

// Traits implements Opener.
func (Plain) Traits() Traits { return Traits{Device: "local", Followers: ThisMachine} }

// Probe implements Opener.
func (p Plain) Probe(context.Context) (string, error) { return p.warning(), nil }

func (p Plain) warning() string {
	return "the " + p.Name + " runtime isolates nothing: tasks run as the node's user, with this machine's files and network"
}

// Vacate implements Opener.
func (Plain) Vacate(context.Context, Options) ([]string, error) { return nil, nil }

// VacateGone implements Opener.
func (Plain) VacateGone(context.Context, Options) ([]string, error) { return nil, nil }

// Gateway implements Host.
func (Plain) Gateway(context.Context) (Gateway, error) { return Gateway{}, nil }

// Bring implements Host: containers run the program where it lies.
func (Plain) Bring(_ context.Context, program string) (string, error) {
	if _, err := exec.LookPath(program); err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "%s cannot be run: %w", program, err)
	}
	return program, nil
}

// Ask implements Host: as a process of this user, which isolates nothing.
func (Plain) Ask(ctx context.Context, q Question) (Answer, error) { return AskHere(ctx, q) }

// Image implements Images.
func (p Plain) Image(context.Context, string) (Image, error) { return NoImages{p.Name}.refuse() }

// Layers implements Images.
func (p Plain) Layers(ctx context.Context, id string, each func(io.Reader) error) error {
	return NoImages{p.Name}.Layers(ctx, id, each)
}

// Equip implements Images.
func (p Plain) Equip(ctx context.Context, image, program string) (string, error) {
	return NoImages{p.Name}.Equip(ctx, image, program)
}

// ArchiveID implements Images.
func (p Plain) ArchiveID(ctx context.Context, archive string) (string, error) {
	return NoImages{p.Name}.ArchiveID(ctx, archive)
}

// Discard implements Images.
func (Plain) Discard(context.Context, string) error { return nil }

// LoadArchive implements Images.
func (p Plain) LoadArchive(context.Context, string) (Image, error) { return NoImages{p.Name}.refuse() }

// PullImage implements Images.
func (p Plain) PullImage(context.Context, string) (Image, error) { return NoImages{p.Name}.refuse() }

// Confine implements Host.
func (p Plain) Confine(context.Context, int) ([]string, error) { return []string{p.warning()}, nil }

// Resources implements Host.
func (Plain) Resources(context.Context) (openflow.Resources, error) { return openflow.Resources{}, nil }

// Examine implements Host.
func (p Plain) Examine(context.Context) []openflow.Finding {
	return []openflow.Finding{{
		Check: "isolation", Verdict: openflow.VerdictWarn, Detail: p.warning(),
		Remedy: "use a runtime that isolates for algorithms and partners that are not trusted",
	}}
}

// Trim implements Host.
func (Plain) Trim(context.Context) error { return nil }

// Close implements Host.
func (Plain) Close() error { return nil }
