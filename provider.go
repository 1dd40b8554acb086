package openflow

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProviderRef names a provider: whose it is, in which version, and on which device it runs. In a job any part may be empty;
// the party that runs the task fills it in.
//
// Spec: fate-flow-api §4.8; parts that are filled in: §4.3.
type ProviderRef struct {
	Name    string
	Version string
	Device  string // of the site: local or docker
}

// anyPart stands for a part that the party is to fill in. What is behind it may be named all the same.
const anyPart = "*"

// ParseProvider reads "name:version@device", and what FATE's design writes for that, "name.device@version". Version and device may
// be left out, and "*" is any. The empty text names nothing. Errors: CodeInvalid.
func ParseProvider(text string) (ProviderRef, error) {
	r, ok := designed(text)
	if !ok {
		rest, device, named := strings.Cut(text, "@")
		name, version, versioned := strings.Cut(rest, ":")
		r = ProviderRef{Name: name, Version: version, Device: device}
		ok = text == "" || name != "" && (version != "" || !versioned) && (device != "" || !named)
	}
	for _, part := range []*string{&r.Name, &r.Version, &r.Device} {
		if *part == anyPart {
			*part = ""
		}
		ok = ok && (*part == "" || providerPart(*part))
	}
	if !ok {
		return ProviderRef{}, Errorf(CodeInvalid, "%q is not the name of a provider", Cut(text, maxReference)).
			WithHint("write name, name:version or name:version@device")
	}
	return r, nil
}

// devices are those that FATE-Flow knows.
//
// Spec: fate-flow-api §0.4.
var devices = []string{"local", "docker", "k8s"}

// designed reads "name.device@version". What is behind the @ is a device in the usual form, and none here.
//
// Spec: fate-flow-api §6 (choose per task).
func designed(text string) (r ProviderRef, ok bool) {
	rest, version, _ := strings.Cut(text, "@")
	dot := strings.LastIndexByte(rest, '.')
	if version == "" || dot < 1 || !slices.Contains(devices, rest[dot+1:]) || slices.Contains(devices, version) {
		return ProviderRef{}, false
	}
	return ProviderRef{Name: rest[:dot], Version: version, Device: rest[dot+1:]}, !strings.Contains(rest, ":")
}

// ParseComponent reads what a task names: "component", "provider:component", "component@version" or
// "provider:component@version". Errors: CodeInvalid.
func ParseComponent(text string) (component string, of ProviderRef, err error) {
	rest, version, versioned := strings.Cut(text, "@")
	provider, component, owned := strings.Cut(rest, ":")
	if !owned {
		provider, component = "", rest
	}
	of = ProviderRef{Name: provider, Version: version}
	switch {
	case !identifiable(component), owned && !providerPart(provider), versioned && !providerPart(version):
		return "", ProviderRef{}, Errorf(CodeInvalid, "component %q is not a valid name", Cut(text, maxReference)).
			WithHint("write psi, acme:psi, psi@1.2 or acme:psi@1.2: letters, digits, '_', '-' and '.' in each part")
	}
	return component, of, nil
}

// ComponentRef is the inverse of ParseComponent.
func ComponentRef(component string, of ProviderRef) string {
	if of.Name != "" {
		component = of.Name + ":" + component
	}
	if of.Version != "" {
		component += "@" + of.Version
	}
	return component
}

// Fits reports whether a provider of that name and version is one that r means. A version means every one that begins with it,
// up to a point: 1.2 means 1.2, 1.2.0 and 1.2.7, and not 1.20.
func (r ProviderRef) Fits(p ProviderRef) bool {
	version := r.Version == "" || r.Version == p.Version || strings.HasPrefix(p.Version, r.Version+".") || strings.HasPrefix(p.Version, r.Version+"+")
	return version && (r.Name == "" || r.Name == p.Name)
}

