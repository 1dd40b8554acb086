package embedded

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	sdkclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"openflow"
	"openflow/temporal/cluster"
)

// stopTimeout is how long Close waits. The server needs 1 s, always: it gives its clients that long to go. A busy machine
// needs more.
const stopTimeout = 30 * time.Second

// firstAnswer is how long the server may take to answer its first client. It is there, so a busy machine is the only reason.
const firstAnswer = time.Minute

// Server is a running Temporal server. Its methods may be called concurrently.
type Server struct {
	options Options
	token   token
	running *running
	claim   *claim           // of the database; nil with a folder
	conn    *grpc.ClientConn // to the frontend, with the token; for the UI and for ReleaseOrphans
	ui      http.Handler

	closing  sync.Once
	closeErr error
}

// Start runs a server on the folder or database of o and returns when it takes requests, some 0.4 s later. It may be
// called on one whose previous process was killed at any moment, the very first start included. Nothing may use a folder
// beside it: see the package comment; a database is claimed. ctx bounds the preparation of the store, not the life of the
// server.
//
// Errors: CodeInvalid (options), CodeConflict (the store is of a newer release, search attributes changed type, another
// server has the database or the address), CodeInternal; of a database also CodeUnavailable, CodeUnauthorized and
// CodePermission.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, token: token(o.Token)}
	if s.token == "" {
		s.token = newToken()
	}
	if err := s.start(ctx); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) (err error) {
	o := s.options
	if o.Postgres != "" {
		err = s.preparePostgres(ctx)
	} else {
		err = o.prepareStore(ctx)
	}
	if err != nil {
		return err
	}
	if err := o.ensureNamespace(ctx); err != nil {
		return err
	}
	if s.running, err = o.launch(s.token); err != nil {
		return err
	}
	if s.claim != nil {
		s.claim.watch(s.running.failure)
	}
	return s.open()
}

// preparePostgres claims the databases before it touches their tables.
func (s *Server) preparePostgres(ctx context.Context) (err error) {
	p := s.options.postgres
	if err := p.ensureDatabase(ctx, p.database); err != nil {
		return err
	}
	if s.claim, err = take(ctx, p); err != nil {
		return err
	}
	return p.prepare(ctx)
}

// open makes what the methods of s need of a running server.
func (s *Server) open() (err error) {
	transport := insecure.NewCredentials()
	if s.options.frontendTLS != nil {
		transport = credentials.NewTLS(pinned(s.options.frontendTLS))
	}
	s.conn, err = grpc.NewClient(s.Frontend(),
		grpc.WithTransportCredentials(transport), cluster.WithDeadlines(),
		grpc.WithPerRPCCredentials(tokenCredentials{s.token}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cluster.MaxReply)))
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "connection to the embedded temporal server: %w", err)
	}
	s.ui = http.NotFoundHandler()
	if s.options.UI {
		s.ui, err = newUI(s.options, s.conn)
	}
	return err
}

// Frontend returns host:port of the server's gRPC frontend, which answers only to clients of [Server.Dial].
func (s *Server) Frontend() string { return s.running.frontend }

// Namespace is where this server's workflows live.
func (s *Server) Namespace() string { return s.options.Namespace }

// UIHandler serves the read-only web UI below Options.UIPublicPath; requests keep that prefix. It knows no login: mount
// it behind the node's own. Without Options.UI it answers 404.
func (s *Server) UIHandler() http.Handler { return s.ui }

// Failed delivers one error when the server cannot go on; the node should then end. It is never closed, and silent
// after Close.
func (s *Server) Failed() <-chan error { return s.running.failure.failed }

// Dial returns a client of the server's namespace that carries the token. identity names the process in histories and
// should hold what tells it from earlier ones, such as "node-<pid>-<start>": see [Server.ReleaseOrphans]. The caller
// closes the client before the server. A nil logger means that of the options.
func (s *Server) Dial(ctx context.Context, identity string, logger *slog.Logger) (sdkclient.Client, error) {
	if logger == nil {
		logger = s.options.Logger
	}
	connection := sdkclient.ConnectionOptions{
		TLSDisabled: true, GetSystemInfoTimeout: firstAnswer, DialOptions: []grpc.DialOption{cluster.WithDeadlines()},
	}
	if s.options.frontendTLS != nil {
		connection.TLS, connection.TLSDisabled = pinned(s.options.frontendTLS), false
	}
	c, err := sdkclient.DialContext(ctx, sdkclient.Options{
		HostPort: s.Frontend(), Namespace: s.options.Namespace, Identity: identity,
		Logger:            sdklog.NewStructuredLogger(logger),
		Interceptors:      s.options.Interceptors,
		Credentials:       sdkclient.NewAPIKeyStaticCredentials(string(s.token)),
		ConnectionOptions: connection,
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeUnavailable, "embedded temporal server at %s: %w", s.Frontend(), err)
	}
	return c, nil
}

// Close stops the server, which takes 1 s. Workers and clients should be stopped before. Later calls return what the
// first one did. Errors: CodeDeadline.
func (s *Server) Close() error {
	s.closing.Do(func() {
		if s.conn != nil {
			_ = s.conn.Close() // it has no state to lose
		}
		if s.running != nil {
			s.running.failure.silence()
			s.closeErr = stopWithin(stopTimeout, s.running.server.Stop)
		}
		if s.claim != nil {
			s.claim.release()
		}
	})
	return s.closeErr
}
