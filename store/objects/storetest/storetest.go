// Package storetest is the conformance suite of object stores: what package objects promises, as tests.
//
// A store's own test file is one call of [Run] with a function that makes an empty store, plus what only that store can
// show, such as a full disk.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects"
)

// Run runs the suite; open makes an empty store for each test.
func Run(t *testing.T, open func(t *testing.T) objects.Store) {
	tests := map[string]func(*testing.T, objects.Store){
		"put, stat, get":                     testRoundTrip,
		"put twice":                          testPutTwice,
		"a failing reader leaves nothing":    testFailingReader,
		"a canceled put leaves nothing":      testCanceledPut,
		"range":                              testRange,
		"missing object":                     testMissing,
		"what is no digest":                  testBadDigests,
		"concurrent puts of one content":     testConcurrentPuts,
		"delete":                             testDelete,
		"list":                               testList,
		"sweep removes what nothing needs":   testSweep,
		"sweep stops when nobody can answer": testSweepError,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
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

func requireCode(t *testing.T, want openflow.Code, err error) {
	t.Helper()
	require.Equalf(t, want, openflow.CodeOf(err), "error: %v", err)
}

func all(t *testing.T, s objects.Store) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	require.NoError(t, s.List(t.Context(), func(i objects.Info) error {
		found[i.Digest] = i.Bytes
		return nil
	}))
	return found
}

func testRoundTrip(t *testing.T, s objects.Store) {
	for name, content := range map[string][]byte{
		"empty":        {},
		"one byte":     {0},
		"64 MiB and 1": bytes.Repeat([]byte("openflow"), 8<<20+1),
	} {
		t.Run(name, func(t *testing.T) {
			before := time.Now().Add(-time.Minute)
			ref := put(t, s, content)
			require.Equal(t, objects.Ref{Digest: digestOf(content), Bytes: int64(len(content))}, ref)
			info, err := s.Stat(t.Context(), ref.Digest)
			require.NoError(t, err)
			require.Equal(t, ref, objects.Ref{Digest: info.Digest, Bytes: info.Bytes})
			require.True(t, info.Modified.After(before), "modified %s", info.Modified)
			requireContent(t, s, ref.Digest, 0, content)
		})
	}
}

func requireContent(t *testing.T, s objects.Store, digest string, offset int64, content []byte) {
	t.Helper()
	r, size, err := s.Get(t.Context(), digest, offset)
	require.NoError(t, err)
	got, err := io.ReadAll(r)
	require.NoError(t, errors.Join(err, r.Close()))
	require.EqualValues(t, len(content), size)
	require.True(t, bytes.Equal(content[offset:], got), "%d bytes from %d on differ", len(got), offset)
}

func testPutTwice(t *testing.T, s objects.Store) {
	first, second := put(t, s, []byte("same")), put(t, s, []byte("same"))
	require.Equal(t, first, second)
	require.Equal(t, map[string]int64{first.Digest: 4}, all(t, s))
}

func testFailingReader(t *testing.T, s objects.Store) {
	broken := errors.New("connection reset")
	content := bytes.Repeat([]byte("x"), 1<<20)
	_, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(content), errReader{broken}))
	require.ErrorIs(t, err, broken)
	require.Empty(t, all(t, s))
	_, err = s.Stat(t.Context(), digestOf(content))
	requireCode(t, openflow.CodeNotFound, err)
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func testCanceledPut(t *testing.T, s objects.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := s.Put(ctx, readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	requireCode(t, openflow.CodeCanceled, err)
	require.Empty(t, all(t, s))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func testRange(t *testing.T, s objects.Store) {
	content := []byte("0123456789")
	ref := put(t, s, content)
	for _, offset := range []int64{0, 1, 9, 10} {
		requireContent(t, s, ref.Digest, offset, content)
	}
	for _, offset := range []int64{-1, 11} {
		_, _, err := s.Get(t.Context(), ref.Digest, offset)
		requireCode(t, openflow.CodeInvalid, err)
	}
}

func testMissing(t *testing.T, s objects.Store) {
	digest := digestOf([]byte("nobody put this"))
	_, err := s.Stat(t.Context(), digest)
	requireCode(t, openflow.CodeNotFound, err)
	_, _, err = s.Get(t.Context(), digest, 0)
	requireCode(t, openflow.CodeNotFound, err)
	require.NoError(t, s.Delete(t.Context(), digest))
}

func testBadDigests(t *testing.T, s objects.Store) {
	good := digestOf(nil)
	for _, digest := range []string{
		"", "..", "../../etc/passwd", good[:63], good + "0", strings.ToUpper(good), strings.Repeat(".", 64),
		strings.Repeat("../", 21) + "a", strings.Replace(good, "e", "/", 1), good[:63] + "\x00",
	} {
		_, err := s.Stat(t.Context(), digest)
		requireCode(t, openflow.CodeInvalid, err)
		_, _, err = s.Get(t.Context(), digest, 0)
		requireCode(t, openflow.CodeInvalid, err)
		requireCode(t, openflow.CodeInvalid, s.Delete(t.Context(), digest))
	}
}

func testConcurrentPuts(t *testing.T, s objects.Store) {
	content := bytes.Repeat([]byte("shared"), 100_000)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			ref, err := s.Put(t.Context(), bytes.NewReader(content))
			if err == nil && ref.Digest != digestOf(content) {
				err = fmt.Errorf("digest %s", ref.Digest)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	require.Len(t, all(t, s), 1)
	requireContent(t, s, digestOf(content), 0, content)
}

func testDelete(t *testing.T, s objects.Store) {
	keep, gone := put(t, s, []byte("keep")), put(t, s, []byte("gone"))
	require.NoError(t, s.Delete(t.Context(), gone.Digest))
	require.NoError(t, s.Delete(t.Context(), gone.Digest))
	require.Equal(t, map[string]int64{keep.Digest: 4}, all(t, s))
	require.Equal(t, gone, put(t, s, []byte("gone")))
	requireContent(t, s, gone.Digest, 0, []byte("gone"))
}

func testList(t *testing.T, s objects.Store) {
	require.Empty(t, all(t, s))
	want := map[string]int64{}
	for i := range 20 {
		ref := put(t, s, bytes.Repeat([]byte{byte(i)}, i))
		want[ref.Digest] = ref.Bytes
	}
	require.Equal(t, want, all(t, s))
	stop := errors.New("enough")
	seen := 0
	require.ErrorIs(t, s.List(t.Context(), func(objects.Info) error { seen++; return stop }), stop)
	require.Equal(t, 1, seen)
}

func testSweep(t *testing.T, s objects.Store) {
	needed, unused := put(t, s, []byte("needed")), put(t, s, []byte("unused"))
	referenced := func(_ context.Context, digest string) (bool, error) { return digest == needed.Digest, nil }
	later := time.Now().Add(time.Hour)
	got, err := objects.Sweep(t.Context(), s, referenced, later, 2*time.Hour)
	require.NoError(t, err)
	require.Equal(t, objects.Swept{Kept: 2}, got)
	got, err = objects.Sweep(t.Context(), s, referenced, later, time.Minute)
	require.NoError(t, err)
	require.Equal(t, objects.Swept{Kept: 1, Deleted: 1, Freed: unused.Bytes}, got)
	require.Equal(t, map[string]int64{needed.Digest: 6}, all(t, s))
}

func testSweepError(t *testing.T, s objects.Store) {
	ref := put(t, s, []byte("unknown"))
	down := errors.New("catalogue is down")
	_, err := objects.Sweep(t.Context(), s, func(context.Context, string) (bool, error) { return false, down }, time.Now().Add(time.Hour), 0)
	require.ErrorIs(t, err, down)
	require.Contains(t, all(t, s), ref.Digest)
}
