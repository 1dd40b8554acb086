package temporal

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	sdkclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"openflow"
)

// stopTimeout is how long Close waits. The server needs 1 s, always: it gives its clients that long to go.
const stopTimeout = 15 * time.Second

// Server is a running Temporal server. Its methods may be called concurrently.
type Server struct {
	options Options
	token   token
	running *running
	conn    *grpc.ClientConn // to the frontend, with the token; for the UI and for ReleaseOrphans
	ui      http.Handler

	closing  sync.Once
	closeErr error
}

// Start runs a server on the folder of o and returns when it takes requests, some 0.4 s later. It may be called on a
// folder whose previous process was killed at any moment, the very first start included. Nothing may use the folder
// beside it: see the package comment. ctx bounds the preparation of the file, not the life of the server.
//
// Errors: CodeInvalid (options), CodeConflict (the folder is of a newer release, or search attributes changed type),
// CodeInternal.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := o.prepareStore(ctx); err != nil {
		return nil, err
	}
	if err := o.ensureNamespace(ctx); err != nil {
		return nil, err
	}
	s := &Server{options: o, token: newToken()}
	if s.running, err = o.launch(s.token); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		_ = s.Close() // the first error is the one to tell
		return nil, err
	}
	return s, nil
}

// open makes what the methods of s need of a running server.
func (s *Server) open() (err error) {
	s.conn, err = grpc.NewClient(s.Frontend(),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(tokenCredentials{s.token}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxReply)))
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
	c, err := sdkclient.DialContext(ctx, sdkclient.Options{
		HostPort: s.Frontend(), Namespace: s.options.Namespace, Identity: identity,
		Logger:            sdklog.NewStructuredLogger(logger),
		Interceptors:      s.options.Interceptors,
		Credentials:       sdkclient.NewAPIKeyStaticCredentials(string(s.token)),
		ConnectionOptions: sdkclient.ConnectionOptions{TLSDisabled: true},
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
		s.running.failure.silence()
		if s.conn != nil {
			_ = s.conn.Close() // it has no state to lose
		}
		s.closeErr = stopWithin(stopTimeout, s.running.server.Stop)
	})
	return s.closeErr
}
