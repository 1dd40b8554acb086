package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"openflow"
)

// ErrBeyondPool is what ApplyJobResources wraps when a job asks for more cores than the site has: it can never start.
//
// Spec: fate-flow-api §0.4 (1006).
var ErrBeyondPool = errors.New("more cores than the site has")

// fault is what kind of trouble a database reports.
type fault int

const (
	faultOther  fault = iota
	faultUnique       // a unique key exists already
	faultBusy         // another writer was faster; the same transaction may succeed
	faultFull         // no space
)

// faultOf reads the driver's code. It is the only place that knows a driver's error type.
func faultOf(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return faultOther
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return faultUnique
	}
	switch e.Code() & 0xff { // the primary code, whatever the extension
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return faultBusy
	case sqlite3.SQLITE_FULL:
		return faultFull
	}
	return faultOther
}

// classify turns a database's error into one of ours; an error that is ours already stays.
func classify(doing string, err error) error {
	var ours *openflow.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ours):
		return err
	case errors.Is(err, context.Canceled):
		return openflow.Errorf(openflow.CodeCanceled, "catalogue: %s: %w", doing, err)
	case errors.Is(err, context.DeadlineExceeded):
		return openflow.Errorf(openflow.CodeDeadline, "catalogue: %s: %w", doing, err)
	case errors.Is(err, sql.ErrConnDone):
		return openflow.Errorf(openflow.CodeUnavailable, "catalogue: %s: %w", doing, err)
	}
	switch faultOf(err) {
	case faultUnique:
		return openflow.Errorf(openflow.CodeConflict, "catalogue: %s: it exists already: %w", doing, err)
	case faultBusy:
		return openflow.Errorf(openflow.CodeUnavailable, "catalogue: %s: the database is busy: %w", doing, err)
	case faultFull:
		return openflow.Errorf(openflow.CodeExhausted, "catalogue: %s: no space left: %w", doing, err).
			WithHint("free space where the catalogue is")
	case faultOther:
	}
	return openflow.Errorf(openflow.CodeInternal, "catalogue: %s: %w", doing, err)
}

func notFound(format string, args ...any) error {
	return openflow.Errorf(openflow.CodeNotFound, format, args...)
}

func conflict(format string, args ...any) error {
	return openflow.Errorf(openflow.CodeConflict, format, args...)
}
