package registry

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"openflow"
)

// Judge holds what is to be registered against the site's policy.
type Judge interface {
	// Admit refuses what the policy lets nobody bring here, by its place and signature. It is asked before anything is pulled,
	// loaded or unpacked: the digest of an image that is not here is empty. It completes the papers as far.
	Admit(ctx context.Context, r openflow.ProviderRecord, given openflow.Papers) (openflow.Papers, error)
	// Judge refuses what the policy does not let run; see approval.Decide. A name or components that nobody knows yet are
	// empty. It completes the papers: of what is said to be signed it notes what was, and it makes an SBOM where none is given.
	Judge(ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers) (openflow.Papers, error)
	// Stands refuses a registered provider that the policy does not let run now: a key may be revoked since, or a vulnerability
	// known.
	Stands(ctx context.Context, r openflow.ProviderRecord) error
}

// inspect looks at what is to be registered, and asks the policy whether it may come here at all.
func (g *Registry) inspect(ctx context.Context, n Registration) (r openflow.ProviderRecord, papers openflow.Papers, err error) {
	if r, err = g.Machine.Inspect(ctx, n.What, n.Interpreter); err != nil {
		return r, n.Papers, err
	}
	r.Name, r.Version = n.Name, n.Version
	if g.Judge == nil {
		return r, n.Papers, nil
	}
	papers, err = g.Judge.Admit(ctx, r, n.Papers)
	return r, papers, err
}

// discardWithin bounds what it takes to remove what a call has brought.
const discardWithin = 30 * time.Second

// discard removes what a call has brought for a provider that is not registered after all. What another provider has stays.
func (g *Registry) discard(ctx context.Context, r openflow.ProviderRecord) error {
	if r.Place == "" {
		return nil // nothing was found
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardWithin)
	defer cancel()
	list, err := g.Rows.Providers(ctx)
	if err != nil || slices.ContainsFunc(list, func(p openflow.ProviderRecord) bool { return p.Digest == r.Digest }) {
		return err
	}
	return g.Machine.Discard(ctx, r)
}

func (g *Registry) judge(
	ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers,
) (openflow.Papers, error) {
	if g.Judge == nil {
		return given, nil
	}
	return g.Judge.Judge(ctx, r, components, given)
}

// ready brings what runs are started with to the runtime, and says whether they may be.
func (g *Registry) ready(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	if g.Judge != nil && r.Kind != openflow.ProviderBuiltIn {
		if err := g.Judge.Stands(ctx, r); err != nil {
			return "", err
		}
	}
	return g.Machine.Ready(ctx, r)
}

// What lies beside a program or archive in a folder of components: its publisher's signature, and what it is made of.
const (
	signatureEnding = ".minisig"
	sbomEnding      = ".cdx.json"
)

// maxPaper is how many bytes such a file may have.
const maxPaper = 16 << 20

func isPaper(name string) bool {
	return strings.HasSuffix(name, signatureEnding) || strings.HasSuffix(name, sbomEnding)
}

// beside reads the papers of a file of a folder. Errors: CodeInvalid.
func beside(file string) (openflow.Papers, error) {
	var p openflow.Papers
	signature, err := readPaper(file + signatureEnding)
	if err != nil {
		return p, err
	}
	if len(signature) > 0 {
		p.Signatures = []openflow.PublisherSignature{{Text: string(signature)}}
	}
	p.SBOM, err = readPaper(file + sbomEnding)
	return p, err
}

// readPaper reads a file that may not be there. It neither follows a link nor waits for a pipe.
func readPaper(path string) (text []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, syscall.ELOOP) {
		err = errors.New("it is a link")
	}
	if err == nil {
		text, err = regular(f)
		err = errors.Join(err, f.Close())
	}
	if err == nil && len(text) > maxPaper {
		err = openflow.Errorf(openflow.CodeInvalid, "it has more than %d bytes", maxPaper)
	}
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s cannot be read: %w", path, err)
	}
	return text, nil
}

// regular reads a regular file, and one byte more of it than a paper may have.
func regular(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	return io.ReadAll(io.LimitReader(f, maxPaper+1))
}
