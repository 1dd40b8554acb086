package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"openflow"
	"openflow/store/messages"
)

const defaultBusyTimeout = 10 * time.Second

// Options configure a store.
type Options struct {
	messages.Options

	// Durable makes every acknowledged change survive a power loss, not only the end of the process.
	Durable bool
	// BusyTimeout is how long Open waits for the previous owner of the folder to let go; 0: 10 s.
	BusyTimeout time.Duration
}

// Store is a messages.Store in a folder.
type Store struct {
	opts   Options
	bodies bodies
	db     *sql.DB
	stmt   statements
	life   context.Context // ends with Close
	stop   context.CancelFunc

	// mu orders all that touches channels. It is held during SQL, which costs nothing: SQLite has one writer anyway.
	mu       sync.Mutex
	sessions map[string]*sessionState
	jobs     map[string]*account // of all sessions of a job
	peers    map[string]*account // of all that a source has sent
	total    account
	busy     map[string]struct{} // body files that a call is writing or reading: not orphans
}

var _ messages.Store = (*Store)(nil)

// Open opens the store in folder dir and creates what is missing. ctx bounds Open only.
//
// Errors: CodeInvalid (limits that exclude each other, a file of another version), CodeUnavailable (another process
// owns the folder), CodeInternal.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	limits, err := o.WithDefaults()
	if err != nil {
		return nil, err
	}
	o.Options = limits
	if o.BusyTimeout == 0 {
		o.BusyTimeout = defaultBusyTimeout
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, failure("open message store", err)
	}
	s := &Store{
		opts:     o,
		bodies:   bodies{dir: filepath.Join(dir, "bodies"), durable: o.Durable},
		sessions: map[string]*sessionState{},
		jobs:     map[string]*account{},
		peers:    map[string]*account{},
		busy:     map[string]struct{}{},
	}
	s.life, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := os.MkdirAll(s.bodies.dir, 0o700); err != nil {
		return nil, failure("open message store", err)
	}
	s.db, err = sql.Open("sqlite", dsn(filepath.Join(dir, "messages.db"), o))
	if err != nil {
		return nil, failure("open message store", err)
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

func (s *Store) start(ctx context.Context) error {
	// The mirror in memory and the exclusive lock both demand that there is one connection, for good.
	s.db.SetMaxOpenConns(1)
	s.db.SetMaxIdleConns(1)
	if err := migrate(ctx, s.db); err != nil {
		return err
	}
	if err := s.stmt.prepare(ctx, s.db); err != nil {
		return failure("open message store", err)
	}
	return s.load(ctx)
}

// dsn is the driver's name for the database. With locking_mode exclusive before WAL, SQLite keeps the file lock and
// the WAL index to itself: a second process is refused, and no call pays for file locks.
func dsn(file string, o Options) string {
	level := "NORMAL"
	if o.Durable {
		level = "FULL"
	}
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(" + strconv.FormatInt(o.BusyTimeout.Milliseconds(), 10) + ")",
		"locking_mode(EXCLUSIVE)",
		"journal_mode(WAL)",
		"synchronous(" + level + ")",
		"journal_size_limit(67108864)",
	}}
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + q.Encode()
}

// Close implements messages.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return nil
	}
	s.stop()
	if err := s.db.Close(); err != nil {
		return failure("close message store", err)
	}
	return nil
}

// failure turns an error of the machine into one of ours. op says what was attempted.
func failure(op string, err error) error {
	var ours *openflow.Error
	if errors.As(err, &ours) {
		return err
	}
	switch {
	case isFull(err):
		return openflow.Errorf(openflow.CodeExhausted, "%s: disk full: %w", op, err).WithHint("free disk space").WithPublic("its disk is full")
	case isBusy(err):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: another process owns the folder: %w", op, err).
			WithHint("stop the other node, or give this one a folder of its own")
	}
	code := openflow.CodeInternal
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		code = openflow.CodeOf(err)
	}
	return openflow.Errorf(code, "%s: %w", op, err)
}
