package driver

import (
	"context"
	"io"

	"openflow"
)

// Image is an image that a runtime has, whoever made it.
type Image struct {
	ID         string            // "sha256:…" of its configuration, which names its layers by hash; Spec.Image takes it
	Entrypoint []string          // what it runs, before any arguments
	Command    []string          // the arguments where none are given
	Labels     map[string]string // that its maker has given to it
	Volumes    []string          // folders for which it wants a disk of its own
	OS, Arch   string            // in Go's words
	Bytes      int64             // of its files
}

// Images are the images of a runtime. A runtime that runs none embeds [NoImages].
type Images interface {
	// Image finds what an ID or a reference names. Errors: CodeNotFound (the runtime does not have it), CodeInvalid (it is no
	// name of an image, or the runtime runs none), CodeUnavailable.
	Image(ctx context.Context, name string) (Image, error)

	// LoadArchive gives the runtime the one image of an archive, unless it has it. The archive is the file at that path: what
	// "docker save" writes, or an OCI layout in a tar. All of it is compared with the hashes that it names. No tag of it is
	// taken over. Errors: CodeInvalid (it is no such archive, is damaged, or is for another machine).
	LoadArchive(ctx context.Context, archive string) (Image, error)

	// ArchiveID reads which image an archive says that it holds, and gives the runtime nothing. What else is in the archive is
	// not compared with that. Errors: those of LoadArchive.
	ArchiveID(ctx context.Context, archive string) (id string, err error)

	// Discard removes an image again, by its ID or reference, that this runtime has got by LoadArchive, PullImage or Host.Bring
	// since it was opened. Every other one stays. Errors: CodeConflict (a container uses it).
	Discard(ctx context.Context, name string) error

	// PullImage has the runtime fetch what a reference names from its registry. Errors: CodeNotFound, CodeUnavailable.
	PullImage(ctx context.Context, reference string) (Image, error)

	// Equip gives the runtime an image that is another one of its images with a program of this machine in it, which is its entry point.
	// The same two make the same image. Errors: CodeNotFound (no such image), CodeInvalid (the program cannot run there).
	Equip(ctx context.Context, image, program string) (id string, err error)

	// Layers visits the layers of an image that the runtime has, the lowest first, each as a tar that is not packed. Errors:
	// CodeNotFound, CodeUnavailable, CodeInvalid; those of each.
	Layers(ctx context.Context, id string, each func(layer io.Reader) error) error
}

// NoImages is what a runtime answers that starts programs of its machine and no images.
type NoImages struct{ Runtime string }

func (n NoImages) refuse() (Image, error) {
	return Image{}, openflow.Errorf(openflow.CodeInvalid, "the %s runtime runs no images", n.Runtime).WithHint("use --runtime docker")
}

// Layers implements Images.
func (n NoImages) Layers(context.Context, string, func(io.Reader) error) error {
	_, err := n.refuse()
	return err
}

// Equip implements Images.
func (n NoImages) Equip(context.Context, string, string) (string, error) {
	_, err := n.refuse()
	return "", err
}

// ArchiveID implements Images.
func (n NoImages) ArchiveID(context.Context, string) (string, error) {
	_, err := n.refuse()
	return "", err
}

// Discard implements Images.
func (NoImages) Discard(context.Context, string) error { return nil }

// Image implements Images.
func (n NoImages) Image(context.Context, string) (Image, error) { return n.refuse() }

// LoadArchive implements Images.
func (n NoImages) LoadArchive(context.Context, string) (Image, error) { return n.refuse() }

// PullImage implements Images.
func (n NoImages) PullImage(context.Context, string) (Image, error) { return n.refuse() }
