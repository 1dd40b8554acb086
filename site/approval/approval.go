package approval

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"openflow"
	"openflow/site/trust/publisher"
)

// Applicant is an image or program that is to be registered or run, with all that is known of it.
type Applicant struct {
	Provider  string // its name; empty: it has not been asked yet, and nobody has said
	Kind      openflow.ProviderKind
	Reference string   // of an image as the operator gave it; of an archive or program its path
	Digest    string   // "sha256:…": the image's ID, or the program's digest
	Digests   []string // what else names the same content: that of its archive, that which its reference ends in
	// Signatures are those that were given with it.
	Signatures []openflow.PublisherSignature
	HasSBOM    bool
	Found      []openflow.Vulnerability // in what the SBOM lists
	Wishes     openflow.Wishes
}

// Approval is what an applicant gets.
type Approval struct {
	Signer   publisher.Proof // the zero value: nobody whom this site knows has signed
	May      openflow.Confinement
	Warnings []string // vulnerabilities that are known and do not block
}

// maxTold is how many vulnerabilities a refusal or warning names.
const maxTold = 20

// Decide says whether an applicant may be registered, or run, and what its containers may have then. Errors: CodePermission,
// with the name of each rule that stands against it, as in "policy.images.registries: …".
func Decide(p openflow.SitePolicy, a Applicant) (Approval, error) {
	d := decision{policy: p, of: a}
	d.wishes()
	if a.Kind != openflow.ProviderBuiltIn {
		d.place()
		d.signature()
		d.contents()
	}
	return d.approval, d.refused()
}

// Admit says whether an applicant may be brought to this site at all, by where it comes from and who has signed it. It is asked
// before anything is pulled, loaded or unpacked. The digest of an image that is not here yet may be empty: its signature then has
// to name a known key, and is verified once the image is here. Errors: those of Decide.
func Admit(p openflow.SitePolicy, a Applicant) error {
	d := decision{policy: p, of: a}
	if a.Kind != openflow.ProviderBuiltIn {
		d.place()
		d.signature()
	}
	return d.refused()
}

// decision is the state of one decision.
type decision struct {
	policy   openflow.SitePolicy
	of       Applicant
	approval Approval
	against  []string // one sentence each
	remedies []string
}

// refuse notes that a rule stands against the applicant. The remedy may be empty: it is said with those of others.
func (d *decision) refuse(rule, remedy, format string, args ...any) {
	d.against = append(d.against, "policy."+rule+": "+fmt.Sprintf(format, args...))
	if remedy != "" && !slices.Contains(d.remedies, remedy) {
		d.remedies = append(d.remedies, remedy)
	}
}

func (d *decision) refused() error {
	if len(d.against) == 0 {
		return nil
	}
	whose := d.what()
	if d.of.Provider != "" {
		whose += " of provider " + d.of.Provider
	}
	return openflow.Errorf(openflow.CodePermission, "%s is not for this site: %s", whose, strings.Join(d.against, "; ")).
		WithPublic("the site's policy does not let the provider run").
		WithHint("%s", strings.Join(d.remedies, "; "))
}

func (d *decision) what() string {
	if d.of.Kind == openflow.ProviderProgram || d.of.Kind == openflow.ProviderBuiltIn {
		return "program " + openflow.Line(d.of.Reference)
	}
	if d.of.Kind == openflow.ProviderFolder {
		return "code in " + openflow.Line(d.of.Reference)
	}
	return "image " + openflow.Line(d.of.Reference)
}

// place judges where it comes from: its reference fits, or its digest is listed.
func (d *decision) place() {
	listed := d.of.Digest != "" && slices.Contains(d.policy.Images.Digests, d.of.Digest) ||
		slices.ContainsFunc(d.of.Digests, func(digest string) bool { return slices.Contains(d.policy.Images.Digests, digest) })
	if listed || slices.ContainsFunc(d.policy.Images.Registries, func(entry string) bool { return Fits(entry, d.of.Reference) }) {
		return
	}
	if d.of.Digest == "" {
		d.refuse("images.registries", "if it may run here, add where it comes from to images.registries of the policy; or pull it with docker pull, where images.digests has its ID",
			"its reference begins as none of the list, and the node calls no other registry")
		return
	}
	d.refuse("images.registries", "if it may run here, add where it comes from to images.registries of the policy, or "+d.of.Digest+" to images.digests",
		"its reference begins as none of the list, and images.digests does not name %s", d.of.Digest)
}

