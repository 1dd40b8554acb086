package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/messages"
	"openflow/store/messages/sqlite"
	"openflow/store/messages/storetest"
)

var harness = storetest.Harness{
	New: func(t *testing.T) string { return t.TempDir() },
	Open: func(ctx context.Context, dir string, o messages.Options) (messages.Store, error) {
		return sqlite.Open(ctx, dir, sqlite.Options{Options: o})
	},
	// The folder has an owner as long as the old store is open, so the new one gets a copy of it.
	Crash: func(t *testing.T, dir string) string {
		after := filepath.Join(t.TempDir(), "after")
		require.NoError(t, os.CopyFS(after, os.DirFS(dir)))
		return after
	},
}

func TestMain(m *testing.M) { storetest.Main(m, harness) }

func TestConformance(t *testing.T) { storetest.Run(t, harness) }

// What fsync is for cannot be seen without cutting the power; that the calls work can.
func TestDurable(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Durable: true})
		require.NoError(t, err)
		require.NoError(t, s.Push(t.Context(), channel, messages.Message{Payload: []byte("small")}, 0))
		push(t, s, "")
		for _, size := range []int{len("small"), large} {
			m, ok, err := s.Pop(t.Context(), channel, "", 0)
			require.NoError(t, err)
			require.True(t, ok)
			require.Len(t, m.Payload, size)
		}
		require.NoError(t, s.Close())
	}
}

const large = 100 << 10

func push(t *testing.T, s messages.Store, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.NoError(t, s.Push(t.Context(), channel, messages.Message{ID: id, Payload: make([]byte, large)}, 0))
	}
}

func bodies(t *testing.T, dir string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "bodies", "*"))
	require.NoError(t, err)
	return paths
}

func TestBodyFilesGoWithTheirMessages(t *testing.T) {
	for name, drop := range map[string]func(*sqlite.Store) error{
		"pop":     func(s *sqlite.Store) error { _, _, err := s.Pop(t.Context(), channel, "", 0); return err },
		"next":    func(s *sqlite.Store) error { _, _, err := s.Next(t.Context(), channel, "", 1, 0); return err },
		"release": func(s *sqlite.Store) error { return s.Release(t.Context(), channel.Session, channel.Topic) },
		"close":   func(s *sqlite.Store) error { return s.CloseSession(t.Context(), channel.Session, time.Minute) },
		"sweep": func(s *sqlite.Store) error {
			_, err := s.Sweep(t.Context(), time.Now().Add(time.Hour), time.Minute)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			push(t, s, "a", "a")
			require.Len(t, bodies(t, dir), 1)
			require.NoError(t, drop(s))
			require.Empty(t, bodies(t, dir))
		})
	}
}

func TestSweepRemovesOrphans(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	push(t, s, "a")
	kept := bodies(t, dir)
	for _, name := range []string{"ORPHAN", "UNFINISHED.part"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "bodies", name), nil, 0o600))
	}
	removed, err := s.Sweep(t.Context(), time.Now(), time.Hour)
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	require.Equal(t, kept, bodies(t, dir))
}

// No push and no pop may lose its file to a sweep that runs at the same time.
func TestSweepBesideTraffic(t *testing.T) {
	s := open(t, sqlite.Options{})
	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := s.Sweep(t.Context(), time.Now(), time.Hour); err != nil {
				swept <- err
				return
			}
		}
		swept <- nil
	}()
	var traffic sync.WaitGroup
	errs := make(chan error, 4)
	for topic := range cap(errs) {
		traffic.Go(func() { errs <- pingPong(t.Context(), s, messages.Channel{Session: "s", Topic: fmt.Sprint(topic)}) })
	}
	traffic.Wait()
	stop()
	require.NoError(t, <-swept)
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}

// pingPong pushes and pops a large payload, again and again.
func pingPong(ctx context.Context, s messages.Store, c messages.Channel) error {
	for range 100 {
		if err := s.Push(ctx, c, messages.Message{Payload: make([]byte, large)}, 0); err != nil {
			return err
		}
		m, ok, err := s.Pop(ctx, c, "", 0)
		if err != nil || !ok || len(m.Payload) != large {
			return fmt.Errorf("pop: ok %v, %d bytes: %w", ok, len(m.Payload), err)
		}
	}
	return nil
}

// A payload that the disk has lost is reported, and the message stays where it is: whoever repairs the disk has it all.
func TestDamagedBody(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"cut":     func(path string) error { return os.Truncate(path, large-1) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			push(t, s, "a")
			path := bodies(t, dir)[0]
			require.NoError(t, damage(path))
			for range 2 {
				_, ok, err := s.Pop(t.Context(), channel, "", time.Minute)
				require.False(t, ok)
				require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
				_, ok, err = s.Next(t.Context(), channel, "", 0, time.Minute)
				require.False(t, ok)
				require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
			}
			require.NoError(t, os.WriteFile(path, make([]byte, large), 0o600))
			m, ok, err := s.Pop(t.Context(), channel, "", 0)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "a", m.ID)
		})
	}
}

// A push that cannot write its file takes no room, leaves no row, and can be repeated.
func TestUnwritableBody(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{Options: messages.Options{SessionBytes: 150 << 10}})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	folder := filepath.Join(dir, "bodies")
	require.NoError(t, os.Remove(folder))
	for range 3 {
		err := s.Push(t.Context(), channel, messages.Message{ID: "a", Payload: make([]byte, large)}, 0)
		require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
	}
	require.NoError(t, os.Mkdir(folder, 0o700))
	push(t, s, "a")
	_, ok, err := s.Pop(t.Context(), channel, "", 0)
	require.NoError(t, err)
	require.True(t, ok)
}

func TestFolderHasOneOwner(t *testing.T) {
	dir := t.TempDir()
	s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	require.NoError(t, err)
	_, err = sqlite.Open(t.Context(), dir, sqlite.Options{BusyTimeout: 10 * time.Millisecond})
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
	require.NoError(t, s.Close())
	s, err = sqlite.Open(t.Context(), dir, sqlite.Options{BusyTimeout: 10 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

func TestOpenRefusesAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "messages.db"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "pragma user_version = 99")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = sqlite.Open(t.Context(), dir, sqlite.Options{})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "schema version 99")
}

func TestOpenRefusesLimits(t *testing.T) {
	for name, o := range map[string]messages.Options{
		"message above session": {SessionBytes: 1 << 10, MessageBytes: 1 << 10},
		"no room at all":        {SessionBytes: 1},
		"negative":              {MessageBytes: -1},
	} {
		_, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Options: o})
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
}

// A folder's name may hold what means something in a URL.
func TestFolderName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%20e&f")
	for _, want := range []bool{true, false} {
		s, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
		require.NoError(t, err)
		fresh, err := s.UseNonce(t.Context(), "9999", "n", time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Equal(t, want, fresh)
		require.NoError(t, s.Close())
	}
	_, err := os.Stat(filepath.Join(dir, "messages.db"))
	require.NoError(t, err)
}
