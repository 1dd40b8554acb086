// Package objects stores big immutable things, tables, models and logs, under the SHA-256 of their content.
//
// A name that means something to people is kept in the catalogue together with the digest; equal contents are one object,
// so writing is idempotent and nothing is ever overwritten. Nobody deletes an object because one name of it went away:
// [Sweep] removes what nothing refers to. Package folder is the embedded store; every store passes package storetest.
// Start reading at [Store].
package objects

import (
	"context"
	"io"
	"strings"
	"time"

	"openflow"
)

// Ref is an object that has been stored.
type Ref struct {
	Digest string // SHA-256 of the content, 64 lower-case hex digits
	Bytes  int64
}

// Info describes a stored object.
type Info struct {
	Digest   string
	Bytes    int64
	Modified time.Time // of the last Put of this content
}

// Store keeps objects. Implementations are safe for concurrent use. Methods that take a digest answer CodeInvalid when
// it is none.
type Store interface {
	// Put stores everything that r gives. When it returns without an error, the object survives a power failure. An
	// object that exists already is a success and counts as modified now. Nothing becomes visible, and nothing is left,
	// when r fails; its error comes through. CodeExhausted: no space.
	Put(ctx context.Context, r io.Reader) (Ref, error)

	// Get returns the content from offset on, which the caller closes, and the size of the whole object. An offset equal
	// to the size gives nothing; beyond it is CodeInvalid. CodeNotFound: no such object.
	Get(ctx context.Context, digest string, offset int64) (io.ReadCloser, int64, error)

	// Stat describes an object. CodeNotFound: no such object.
	Stat(ctx context.Context, digest string) (Info, error)

	// Delete removes an object; one that is not there is a success. Readers that have it open may go on.
	Delete(ctx context.Context, digest string) error

	// List calls each with every object, in no order, until each fails, and returns that error. Objects that come or go
	// meanwhile may be missed.
	List(ctx context.Context, each func(Info) error) error
}

const (
	digestLength = 64
	uriPrefix    = "object:///sha256/"
)

// CheckDigest refuses what is not 64 lower-case hex digits. It must precede every use of a digest in a path.
func CheckDigest(digest string) error {
	if len(digest) != digestLength || strings.Trim(digest, "0123456789abcdef") != "" {
		return openflow.Errorf(openflow.CodeInvalid, "object digest %.80q is not 64 hex digits of SHA-256", digest)
	}
	return nil
}

// URI is how containers name an object: "object:///sha256/<digest>".
func URI(digest string) string { return uriPrefix + digest }

// ParseURI takes the digest out of a URI; CodeInvalid if it is none.
func ParseURI(uri string) (string, error) {
	digest, ok := strings.CutPrefix(uri, uriPrefix)
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "%.120q is not the URI of an object", uri).
			WithHint("use the uri that the upload answered, %s…", uriPrefix)
	}
	return digest, CheckDigest(digest)
}