// signature finds the publisher's. One that does not verify is never passed over in silence, even where none is asked for: it
// may be that somebody has changed the content.
func (d *decision) signature() {
	keys := d.keys()
	ask := "ask the publisher for a signature of this very content, or add the right key to images.publishers of the policy"
	var failed error
	for _, s := range d.of.Signatures {
		if d.of.Digest == "" && d.promised(s, keys) {
			return
		}
		proof, err := verify(d.of.Digest, s, keys)
		if err == nil {
			d.approval.Signer = proof
			return
		}
		failed = err
	}
	switch {
	case failed != nil && len(keys) > 0:
		d.refuse("images.publishers", ask, "%s", plain(failed))
	case failed != nil && d.policy.Images.RequireSignature:
		d.refuse("images.publishers", ask, "it has a signature, and the policy has no key for what its provider brings")
	case failed != nil:
		d.approval.Warnings = append(d.approval.Warnings, "its signature proves nothing here: policy.images.publishers has no key of provider "+d.of.Provider)
	case len(keys) > 0 && d.of.Provider == "":
		d.refuse("images.publishers", "say whose it is with --name, or give its signature with --signature", "it has no signature, and nobody has said whose it is")
	case len(keys) > 0:
		d.refuse("images.publishers", ask, "it has no signature, and the policy has a key for what its provider brings")
	case d.policy.Images.RequireSignature:
		d.refuse("images.require_signature", ask, "it has no signature of a publisher")
	}
}

// promised reports whether a signature names a known key. What it is of is not here yet.
func (d *decision) promised(s openflow.PublisherSignature, keys []publisher.Key) bool {
	sig, err := publisher.ParseSignature(s.Text)
	return err == nil && (len(keys) == 0 && !d.policy.Images.RequireSignature ||
		slices.ContainsFunc(keys, func(k publisher.Key) bool { return k.ID() == sig.KeyID() }))
}

// plain is what an error says, without its remedy.
func plain(err error) string {
	if e, ok := err.(*openflow.Error); ok { //nolint:errorlint // of verify, which wraps nothing
		return e.Message
	}
	return err.Error()
}

