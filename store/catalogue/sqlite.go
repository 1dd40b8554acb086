package catalogue

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
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

// openFile opens one writing connection and several readers. SQLite has one writer at a time anyway; with one
// connection writers queue in Go, in order, instead of polling for the lock.
func (c *Catalogue) openFile(ctx context.Context, o Options) error {
	switch o.Synchronous {
	case "":
		o.Synchronous = SyncNormal
	case SyncNormal, SyncFull:
	default:
		return openflow.Errorf(openflow.CodeInvalid, "catalogue: unknown synchronous mode %q", o.Synchronous).
			WithHint("use %s or %s", SyncNormal, SyncFull)
	}
	var err error
	if c.writer, err = sql.Open("sqlite", dsn(o, "rwc")); err != nil {
		return classify("open "+o.File, err)
	}
	c.writer.SetMaxOpenConns(1)
	if err := migrateUp(ctx, c.writer, o.File, goose.DialectSQLite3); err != nil {
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
