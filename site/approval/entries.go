package approval

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"

	"openflow"
	"openflow/site/trust/publisher"
)

// anything is the entry that every reference and every provider fits.
const anything = "*"

// maxEntry bounds an entry of the policy.
const maxEntry = 4 << 10

// entry is "PROVIDER WHAT".
type entry struct{ provider, what string }

// parseEntry reads an entry that says whose it is. Errors: CodeInvalid.
func parseEntry(text, what string) (entry, error) {
	whose, rest, ok := strings.Cut(text, " ")
	e := entry{whose, strings.TrimLeft(rest, " ")}
	if !ok || e.what == "" || strings.ContainsFunc(text, unicode.IsControl) || len(text) > maxEntry {
		return e, openflow.Errorf(openflow.CodeInvalid, "%q does not say whose it is", openflow.Cut(text, 80)).
			WithHint("write the provider and %s, such as \"acme …\"; * is any provider", what)
	}
	if whose == anything {
		return e, nil
	}
	return e, openflow.CheckIdentifier("provider", whose)
}

// of are the entries of a provider, of a policy that has been checked. They are those of all while nobody knows whose it is.
func of(list []string, provider string) []string {
	var mine []string
	for _, text := range list {
		if e, err := parseEntry(text, ""); err == nil && (provider == "" || e.provider == anything || e.provider == provider) {
			mine = append(mine, e.what)
		}
	}
	return mine
}

// CheckRegistry refuses an entry that no reference could fit. Errors: CodeInvalid.
func CheckRegistry(text string) error {
	switch {
	case text == anything:
		return nil
	case len(text) > maxEntry || strings.ContainsFunc(text, unicode.IsSpace) || strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(text, "*?") || strings.Contains(text, "//"):
	case path.IsAbs(text):
		if path.Clean(text) == strings.TrimSuffix(text, "/") || text == "/" {
			return nil
		}
	default:
		bare := strings.TrimSuffix(text, "/")
		if !strings.Contains(bare, "/") { // a registry
			if _, err := name.NewRegistry(bare); err == nil && bare != "" {
				return nil
			}
		} else if _, err := name.ParseReference(bare); err == nil {
			return nil
		}
	}
	return openflow.Errorf(openflow.CodeInvalid, "%q is not how references of images begin", openflow.Cut(text, 80)).
		WithHint("write a registry (registry.acme.example), a repository or its beginning (registry.acme.example/psi), a folder of archives or programs (/opt/acme), or * for any")
}

// CheckDigest refuses what is not a digest. Errors: CodeInvalid.
func CheckDigest(text string) error {
	_, err := publisher.ImageText(text)
	return err
}

// CheckPublisher refuses what does not give a key to a provider. Errors: CodeInvalid.
func CheckPublisher(text string) error {
	e, err := parseEntry(text, "the publisher's key")
	if err == nil {
		_, err = publisher.ParseKey(e.what)
	}
	return err
}

