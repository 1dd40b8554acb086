package embedded

import (
	"context"
	"log/slog"

	"go.temporal.io/server/common/log"
)

// Tuning is the dynamic configuration, by key.
var Tuning = tuning

// FreePorts is the port chooser of production.
var FreePorts = freePorts

// WithPorts replaces the choice of ports.
func (o Options) WithPorts(f func(n int) ([]int, error)) Options { o.ports = f; return o }

// PrepareStore sets up or migrates the file without starting a server.
func (o Options) PrepareStore(ctx context.Context) error { return o.prepareStore(ctx) }

// File is the database file.
func (o Options) File() string { return o.file() }

// Token is the frontend's secret.
func (s *Server) Token() string { return string(s.token) }

// Loggers returns the adapter for l and the channel that hears of fatal lines.
func Loggers(l *slog.Logger) (log.Logger, <-chan error) {
	f := newFailure()
	return serverLogger{log: l, failure: f}, f.failed
}

// Await runs f as a start of the server is run: a fatal line inside becomes its error.
func Await(f func(log.Logger) error) error {
	fail := newFailure()
	return fail.await(func() error { return f(serverLogger{log: slog.New(slog.DiscardHandler), failure: fail}) })
}

// ParsePostgres reads the URL of a database and names it without the password.
func ParsePostgres(url string) (place string, err error) {
	p, err := parsePostgres(url)
	return p.String(), err
}
