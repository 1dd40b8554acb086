package catalogue

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"openflow"
	"openflow/store/encrypted"
)

const (
	// How many connections one process opens. A server takes 100 as shipped, and several replicas share it. Writers that wait
	// for each other must not keep readers waiting, so each have their own.
	writeConnections = 4
	readConnections  = 6
	// connectTimeout is how long one attempt to reach the server may take.
	connectTimeout = 10 * time.Second
	// migrationWait is how long a replica waits while another one migrates, in looks of a second.
	migrationWait = 300
)

// sessionSettings hold for every connection unless the URL says otherwise. A writer waits for a lock as long as SQLite's
// busy_timeout; a replica that vanished in mid-transaction gives its locks back after a while.
var sessionSettings = map[string]string{
	"application_name":                    "openflow",
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "30s",
}

// lockWriters makes a write transaction the only one, across all replicas, until it ends. SQLite has one writer at a time,
// and transactions here are written for that: they may decide by rows that they do not change. Single statements need no
// lock, since they decide by the rows that they change. The key is one per schema, so that nodes in one database do not
// wait for each other.
const lockWriters = `select pg_advisory_xact_lock(hashtextextended('openflow.catalogue.' || current_schema(), 0))`

// openURL connects to PostgreSQL. Several replicas may do so at once: one migrates, the others wait for it.
func (c *Catalogue) openURL(ctx context.Context, o Options) error {
	config, place, err := parseURL(o.URL)
	if err != nil {
		return err
	}
	c.lock, c.textOnly = lockWriters, true
	c.writer = connect(config, writeConnections)
	reading := config.Copy()
	reading.RuntimeParams["default_transaction_read_only"] = "on"
	c.reader = connect(reading, readConnections)
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, migrationWait))
	if err != nil {
		return classify("migrate "+place, err)
	}
	return migrateUp(ctx, c.writer, place, goose.DialectPostgres, goose.WithSessionLocker(locker))
}

func connect(config *pgx.ConnConfig, connections int) *sql.DB {
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db
}

const urlHint = "use postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; escape special characters of the password"

// parseURL reads postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=… and says where that is, without the secret.
// CodeInvalid: it is none.
func parseURL(text string) (config *pgx.ConnConfig, place string, err error) {
	u, err := url.Parse(text)
	known := strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
	if err != nil || !known { // err holds the text, and that the password
		return nil, "", openflow.Errorf(openflow.CodeInvalid, "catalogue: the URL of the database is not a postgres:// URL").WithHint(urlHint)
	}
	if openflow.StraySecret(text, u) {
		return nil, "", openflow.Errorf(openflow.CodeInvalid, "catalogue: the URL of the database has an @ outside of USER:PASSWORD@").WithHint(urlHint)
	}
	place = "postgres://" + u.Host + u.Path
	if strings.Trim(u.Path, "/") == "" {
		return nil, "", openflow.Errorf(openflow.CodeInvalid, "catalogue: the URL of the database at %s names no database", u.Host).WithHint(urlHint)
	}
	unreadable := openflow.Errorf(openflow.CodeInvalid, "catalogue: the URL of the database %s has settings that are not understood", place).
		WithHint(urlHint) // the parser hides a password where it expects one, and shows the rest of the text
	if config, err = pgx.ParseConfig(text); err != nil {
		return nil, "", unreadable
	}
	query := u.Query()
	for _, host := range hosts(config) { // as the driver reads them: the settings and the environment may name some
		if err := encrypted.Postgres(host, query); err != nil {
			return nil, "", openflow.Errorf(openflow.CodeInvalid, "catalogue: the URL of the database %s: %w", place, err)
		}
	}
	u.RawQuery = query.Encode()
	if config, err = pgx.ParseConfig(u.String()); err != nil {
		return nil, "", unreadable
	}
	for name, value := range sessionSettings {
		if _, given := config.RuntimeParams[name]; !given {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > time.Minute {
		config.ConnectTimeout = connectTimeout
	}
	return config, place, nil
}

// hosts are those that may be called; "" is a socket.
func hosts(c *pgx.ConnConfig) []string {
	list := []string{c.Host}
	for _, f := range c.Fallbacks {
		list = append(list, f.Host)
	}
	for i, host := range list {
		if strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
			list[i] = ""
		}
	}
	return list
}

// fit makes arguments acceptable: PostgreSQL's texts hold neither NUL nor broken UTF-8, which the output of a container may.
// Such a character becomes the replacement character, so that the rest of a reason or a report is kept.
func (c *Catalogue) fit(args []any) []any {
	if !c.textOnly {
		return args
	}
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
		}
	}
	return args
}
