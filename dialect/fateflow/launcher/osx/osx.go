// Package osx is the transport as FATE's components call it, on loopback in the container of their task.
//
// Such a component has no credential. It calls an address by gRPC, in clear, and takes whatever is there for OSX. What it sends and
// reads here goes through the node as messages of the task, by whoever has the task's credential.
//
// Spec: interop-transport §11.2.
package osx

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"openflow"
	"openflow/sdk/wire/ptp"
	"openflow/sdk/wire/ptp/frame"
)

// Channels are the messages of one task.
type Channels interface {
	// Push returns once the message is in the queue of that party's node.
	Push(ctx context.Context, topic string, to openflow.PartyID, payload []byte) error
	// Pop is the next message above a sequence. It waits for a while, and returns nil where none has come.
	Pop(ctx context.Context, topic string, above int64) (payload []byte, sequence int64, err error)
	// Release drops what nobody has read.
	Release(ctx context.Context) error
}

// What a component may have under way here. Its node bounds what comes of that once more.
const (
	maxMessage     = 32<<20 + 64<<10 // bytes of a message of gRPC
	maxCalls       = 256             // at once
	maxTopics      = 1 << 16         // that are read
	maxConnections = 1024
	headerBytes    = 64 << 10
)

// longestWait bounds a read. FATE's own default is ten hours.
const longestWait = 72 * time.Hour

// Server answers the components of one task.
type Server struct {
	Port int // on loopback

	session  string // that the components may name
	channels Channels
	calls    chan struct{}
	http     *http.Server
	done     chan struct{}

	mu     sync.Mutex
	topics map[string]*topic
}

// topic is what has been read of one, by one reader at a time.
type topic struct {
	free chan struct{} // holds one thing while nobody reads
	read int64         // the sequence of the last message that a component has got; of who reads
}

// handler does what a call asks for. What is to be done once the component has its answer, or has gone without it, is after; nil:
// nothing is.
type handler func(r *http.Request, body []byte) (out ptp.TransportOutbound, after func(got bool), err error)

// Serve begins to listen on loopback, until Close. Errors: CodeConflict (nothing is left to listen on).
func Serve(ctx context.Context, session string, channels Channels) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeConflict, "there is no port for messages on loopback: %w", err)
	}
	s := &Server{
		Port:    l.Addr().(*net.TCPAddr).Port, //nolint:errcheck,forcetypeassert // of a listener of TCP
		session: session, channels: channels, calls: make(chan struct{}, maxCalls), done: make(chan struct{}), topics: map[string]*topic{},
	}
	mux := http.NewServeMux()
	for _, service := range []string{ptp.GRPCTransport, ptp.GRPCTransportKuscia} {
		for op, h := range map[ptp.Operation]handler{
			ptp.OperationPush: s.push, ptp.OperationPop: s.pop, ptp.OperationPeek: s.peek, ptp.OperationRelease: s.release,
		} {
			mux.Handle("POST "+service+string(op), frame.Unary(s.call(h)))
		}
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler: mux, Protocols: &protocols, MaxHeaderBytes: headerBytes, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(&limited{Listener: l, room: make(chan struct{}, maxConnections)}) // it ends with Close
	}()
	return s, nil
}

// Close breaks off what is under way.
func (s *Server) Close() {
	_ = s.http.Close() // of no more use
	<-s.done
}

// call answers a call with what a handler returns. Where that failed, the call fails: FATE's components look at no verdict of a push,
// and take any answer to a pop but one for a message.
func (s *Server) call(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.calls <- struct{}{}:
			defer func() { <-s.calls }()
		default:
			refuse(w, openflow.Errorf(openflow.CodeExhausted, "the component has %d calls under way, as many as it may", maxCalls))
			return
		}
		body, err := s.body(r)
		if err != nil {
			refuse(w, err)
			return
		}
		out, after, err := h(r, body)
		if err != nil {
			refuse(w, err)
			return
		}
		_, answer := ptp.EncodeReply(ptp.FormProtobuf, out)
		_, err = w.Write(answer)
		got := err == nil && http.NewResponseController(w).Flush() == nil && r.Context().Err() == nil
		if after != nil {
			after(got)
		}
	}
}

// body reads a call of this task.
func (s *Server) body(r *http.Request) ([]byte, error) {
	if named := r.Header.Get(ptp.HeaderSessionID); named != "" && named != s.session {
		return nil, openflow.Errorf(openflow.CodePermission, "the session of this task is %s, and not %q", s.session, openflow.Cut(named, 200))
	}
	if r.ContentLength > maxMessage {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a message has %d bytes, more than %d", r.ContentLength, maxMessage)
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the call ends early: %w", err)
	}
	return body, nil
}

