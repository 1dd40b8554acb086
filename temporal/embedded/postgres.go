package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	_ "go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql" // the plugin postgres12_pgx
	schemaversion "go.temporal.io/server/schema/postgresql/v12"
	schematool "go.temporal.io/server/tools/common/schema"
	sqltool "go.temporal.io/server/tools/sql"

	"openflow"
	"openflow/store/encrypted"
)

const (
	postgresPlugin   = "postgres12_pgx"
	postgresShards   = 4 // fixed for the life of the database
	postgresConns    = 20
	visibilitySuffix = "_visibility"
	connectTimeout   = 10 * time.Second
	noVersion        = "0.0" // what the schema tool calls a schema without tables

	postgresHint = "use postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full; escape special characters of the password"
)

// databaseName is what needs no escape in a URL.
var databaseName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// postgres is where a server of its own keeps its state: two databases of one PostgreSQL server, the second one, for what
// people search, with the name of the first one and a suffix.
type postgres struct {
	address, user, password, database string
	settings                          map[string]string // of connections, such as sslmode
}

// parsePostgres reads postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=… CodeInvalid says what is wrong, without the
// password.
func parsePostgres(text string) (postgres, error) {
	invalid := func(format string, args ...any) (postgres, error) {
		return postgres{}, openflow.Errorf(openflow.CodeInvalid, "temporal server: "+format, args...).WithHint(postgresHint)
	}
	u, err := url.Parse(text)
	if err != nil || !strings.HasPrefix(text, "postgres://") && !strings.HasPrefix(text, "postgresql://") {
		return invalid("the URL of its database is not a postgres:// URL") // err holds the text, and that the password
	}
	if u.User == nil || openflow.StraySecret(text, u) {
		return invalid("the URL of its database names no user, or has an @ outside of USER:PASSWORD@")
	}
	p := postgres{address: u.Host, user: u.User.Username(), settings: map[string]string{}}
	p.password, _ = u.User.Password()
	p.database = strings.TrimPrefix(u.Path, "/")
	if u.Hostname() == "" || strings.Contains(u.Host, ",") {
		return invalid("the URL of its database names no host, or several")
	}
	if u.Port() == "" {
		p.address = net.JoinHostPort(u.Hostname(), "5432")
	}
	if !databaseName.MatchString(p.database) {
		return invalid("the URL of its database at %s names no database; a name has letters, digits, _ and - only", p.address)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return invalid("what follows the ? of the URL of its database cannot be read")
	}
	if err := encrypted.Postgres(u.Hostname(), query); err != nil {
		return postgres{}, openflow.Errorf(openflow.CodeInvalid, "temporal server: the URL of its database: %w", err)
	}
	for name, values := range query {
		p.settings[name] = values[len(values)-1]
		if strings.Contains(p.settings[name], " ") {
			return invalid("setting %.20q has a space, which the server would send as a +", name)
		}
	}
	if strings.Contains(p.password, " ") {
		return invalid("the password of its database has a space, which the server would send as a +")
	}
	if _, err := pgx.ParseConfig(p.url(p.database)); err != nil {
		return invalid("the URL of its database at %s has settings that are not understood", p.address)
	}
	return p, nil
}

func (p postgres) String() string { return "postgres://" + p.address + "/" + p.database }

