package programs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"openflow"
	"openflow/runtime/driver"
)

// Programs says what a machine starts for the runs of each provider.
type Programs struct {
	Machine string // its name, for people
	Device  string // local or docker
	BuiltIn openflow.ProviderRecord
	// Find looks a provider up in the site's registry. CodeNotFound: it is not registered.
	Find func(ctx context.Context, name, version string) (openflow.ProviderRecord, error)
	// Bring makes the program at a path what the runtime starts: an image of it, or the path as it is.
	Bring func(ctx context.Context, path string) (image string, err error)
	// Images are those of the runtime.
	Images driver.Images
	// Copies is the folder of this machine's own copies of programs, by digest. A runtime that starts files starts these.
	Copies string
	// Question puts a question to a program that has been brought; see driver.Host.
	Question func(ctx context.Context, q driver.Question) (driver.Answer, error)
	// Residents is the runtime, where its containers may serve many runs; nil: they may not.
	Residents Residents
	// Isolated says that what runs reaches nothing of this machine. Otherwise only the built-in program runs, and those of
	// the providers that the operator trusts as the node itself, by name.
	Isolated bool
	Trusted  []string

	files     known
	bringing  sync.Mutex
	mu        sync.Mutex
	images    map[brought]string
	restoring map[string]*restoration // images, by their IDs
}

// brought is a program that the runtime has been given.
type brought struct{ place, digest string }

// Own reads the program that the machine brings along for the built-in provider, whose containers speak that dialect. Errors: CodeInvalid.
func Own(path string, speaks openflow.Dialect) (openflow.ProviderRecord, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	var digest string
	if err == nil {
		_, digest, err = read(abs, aProgram, io.Discard)
	}
	if err != nil {
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeInvalid, "the program %q of the built-in provider cannot be used: %w", path, err).
			WithHint("build it with make build, or name it with --components")
	}
	return openflow.ProviderRecord{Kind: openflow.ProviderBuiltIn, Place: abs, Digest: digest, Dialect: speaks}, nil
}

// Of says what a run of that provider is started with. Of a local program it is the very content that was registered. The
// built-in provider is whatever this machine brings along, so that a run goes on after an update. Errors: CodeNotFound (not
// registered, or not on this machine), CodeConflict (changed), CodeInvalid (it cannot be run here), CodePermission (nothing would
// isolate it), CodeUnavailable (an update of the built-in one is under way).
func (p *Programs) Of(ctx context.Context, provider string) (openflow.Program, error) {
	ref, err := openflow.ParseProvider(provider)
	if err != nil {
		return openflow.Program{}, err
	}
	ref.Device = ""
	record, err := p.find(ctx, ref)
	if err != nil {
		return openflow.Program{}, err
	}
	ref = record.Ref()
	ref.Device = p.Device
	started := openflow.Program{Command: []string{"run"}, Dialect: record.Dialect, Provider: ref.String(), Digest: record.Digest}
	if record.Interpreter != "" {
		started.Command = arguments(record, started.Command...)
		started.Image, err = p.Ready(ctx, record)
		return started, err
	}
	if record.Kind == openflow.ProviderImage {
		img, err := p.ready(ctx, record)
		if started.Image = img.ID; len(img.Entrypoint) == 0 {
			started.Command = nil // its own command is the whole program
		}
		return started, err
	}
	started.Image, err = p.Ready(ctx, record)
	return started, err
}

// find looks a provider up. Whatever has the name of the built-in one and is no local program is this machine's own, in
// whatever version it has.
func (p *Programs) find(ctx context.Context, ref openflow.ProviderRef) (openflow.ProviderRecord, error) {
	if ref == p.BuiltIn.Ref() {
		return p.BuiltIn, nil
	}
	record, err := p.Find(ctx, ref.Name, ref.Version)
	missing := openflow.CodeOf(err) == openflow.CodeNotFound
	if ref.Name == p.BuiltIn.Name && (missing || err == nil && record.Kind == openflow.ProviderBuiltIn) {
		return p.BuiltIn, nil
	}
	if missing {
		return record, openflow.Errorf(openflow.CodeNotFound, "provider %s was removed from this site's registry", ref.Name+":"+ref.Version).
			WithHint("register it again with openflow provider register, then rerun the job")
	}
	return record, err
}

