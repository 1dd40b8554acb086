package approval

import (
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Fits reports whether a reference begins as an entry of images.registries says: up to the end of a name, so that "acme" is
// not the beginning of "acme-evil", nor one host that of another. A reference without a registry means docker.io, as in Docker.
func Fits(entry, reference string) bool {
	if entry == anything {
		return true
	}
	if path.IsAbs(entry) || path.IsAbs(reference) {
		return path.IsAbs(entry) && path.IsAbs(reference) && path.Clean(reference) == reference && within(reference, strings.TrimSuffix(entry, "/"))
	}
	whole, ok := whole(reference)
	if !ok {
		return false
	}
	entry = expand(entry)
	rest, ok := strings.CutPrefix(whole, entry)
	switch {
	case !ok:
		return false
	case rest == "" || strings.HasSuffix(entry, "/"):
		return true
	case !strings.Contains(entry, "/"): // a registry: what follows a colon would be another port
		return rest[0] == '/'
	}
	return rest[0] == '/' || rest[0] == '@' || rest[0] == ':'
}

// whole writes a reference out: registry, repository, and tag or digest.
func whole(reference string) (string, bool) {
	if strings.HasPrefix(reference, "sha256:") { // the ID of an image, which has no name
		return "", false
	}
	r, err := name.ParseReference(reference)
	if err != nil {
		return "", false
	}
	separator := ":"
	if _, ok := r.(name.Digest); ok {
		separator = "@"
	}
	return registry(r.Context().RegistryStr()) + "/" + r.Context().RepositoryStr() + separator + r.Identifier(), true
}

// registry is what people call a registry.
func registry(host string) string {
	if host == name.DefaultRegistry {
		return "docker.io"
	}
	return strings.ToLower(host)
}

// expand writes an entry out as whole does, as far as it goes.
func expand(entry string) string {
	host, rest, more := strings.Cut(entry, "/")
	if strings.ContainsAny(host, ".:") || host == "localhost" {
		if host == name.DefaultRegistry {
			host = "docker.io"
		}
		host = strings.ToLower(host)
		if more {
			return host + "/" + rest
		}
		return host
	}
	if !more { // Docker's official images
		return "docker.io/library/" + entry
	}
	return "docker.io/" + entry
}