var vulnerability = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*-[A-Za-z0-9:.-]{1,100}$`)

// CheckVulnerability refuses what is not the ID of one. Errors: CodeInvalid.
func CheckVulnerability(text string) error {
	if vulnerability.MatchString(text) {
		return nil
	}
	return openflow.Errorf(openflow.CodeInvalid, "%q is not the ID of a vulnerability", openflow.Cut(text, 80)).WithHint("write it like CVE-2024-1234 or GO-2024-1234")
}

// harmless are the capabilities that a policy may give. Others take the isolation away, or let a program forge packets.
var harmless = []string{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_NICE"}

// capabilities are the names of several, each once.
func capabilities(list []string) []string {
	names := make([]string, len(list))
	for i, text := range list {
		names[i] = capability(text)
	}
	return unique(names)
}

// capability is the name of one as the policy has it: in capitals, without CAP_.
func capability(text string) string { return strings.TrimPrefix(strings.ToUpper(text), "CAP_") }

// CheckCapability refuses a capability that no container here gets. Errors: CodeInvalid.
func CheckCapability(text string) error {
	e, err := parseEntry(text, "the capability")
	if err == nil && !slices.Contains(harmless, e.what) {
		err = openflow.Errorf(openflow.CodeInvalid, "no container gets the capability %q", openflow.Cut(e.what, 80)).
			WithHint("those that leave the isolation whole are %s", strings.Join(harmless, ", "))
	}
	return err
}

// The places of a machine that no container sees: a folder itself, or with all that is below it.
var (
	hidden      = []string{"/", "/var", "/var/lib", "/home", "/srv", "/opt", "/usr", "/mnt", "/media"}
	hiddenBelow = []string{"/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/root", "/boot", "/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet"}
)

// parseMount reads "/host:/container".
func parseMount(text string) (openflow.Mount, error) {
	host, inside, ok := strings.Cut(text, ":")
	m := openflow.Mount{Host: host, Container: inside}
	refuse := func(why string) (openflow.Mount, error) {
		return m, openflow.Errorf(openflow.CodeInvalid, "mount %q: %s", openflow.Cut(text, 80), why).
			WithHint("write /path/on/the/machine:/path/in/the/container; it is read-only")
	}
	for _, p := range []string{host, inside} {
		if !ok || !path.IsAbs(p) || path.Clean(p) != p || strings.Contains(p, ":") {
			return refuse("it is not two whole paths")
		}
	}
	below := func(folder string) bool { return within(host, folder) }
	switch {
	case slices.Contains(hidden, host) || slices.ContainsFunc(hiddenBelow, below):
		return refuse("it would show the machine itself to a container")
	case strings.HasSuffix(path.Base(host), ".sock"):
		return refuse("a socket of the machine is a way out of the container")
	case slices.ContainsFunc([]string{"/", "/proc", "/sys", "/dev", "/tmp"}, func(p string) bool { return p == inside || p != "/" && within(inside, p) }):
		return refuse("it hides what the container needs there")
	}
	return m, nil
}

// within reports whether p is folder, or below it.
func within(p, folder string) bool {
	return p == folder || strings.HasPrefix(p, strings.TrimSuffix(folder, "/")+"/")
}

// CheckMount refuses a mount that would show the machine to a container. Errors: CodeInvalid.
func CheckMount(text string) error {
	e, err := parseEntry(text, "the mount")
	if err == nil {
		_, err = parseMount(e.what)
	}
	return err
}

var networkName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

// CheckNetwork refuses what is no network of the site's own. Errors: CodeInvalid.
func CheckNetwork(text string) error {
	e, err := parseEntry(text, "the network")
	switch {
	case err != nil:
		return err
	case slices.Contains([]string{"host", "bridge", "none", "default"}, e.what):
		return openflow.Errorf(openflow.CodeInvalid, "no container gets the network %q", e.what).
			WithHint("make one of your own that leads to what the component needs: docker network create --internal NAME")
	case !networkName.MatchString(e.what):
		return openflow.Errorf(openflow.CodeInvalid, "%q is not the name of a network", openflow.Cut(e.what, 80))
	}
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// variableOf reads the name of "NAME=value".
func variableOf(text string) (name string, err error) {
	name, _, ok := strings.Cut(text, "=")
	switch {
	case !ok || !variableName.MatchString(name):
		return "", openflow.Errorf(openflow.CodeInvalid, "%q sets no variable", openflow.Cut(name, 80)).WithHint("write NAME=value")
	case name == "CONFIG" || name == "PATH" || name == "TRACEPARENT" || strings.HasPrefix(name, "OPENFLOW_") || strings.HasPrefix(name, "LD_"):
		return "", openflow.Errorf(openflow.CodeInvalid, "the variable %s is the node's to set", name)
	}
	return name, nil
}

// CheckVariable refuses a variable that a policy may not set. Errors: CodeInvalid.
func CheckVariable(text string) error {
	e, err := parseEntry(text, "the variable")
	if err == nil {
		_, err = variableOf(e.what)
	}
	return err
}
