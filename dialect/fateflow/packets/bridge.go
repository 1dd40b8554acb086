package packets

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp/frame"
	"openflow/server/reply"
)

// Bridge serves packets by the handler that serves the same calls over HTTP. Whoever calls is known there, after the packet was read:
// so it bounds what is read of strangers.
type Bridge struct {
	Routes map[string]bool // paths that may be called, each as a packet writes it
	Serve  http.Handler    // of these paths
	Most   int64           // bytes of a body
	Log    *slog.Logger

	intake *reply.Intake
}

// What packets may have under way before their senders are known, for each address that they come from, and how long one may take.
const (
	perAddress  = 32
	holdAddress = 4 // of the largest
	holdAll     = 8
	longest     = 10 * time.Minute
	arriving    = 2 * time.Minute // a packet has come by then: until it has, it counts with all of its length
)

// Router serves calls below Service.
func (b *Bridge) Router() chi.Router {
	each := b.Most + maxHead
	b.intake = &reply.Intake{Calls: perAddress, Each: holdAddress * each, All: holdAll * each}
	write := envelope.Writer{Log: b.Log}
	r := write.Router()
	r.Post(Call, frame.Unary(b.take))
	return r
}

// hurried is a body that has to have come by some time, however steadily it comes.
type hurried struct {
	io.ReadCloser
	by time.Time
}

// Read implements io.Reader. CodeDeadline: it is too late.
func (h hurried) Read(p []byte) (int, error) {
	if time.Now().After(h.by) {
		return 0, openflow.Errorf(openflow.CodeDeadline, "the packet took more than %s to come", arriving)
	}
	return h.ReadCloser.Read(p)
}

// take reads a packet, has it served and answers with a packet, whatever comes of it.
func (b *Bridge) take(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), longest)
	defer cancel()
	r = r.WithContext(ctx)
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	most := b.Most + maxHead
	leave, err := b.intake.Enter("address "+host, r.ContentLength, most)
	if err != nil {
		b.answer(w, r, Packet{}, b.refusal(r, err))
		return
	}
	defer leave()
	r.Body = hurried{r.Body, time.Now().Add(arriving)}
	text, err := reply.Body(r, most)
	var p Packet
	if err == nil {
		p, err = Read(text, b.Most)
	}
	if err == nil {
		err = b.known(p)
	}
	if err != nil {
		b.answer(w, r, p, b.refusal(r, err))
		return
	}
	out := &answer{header: http.Header{}}
	if closes, ok := w.Header()["Connection"]; ok {
		out.header["Connection"] = closes
	}
	b.Serve.ServeHTTP(out, request(r, p))
	if out.header.Get("Connection") == "" { // the caller has become known
		w.Header().Del("Connection")
	}
	b.answer(w, r, p, out.body.Bytes())
}

// known refuses what is no call between sites. No spelling of a path is one that is not written so.
func (b *Bridge) known(p Packet) error {
	if p.Method != http.MethodPost || !b.Routes[p.Path] {
		return openflow.Errorf(openflow.CodeUnimplemented, "packets bring no call %s %s", openflow.Cut(p.Method, 20), openflow.Cut(p.Path, 80)).
			WithHint("they bring the calls between sites, below /v2/partner and /v2/scheduler")
	}
	return nil
}

// request is the call in a packet as HTTP has it, from where the packet has come.
func request(r *http.Request, p Packet) *http.Request {
	call := r.Clone(context.WithValue(r.Context(), chi.RouteCtxKey, nil)) // it has a route of its own
	call.URL, call.RequestURI = &url.URL{Path: p.Path}, p.Path
	call.Header = http.Header{}
	for name, values := range p.Header {
		call.Header[name] = values
	}
	if call.Header.Get("Dest-Party-Id") == "" && p.To != "" {
		call.Header.Set("Dest-Party-Id", p.To)
	}
	call.Header.Set("Content-Type", "application/json")
	call.Body, call.ContentLength = reply.Whole(p.Body), int64(len(p.Body))
	call.TransferEncoding, call.Trailer = nil, nil
	return call
}

// refusal is an error as the routes would answer it.
func (b *Bridge) refusal(r *http.Request, err error) []byte {
	out := &answer{header: http.Header{}}
	envelope.Writer{Log: b.Log}.Refuse(out, r, err)
	return out.body.Bytes()
}

// answerTimeout is what FATE-Flow writes into its answers.
const answerTimeout = 30_000

// answer sends a packet that answers one.
func (b *Bridge) answer(w http.ResponseWriter, r *http.Request, to Packet, body []byte) {
	text, err := Packet{Job: to.Job, From: to.To, To: to.From, Method: to.Method, Path: to.Path, Body: body, Timeout: answerTimeout}.Append(nil)
	if err != nil { // it has what the request had, which was within bounds
		b.Log.ErrorContext(r.Context(), "an answer fits no packet", "path", to.Path, "err", err)
		return
	}
	for name, value := range routing(to.From, to.To) {
		w.Header().Set(http.TrailerPrefix+name, value)
	}
	if _, err := w.Write(text); err != nil {
		b.Log.DebugContext(r.Context(), "answer not written", "path", to.Path, "err", err)
	}
}

// answer is what the routes answer.
type answer struct {
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. FATE-Flow's bridge loses the status too.
func (a *answer) WriteHeader(int) {}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// jobOf is the job that a call is about, as far as its body says so.
func jobOf(body []byte) string {
	var b struct {
		Job string `json:"job_id"`
	}
	if wire.Unmarshal(body, &b) != nil {
		return ""
	}
	return b.Job
}
