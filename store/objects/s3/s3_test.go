package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects"
	"openflow/store/objects/s3"
	"openflow/store/objects/storetest"
)

const (
	bucket = "openflow-test"
	secret = "a/secret+that@nobody:sees"
)

// server is an S3 server in memory behind TLS, with a fault in front of it.
type server struct {
	*httptest.Server
	// fault answers a request in the place of the server when it returns true.
	fault atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	puts  atomic.Int64 // requests that carried content
}

func start(t *testing.T) *server {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket(bucket))
	inner := gofakes3.New(backend).Server()
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := s.fault.Load(); f != nil && (*f)(w, r) {
			return
		}
		if r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") == "" {
			s.puts.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) fail(f func(http.ResponseWriter, *http.Request) bool) { s.fault.Store(&f) }

func (s *server) heal() { s.fault.Store(nil) }

func (s *server) options() s3.Options {
	return s3.Options{
		Endpoint: strings.TrimPrefix(s.URL, "https://"), Bucket: bucket, Prefix: "site/9999", AccessKey: "key", SecretKey: secret,
	}.WithTransport(s.Client().Transport)
}

func open(t *testing.T, o s3.Options) *s3.Store {
	t.Helper()
	o.Spool = t.TempDir()
	store, err := s3.Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		left, err := os.ReadDir(o.Spool)
		require.NoError(t, err)
		require.Empty(t, left, "spooled files stay")
	})
	return store
}

func requireCode(t *testing.T, want openflow.Code, err error) {
	t.Helper()
	require.Equalf(t, want, openflow.CodeOf(err), "error: %v", err)
	require.NotContains(t, err.Error(), secret)
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func put(t *testing.T, s objects.Store, content []byte) objects.Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), bytes.NewReader(content))
	require.NoError(t, err)
	return ref
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objects.Store { return open(t, start(t).options()) })
}

func TestStoresShareABucket(t *testing.T) {
	s := start(t)
	o := s.options()
	mine := open(t, o)
	o.Prefix = "site/99990" // begins like the other one
	theirs := open(t, o)
	o.Prefix = ""
	top := open(t, o)
	ref := put(t, mine, []byte("mine"))
	_, err := theirs.Stat(t.Context(), ref.Digest)
	requireCode(t, openflow.CodeNotFound, err)
	require.NoError(t, top.List(t.Context(), func(i objects.Info) error { return fmt.Errorf("lists %s of another prefix", i.Digest) }))
	replica := open(t, s.options())
	_, err = replica.Stat(t.Context(), ref.Digest)
	require.NoError(t, err)
}

// Equal content is not sent again, but counts as modified now, so that no sweep takes it.
func TestPutAgainRefreshes(t *testing.T) {
	s := start(t)
	store := open(t, s.options())
	content := []byte("content")
	ref := put(t, store, content)
	sent := s.puts.Load()
	first, err := store.Stat(t.Context(), ref.Digest)
	require.NoError(t, err)
	require.Eventually(t, func() bool { // the server tells whole seconds
		put(t, store, content)
		again, err := store.Stat(t.Context(), ref.Digest)
		require.NoError(t, err)
		return again.Modified.After(first.Modified)
	}, 3*time.Minute, 100*time.Millisecond)
	require.Equal(t, sent, s.puts.Load(), "equal content was sent again")
	gone, err := store.DeleteBefore(t.Context(), ref.Digest, first.Modified.Add(time.Second))
	require.NoError(t, err)
	require.False(t, gone)
}

func TestPutIsConditional(t *testing.T) {
	s := start(t)
	store := open(t, s.options())
	var conditions []string
	s.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			conditions = append(conditions, r.Header.Get("If-None-Match"))
		}
		return false
	})
	put(t, store, []byte("x"))
	require.Equal(t, []string{"*"}, conditions)

	// refuse answers conditional puts only, as if something had happened between the look and the upload.
	refuse := func(status int, code string) {
		s.fail(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut || r.Header.Get("If-None-Match") == "" {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, status, code)
			return true
		})
	}
	refuse(http.StatusPreconditionFailed, "PreconditionFailed") // another replica was faster
	sent := s.puts.Load()
	put(t, store, []byte("y"))
	require.Equal(t, sent, s.puts.Load(), "what is there was sent again")
	for status, code := range map[int]string{http.StatusConflict: "ConditionalRequestConflict", http.StatusNotImplemented: "NotImplemented"} {
		refuse(status, code)
		content := []byte(code)
		requireContent(t, store, put(t, store, content).Digest, content)
	}
}

func answer(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test has it</Message></Error>", code)
}

