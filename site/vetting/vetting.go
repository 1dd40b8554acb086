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
	"strings"
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
	known  map[known]file
	ways   map[known]*way
	turn   chan struct{} // holds one while the folder is searched
	state  string        // of the folder of vulnerabilities
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

// searchWithin bounds a search of the folder for a launch. Launches that wait for it may give up before.
const searchWithin = 10 * time.Minute

// Judge implements registry.Judge.
func (v *Vetter) Judge(
	ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers,
) (openflow.Papers, error) {
	papers, err := v.Admit(ctx, r, given)
	if err != nil {
		return papers, err
	}
	papers, parts, err := v.complete(ctx, r, papers)
	if err != nil {
		return papers, err
	}
	a := applicant(r, papers, parts)
	if a.Found, err = v.search(ctx, parts); err != nil {
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

// Admit implements registry.Judge.
func (v *Vetter) Admit(_ context.Context, r openflow.ProviderRecord, given openflow.Papers) (openflow.Papers, error) {
	papers, err := vouched(r, given)
	if err != nil {
		return papers, err
	}
	return papers, approval.Admit(v.Policy, applicant(r, papers, nil))
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
func applicant(r openflow.ProviderRecord, p openflow.Papers, parts []sbom.Part) approval.Applicant {
	a := approval.Applicant{
		Provider: r.Name, Kind: r.Kind, Reference: r.Place, Digest: r.Digest, Signatures: p.Signatures, HasSBOM: len(parts) > 0,
	}
	if r.Archive != "" {
		a.Digests = []string{r.Archive}
	}
	if _, digest, pinned := strings.Cut(r.Place, "@"); pinned && !onDisk(r) { // what the daemon holds a reference to
		a.Digests = append(a.Digests, digest)
	}
	return a
}

// vouched notes which file a signature may be of.
func vouched(r openflow.ProviderRecord, p openflow.Papers) (openflow.Papers, error) {
	if r.Kind == openflow.ProviderFolder && len(p.Signatures) > 0 {
		return p, openflow.Errorf(openflow.CodeInvalid, "%s is a folder, and a publisher signs files", r.Place).
			WithHint("leave the signature out; images.digests of the policy may name %s", r.Digest)
	}
	for i, s := range p.Signatures {
		if _, err := publisher.ParseSignature(s.Text); err != nil {
			return p, err
		}
		if s.File == "" && i == len(p.Signatures)-1 && onDisk(r) {
			m, err := measure(r)
			if err != nil {
				return p, err
			}
			// Which of the two was signed, the keys of the policy tell.
			p.Signatures = append(slices.Clone(p.Signatures), openflow.PublisherSignature{Text: s.Text, File: m.Hash()})
		}
	}
	return p, nil
}

// complete makes a list of parts, or adds to the one that is given. A list that was completed once stays as it is.
func (v *Vetter) complete(ctx context.Context, r openflow.ProviderRecord, p openflow.Papers) (openflow.Papers, []sbom.Part, error) {
	given := len(p.SBOM) > 0
	if given {
		if parts, _, err := sbom.Read(p.SBOM); err != nil || p.Origin != "" {
			return p, parts, err
		}
	}
	d, ok, err := v.derive(ctx, r, given)
	if err != nil {
		return p, nil, err
	}
	if given {
		d, err = sbom.Join(sbom.Document{Text: p.SBOM, Origin: sbom.Given}, d)
	}
	if err == nil && (ok || given) {
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

// derive makes a list of parts of a program or image. The list that lies in an image counts where the operator has given none.
func (v *Vetter) derive(ctx context.Context, r openflow.ProviderRecord, given bool) (sbom.Document, bool, error) {
	if r.Kind == openflow.ProviderFolder {
		return sbom.Document{}, false, nil // which packages its code has, nobody but its operator can say: --sbom
	}
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
	if given {
		return c.Found(r.Place)
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
	a := applicant(r, f.papers, f.parts)
	a.Found, a.Wishes = f.found, f.wishes[component]
	got, err := approval.Decide(v.Policy, a)
	return f, got, err
}

// way is a look at a provider that is under way.
type way struct {
	done chan struct{} // closed once the fields below are said
	file file
	err  error
}

// look finds what is known of a provider, and searches the folder of vulnerabilities again if that has changed. A search goes on
// when the caller gives up: the next launch finds it done, or waits for the same.
func (v *Vetter) look(ctx context.Context, r openflow.ProviderRecord) (file, error) {
	key := known{r.Ref(), r.Digest, r.Papers, r.AddedAt}
	v.mu.Lock()
	if f, ok := v.known[key]; ok && v.fresh() && f.state == v.state {
		v.mu.Unlock()
		return f, nil
	}
	w, begun := v.ways[key]
	if !begun {
		if v.ways == nil {
			v.ways = map[known]*way{}
		}
		w = &way{done: make(chan struct{})}
		v.ways[key] = w
		go v.follow(context.WithoutCancel(ctx), r, key, w)
	}
	v.mu.Unlock()
	select {
	case <-w.done:
		return w.file, w.err
	case <-ctx.Done():
		return file{}, ctx.Err()
	}
}

// follow goes one way to its end.
func (v *Vetter) follow(ctx context.Context, r openflow.ProviderRecord, key known, w *way) {
	ctx, cancel := context.WithTimeout(ctx, searchWithin)
	defer cancel()
	v.mu.Lock()
	f, have := v.known[key]
	v.mu.Unlock()
	f, err := v.examine(ctx, r, f, have)
	if ctx.Err() != nil {
		err = openflow.Errorf(openflow.CodeUnavailable, "the folder of vulnerabilities, %s, is not searched within %s", v.Policy.Images.Vulnerabilities, searchWithin)
	}
	w.file, w.err = f, err
	v.mu.Lock()
	defer v.mu.Unlock()
	if delete(v.ways, key); err == nil {
		if v.known == nil {
			v.known = map[known]file{}
		}
		maps.DeleteFunc(v.known, func(k known, _ file) bool { return k.ref == key.ref }) // it is that no more
		v.known[key] = f
	}
	close(w.done)
}

// examine reads what is known of a provider, unless have says that f is that, and searches the folder if it has changed.
func (v *Vetter) examine(ctx context.Context, r openflow.ProviderRecord, f file, have bool) (file, error) {
	if !have {
		var err error
		if f, err = v.read(ctx, r); err != nil {
			return f, err
		}
	}
	state, err := v.folder(ctx)
	if err != nil || state == f.state {
		return f, err
	}
	f.found, err = v.search(ctx, f.parts)
	f.state = state
	return f, err
}

func (v *Vetter) read(ctx context.Context, r openflow.ProviderRecord) (file, error) {
	papers, err := v.Rows.Papers(ctx, r)
	if err != nil {
		return file{}, err
	}
	components, err := v.Rows.Components(ctx, r.Name, r.Version)
	if err != nil {
		return file{}, err
	}
	f := file{papers: papers, wishes: wishesOf(components)}
	if len(papers.SBOM) > 0 {
		f.parts, _, err = sbom.Read(papers.SBOM)
	}
	return f, err
}

func (v *Vetter) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

// fresh reports whether the folder was looked at a moment ago, or there is none. The caller holds the lock.
func (v *Vetter) fresh() bool {
	return v.Policy.Images.Vulnerabilities == "" || v.state != "" && v.now().Sub(v.looked) < lookEvery
}

// folder is the state of the folder of vulnerabilities; empty without one.
func (v *Vetter) folder(ctx context.Context) (string, error) {
	end, err := v.begin(ctx)
	if err != nil {
		return "", err
	}
	defer end()
	v.mu.Lock()
	state, fresh := v.state, v.fresh()
	v.mu.Unlock()
	if fresh {
		return state, nil
	}
	now := v.now()
	if state, err = osv.Folder(v.Policy.Images.Vulnerabilities).State(ctx); err != nil {
		return "", err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state, v.looked = state, now
	return state, nil
}

// begin waits for its turn: the folder is looked at or searched by one at a time, so that it takes one core at most.
func (v *Vetter) begin(ctx context.Context) (end func(), err error) {
	v.mu.Lock()
	if v.turn == nil {
		v.turn = make(chan struct{}, 1)
	}
	turn := v.turn
	v.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (v *Vetter) search(ctx context.Context, parts []sbom.Part) ([]openflow.Vulnerability, error) {
	if v.Policy.Images.Vulnerabilities == "" || len(parts) == 0 {
		return nil, nil
	}
	end, err := v.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	return osv.Folder(v.Policy.Images.Vulnerabilities).Match(ctx, parts)
}

// wishesOf are what components wish for.
func wishesOf(components []openflow.ComponentRecord) map[string]openflow.Wishes {
	all := map[string]openflow.Wishes{}
	for _, c := range components {
		all[c.Name] = c.Wishes
	}
	return all
}
