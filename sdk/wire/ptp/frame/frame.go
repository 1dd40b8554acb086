// Package frame is the gRPC binding of the transport: gRPC's frames around messages that a handler of HTTP reads and writes.
//
// A call of gRPC is a POST of HTTP/2 to the path of its method. Its metadata are headers, and each of its messages has five bytes
// before it. So the handlers of the HTTP binding serve it too, with their bounds. Start reading at [Unary].
//
// Spec: interop-transport §2, §3.
package frame

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openflow"
)

// ContentType is that of gRPC.
const ContentType = "application/grpc"

// head is how many bytes a frame has before its message: a flag, and the length.
const head = 5

// The statuses of gRPC that a caller of ours may see. What a request comes to is in its reply, whose status is ok.
const (
	statusOK       = 0
	statusDeadline = 4
	statusInternal = 13
)

// Append adds a message in its frame.
func Append(to, message []byte) []byte {
	to = binary.BigEndian.AppendUint32(append(to, 0), uint32(len(message))) //nolint:gosec // every caller bounds it
	return append(to, message...)
}

// Length reads what is before a message, and returns the bytes of that. io.EOF: there is no further frame. Errors: CodeInvalid
// (half a frame, a compressed message), or the reader's own.
func Length(from io.Reader) (int64, error) {
	var b [head]byte
	switch _, err := io.ReadFull(from, b[:]); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, openflow.Errorf(openflow.CodeInvalid, "the call ends within a frame")
	case err != nil:
		return 0, err
	case b[0] != 0:
		return 0, openflow.Errorf(openflow.CodeInvalid, "the message is compressed").WithHint("send messages as they are")
	}
	return int64(binary.BigEndian.Uint32(b[1:])), nil
}

// Message reads one whole frame of at most limit bytes. Errors: those of Length; CodeInvalid (the message is larger).
func Message(from io.Reader, limit int64) ([]byte, error) {
	n, err := Length(from)
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the message has %d bytes, more than %d", n, limit)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(&message{from: from, left: n}, b)
	return b, err
}

// message is the rest of a frame.
type message struct {
	from io.Reader
	left int64
}

// Read implements io.Reader. A message that ends early is no shorter message.
func (m *message) Read(into []byte) (int, error) {
	if m.left == 0 {
		return 0, io.EOF
	}
	n, err := m.from.Read(into[:min(int64(len(into)), m.left)])
	if m.left -= int64(n); m.left > 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if m.left == 0 && errors.Is(err, io.EOF) {
		err = nil // the next read says so
	}
	return n, err
}

// Unary serves calls with one message each way by a handler that reads the message as its body, of known length, and answers
// with one Write. Whoever calls must be known already: five bytes are read of what they send.
func Unary(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !Called(r) {
			http.Error(w, "a call of gRPC is a POST of "+ContentType, http.StatusUnsupportedMediaType)
			return
		}
		out := Answer(w)
		defer out.End()
		ctx, cancel := within(r)
		defer cancel()
		out.ctx = ctx
		n, err := Length(r.Body)
		if err != nil {
			out.refuse(statusInternal, "the call has no message that can be read")
			return
		}
		body := struct {
			io.Reader
			io.Closer
		}{&message{from: r.Body, left: n}, r.Body}
		r = r.WithContext(ctx)
		r.Body, r.ContentLength = body, n
		next(out, r)
	}
}

// Called reports whether a request is a call of gRPC.
func Called(r *http.Request) bool {
	kind := r.Header.Get("Content-Type")
	return r.Method == http.MethodPost && (kind == ContentType || strings.HasPrefix(kind, ContentType+"+proto") || strings.HasPrefix(kind, ContentType+";"))
}

// units are those of a timeout of gRPC.
var units = map[byte]time.Duration{
	'H': time.Hour, 'M': time.Minute, 'S': time.Second, 'm': time.Millisecond, 'u': time.Microsecond, 'n': time.Nanosecond,
}

// longest bounds a timeout, so that nothing overflows.
const longest = 1000 * time.Hour

// Timeout reads how long a caller waits, as gRPC writes it; ok is false where it does not say so, or not in that form.
func Timeout(text string) (d time.Duration, ok bool) {
	if len(text) < 2 || len(text) > 9 {
		return 0, false
	}
	unit, ok := units[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 32)
	if !ok || err != nil {
		return 0, false
	}
	if n > uint64(longest/unit) {
		return longest, true
	}
	return time.Duration(n) * unit, true //nolint:gosec // n fits, see above
}

func within(r *http.Request) (context.Context, context.CancelFunc) {
	if d, ok := Timeout(r.Header.Get("Grpc-Timeout")); ok {
		return context.WithTimeout(r.Context(), d)
	}
	return context.WithCancel(r.Context())
}

// Writer is the answer to a call.
type Writer struct {
	http.ResponseWriter
	ctx    context.Context //nolint:containedctx // of the call that is answered
	wrote  bool
	status int
	words  string
}

// Answer begins the answer to a call. Its header may still be changed; the caller of Answer calls End.
func Answer(w http.ResponseWriter) *Writer {
	return &Writer{ResponseWriter: w, ctx: context.Background(), status: statusOK}
}

// Write sends one whole message.
func (w *Writer) Write(message []byte) (int, error) {
	w.begin()
	var b [head]byte
	binary.BigEndian.PutUint32(b[1:], uint32(len(message))) //nolint:gosec // every handler bounds it
	if _, err := w.ResponseWriter.Write(b[:]); err != nil {
		return 0, err
	}
	w.wrote = true
	return w.ResponseWriter.Write(message)
}

// WriteHeader implements http.ResponseWriter: a verdict is in the message.
func (w *Writer) WriteHeader(int) { w.begin() }

func (w *Writer) begin() {
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Del("Content-Length")
}

// Unwrap is what http.ResponseController asks.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *Writer) refuse(status int, words string) { w.status, w.words = status, words }

// End ends the answer with its status. A call that nobody has answered has failed.
func (w *Writer) End() {
	w.begin()
	if !w.wrote && w.status == statusOK {
		w.status, w.words = statusInternal, "there is no answer"
		if errors.Is(w.ctx.Err(), context.DeadlineExceeded) {
			w.status, w.words = statusDeadline, "the time of the call is over"
		}
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(w.status))
	if w.words != "" {
		w.Header().Set(http.TrailerPrefix+"Grpc-Message", w.words)
	}
}