// A put whose connection breaks is sent again; when it goes on breaking, nothing is visible and nothing is left.
func TestServerFailsInMidPut(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 20<<16) // 20 MiB: two parts
	faults := map[string]func(http.ResponseWriter, *http.Request) bool{
		"connection closed": func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			panic(http.ErrAbortHandler)
		},
		"503": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		},
	}
	for name, fault := range faults {
		t.Run(name+", once", func(t *testing.T) {
			s := start(t)
			store := open(t, s.options())
			var failed atomic.Bool
			s.fail(func(w http.ResponseWriter, r *http.Request) bool {
				return r.Method == http.MethodPut && failed.CompareAndSwap(false, true) && fault(w, r)
			})
			ref := put(t, store, content)
			require.True(t, failed.Load())
			requireContent(t, store, ref.Digest, content)
		})
		t.Run(name+", always", func(t *testing.T) {
			s := start(t)
			store := open(t, s.options())
			s.fail(fault)
			_, err := store.Put(t.Context(), bytes.NewReader(content))
			requireCode(t, openflow.CodeUnavailable, err)
			s.heal()
			_, err = store.Stat(t.Context(), digestOf(content))
			requireCode(t, openflow.CodeNotFound, err)
			require.NoError(t, store.List(t.Context(), func(i objects.Info) error { return fmt.Errorf("%s is visible", i.Digest) }))
			require.Empty(t, uploads(t, store))
		})
	}
}

func requireContent(t *testing.T, s objects.Store, digest string, want []byte) {
	t.Helper()
	r, size, err := s.Get(t.Context(), digest, 0)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.EqualValues(t, len(want), size)
	require.True(t, bytes.Equal(want, got))
}

// uploads are the keys of uploads in parts that have not ended.
func uploads(t *testing.T, s *s3.Store) []string {
	t.Helper()
	var keys []string
	for u := range s.Client().ListIncompleteUploads(t.Context(), bucket, "", true) {
		require.NoError(t, u.Err)
		keys = append(keys, u.Key)
	}
	return keys
}

// What a process leaves that is killed in mid-put goes with a later sweep; what may still be going on stays.
func TestSweepEndsAbandonedUploads(t *testing.T) {
	store := open(t, start(t).options())
	key := store.Key(digestOf(nil))
	id, err := store.Client().NewMultipartUpload(t.Context(), bucket, key, minio.PutObjectOptions{})
	require.NoError(t, err)
	_, err = store.Client().PutObjectPart(t.Context(), bucket, key, id, 1, strings.NewReader("part"), 4, minio.PutObjectPartOptions{})
	require.NoError(t, err)
	nobody := func(context.Context, string) (bool, error) { return false, nil }
	got, err := objects.Sweep(t.Context(), store, nobody, time.Now(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, objects.Swept{}, got, "it is not visible")
	require.Equal(t, []string{key}, uploads(t, store))
	_, err = objects.Sweep(t.Context(), store, nobody, time.Now().Add(2*time.Hour), time.Hour)
	require.NoError(t, err)
	require.Empty(t, uploads(t, store))
}

func TestServerFailsInMidGet(t *testing.T) {
	s := start(t)
	store := open(t, s.options())
	content := bytes.Repeat([]byte("x"), 4<<20)
	ref := put(t, store, content)
	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Header().Set("ETag", `"e"`)
		_, _ = w.Write(content[:1<<20])
		panic(http.ErrAbortHandler)
	})
	r, _, err := store.Get(t.Context(), ref.Digest, 0)
	require.NoError(t, err)
	_, err = io.ReadAll(r)
	requireCode(t, openflow.CodeUnavailable, err)
	require.NoError(t, r.Close())
}

