package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// Pace is how fast the callers of a listener must be, so that none holds a connection and sends or takes nothing. A whole request
// has no limit, since large messages over slow lines are right. The zero value of a field is the usual pace's.
type Pace struct {
	Header  time.Duration // for the header of a request, from the connection on
	Idle    time.Duration // between two requests of somebody known
	Silence time.Duration // without a byte of a body, or a byte of the answer taken
	Start   time.Duration // after which a body must keep up with the rate
}

// usualPace is slower than any line that a job could run over.
var usualPace = Pace{Header: 10 * time.Second, Idle: 2 * time.Minute, Silence: 30 * time.Second, Start: 20 * time.Second}

const (
	rate = 8 << 10 // bytes of a body a second, on the average
	// linger is how long what a caller still sends is thrown away once it has its answer, so that it can read that.
	linger = 250 * time.Millisecond
)

func (p Pace) orUsual() Pace {
	for _, f := range []struct {
		of    *time.Duration
		usual time.Duration
	}{{&p.Header, usualPace.Header}, {&p.Idle, usualPace.Idle}, {&p.Silence, usualPace.Silence}, {&p.Start, usualPace.Start}} {
		if *f.of == 0 {
			*f.of = f.usual
		}
	}
	return p
}

// lasting is how long so many bytes may take.
func lasting(n int64) time.Duration { return time.Duration(n/(rate/1000)) * time.Millisecond }

// keeps sets deadlines for every read of a request's body and every write of its answer.
func (p Pace) keeps(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		body := &pacedBody{ReadCloser: r.Body, pace: p, control: control}
		body.ended.Store(r.Body == nil || r.Body == http.NoBody)
		if !body.ended.Load() {
			r = r.WithContext(r.Context()) // the server goes on with its own
			r.Body = body
		}
		if r.ProtoMajor == 1 { // HTTP/2 would end a stream that waits; it has http.HTTP2Config.WriteByteTimeout
			out := &pacedWriter{ResponseWriter: w, pace: p, control: control}
			out.extend(0)
			defer out.extend(0) // for what is in its buffer
			w = out
		}
		next.ServeHTTP(w, r)
		body.closed.Store(true)
		if !body.ended.Load() {
			_ = control.SetReadDeadline(time.Now().Add(linger)) // who has no deadlines is no connection
		}
	})
}

// pacedBody is a body that must come at a pace. Only the time in which somebody waits for it counts. A proxy may still read while
// its handler has returned: then the connection is the next request's.
type pacedBody struct {
	io.ReadCloser
	pace    Pace
	control *http.ResponseController
	read    int64
	waited  time.Duration
	ended   atomic.Bool
	closed  atomic.Bool
}

// Read implements io.Reader.
func (b *pacedBody) Read(into []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	begin := time.Now()
	_ = b.control.SetReadDeadline(begin.Add(min(b.pace.Silence, b.pace.Start+lasting(b.read)-b.waited)))
	n, err := b.ReadCloser.Read(into)
	b.read, b.waited = b.read+int64(n), b.waited+time.Since(begin)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
		_ = b.control.SetReadDeadline(time.Time{}) // or a handler that works on would be told that its caller has gone
	}
	return n, err
}

// Close implements io.Closer.
func (b *pacedBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// pacedWriter is an answer that must be taken at a pace.
type pacedWriter struct {
	http.ResponseWriter
	pace    Pace
	control *http.ResponseController
}

func (w *pacedWriter) extend(n int) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.pace.Silence + lasting(int64(n))))
}

// Write implements http.ResponseWriter.
func (w *pacedWriter) Write(b []byte) (int, error) {
	w.extend(len(b))
	return w.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() { _ = w.FlushError() } // whoever wants to know asks FlushError

// FlushError is what http.ResponseController asks.
func (w *pacedWriter) FlushError() error {
	w.extend(0)
	return w.control.Flush()
}

// Unwrap is what http.ResponseController asks.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