// url is for our own connections.
func (p postgres) url(database string) string {
	q := url.Values{}
	for name, value := range p.settings {
		q.Set(name, value)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(p.user, p.password), Host: p.address, Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// store is the server's configuration of one of the two databases. The server makes a URL of it, in which it escapes the
// password but not the user.
func (p postgres) store(database string) *config.SQL {
	return &config.SQL{
		PluginName: postgresPlugin, ConnectAddr: p.address, ConnectProtocol: "tcp", User: url.PathEscape(p.user), Password: p.password,
		DatabaseName: database, ConnectAttributes: maps.Clone(p.settings), MaxConns: postgresConns, MaxIdleConns: postgresConns,
	}
}

func (p postgres) databases() (main, visibility string) {
	return p.database, p.database + visibilitySuffix
}

// prepare leaves both databases with the schema of the linked server: made when they are missing, migrated when they are
// older. Errors: CodeUnavailable (no server), CodeUnauthorized, CodePermission (it may not make them), CodeConflict (newer).
func (p postgres) prepare(ctx context.Context) error {
	main, visibility := p.databases()
	for _, d := range []struct{ database, schema, version string }{
		{main, "postgresql/v12/temporal", schemaversion.Version},
		{visibility, "postgresql/v12/visibility", schemaversion.VisibilityVersion},
	} {
		if err := p.ensureDatabase(ctx, d.database); err != nil {
			return err
		}
		if err := p.migrate(ctx, d.database, d.schema, d.version); err != nil {
			return err
		}
	}
	return nil
}

func (p postgres) connect(ctx context.Context, database string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	return pgx.Connect(ctx, p.url(database))
}

// ensureDatabase makes a database that is missing.
func (p postgres) ensureDatabase(ctx context.Context, database string) error {
	c, err := p.connect(ctx, database)
	if err == nil {
		return p.explain("check "+database, c.Close(ctx))
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "3D000" { // invalid_catalog_name
		return p.explain("connect to "+database, err)
	}
	if c, err = p.connect(ctx, "postgres"); err != nil {
		return p.explain("make database "+database, err)
	}
	defer c.Close(context.WithoutCancel(ctx))
	_, err = c.Exec(ctx, "create database "+pgx.Identifier{database}.Sanitize())
	return p.explain("make database "+database, err)
}

// migrate sets up the tables of a database and brings them to the version that the linked server wants.
func (p postgres) migrate(ctx context.Context, database, schema, version string) error {
	have, err := p.version(ctx, database)
	if err != nil {
		return p.explain("schema of "+database, err)
	}
	logger := log.NewNoopLogger()
	db, err := sqltool.NewConnection(p.store(database), logger)
	if err != nil {
		return p.explain("schema of "+database, err)
	}
	defer db.Close()
	if have == noVersion {
		// A first start may have been killed half way. Nothing of value can be there: a version comes before a namespace.
		if err := db.DropAllTables(); err != nil {
			return p.explain("schema of "+database, err)
		}
		setup := schematool.NewSetupSchemaTask(db, &schematool.SetupConfig{InitialVersion: noVersion}, logger)
		if err := setup.Run(); err != nil {
			return p.explain("schema of "+database, err)
		}
	}
	if newer, err := laterVersion(have, version); err != nil {
		return p.explain("schema of "+database, err)
	} else if newer {
		return openflow.Errorf(openflow.CodeConflict, "temporal server: database %s has schema version %s, newer than %s, which this program knows",
			database, have, version).WithHint("start the release that wrote it, or restore a backup of the database")
	}
	update := schematool.NewUpdateSchemaTask(db, &schematool.UpdateConfig{DBName: database, SchemaName: schema}, logger)
	return p.explain("schema of "+database, update.Run())
}

// version reads the version of a database's schema: noVersion when it is empty or its first set-up did not end. A database
// with tables of somebody else is CodeConflict.
func (p postgres) version(ctx context.Context, database string) (string, error) {
	c, err := p.connect(ctx, database)
	if err != nil {
		return "", err
	}
	defer c.Close(context.WithoutCancel(ctx))
	var tables, versioned int
	err = c.QueryRow(ctx, `select count(*), count(*) filter (where table_name = 'schema_version')
		from information_schema.tables where table_schema = current_schema()`).Scan(&tables, &versioned)
	if err != nil || tables == 0 {
		return noVersion, err
	}
	foreign := openflow.Errorf(openflow.CodeConflict, "temporal server: database %s has tables that are not of Temporal, or of a database of another name",
		database).WithHint("name a database of its own for Temporal")
	if versioned == 0 {
		return "", foreign
	}
	var have string
	var others int
	err = c.QueryRow(ctx, `select coalesce(max(curr_version) filter (where db_name = $1), ''), count(*) filter (where db_name <> $1)
		from schema_version`, database).Scan(&have, &others)
	switch {
	case err != nil:
		return "", err
	case have == "" && others > 0:
		return "", foreign
	case have == "":
		return noVersion, nil
	}
	return have, nil
}

func laterVersion(have, want string) (bool, error) {
	h, err := parseVersion(have)
	if err != nil {
		return false, err
	}
	w, err := parseVersion(want)
	return h > w, err
}

// explain gives an error of the database server a code and says what to do.
func (p postgres) explain(doing string, err error) error {
	var ours *openflow.Error
	if err == nil || errors.As(err, &ours) {
		return err
	}
	code, hint := openflow.CodeInternal, ""
	var refused *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &refused) && strings.HasPrefix(refused.Code, "28"): // authorization
		code, hint = openflow.CodeUnauthorized, "check user, password and sslmode of the URL against pg_hba.conf of the server"
	case errors.As(err, &refused) && refused.Code == "42501": // insufficient_privilege
		main, visibility := p.databases()
		code, hint = openflow.CodePermission, fmt.Sprintf("let an administrator make them once: createdb --owner %s %s; createdb --owner %s %s",
			p.user, main, p.user, visibility)
	case errors.As(err, &refused) && refused.Code == "53300": // too_many_connections
		code, hint = openflow.CodeUnavailable, fmt.Sprintf("raise max_connections of PostgreSQL: a Temporal server opens up to %d", 2*postgresConns)
	case errors.As(err, &connect), errors.Is(err, context.DeadlineExceeded):
		code, hint = openflow.CodeUnavailable, "see that PostgreSQL runs and can be reached from here"
	}
	e := openflow.Errorf(code, "temporal server: %s at %s: %w", doing, p, err)
	if hint == "" {
		return e
	}
	return e.WithHint("%s", hint)
}
