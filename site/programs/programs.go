package programs

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"sync"

	"openflow"
)

// Programs says what a machine starts for the runs of each provider.
type Programs struct {
	Machine string // its name, for people
	Device  string // local or docker
	BuiltIn openflow.ProviderRecord
	// Find looks a provider up in the site's registry. CodeNotFound: it is not registered.
	Find func(ctx context.Context, name, version string) (openflow.ProviderRecord, error)
	// Load makes an image of a program; nil: programs run as they are.
	Load func(ctx context.Context, program []byte) (image string, err error)

	files  known
	mu     sync.Mutex
	images map[string]string // by digest of the program
}

// Own reads the program that the machine brings along for the built-in provider. Errors: CodeInvalid.
func Own(path string) (openflow.ProviderRecord, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	var digest string
	if err == nil {
		_, digest, err = read(abs, io.Discard)
	}
	if err != nil {
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeInvalid, "the components binary %q cannot be used: %w", path, err).
			WithHint("build it with make build, or name it with --components")
	}
	return openflow.ProviderRecord{Kind: openflow.ProviderBuiltIn, Place: abs, Digest: digest, Enabled: true}, nil
}

// Of says what a run of that provider is started with: an image, or the path of an executable; and what that is. Of a local
// program it is the very content that was registered. The
// built-in provider is whatever this machine brings along, so that a run goes on after an update. Errors: CodeNotFound (not
// registered, or not on this machine), CodeConflict (changed), CodeInvalid (it cannot be run here).
func (p *Programs) Of(ctx context.Context, provider string) (image string, of openflow.Launch, err error) {
	ref, err := openflow.ParseProvider(provider)
	if err != nil {
		return "", of, err
	}
	record := p.BuiltIn
	if ref.Name != p.BuiltIn.Name {
		if record, err = p.find(ctx, ref); err != nil {
			return "", of, err
		}
	}
	ref = record.Ref()
	ref.Device = p.Device
	image, err = p.Ready(ctx, record)
	return image, openflow.Launch{Provider: ref.String(), Digest: record.Digest}, err
}

func (p *Programs) find(ctx context.Context, ref openflow.ProviderRef) (openflow.ProviderRecord, error) {
	record, err := p.Find(ctx, ref.Name, ref.Version)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return record, openflow.Errorf(openflow.CodeNotFound, "provider %s was removed from this site's registry", ref.Name+":"+ref.Version).
			WithHint("register it again with openflow provider add, then rerun the job")
	}
	return record, err
}

// Ready checks a provider's program, and gives the daemon its image where programs run in one. It returns that, or the path
// of the program. Errors are those of Of.
func (p *Programs) Ready(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	image, made := p.image(r.Digest)
	if made && r.Kind == openflow.ProviderBuiltIn {
		return image, nil // of what the program was when this node started
	}
	if err := p.Verify(r); err != nil {
		return "", err
	}
	switch {
	case p.Load == nil:
		return r.Place, nil
	case made:
		return image, nil
	}
	return p.load(ctx, r)
}

func (p *Programs) image(digest string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	image, ok := p.images[digest]
	return image, ok
}

func (p *Programs) load(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	var program bytes.Buffer
	_, digest, err := read(r.Place, &program)
	if err != nil {
		return "", p.lacks(r, err)
	}
	if digest != r.Digest {
		return "", p.changed(r, digest)
	}
	if r.Kind != openflow.ProviderBuiltIn {
		if err := checkStatic(program.Bytes()); err != nil {
			return "", openflow.Errorf(openflow.CodeInvalid, "no image can be made of %s: %w", r.Place, err).
				WithHint("build it as one static program for Linux on this machine's processor; in Go: CGO_ENABLED=0")
		}
	}
	image, err := p.Load(ctx, program.Bytes())
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.images == nil {
		p.images = map[string]string{}
	}
	p.images[digest] = image
	return image, nil
}

// Verify compares a provider's program on this machine with its record. Errors: CodeNotFound (it is not here),
// CodeConflict (it has changed).
func (p *Programs) Verify(r openflow.ProviderRecord) error {
	digest, err := p.files.digest(r.Place)
	if err == nil && r.Kind != openflow.ProviderBuiltIn {
		if err := closed(r.Place); err != nil {
			return err
		}
	}
	switch {
	case err != nil:
		return p.lacks(r, err)
	case digest != r.Digest:
		return p.changed(r, digest)
	}
	return nil
}

func (p *Programs) lacks(r openflow.ProviderRecord, err error) error {
	return openflow.Errorf(openflow.CodeNotFound, "machine %s lacks the program of provider %s, %s: %w", p.Machine, r.Ref(), r.Place, err).
		WithHint("put the registered file there; its digest is %s", r.Digest)
}

func (p *Programs) changed(r openflow.ProviderRecord, now string) error {
	err := openflow.Errorf(openflow.CodeConflict, "the program of provider %s at machine %s, %s, has changed since it was registered: it was %s and is %s",
		r.Ref(), p.Machine, r.Place, r.Digest, now)
	if r.Kind == openflow.ProviderBuiltIn {
		return err.WithHint("restart the node or worker, so that it takes the new program")
	}
	return err.WithHint("put the registered file back; to use the new one, register it under another version, or remove provider %s first", r.Ref())
}