// Ready checks a provider's program or image, and brings it to the runtime. It returns what that starts. Errors are those of Of.
func (p *Programs) Ready(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	if r.Kind == openflow.ProviderImage {
		img, err := p.ready(ctx, r)
		if err != nil || r.Interpreter == "" {
			return img.ID, err
		}
		return p.equip(ctx, r, img.ID)
	}
	if r.Kind == openflow.ProviderFolder {
		return p.launched(ctx, r)
	}
	if err := p.allow(r); err != nil {
		return "", err
	}
	key := brought{r.Place, r.Digest}
	image, made := p.image(key)
	if made && r.Kind == openflow.ProviderBuiltIn {
		return image, nil // what the program was when this node started
	}
	if made {
		return image, p.Verify(ctx, r)
	}
	p.bringing.Lock()
	defer p.bringing.Unlock()
	if image, made = p.image(key); made { // meanwhile
		return image, nil
	}
	own, err := p.copy(r)
	if err != nil {
		return "", err
	}
	if image, err = p.Bring(ctx, own); err != nil {
		return "", err
	}
	if image != own { // the runtime has an image of it
		if err := os.Remove(own); err != nil {
			return "", openflow.Errorf(openflow.CodeInternal, "copy of the program of provider %s: %w", r.Ref(), err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.images == nil {
		p.images = map[brought]string{}
	}
	p.images[key] = image
	return image, nil
}

func (p *Programs) image(key brought) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	image, ok := p.images[key]
	if ok && filepath.Dir(image) == p.Copies {
		_, err := os.Stat(image)
		ok = err == nil // or else somebody has removed the copy
	}
	return image, ok
}

// Exposed reports whether a provider's programs run here with all that the node's user may do: its runtime isolates nothing,
// and the operator trusts that provider.
func (p *Programs) Exposed(r openflow.ProviderRecord) bool {
	return !p.Isolated && r.Kind != openflow.ProviderBuiltIn && slices.Contains(p.Trusted, r.Name)
}

// allow refuses programs of others where nothing isolates them. Errors: CodePermission.
func (p *Programs) allow(r openflow.ProviderRecord) error {
	if p.Isolated || r.Kind == openflow.ProviderBuiltIn || p.Exposed(r) {
		return nil
	}
	if r.Name == "" {
		return openflow.Errorf(openflow.CodePermission, "machine %s does not run programs of a provider that nobody has named: its runtime isolates nothing", p.Machine).
			WithHint("use --runtime docker; or say whose it is with --name, where the node trusts that provider (--trust-provider)")
	}
	return openflow.Errorf(openflow.CodePermission,
		"machine %s does not run programs of provider %s: its runtime isolates nothing, so they could read the node's key", p.Machine, r.Name).
		WithHint("use --runtime docker; or, if %s may do all that the node's user may, start with --trust-provider %s", r.Name, r.Name)
}

// Ask checks a provider's program, brings it to the runtime, and asks it there: nothing of it runs outside of that. Errors:
// those of Ready and of driver.Host.
func (p *Programs) Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error) {
	image, err := p.Ready(ctx, r)
	if err != nil {
		return driver.Answer{}, err
	}
	return p.Question(ctx, driver.Question{Image: image, Command: arguments(r, args...), Most: most})
}

// Verify compares a provider's program or image on this machine with its record, and changes nothing. Errors: CodeNotFound (it
// is not here), CodeConflict (it has changed), CodeUnavailable (the built-in one has), CodePermission (it would run unisolated,
// and is not trusted); of an image those of driver.Images too.
func (p *Programs) Verify(ctx context.Context, r openflow.ProviderRecord) error {
	if r.Kind == openflow.ProviderImage {
		return p.verifyImage(ctx, r)
	}
	if r.Kind == openflow.ProviderFolder {
		return p.verifyFolder(ctx, r)
	}
	if err := p.allow(r); err != nil {
		return err
	}
	digest, err := p.files.digest(r.Place, aProgram)
	switch {
	case err != nil:
		return p.lacks(r, err)
	case digest != r.Digest:
		return p.changed(r, digest)
	case r.Kind == openflow.ProviderBuiltIn:
		return nil
	}
	return closed(r.Place, aProgram)
}

func (p *Programs) lacks(r openflow.ProviderRecord, err error) error {
	return openflow.Errorf(openflow.CodeNotFound, "machine %s lacks %s of provider %s, %s: %w", p.Machine, thing(r), r.Ref(), r.Place, err).
		WithHint("%s", hintOf(r))
}

func (p *Programs) changed(r openflow.ProviderRecord, now string) error {
	code, since := openflow.CodeConflict, "it was registered"
	if r.Kind == openflow.ProviderBuiltIn {
		code, since = openflow.CodeUnavailable, "the node or worker started" // an update is under way
	}
	err := openflow.Errorf(code, "%s of provider %s at machine %s, %s, has changed since %s: it was %s and is %s", thing(r),
		r.Ref(), p.Machine, r.Place, since, r.Digest, now)
	if r.Kind == openflow.ProviderBuiltIn {
		return err.WithHint("restart the node or worker, so that it takes the new program; until then its runs wait")
	}
	if r.Kind == openflow.ProviderFolder {
		return err.WithHint("put the registered files back, and remove what Python has written beside them (__pycache__); to use the new ones, "+
			"register them under another version, or remove provider %s first", r.Ref())
	}
	return err.WithHint("put the registered file back; to use the new one, register it under another version, or remove provider %s first", r.Ref())
}
