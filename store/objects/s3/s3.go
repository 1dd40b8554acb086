// Package s3 stores objects in a bucket of S3 or of a server that speaks its protocol: PREFIX/sha256/<digest>.
//
// Several nodes may share a bucket and prefix. An object's key is its hash, which is known only when all of it has been
// read, so [Store.Put] first spools what it reads to an unnamed local file. The alternative is a temporary key and a
// copy inside the server. It needs no local disk, but writes every object twice, cannot repeat an upload that broke,
// and leaves visible remains after a crash. A spooled object is sent under its own key, as often as it takes, and S3
// shows it when it is whole. Start reading at [Open].
package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"openflow"
	"openflow/store/objects"
)

const (
	objectsDir = "sha256/"
	partSize   = 16 << 20 // of an upload in parts: what is sent again when a connection breaks
	maxCopy    = 5 << 30  // of a copy inside the server in one request; what is bigger is sent again
	// tries bounds how often a request is sent, within some seconds; whoever called repeats later.
	tries = 4
	// headerTimeout is how long a server may think before it answers.
	headerTimeout = time.Minute
	dialTimeout   = 10 * time.Second
	lanes         = 256

	noSuchUpload = "NoSuchUpload"
	// conflicting is the answer to a conditional put while something else happens to the same key.
	conflicting = "ConditionalRequestConflict"
)

// Store is a bucket, or a prefix in it.
type Store struct {
	options Options
	client  *minio.Core
	keys    string // the prefix of all keys

	// A lane per first byte of a digest: Put holds it shared, DeleteBefore alone, so that within this process an object is
	// not deleted that was just put. Another process can still put an equal object in the milliseconds between the look
	// and the deletion of one that nobody has needed for the grace period.
	lanes [lanes]sync.RWMutex
}

var _ objects.Store = (*Store)(nil)

// Open checks that the bucket is there and may be used. CodeInvalid: options. CodeUnavailable: no server, or no bucket.
// CodeUnauthorized, CodePermission: the key is not known, or not allowed.
func Open(ctx context.Context, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.transport == nil {
		if o.transport, err = transport(o); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "object store %s: %w", o, err)
		}
	}
	client, err := minio.NewCore(o.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken),
		Secure: !o.Plain, Region: o.Region, Transport: o.transport, MaxRetries: tries,
	})
	if err != nil {
		return nil, invalid("%s: %w", o, err)
	}
	s := &Store{options: o, client: client, keys: objectsDir}
	if o.Prefix != "" {
		s.keys = o.Prefix + "/" + objectsDir
	}
	there, err := client.BucketExists(ctx, o.Bucket)
	if err == nil && !there {
		err = minio.ErrorResponse{Code: minio.NoSuchBucket, BucketName: o.Bucket, StatusCode: http.StatusNotFound, Message: "no such bucket"}
	}
	if err != nil {
		return nil, s.classify("open", err)
	}
	return s, nil
}

func transport(o Options) (http.RoundTripper, error) {
	t, err := minio.DefaultTransport(!o.Plain)
	if err != nil {
		return nil, err
	}
	t.DialContext = (&net.Dialer{Timeout: dialTimeout}).DialContext
	t.ResponseHeaderTimeout = headerTimeout
	if !o.Plain {
		if t.TLSClientConfig, err = o.Files.Config(""); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (s *Store) key(digest string) string { return s.keys + digest }

func (s *Store) lane(digest string) *sync.RWMutex {
	b, err := hex.DecodeString(digest[:2])
	if err != nil {
		return &s.lanes[0]
	}
	return &s.lanes[b[0]]
}

// Put implements objects.Store.
func (s *Store) Put(ctx context.Context, r io.Reader) (objects.Ref, error) {
	f, err := os.CreateTemp(s.options.Spool, "openflow-object-*")
	if err != nil {
		return objects.Ref{}, spoolError(s.options.Spool, err)
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // without a name, it is gone with this process, however that ends
		return objects.Ref{}, spoolError(s.options.Spool, err)
	}
	ref, err := objects.Copy(ctx, f, r)
	if err != nil {
		return objects.Ref{}, spoolError(s.options.Spool, err)
	}
	lane := s.lane(ref.Digest)
	lane.RLock()
	defer lane.RUnlock()
	if err := s.upload(ctx, f, ref); err != nil {
		return objects.Ref{}, s.classify("store object "+ref.Digest, err)
	}
	return ref, nil
}

// upload sends f unless an equal object is there, which then counts as modified now.
func (s *Store) upload(ctx context.Context, f *os.File, ref objects.Ref) error {
	info, err := s.client.StatObject(ctx, s.options.Bucket, s.key(ref.Digest), minio.StatObjectOptions{})
	switch {
	case err == nil && info.Size == ref.Bytes && ref.Bytes <= maxCopy:
		if err := s.refresh(ctx, ref.Digest); minio.ToErrorResponse(err).Code != minio.NoSuchKey {
			return err
		}
	case err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey:
		return err
	}
	if err == nil { // it is there, but was cut short once, or is too big to be copied, or has just been deleted
		return s.send(ctx, f, ref, minio.PutObjectOptions{})
	}
	var unlessThere minio.PutObjectOptions
	unlessThere.SetMatchETagExcept("*")
	err = s.send(ctx, f, ref, unlessThere)
	switch minio.ToErrorResponse(err).Code {
	case minio.PreconditionFailed: // another replica was faster, and equal content is one object
		return nil
	case conflicting, minio.NotImplemented:
		return s.send(ctx, f, ref, minio.PutObjectOptions{})
	}
	return err
}

// send uploads f from its start, big ones in parts.
func (s *Store) send(ctx context.Context, f *os.File, ref objects.Ref, o minio.PutObjectOptions) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	// The library's own hash of each request would be a second one beside ours.
	o.ContentType, o.PartSize, o.DisableContentSha256 = "application/octet-stream", partSize, true
	_, err := s.client.Client.PutObject(ctx, s.options.Bucket, s.key(ref.Digest), f, ref.Bytes, o)
	return err
}

// refresh makes an object modified now, by a copy onto itself inside the server.
func (s *Store) refresh(ctx context.Context, digest string) error {
	src := minio.CopySrcOptions{Bucket: s.options.Bucket, Object: s.key(digest)}
	dst := minio.CopyDestOptions{Bucket: s.options.Bucket, Object: s.key(digest), ReplaceMetadata: true,
		UserMetadata: map[string]string{"put": time.Now().UTC().Format(time.RFC3339)}} // S3 refuses a copy that changes nothing
	_, err := s.client.Client.CopyObject(ctx, dst, src)
	return err
}

// Get implements objects.Store.
func (s *Store) Get(ctx context.Context, digest string, offset int64) (io.ReadCloser, int64, error) {
	if err := objects.CheckDigest(digest); err != nil {
		return nil, 0, err
	}
	var o minio.GetObjectOptions
	var size int64
	if offset != 0 { // a server answers a range in its own words when it is beyond the end
		info, err := s.Stat(ctx, digest)
		if err != nil {
			return nil, 0, err
		}
		if size = info.Bytes; offset < 0 || offset > size {
			return nil, 0, openflow.Errorf(openflow.CodeInvalid, "object %s has %d bytes, offset %d is not among them", digest, size, offset)
		}
		if offset == size {
			return http.NoBody, size, nil
		}
		if err := o.SetRange(offset, 0); err != nil {
			return nil, 0, s.classify("read object "+digest, err)
		}
	}
	r, info, _, err := s.client.GetObject(ctx, s.options.Bucket, s.key(digest), o)
	if err != nil {
		return nil, 0, s.classify("read object "+digest, err)
	}
	if offset == 0 {
		size = info.Size
	}
	return body{s, digest, r}, size, nil
}

// body gives the errors of a transfer our codes.
type body struct {
	s      *Store
	digest string
	io.ReadCloser
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return io.EOF itself
		err = b.s.classify("read object "+b.digest, err)
	}
	return n, err
}