// keys are the publisher's keys that the policy gives to the provider.
func (d *decision) keys() []publisher.Key {
	var keys []publisher.Key
	for _, text := range of(d.policy.Images.Publishers, d.of.Provider) {
		if k, err := publisher.ParseKey(text); err == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

func verify(digest string, s openflow.PublisherSignature, keys []publisher.Key) (publisher.Proof, error) {
	sig, err := publisher.ParseSignature(s.Text)
	if err != nil {
		return publisher.Proof{}, err
	}
	var m publisher.Message
	if s.File != "" {
		m, err = publisher.Hashed(s.File)
	} else {
		var text string
		text, err = publisher.ImageText(digest)
		m = publisher.Text(text)
	}
	if err != nil {
		return publisher.Proof{}, err
	}
	return publisher.Verify(m, sig, keys)
}

// contents judges what it is made of.
func (d *decision) contents() {
	if d.policy.Images.RequireSBOM && !d.of.HasSBOM {
		d.refuse("images.require_sbom", "register it with --sbom FILE (CycloneDX, JSON)", "nothing says what it is made of")
	}
	var blocking, others []string
	for _, v := range d.of.Found {
		severity := v.Severity
		if severity == "" {
			severity = d.policy.Images.Unrated
		}
		switch {
		case d.accepted(v):
		case severity.Rank() >= d.policy.Images.BlockingSeverity.Rank():
			blocking = append(blocking, describe(v))
		default:
			others = append(others, describe(v))
		}
	}
	if len(blocking) > 0 {
		d.refuse("images.blocking_severity", "ask the provider for an image with the fixed versions; a vulnerability that does no harm here can be listed in images.accepted of the policy",
			"it has known vulnerabilities that are %s or worse: %s", d.policy.Images.BlockingSeverity, told(blocking))
	}
	if len(others) > 0 {
		d.approval.Warnings = append(d.approval.Warnings, "it has known vulnerabilities that do not block: "+told(others))
	}
}

func (d *decision) accepted(v openflow.Vulnerability) bool {
	return slices.ContainsFunc(d.policy.Images.Accepted, func(id string) bool { return id == v.ID || slices.Contains(v.Aliases, id) })
}

// describe tells a vulnerability: what it is in, and which version mends it.
func describe(v openflow.Vulnerability) string {
	severity := string(v.Severity)
	if severity == "" {
		severity = "unrated"
	}
	fixed := "no version mends it yet"
	if len(v.Fixed) > 0 {
		fixed = "mended in " + strings.Join(v.Fixed, ", ")
	}
	return openflow.Line(fmt.Sprintf("%s (%s) in %s %s, %s", v.ID, severity, v.Package, v.Version, fixed))
}

func told(list []string) string {
	slices.Sort(list)
	if more := len(list) - maxTold; more > 0 {
		return strings.Join(list[:maxTold], "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(list, "; ")
}

// wishes compares what the applicant asks for with what its provider may have, and says what it gets. What it does not ask for
// it does not get.
func (d *decision) wishes() {
	p, w := d.policy.Containers, d.of.Wishes
	may := openflow.Confinement{
		Cores: p.MaxCores, Memory: int64(p.MaxMemory), Processes: int64(p.MaxProcesses), Disk: int64(p.MaxDisk), Log: int64(p.MaxLog),
		LeastDisk: w.Disk,
	}
	var entries []string // that would give it what it lacks
	grant := func(rule, what, wish, form string, check func(string) error, allowed bool) bool {
		if allowed {
			return true
		}
		entry, remedy := cmp.Or(d.of.Provider, anything)+" "+fmt.Sprintf(form, wish), ""
		if check(entry) == nil {
			entries = append(entries, fmt.Sprintf("%q to %s", openflow.Cut(entry, 200), rule))
		} else {
			remedy = "no policy can give it some of that; see docs/policy.md"
		}
		d.refuse(rule, remedy, "it asks for %s %q, which the policy does not give to it", what, openflow.Cut(openflow.Line(wish), 80))
		return false
	}
	allowed := of(p.Capabilities, d.of.Provider)
	for _, c := range capabilities(w.Capabilities) {
		if grant("containers.capabilities", "the capability", c, "%s", CheckCapability, slices.Contains(allowed, c)) {
			may.Capabilities = append(may.Capabilities, c)
		}
	}
	for _, m := range unique(w.Mounts) {
		found, ok := mountAt(of(p.Mounts, d.of.Provider), m)
		if grant("containers.mounts", "a mount at", m, "/path/on/the/machine:%s", CheckMount, ok) {
			may.Mounts = append(may.Mounts, found)
		}
	}
	allowed = of(p.Networks, d.of.Provider)
	for _, n := range unique(w.Networks) {
		if grant("containers.networks", "the network", n, "%s", CheckNetwork, slices.Contains(allowed, n)) {
			may.Networks = append(may.Networks, n)
		}
	}
	for _, v := range unique(w.Environment) {
		found, ok := variable(of(p.Environment, d.of.Provider), v)
		if grant("containers.environment", "the variable", v, "%s=value", CheckVariable, ok) {
			may.Environment = append(may.Environment, found)
		}
	}
	if len(entries) > 0 {
		d.remedies = append(d.remedies, "if it may have that, add to the policy: "+told(entries))
	}
	for _, r := range []struct {
		rule string
		wish int64
		most int64
		text func(int64) string
	}{
		{"max_cores", int64(w.Cores), int64(p.MaxCores), number("cores")},
		{"max_memory", w.Memory, int64(p.MaxMemory), amount("memory")},
		{"max_processes", int64(w.Processes), int64(p.MaxProcesses), number("processes")},
		{"max_disk", w.Disk, int64(p.MaxDisk), amount("disk")},
	} {
		if r.wish > r.most {
			d.refuse("containers."+r.rule, fmt.Sprintf("if it may have so much, raise containers.%s of the policy", r.rule), "it asks for %s, and %s is the most", r.text(r.wish), r.text(r.most))
		}
	}
	if b, _, ok := Broker(d.policy, d.of.Provider); ok {
		may.Broker = &b.Use
	}
	d.approval.May = may
}

func number(unit string) func(int64) string {
	return func(n int64) string { return fmt.Sprintf("%d %s", n, unit) }
}

func amount(of string) func(int64) string {
	return func(n int64) string { return openflow.FormatBytes(n) + " of " + of }
}

// unique is a list without repeats, in order.
func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// mountAt finds what a policy mounts at a path of a container.
func mountAt(entries []string, at string) (openflow.Mount, bool) {
	for _, text := range entries {
		if m, err := parseMount(text); err == nil && m.Container == path.Clean(at) {
			return m, true
		}
	}
	return openflow.Mount{}, false
}

// variable finds what a policy sets a variable to.
func variable(entries []string, wanted string) (string, bool) {
	for _, text := range entries {
		if name, err := variableOf(text); err == nil && name == wanted {
			return text, true
		}
	}
	return "", false
}
