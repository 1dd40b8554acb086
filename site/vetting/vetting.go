// Package vetting holds what providers bring against the site's policy, when it is registered and at each launch of a run. It
// gathers what there is to know: signatures, the list of parts, known vulnerabilities. What follows from that is decided by
// package approval.
//
// A [Vetter] keeps what it has gathered of each provider. It looks at the folder of vulnerabilities again when that has changed.
package vetting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/site/approval"
	"openflow/site/osv"
	"openflow/site/sbom"
	"openflow/site/trust/publisher"
)

// Rows are the part of the catalogue that has providers.
type Rows interface {
	Provider(ctx context.Context, name, version string) (openflow.ProviderRecord, error)
	Components(ctx context.Context, name, version string) ([]openflow.ComponentRecord, error)
	Papers(ctx context.Context, r openflow.ProviderRecord) (openflow.Papers, error)
}

// Layers visits the layers of an image that is in the runtime; see driver.Images.
type Layers func(ctx context.Context, id string, each func(layer io.Reader) error) error

// Vetter holds providers against the policy of one site.
type Vetter struct {
	Policy openflow.SitePolicy
	Rows   Rows
	Layers Layers
	Temp   string           // folder for one file at a time; empty: the system's
	Now    func() time.Time // nil: time.Now

	mu     sync.Mutex
	known  map[known]*file
	state  string // of the folder of vulnerabilities
	looked time.Time
}

// known tells apart what is kept: another registration of one provider may have other papers, also one at another replica.
type known struct {
	ref    openflow.ProviderRef
	digest string
	papers string // their digest
	at     time.Time
}

// file is what is known of a provider.
type file struct {
	papers openflow.Papers
	parts  []sbom.Part
	wishes map[string]openflow.Wishes // by component
	state  string                     // of the folder when it was searched
	found  []openflow.Vulnerability
}

// lookEvery is how long the folder of vulnerabilities is taken to be as it was. A launch costs milliseconds, and looking at a
// hundred thousand files most of a second.
const lookEvery = 10 * time.Second

// Judge implements registry.Judge.
func (v *Vetter) Judge(
	ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers,
) (openflow.Papers, error) {
	papers, parts, err := v.complete(ctx, r, given)
	if err != nil {
		return papers, err
	}
	a := applicant(r, papers)
	if a.Found, err = v.search(parts); err != nil {
		return papers, err
	}
	for _, w := range append([]openflow.Wishes{{}}, values(wishesOf(components))...) {
		a.Wishes = w
		if _, err := approval.Decide(v.Policy, a); err != nil {
			return papers, err
		}
	}
	return papers, nil
}

// values are those of a map, in the order of its keys.
func values(m map[string]openflow.Wishes) []openflow.Wishes {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	list := make([]openflow.Wishes, len(keys))
	for i, k := range keys {
		list[i] = m[k]
	}
	return list
}

// applicant is what is known of a provider but for its wishes and vulnerabilities.
func applicant(r openflow.ProviderRecord, p openflow.Papers) approval.Applicant {
	a := approval.Applicant{
		Provider: r.Name, Kind: r.Kind, Reference: r.Place, Digest: r.Digest, Signatures: p.Signatures, HasSBOM: len(p.SBOM) > 0,
	}
	if r.Archive != "" {
		a.Digests = []string{r.Archive}
	}
	return a
}

// complete notes which file a signature may be of, and makes a list of parts where none is given. Papers that were completed
// once stay as they are.
func (v *Vetter) complete(ctx context.Context, r openflow.ProviderRecord, p openflow.Papers) (openflow.Papers, []sbom.Part, error) {
	for i, s := range p.Signatures {
		if _, err := publisher.ParseSignature(s.Text); err != nil {
			return p, nil, err
		}
		if s.File == "" && i == len(p.Signatures)-1 && onDisk(r) {
			m, err := measure(r)
			if err != nil {
				return p, nil, err
			}
			// Which of the two was signed, the keys of the policy tell.
			p.Signatures = append(slices.Clone(p.Signatures), openflow.PublisherSignature{Text: s.Text, File: m.Hash()})
		}
	}
	if len(p.SBOM) > 0 {
		parts, _, err := sbom.Read(p.SBOM)
		if p.Origin == "" {
			p.Origin = sbom.Given
		}
		return p, parts, err
	}
	d, ok, err := v.derive(ctx, r)
	if ok {
		p.SBOM, p.Origin = d.Text, d.Origin
	}
	return p, d.Parts, err
}

// onDisk reports whether a provider's program or archive is a file of this machine.
func onDisk(r openflow.ProviderRecord) bool {
	return r.Kind != openflow.ProviderImage || r.Archive != ""
}

// measure takes of a file what a signature is about, of the very content that is to be registered.
func measure(r openflow.ProviderRecord) (publisher.Message, error) {
	f, err := os.Open(r.Place)
	if err != nil {
		return publisher.Message{}, openflow.Errorf(openflow.CodeInvalid, "%s cannot be read: %w", r.Place, err)
	}
	hash := sha256.New()
	m, err := publisher.Measure(io.TeeReader(f, hash))
	if err = errors.Join(err, f.Close()); err != nil {
		return m, openflow.Errorf(openflow.CodeInvalid, "%s cannot be read: %w", r.Place, err)
	}
	want := r.Digest
	if r.Archive != "" {
		want = r.Archive
	}
	if is := "sha256:" + hex.EncodeToString(hash.Sum(nil)); is != want {
		return m, openflow.Errorf(openflow.CodeConflict, "%s changes while it is registered: it was %s and is %s", r.Place, want, is).
			WithHint("register it when nobody writes to it")
	}
	return m, nil
}

