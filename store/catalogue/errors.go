package catalogue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"openflow"
)

// ErrBeyondCapacity is what ApplyJobResources wraps when a job asks for more than the site has: it can never start.
//
// Spec: fate-flow-api §0.4 (1006).
var ErrBeyondCapacity = errors.New("more than the site has")

// fault is what kind of trouble a database reports.
type fault int

const (
	faultOther     fault = iota
	faultUnique          // a unique key exists already
	faultBusy            // another writer was faster; the same transaction may succeed
	faultFull            // no space
	faultLost            // the server is not there, or went away in the middle
	faultCrowded         // the server takes no more connections
	faultReadOnly        // the server is a standby
	faultPassword        // the server does not know this user or password
	faultForbidden       // the user may not do that
	faultDatabase        // there is no such database
)

// faultOf reads the driver's code. Only it and the two functions below know the drivers' error types.
func faultOf(err error) fault {
	var file *sqlite.Error
	var server *pgconn.PgError
	switch {
	case errors.As(err, &file):
		return faultOfFile(file)
	case errors.As(err, &server):
		return faultOfServer(server.Code)
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	if errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.ErrUnexpectedEOF) {
		return faultLost
	}
	return faultOther
}

// faultOfServer reads an SQLSTATE of PostgreSQL.
func faultOfServer(state string) fault {
	switch state {
	case "23505": // unique_violation
		return faultUnique
	case "40001", "40P01", "55P03": // serialization_failure, deadlock_detected, lock_not_available
		return faultBusy
	case "53300": // too_many_connections
		return faultCrowded
	case "25006": // read_only_sql_transaction
		return faultReadOnly
	case "42501": // insufficient_privilege
		return faultForbidden
	case "3D000": // invalid_catalog_name
		return faultDatabase
	case "57P01", "57P02", "57P03", "25P03": // admin_shutdown, crash_shutdown, cannot_connect_now, idle in transaction
		return faultLost
	}
	switch state[:min(len(state), 2)] { // the class
	case "08": // connection
		return faultLost
	case "28": // authorization
		return faultPassword
	case "53": // resources: disk, memory
		return faultFull
	}
	return faultOther
}

func faultOfFile(e *sqlite.Error) fault {
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
			WithHint("free space where the catalogue is; where that is the node's home, its restart gives up the rest of its reserve")
	case faultLost:
		return openflow.Errorf(openflow.CodeUnavailable, "catalogue: %s: the database server does not answer: %w", doing, err).
			WithHint("see that PostgreSQL runs and can be reached from here; nothing is lost, the call may be repeated")
	case faultCrowded:
		return openflow.Errorf(openflow.CodeUnavailable, "catalogue: %s: the database server takes no more connections: %w", doing, err).
			WithHint("a node opens up to %d: raise max_connections of PostgreSQL, or run fewer replicas", writeConnections+readConnections)
	case faultReadOnly:
		return openflow.Errorf(openflow.CodeUnavailable, "catalogue: %s: the database server is a standby: %w", doing, err).
			WithHint("name the primary, or several hosts with target_session_attrs=read-write")
	case faultPassword:
		return openflow.Errorf(openflow.CodeUnauthorized, "catalogue: %s: the database server refuses this user: %w", doing, err).
			WithHint("check user, password and sslmode of the URL against pg_hba.conf of the server")
	case faultForbidden:
		return openflow.Errorf(openflow.CodePermission, "catalogue: %s: the database user may not do that: %w", doing, err).
			WithHint("the user must own the schema: alter database … owner to …")
	case faultDatabase:
		return openflow.Errorf(openflow.CodeNotFound, "catalogue: %s: there is no such database: %w", doing, err).
			WithHint("make it once: createdb --owner USER DATABASE")
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