// Stat implements objects.Store.
func (s *Store) Stat(ctx context.Context, digest string) (objects.Info, error) {
	if err := objects.CheckDigest(digest); err != nil {
		return objects.Info{}, err
	}
	info, err := s.client.StatObject(ctx, s.options.Bucket, s.key(digest), minio.StatObjectOptions{})
	if err != nil {
		return objects.Info{}, s.classify("look at object "+digest, err)
	}
	return objects.Info{Digest: digest, Bytes: info.Size, Modified: info.LastModified}, nil
}

// Delete implements objects.Store.
func (s *Store) Delete(ctx context.Context, digest string) error {
	if err := objects.CheckDigest(digest); err != nil {
		return err
	}
	err := s.client.RemoveObject(ctx, s.options.Bucket, s.key(digest), minio.RemoveObjectOptions{})
	if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return nil
	}
	return s.classify("delete object "+digest, err)
}

// DeleteBefore removes an object if its last Put was before that time, and reports whether it did. One that is just being
// put is left alone.
func (s *Store) DeleteBefore(ctx context.Context, digest string, before time.Time) (bool, error) {
	if err := objects.CheckDigest(digest); err != nil {
		return false, err
	}
	lane := s.lane(digest)
	if !lane.TryLock() {
		return false, nil
	}
	defer lane.Unlock()
	info, err := s.Stat(ctx, digest)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return false, nil
	case err != nil || !info.Modified.Before(before):
		return false, err
	}
	return true, s.Delete(ctx, digest)
}

// List implements objects.Store. Keys that are not ours are left alone.
func (s *Store) List(ctx context.Context, each func(objects.Info) error) error {
	ctx, stop := context.WithCancel(ctx) // ends the listing when each fails
	defer stop()
	for o := range s.client.Client.ListObjects(ctx, s.options.Bucket, minio.ListObjectsOptions{Prefix: s.keys, Recursive: true}) {
		if o.Err != nil {
			return s.classify("list objects", o.Err)
		}
		digest := strings.TrimPrefix(o.Key, s.keys)
		if objects.CheckDigest(digest) != nil {
			continue
		}
		if err := each(objects.Info{Digest: digest, Bytes: o.Size, Modified: o.LastModified}); err != nil {
			return err
		}
	}
	return s.classify("list objects", ctx.Err())
}

// RemoveAbandoned ends uploads in parts that were begun before that time: those of processes that were killed. Nobody
// sees them, but their parts take space.
func (s *Store) RemoveAbandoned(ctx context.Context, before time.Time) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var errs []error
	for u := range s.client.ListIncompleteUploads(ctx, s.options.Bucket, s.keys, true) {
		switch {
		case minio.ToErrorResponse(u.Err).Code == noSuchUpload: // some say that when the bucket has none at all
		case u.Err != nil:
			return s.classify("list abandoned uploads", u.Err)
		case u.Initiated.Before(before):
			err := s.client.AbortMultipartUpload(ctx, s.options.Bucket, u.Key, u.UploadID)
			if minio.ToErrorResponse(err).Code != noSuchUpload {
				errs = append(errs, s.classify("end the abandoned upload of "+u.Key, err))
			}
		}
	}
	return errors.Join(errs...)
}
