package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"openflow"
)

// Synchronous modes of SQLite, for [Options]. With SyncNormal a power failure can lose the last commits but never
// corrupts, and a killed process loses nothing; with SyncFull every commit costs an fsync.
const (
	SyncNormal = "NORMAL"
	SyncFull   = "FULL"
)

// readers is how many connections answer queries. More of them only queue for the same two or four cores.
const readers = 4

// Options says where a catalogue is.
type Options struct {
	File        string           // path of the SQLite file; its folder must exist
	Synchronous string           // SyncNormal (also when empty) or SyncFull
	Now         func() time.Time // nil: time.Now
}

// Catalogue is the repository. It is safe for concurrent use; one process may open a file several times.
type Catalogue struct {
	writer *sql.DB
	reader *sql.DB
	now    func() time.Time

	mu         sync.Mutex
	statements map[statementKey]*sql.Stmt
}

type statementKey struct {
	db    *sql.DB
	query string
}

// Open opens the catalogue, creating or migrating its tables. A file that a newer version of openflow has migrated is
// CodeConflict: it must not be written by this one.
func Open(ctx context.Context, o Options) (*Catalogue, error) {
	if o.File == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "catalogue: no file given")
	}
	switch o.Synchronous {
	case "":
		o.Synchronous = SyncNormal
	case SyncNormal, SyncFull:
	default:
		return nil, openflow.Errorf(openflow.CodeInvalid, "catalogue: unknown synchronous mode %q", o.Synchronous).
			WithHint("use %s or %s", SyncNormal, SyncFull)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Catalogue{now: o.Now, statements: map[statementKey]*sql.Stmt{}}
	if err := c.connect(ctx, o); err != nil {
		_ = c.Close() // the first error is the one to tell
		return nil, err
	}
	return c, nil
}

// connect opens one writing connection and a pool of readers. SQLite has one writer at a time anyway; with one
// connection writers queue in Go, in order, instead of polling for the lock.
func (c *Catalogue) connect(ctx context.Context, o Options) error {
	var err error
	if c.writer, err = sql.Open("sqlite", dsn(o, "rwc")); err != nil {
		return classify("open "+o.File, err)
	}
	c.writer.SetMaxOpenConns(1)
	if err := migrateUp(ctx, c.writer, o.File); err != nil {
		return err
	}
	// Read-only connections come second: they can open a WAL database only once its files exist.
	if c.reader, err = sql.Open("sqlite", dsn(o, "ro")); err != nil {
		return classify("open "+o.File, err)
	}
	c.reader.SetMaxOpenConns(readers)
	c.reader.SetMaxIdleConns(readers)
	return nil
}

// dsn makes the data source name. Transactions begin with the write lock: one that reads first and writes later would
// otherwise fail at once with SQLITE_BUSY, whatever busy_timeout says.
func dsn(o Options, mode string) string {
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(10000)", "foreign_keys(1)"}}
	if mode != "ro" {
		q.Add("_pragma", "journal_mode(WAL)")
		q.Add("_pragma", "synchronous("+o.Synchronous+")")
		q.Set("_txlock", "immediate")
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(o.File)}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

// Close closes the catalogue. Calls in flight fail.
func (c *Catalogue) Close() error {
	var errs []error
	for _, db := range []*sql.DB{c.reader, c.writer} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// stamp is the current time as rows store it.
func (c *Catalogue) stamp() int64 { return c.now().UnixMilli() }