// CompareVersions orders versions from old to new: number by number, as far as they have numbers. What has a dash comes before
// what has none, as 1.2.0-rc1 before 1.2.0, and what begins with no number before all others.
func CompareVersions(a, b string) int {
	released := func(v string) string { v, _, _ = strings.Cut(v, "+"); v, _, _ = strings.Cut(v, "-"); return v }
	x, y := strings.Split(released(a), "."), strings.Split(released(b), ".")
	for i := range max(len(x), len(y)) {
		if n := cmp.Compare(numberAt(x, i), numberAt(y, i)); n != 0 {
			return n
		}
	}
	dashed := func(v string) int {
		if strings.Contains(v, "-") {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(dashed(a), dashed(b)), cmp.Compare(a, b))
}

// numberAt is a part of a version as a number: 0 where it has none, and less where it is no number.
func numberAt(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, err := strconv.Atoi(parts[i])
	if err != nil {
		return -1
	}
	return n
}

// maxReference is how many bytes of a wrong reference a message repeats.
const maxReference = 80

// maxProviderPart is how many bytes a name, version or device may have.
const maxProviderPart = 64

// providerPart reports whether s can be a part of a reference. A version may have a plus sign, as in semantic versions.
func providerPart(s string) bool {
	return len(s) <= maxProviderPart && identifiable(strings.ReplaceAll(s, "+", "-"))
}

// String writes the reference as ParseProvider reads it: without what is empty at its end.
func (r ProviderRef) String() string {
	text := r.Name
	if text == "" && (r.Version != "" || r.Device != "") {
		text = anyPart
	}
	if r.Version != "" {
		text += ":" + r.Version
	}
	if r.Device != "" {
		text += "@" + r.Device
	}
	return text
}

// CheckProvider refuses a name and version that no provider can have. Errors: CodeInvalid.
func CheckProvider(name, version string) error {
	for kind, part := range map[string]string{"name": name, "version": version} {
		if !providerPart(part) {
			return Errorf(CodeInvalid, "%q cannot be the %s of a provider", Cut(part, maxReference), kind).
				WithHint("use 1 to %d letters, digits, '_', '-', '+' and '.', beginning with a letter or digit", maxProviderPart)
		}
	}
	return nil
}

// Served is who serves a task at a site.
type Served struct {
	Provider  string     // in full: "name:version@device"
	Digest    string     // "sha256:…" of the provider's program
	Defaults  Parameters // of the component, for what a job leaves out
	Protocols []Protocol // that the component speaks
	Least     Resources  // that the component needs, as it says; whatever the job says, the task takes so much
	Resident  int        // how many runs one container serves at once that may serve the task; 0: it gets one of its own
}

// ProviderKind says what runs a provider's components.
type ProviderKind string

// A built-in provider is the program that every machine of the site brings along; there is one. A local program is a file
// that the operator has put on the machines. An image is any vendor's, which the machines' runtime has or is given. A folder holds code
// that an interpreter of the machines runs.
const (
	ProviderBuiltIn ProviderKind = "built-in"
	ProviderProgram ProviderKind = "program"
	ProviderImage   ProviderKind = "image"
	ProviderFolder  ProviderKind = "folder"
)

// ProviderRecord is a provider of components in a site's registry. Name and version are its key.
type ProviderRecord struct {
	Name    string
	Version string
	Kind    ProviderKind
	Place   string  // of a program, or of an image's archive: its path, on every machine that runs it. Otherwise the image's reference, as given
	Digest  string  // "sha256:…" of the program, or of all code with its interpreter; of an image: its ID, which is the digest of its configuration
	Archive string  // "sha256:…" of the file that an image is loaded from; empty: there is none
	Dialect Dialect // that its containers speak; only this site's operator says
	AddedBy string  // user
	AddedAt time.Time
	// Interpreter is what runs the code of a folder or image that keeps FATE's component contract: a path on the machine, or in the image. Empty:
	// it is a program of its own.
	Interpreter string
	Papers      string // digest of the papers that are kept of it; another one means other papers. Empty: there are none
}

// Ref names the provider, without a device.
func (r ProviderRecord) Ref() ProviderRef { return ProviderRef{Name: r.Name, Version: r.Version} }

// Program is what a run is started with.
type Program struct {
	Image    string   // what the runtime starts: an image, or the path of an executable
	Command  []string // arguments with which it runs a task
	Dialect  Dialect  // that its containers speak
	Provider string   // whose it is, in full: "name:version@device"
	Digest   string   // "sha256:…" of the program
}

// Launch says where a run has its container, and whose program is in it.
type Launch struct {
	Runtime   string
	Container string
	Provider  string // in full: "name:version@device"
	Digest    string // "sha256:…" of the program
}
