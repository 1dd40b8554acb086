package driver

import (
	"regexp"
	"strings"

	"openflow"
)

// maxEnvBytes is Linux's MAX_ARG_STRLEN less the final NUL: execve refuses a longer single string, inside a container
// as outside, with an error that names neither the variable nor the limit.
const maxEnvBytes = 128<<10 - 1

// namePattern is what Docker accepts as a container name; as a folder name it is harmless too.
var namePattern = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`)

// Validate reports the first thing in s that no runtime could accept. That is a name that does not match
// [a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}, no image, an environment entry without "=" or of more than 128 KiB, a NUL byte, or
// a negative limit. The error is CodeInvalid.
func (s Spec) Validate() error {
	if err := ValidateName(s.Name); err != nil {
		return err
	}
	if s.Image == "" {
		return openflow.Errorf(openflow.CodeInvalid, "container %q names no image", s.Name)
	}
	for _, arg := range append([]string{s.Image}, s.Command...) {
		if strings.ContainsRune(arg, 0) {
			return openflow.Errorf(openflow.CodeInvalid, "container %q has a NUL byte in its command", s.Name)
		}
	}
	for _, entry := range s.Env {
		if err := s.validateEnv(entry); err != nil {
			return err
		}
	}
	if s.Limits.CPUs < 0 || s.Limits.MemoryBytes < 0 || s.Limits.PIDs < 0 || s.Limits.DiskBytes < 0 || s.Limits.LogBytes < 0 {
		return openflow.Errorf(openflow.CodeInvalid, "container %q has a negative limit", s.Name)
	}
	return nil
}

// validateEnv keeps values out of its messages: they hold credentials.
func (s Spec) validateEnv(entry string) error {
	key, _, ok := strings.Cut(entry, "=")
	switch {
	case !ok || key == "":
		return openflow.Errorf(openflow.CodeInvalid, "container %q has an environment entry that is not KEY=value", s.Name)
	case len(entry) > maxEnvBytes:
		return openflow.Errorf(openflow.CodeInvalid, "container %q: environment variable %s has %d bytes, the system allows %d",
			s.Name, key, len(entry), maxEnvBytes)
	case strings.ContainsRune(entry, 0):
		return openflow.Errorf(openflow.CodeInvalid, "container %q: environment variable %s holds a NUL byte", s.Name, key)
	}
	return nil
}

// ValidateName reports, as CodeInvalid, a name that no runtime could give to a container.
func ValidateName(name string) error {
	if !namePattern.MatchString(name) {
		return openflow.Errorf(openflow.CodeInvalid, "%q is not a container name", name).
			WithHint("1 to 128 of a-z A-Z 0-9 _ . -, beginning with a letter or digit")
	}
	return nil
}

// Carries reports whether have holds every label in want with the same value: the test for adopting and for List.
func Carries(have, want map[string]string) bool {
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Conflict is the CodeConflict error of an Ensure that finds its name taken by a container with other labels.
func Conflict(name string) error {
	return openflow.Errorf(openflow.CodeConflict, "container %q exists with other labels", name).
		WithHint("it belongs to something else; remove it or use another name")
}

// NotFound is the CodeNotFound error for a container that does not exist.
func NotFound(name string) error {
	return openflow.Errorf(openflow.CodeNotFound, "container %q does not exist", name)
}

// NotRunning is the CodeConflict error for what only a running container can do.
func NotRunning(name string) error {
	return openflow.Errorf(openflow.CodeConflict, "container %q does not run", name)
}

// Running is the CodeConflict error of a Remove that finds its container running.
func Running(name string) error {
	return openflow.Errorf(openflow.CodeConflict, "container %q is running", name).WithHint("stop it first")
}
