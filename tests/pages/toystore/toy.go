// Package toystore is the store of docs/add-a-store.md. It keeps objects in memory.
package toystore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"openflow"
	"openflow/store/objects"
)

// Store is the toy. A real one keeps objects where they survive a power failure.
type Store struct {
	mu      sync.Mutex
	objects map[string]object
}

type object struct {
	content []byte
	put     time.Time
}

// New returns the toy without objects.
func New() *Store { return &Store{objects: map[string]object{}} }

// Put reads everything first, so that a reader that fails leaves nothing.
func (s *Store) Put(ctx context.Context, r io.Reader) (objects.Ref, error) {
	var content bytes.Buffer
	ref, err := objects.Copy(ctx, &content, r)
	if err != nil {
		return objects.Ref{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[ref.Digest] = object{content.Bytes(), time.Now()}
	return ref, nil
}

// Get returns the content from offset on, and the size of all of it.
func (s *Store) Get(ctx context.Context, digest string, offset int64) (io.ReadCloser, int64, error) {
	o, err := s.find(ctx, digest)
	if err != nil {
		return nil, 0, err
	}
	size := int64(len(o.content))
	if offset < 0 || offset > size {
		return nil, 0, openflow.Errorf(openflow.CodeInvalid, "object %s has %d bytes, and none at %d", digest, size, offset)
	}
	return io.NopCloser(bytes.NewReader(o.content[offset:])), size, nil
}

// Stat describes an object.
func (s *Store) Stat(ctx context.Context, digest string) (objects.Info, error) {
	o, err := s.find(ctx, digest)
	if err != nil {
		return objects.Info{}, err
	}
	return o.info(digest), nil
}

// Delete forgets an object. One that is not there is a success.
func (s *Store) Delete(ctx context.Context, digest string) error {
	if err := errors.Join(objects.CheckDigest(digest), ctx.Err()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, digest)
	return nil
}

// List calls each with what there is at the time of the call. The store is not locked meanwhile, since each may delete.
func (s *Store) List(ctx context.Context, each func(objects.Info) error) error {
	for _, o := range s.all() {
		if err := each(o); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *Store) all() (list []objects.Info) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for digest, o := range s.objects {
		list = append(list, o.info(digest))
	}
	return list
}

func (s *Store) find(ctx context.Context, digest string) (object, error) {
	if err := errors.Join(objects.CheckDigest(digest), ctx.Err()); err != nil {
		return object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[digest]
	if !ok {
		return object{}, openflow.Errorf(openflow.CodeNotFound, "object %s does not exist here", digest)
	}
	return o, nil
}

func (o object) info(digest string) objects.Info {
	return objects.Info{Digest: digest, Bytes: int64(len(o.content)), Modified: o.put}
}
