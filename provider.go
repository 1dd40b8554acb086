package openflow

import (
	"encoding/json"
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

// ParseProvider reads "name:version@device". Version and device may be left out, and "*" is any. The empty text names
// nothing. Errors: CodeInvalid.
func ParseProvider(text string) (ProviderRef, error) {
	rest, device, named := strings.Cut(text, "@")
	name, version, versioned := strings.Cut(rest, ":")
	r := ProviderRef{Name: name, Version: version, Device: device}
	fits := text == "" || name != "" && (version != "" || !versioned) && (device != "" || !named)
	for _, part := range []*string{&r.Name, &r.Version, &r.Device} {
		if *part == anyPart {
			*part = ""
		}
		fits = fits && (*part == "" || providerPart(*part))
	}
	if !fits {
		return ProviderRef{}, Errorf(CodeInvalid, "%q is not the name of a provider", Cut(text, maxReference)).
			WithHint("write name, name:version or name:version@device")
	}
	return r, nil
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
	Provider string     // in full: "name:version@device"
	Digest   string     // "sha256:…" of the provider's program
	Defaults Parameters // of the component, for what a job leaves out
}

// ProviderKind says what runs a provider's components.
type ProviderKind string

// A built-in provider is the program that every machine of the site brings along; there is one. A local program is a file
// that the operator has put on the machines. An image is any vendor's, which the machines' runtime has or is given.
const (
	ProviderBuiltIn ProviderKind = "built-in"
	ProviderProgram ProviderKind = "program"
	ProviderImage   ProviderKind = "image"
)

// ProviderRecord is a provider of components in a site's registry. Name and version are its key.
type ProviderRecord struct {
	Name    string
	Version string
	Kind    ProviderKind
	Place   string  // of a program, or of an image's archive: its path, on every machine that runs it. Otherwise the image's reference, as given
	Digest  string  // "sha256:…" of the program; of an image: its ID, which is the digest of its configuration
	Archive string  // "sha256:…" of the file that an image is loaded from; empty: there is none
	Dialect Dialect // that its containers speak; only this site's operator says
	AddedBy string  // user
	AddedAt time.Time
}

// Ref names the provider, without a device.
func (r ProviderRecord) Ref() ProviderRef { return ProviderRef{Name: r.Name, Version: r.Version} }

// ComponentRecord is a component of a provider in a site's registry.
type ComponentRecord struct {
	Name        string
	Provider    ProviderRef // without a device
	Description json.RawMessage
	Standing    ComponentStanding
}

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
