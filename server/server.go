// Package server mounts the three API layers on chi routers, one per listener, and runs the listeners.
//
// It knows which layer is reachable where, and nothing of what the layers do. Start reading at [Handler].
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/server/reply"
)

// Layer is one API layer: it mounts its routes.
type Layer interface{ Routes(r chi.Router) }

// Guarded is a layer behind a middleware of its own.
type Guarded struct {
	Layer Layer
	Guard func(http.Handler) http.Handler
}

// Routes mounts the layer behind its guard.
func (g Guarded) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(g.Guard)
		g.Layer.Routes(r)
	})
}

// Mount is a handler below a prefix, such as the Temporal UI.
type Mount struct {
	Prefix  string
	Handler http.Handler
}

// Routes mounts the handler at the prefix and below it.
func (m Mount) Routes(r chi.Router) {
	r.Handle(m.Prefix, m.Handler)
	r.Handle(m.Prefix+"/*", m.Handler)
}

// Profiles shows where the process spends time and memory, for operators: the runtime's own pages at /debug/pprof. Taking one
// costs time, and what it shows is secret. So each is a POST, which no link and no picture of a page can send.
type Profiles struct{}

// Routes mounts the pages.
func (Profiles) Routes(r chi.Router) {
	r.Post("/debug/pprof/*", pprof.Index)
	r.Post("/debug/pprof/profile", pprof.Profile)
	r.Post("/debug/pprof/trace", pprof.Trace)
	r.Post("/debug/pprof/symbol", pprof.Symbol)
}

// Health answers whether the process lives and whether the node can take a job.
type Health struct{ Ready func() error }

// Routes mounts /healthz and /readyz. They answer plain text with a status, which is what probes look at.
func (h Health) Routes(r chi.Router) {
	r.Get("/healthz", func(w http.ResponseWriter, _ *http.Request) { probe(w, nil) })
	r.Get("/readyz", func(w http.ResponseWriter, _ *http.Request) { probe(w, h.Ready()) })
}

func probe(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if err != nil { // whatever it is: a balancer should go elsewhere
		w.WriteHeader(http.StatusServiceUnavailable)
		text = err.Error() + "\n"
	}
	_, _ = w.Write([]byte(text)) // a probe that has gone needs no answer
}

// Handler is the router of one listener with these layers. What lies below no layer's prefix is answered as plain HTTP.
func Handler(log *slog.Logger, layers ...Layer) http.Handler {
	r := chi.NewRouter()
	unknown := func(w http.ResponseWriter, r *http.Request) { reply.Plain(w, r, reply.NoRoute(r)) }
	r.Use(reply.Recovered(log, reply.Plain))
	r.NotFound(unknown)
	r.MethodNotAllowed(unknown)
	for _, l := range layers {
		l.Routes(r)
	}
	return r
}

// Listen binds an address. A port that is taken is a clear error before anything else has happened.
func Listen(ctx context.Context, what, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeConflict, "%s cannot listen on %s: %w", what, address, err).
			WithHint("stop what uses the port, or choose another address")
	}
	return l, nil
}

// Ports that outlive a process lie below those that systems give to outgoing connections (32768 and up on Linux): such a
// connection could hold the port when the next process starts.
const lowestPort, ports = 20000, 12000

// ListenAnywhere binds a free port of a host, at which the next process will listen too.
func ListenAnywhere(ctx context.Context, what, host string) (net.Listener, error) {
	at := func(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
	for range 20 {
		if l, err := Listen(ctx, what, at(lowestPort+rand.IntN(ports))); err == nil {
			return l, nil
		}
	}
	return Listen(ctx, what, at(0))
}

// Server serves one listener.
type Server struct {
	http    *http.Server
	log     *slog.Logger
	running atomic.Int64 // requests
	done    chan error
}

// headerBytes bounds the header of a request.
const headerBytes = 64 << 10

// What one HTTP/2 connection may hold. Workers poll Temporal on one, for each of their queues.
const (
	streams      = 128
	streamBytes  = 256 << 10
	callersBytes = 1 << 20
)

// Serve starts to serve h on l within bounds, over HTTP/1.1, with TLS where the bounds say so, and over HTTP/2 where they do.
func Serve(l net.Listener, h http.Handler, log *slog.Logger, b Bounds) *Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(b.GRPC && b.TLS == nil)
	protocols.SetHTTP2(b.GRPC && b.TLS != nil)
	s := &Server{log: log, done: make(chan error, 1)}
	if b.Closes {
		h = closing(h)
	}
	pace := b.Pace.orUsual()
	s.http = &http.Server{
		Handler: s.counted(pace.keeps(h)), ReadHeaderTimeout: pace.Header, IdleTimeout: pace.Idle, MaxHeaderBytes: headerBytes,
		Protocols: &protocols, ConnContext: onConnection,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: streams, MaxReceiveBufferPerStream: streamBytes, MaxReceiveBufferPerConnection: callersBytes,
			SendPingTimeout: pace.Idle, PingTimeout: pace.Header, WriteByteTimeout: pace.Silence,
		},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	l = newBounded(l, b)
	if b.TLS != nil {
		l = tls.NewListener(l, b.TLS)
	}
	go func() { s.done <- s.http.Serve(l) }()
	return s
}

// closing has the connection closed behind the answer, unless the handler comes to know the caller.
func closing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
	})
}

func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.running.Add(1)
		defer s.running.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// unwind is what handlers get to notice that their connection is gone.
const unwind = time.Second

// Close stops taking requests and lets running ones end, for as long as patience. What runs then is broken off, which its
// caller sees as a node that has died; some calls wait for minutes and would otherwise hold the process. It is no error.
func (s *Server) Close(ctx context.Context, patience time.Duration) error {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := s.http.Shutdown(soon)
	if err != nil && soon.Err() != nil {
		s.log.InfoContext(ctx, "requests were broken off, because the server stops", "requests", s.running.Load())
		err = s.http.Close()
		for end := time.Now().Add(unwind); s.running.Load() > 0 && time.Now().Before(end) && ctx.Err() == nil; {
			pause(ctx, 5*time.Millisecond)
		}
	}
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