// derive makes a list of parts of a program or image.
func (v *Vetter) derive(ctx context.Context, r openflow.ProviderRecord) (sbom.Document, bool, error) {
	if r.Kind != openflow.ProviderImage {
		f, err := os.Open(r.Place)
		if err != nil {
			return sbom.Document{}, false, openflow.Errorf(openflow.CodeInvalid, "%s cannot be read: %w", r.Place, err)
		}
		d, ok, err := sbom.OfProgram(r.Place, f)
		return d, ok, errors.Join(err, f.Close())
	}
	if v.Layers == nil {
		return sbom.Document{}, false, nil
	}
	c := sbom.Collector{Temp: v.Temp}
	if err := v.Layers(ctx, r.Digest, c.Layer); err != nil {
		return sbom.Document{}, false, err
	}
	return c.Document(r.Place)
}

// Approve says what the container of a run may have: at each launch, by the policy as it is now. Errors: CodePermission, with
// the rules that stand against it.
func (v *Vetter) Approve(ctx context.Context, run openflow.TaskRecord) (openflow.Confinement, error) {
	ref, err := openflow.ParseProvider(run.Provider)
	if err != nil {
		return openflow.Confinement{}, err
	}
	_, got, err := v.approve(ctx, openflow.ProviderRef{Name: ref.Name, Version: ref.Version}, run.Component)
	return got.May, err
}

// Stands implements registry.Judge.
func (v *Vetter) Stands(ctx context.Context, r openflow.ProviderRecord) error {
	_, _, err := v.approve(ctx, r.Ref(), "")
	return err
}

// Report is how a provider stands by the policy.
type Report struct {
	Papers  openflow.Papers
	Found   []openflow.Vulnerability
	Verdict approval.Approval
	Against error // why it may not run; nil: it may
}

// Report tells how a provider stands by the policy. Errors: CodeNotFound.
func (v *Vetter) Report(ctx context.Context, ref openflow.ProviderRef) (Report, error) {
	known, verdict, err := v.approve(ctx, ref, "")
	if err != nil && openflow.CodeOf(err) != openflow.CodePermission {
		return Report{}, err
	}
	return Report{known.papers, known.found, verdict, err}, nil
}

// approve decides about a provider that is registered. The built-in one of an earlier or later version is this machine's own,
// and may have what a component has that wishes for nothing.
func (v *Vetter) approve(ctx context.Context, ref openflow.ProviderRef, component string) (file, approval.Approval, error) {
	r, err := v.Rows.Provider(ctx, ref.Name, ref.Version)
	if openflow.CodeOf(err) == openflow.CodeNotFound || err == nil && r.Kind == openflow.ProviderBuiltIn {
		// What is not registered is not run either: see programs.Programs.
		got, err := approval.Decide(v.Policy, approval.Applicant{Provider: ref.Name, Kind: openflow.ProviderBuiltIn, Reference: ref.Name})
		return file{}, got, err
	}
	if err != nil {
		return file{}, approval.Approval{}, err
	}
	f, err := v.look(ctx, r)
	if err != nil {
		return f, approval.Approval{}, err
	}
	a := applicant(r, f.papers)
	a.Found, a.Wishes = f.found, f.wishes[component]
	got, err := approval.Decide(v.Policy, a)
	return f, got, err
}

// look finds what is known of a provider, and searches the folder of vulnerabilities again if that has changed.
func (v *Vetter) look(ctx context.Context, r openflow.ProviderRecord) (file, error) {
	key := known{r.Ref(), r.Digest, r.Papers, r.AddedAt}
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.known[key]
	if f == nil {
		var err error
		if f, err = v.read(ctx, r); err != nil {
			return file{}, err
		}
		if v.known == nil {
			v.known = map[known]*file{}
		}
		maps.DeleteFunc(v.known, func(k known, _ *file) bool { return k.ref == key.ref }) // it is that no more
		v.known[key] = f
	}
	state, err := v.folder()
	if err != nil {
		return *f, err
	}
	if state != f.state {
		if f.found, err = v.search(f.parts); err != nil {
			return *f, err
		}
		f.state = state
	}
	return *f, nil
}

func (v *Vetter) read(ctx context.Context, r openflow.ProviderRecord) (*file, error) {
	papers, err := v.Rows.Papers(ctx, r)
	if err != nil {
		return nil, err
	}
	components, err := v.Rows.Components(ctx, r.Name, r.Version)
	if err != nil {
		return nil, err
	}
	f := &file{papers: papers, wishes: wishesOf(components)}
	if len(papers.SBOM) > 0 {
		f.parts, _, err = sbom.Read(papers.SBOM)
	}
	return f, err
}

// folder is the state of the folder of vulnerabilities; empty without one.
func (v *Vetter) folder() (string, error) {
	if v.Policy.Images.Vulnerabilities == "" {
		return "", nil
	}
	now := time.Now()
	if v.Now != nil {
		now = v.Now()
	}
	if v.state != "" && now.Sub(v.looked) < lookEvery {
		return v.state, nil
	}
	state, err := osv.Folder(v.Policy.Images.Vulnerabilities).State()
	if err == nil {
		v.state, v.looked = state, now
	}
	return state, err
}

func (v *Vetter) search(parts []sbom.Part) ([]openflow.Vulnerability, error) {
	if v.Policy.Images.Vulnerabilities == "" || len(parts) == 0 {
		return nil, nil
	}
	return osv.Folder(v.Policy.Images.Vulnerabilities).Match(parts)
}

// wishesOf are what components wish for.
func wishesOf(components []openflow.ComponentRecord) map[string]openflow.Wishes {
	all := map[string]openflow.Wishes{}
	for _, c := range components {
		all[c.Name] = c.Wishes
	}
	return all
}
