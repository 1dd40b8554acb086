package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"openflow"
)

// Options says where a catalogue is: in a file of this node, or on a PostgreSQL server that several replicas share.
type Options struct {
	File        string           // path of the SQLite file; its folder must exist
	Synchronous string           // of the file: SyncNormal (also when empty) or SyncFull
	URL         string           // instead of File: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=…
	Now         func() time.Time // nil: time.Now

	Rows, Objects Bound // of what jobs put here; what is zero is DefaultRows, DefaultObjects
}

// Catalogue is the repository. It is safe for concurrent use; several processes may have it open.
type Catalogue struct {
	writer   *sql.DB
	reader   *sql.DB
	lock     string // the statement that makes a transaction the only writer; empty where it is that anyway
	textOnly bool   // texts hold characters only
	now      func() time.Time
	bounds   map[string]Bound // by kind
	freed    func()           // see WhenFreed

	mu         sync.Mutex
	statements map[statementKey]*sql.Stmt
	filters    int // of them, how many are of queries that were put together
}

type statementKey struct {
	db    *sql.DB
	query string
}

// Open opens the catalogue, creating or migrating its tables. A database that a newer version of openflow has migrated is
// CodeConflict: it must not be written by this one. CodeInvalid: the options. CodeUnavailable: the server does not answer.
// CodeUnauthorized, CodePermission, CodeNotFound: the server knows no such user, right or database.
func Open(ctx context.Context, o Options) (*Catalogue, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Catalogue{
		now: o.Now, statements: map[statementKey]*sql.Stmt{},
		bounds: map[string]Bound{takenRows: o.Rows.or(DefaultRows), takenObjects: o.Objects.or(DefaultObjects)},
	}
	if err := c.open(ctx, o); err != nil {
		_ = c.Close() // the first error is the one to tell
		return nil, err
	}
	return c, nil
}

func (c *Catalogue) open(ctx context.Context, o Options) error {
	switch {
	case o.File == "" && o.URL == "":
		return openflow.Errorf(openflow.CodeInvalid, "catalogue: no file and no URL given")
	case o.File != "" && o.URL != "":
		return openflow.Errorf(openflow.CodeInvalid, "catalogue: a file and a URL given, it is in one place")
	case o.URL != "":
		return c.openURL(ctx, o)
	}
	return c.openFile(ctx, o)
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

// WhenFreed has f called whenever the last run of a job that has ended gives back what the job held. It is called before the catalogue
// is used.
func (c *Catalogue) WhenFreed(f func()) { c.freed = f }

// stamp is the current time as rows store it.
func (c *Catalogue) stamp() int64 { return c.now().UnixMilli() }
