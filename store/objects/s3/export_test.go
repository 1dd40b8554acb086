package s3

import (
	"net/http"

	"github.com/minio/minio-go/v7"
)

// WithTransport replaces the way to the server.
func (o Options) WithTransport(t http.RoundTripper) Options { o.transport = t; return o }

// Client is the client below the store, to leave things in the bucket that no store leaves when it lives on.
func (s *Store) Client() *minio.Core { return s.client }

// Key is the key of an object.
func (s *Store) Key(digest string) string { return s.key(digest) }