// statuses say what a failure is to gRPC. None of them has a caller repeat the call by itself: that was done here.
var statuses = map[openflow.Code]frame.Status{
	openflow.CodeInvalid: frame.StatusInvalid, openflow.CodePermission: frame.StatusPermissionDenied, openflow.CodeUnauthorized: frame.StatusPermissionDenied,
	openflow.CodeExhausted: frame.StatusExhausted, openflow.CodeDeadline: frame.StatusDeadline, openflow.CodeCanceled: frame.StatusAborted,
	openflow.CodeUnavailable: frame.StatusAborted, openflow.CodeUnimplemented: frame.StatusUnimplemented,
}

func refuse(w http.ResponseWriter, err error) {
	status, ok := statuses[openflow.CodeOf(err)]
	if !ok {
		status = frame.StatusInternal
	}
	if out, ok := w.(*frame.Writer); ok {
		out.Refuse(status, openflow.Heard(err.Error()))
	}
}

func (s *Server) push(r *http.Request, body []byte) (ptp.TransportOutbound, func(bool), error) {
	p, _, err := ptp.DecodePush(ptp.TypeProtobuf, ptp.VersionPassThrough, r.Header.Get(ptp.HeaderTopic), ptp.GRPCTransport+"push", body)
	to := openflow.PartyID(r.Header.Get(ptp.HeaderTargetNodeID))
	if err == nil && to == "" {
		err = openflow.Errorf(openflow.CodeInvalid, "%s is missing: it names the party that a message is for", ptp.HeaderTargetNodeID)
	}
	if err == nil {
		err = s.channels.Push(r.Context(), p.Topic, to, p.Payload)
	}
	return ptp.Reply(nil), nil, err
}

func (s *Server) pop(r *http.Request, body []byte) (ptp.TransportOutbound, func(bool), error) {
	p, _, err := ptp.DecodePop(ptp.TypeProtobuf, r.Header.Get(ptp.HeaderTopic), body)
	if err != nil {
		return ptp.TransportOutbound{}, nil, err
	}
	wait := time.Duration(p.Timeout) * time.Millisecond
	if wait <= 0 {
		wait = ptp.DefaultWait
	}
	return s.next(r, p.Topic, min(wait, longestWait))
}

func (s *Server) peek(r *http.Request, body []byte) (ptp.TransportOutbound, func(bool), error) {
	p, _, err := ptp.DecodePop(ptp.TypeProtobuf, r.Header.Get(ptp.HeaderTopic), body)
	if err != nil {
		return ptp.TransportOutbound{}, nil, err
	}
	return s.next(r, p.Topic, time.Second)
}

// next waits for a message, for as long as the component says. Its own timeout is the only word of an empty answer that it
// understands.
//
// Spec: interop-transport §6.2.
func (s *Server) next(r *http.Request, name string, wait time.Duration) (out ptp.TransportOutbound, after func(got bool), err error) {
	t, err := s.topic(name)
	if err != nil {
		return out, nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	empty := ptp.EmptyPop(ptp.ProviderFATE)
	select {
	case <-t.free:
	case <-ctx.Done():
		return empty, nil, r.Context().Err()
	}
	free := func() { t.free <- struct{}{} }
	for {
		payload, sequence, err := s.channels.Pop(ctx, name, t.read)
		switch {
		case payload != nil && err == nil:
			out = ptp.Reply(nil)
			out.Payload = payload
			return out, func(got bool) {
				if got { // and the next read drops it
					t.read = sequence
				}
				free()
			}, nil
		case r.Context().Err() != nil:
			free()
			return out, nil, r.Context().Err()
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			free()
			return empty, nil, nil
		case err != nil:
			free()
			return out, nil, err
		}
	}
}

func (s *Server) topic(name string) (*topic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[name]
	if t == nil {
		if len(s.topics) == maxTopics {
			return nil, openflow.Errorf(openflow.CodeExhausted, "the component reads %d topics, as many as it may", maxTopics)
		}
		t = &topic{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		s.topics[name] = t
	}
	return t, nil
}

// release drops what nobody has read. Where another role of the same party takes part, its messages are there too, and the end of
// the task's run drops them.
func (s *Server) release(r *http.Request, _ []byte) (ptp.TransportOutbound, func(bool), error) {
	err := s.channels.Release(r.Context())
	if openflow.CodeOf(err) == openflow.CodePermission {
		err = nil
	}
	return ptp.Reply(nil), nil, err
}

// limited bounds the connections of a listener: what is above it waits to be accepted.
type limited struct {
	net.Listener
	room chan struct{}
}

// Accept implements net.Listener.
func (l *limited) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &counted{Conn: c, leave: sync.OnceFunc(func() { <-l.room })}, nil
}

type counted struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