// A store that DeleteBefore is about to look at is left alone while an equal object is being put.
func TestSweepLeavesAnObjectThatIsJustPut(t *testing.T) {
	s := start(t)
	store := open(t, s.options())
	content := []byte("content")
	ref := put(t, store, content)
	var asked atomic.Bool
	s.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("X-Amz-Copy-Source") != "" { // the refresh of the second put
			gone, err := store.DeleteBefore(context.Background(), ref.Digest, time.Now().Add(time.Hour))
			asked.Store(err == nil && !gone)
		}
		return false
	})
	put(t, store, content)
	require.True(t, asked.Load())
	requireContent(t, store, ref.Digest, content)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	s := start(t)
	store := open(t, s.options())
	for name, test := range map[string]struct {
		status int
		answer string
		code   openflow.Code
		say    string
	}{
		"denied":       {http.StatusForbidden, "AccessDenied", openflow.CodePermission, "s3:PutObject"},
		"wrong secret": {http.StatusForbidden, "SignatureDoesNotMatch", openflow.CodeUnauthorized, "key and secret"},
		"wrong key":    {http.StatusForbidden, "InvalidAccessKeyId", openflow.CodeUnauthorized, "key and secret"},
		"clock":        {http.StatusForbidden, "RequestTimeTooSkewed", openflow.CodeUnauthorized, "set the clock"},
		"no bucket":    {http.StatusNotFound, "NoSuchBucket", openflow.CodeUnavailable, "make the bucket"},
		"full":         {http.StatusInsufficientStorage, "XMinioStorageFull", openflow.CodeExhausted, "free space"},
		"busy":         {http.StatusServiceUnavailable, "SlowDown", openflow.CodeUnavailable, "repeated"},
		"odd":          {http.StatusBadRequest, "Odd", openflow.CodeInternal, "refuses"},
	} {
		t.Run(name, func(t *testing.T) {
			s.fail(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodHead { // has no body, so a server says only that there is nothing
					w.WriteHeader(http.StatusNotFound)
					return true
				}
				_, _ = io.Copy(io.Discard, r.Body)
				answer(w, test.status, test.answer)
				return true
			})
			_, err := store.Put(t.Context(), strings.NewReader("x"))
			requireCode(t, test.code, err)
			require.ErrorContains(t, err, test.say)
			_, _, err = store.Get(t.Context(), digestOf(nil), 0)
			requireCode(t, test.code, err)
			err = store.List(t.Context(), func(objects.Info) error { return nil })
			requireCode(t, test.code, err)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	s := start(t)
	for name, test := range map[string]struct {
		change func(*s3.Options)
		code   openflow.Code
		say    string
	}{
		"no bucket of that name": {func(o *s3.Options) { o.Bucket = "another-bucket" }, openflow.CodeUnavailable, "another-bucket"},
		"nobody listens":         {func(o *s3.Options) { o.Endpoint = "127.0.0.1:1" }, openflow.CodeUnavailable, "127.0.0.1:1"},
		"no TLS spoken":          {func(o *s3.Options) { o.Plain = true }, openflow.CodeInternal, "open"},
		"no key":                 {func(o *s3.Options) { o.AccessKey = "" }, openflow.CodeInvalid, "no key"},
		"no host":                {func(o *s3.Options) { o.Endpoint = "" }, openflow.CodeInvalid, "HOST"},
		"no bucket":              {func(o *s3.Options) { o.Bucket = "" }, openflow.CodeInvalid, "bucket"},
		"prefix that climbs":     {func(o *s3.Options) { o.Prefix = "a/../b" }, openflow.CodeInvalid, "prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			o := s.options()
			test.change(&o)
			_, err := s3.Open(t.Context(), o)
			requireCode(t, test.code, err)
			require.ErrorContains(t, err, test.say)
		})
	}
}

func TestKeyFromTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key-of-the-environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	s := start(t)
	var seen atomic.Value
	s.fail(func(_ http.ResponseWriter, r *http.Request) bool {
		seen.Store(r.Header.Get("Authorization"))
		return false
	})
	o := s.options()
	o.AccessKey, o.SecretKey = "", ""
	open(t, o)
	require.Contains(t, seen.Load(), "key-of-the-environment/")
}

// A spool that cannot be written to is named.
func TestSpoolFolderIsMissing(t *testing.T) {
	o := start(t).options()
	o.Spool = "/nowhere/at all"
	store, err := s3.Open(t.Context(), o)
	require.NoError(t, err)
	_, err = store.Put(t.Context(), strings.NewReader("x"))
	requireCode(t, openflow.CodeInternal, err)
	require.ErrorContains(t, err, "/nowhere/at all")
}

// zeros gives n bytes.
type zeros int64

func (z *zeros) Read(p []byte) (int, error) {
	if *z == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), int64(*z))
	clear(p[:n])
	*z -= zeros(n)
	return int(n), nil
}

// An object of any size passes through a bounded part of memory. The server here forgets what it is sent.
func TestPutHoldsLittleInMemory(t *testing.T) {
	const size, bound = 512 << 20, 64 << 20
	live := func() int64 { // other tests of this process may have left some
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	s := start(t)
	store := open(t, s.options())
	var received atomic.Int64
	var most atomic.Int64
	s.fail(func(w http.ResponseWriter, r *http.Request) bool {
		n, _ := io.Copy(io.Discard, r.Body)
		received.Add(n)
		most.Store(max(most.Load(), live()-before))
		switch {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Has("uploads"):
			fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
		case r.Method == http.MethodPost:
			fmt.Fprint(w, "<CompleteMultipartUploadResult><Bucket>b</Bucket><ETag>e</ETag></CompleteMultipartUploadResult>")
		default:
			w.Header().Set("ETag", `"e"`)
		}
		return true
	})
	content := zeros(size)
	ref, err := store.Put(t.Context(), &content)
	require.NoError(t, err)
	require.EqualValues(t, size, ref.Bytes)
	require.GreaterOrEqual(t, received.Load(), int64(size))
	require.Less(t, most.Load(), int64(bound))
	t.Logf("%d MiB of memory for %d MiB", most.Load()>>20, size>>20)
}
