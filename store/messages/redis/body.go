package redis

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"

	"openflow"
	"openflow/store/messages"
)

// saltBytes precede a payload in its body. They make the body one of a kind: the object of one message is never also that
// of another with the same payload, so it can go with its message.
const saltBytes = 16

func (s *Store) isLarge(m messages.Message) bool {
	return s.opts.Bodies != nil && len(m.Payload) > s.opts.InlineBytes
}

// putBody stores a payload and returns its object.
func (s *Store) putBody(ctx context.Context, payload []byte) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	ref, err := s.opts.Bodies.Put(ctx, io.MultiReader(bytes.NewReader(salt), bytes.NewReader(payload)))
	return ref.Digest, err
}

// body reads the payload of r from its object. CodeNotFound: there is none, which a reader elsewhere may have caused.
func (s *Store) body(ctx context.Context, r record) ([]byte, error) {
	if s.opts.Bodies == nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "message %d has its payload in an object store, and none is configured",
			r.sequence).WithHint("configure the object store that the other replicas use")
	}
	content, size, err := s.opts.Bodies.Get(ctx, r.object, saltBytes)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }() // it was only read from
	if size-saltBytes != r.size() {
		return nil, openflow.Errorf(openflow.CodeInternal, "message body %s has %d of %d bytes", r.object, size-saltBytes, r.size())
	}
	payload := make([]byte, r.size())
	_, err = io.ReadFull(content, payload)
	return payload, err
}

// dropBodies deletes objects whose messages are gone. What cannot be deleted now is left to Sweep.
func (s *Store) dropBodies(ctx context.Context, objects ...string) {
	if s.opts.Bodies == nil {
		return
	}
	for _, object := range objects {
		if object != noObject {
			_ = s.opts.Bodies.Delete(context.WithoutCancel(ctx), object)
		}
	}
}
