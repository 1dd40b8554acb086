package launcher

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// What one request of the component may have: bytes, and metrics.
const (
	maxMetrics = 16 << 20
	maxSeries  = 1000
)

// metrics is where the component sends its metrics while it runs: a worker route of FATE-Flow, in the component's own container.
//
// FATE's components send no credential. So the identity is the place: a server of this very run, at the loopback address, below a
// path that nobody else was told. It adds the credential of the run.
//
// Spec: fate-flow-api §3.1, §3.9.
type metrics struct {
	uri    string
	server *http.Server
	pass   func(context.Context, []json.RawMessage) error
	log    io.Writer

	mu    sync.Mutex
	wrong error // the first that a node did not take
}

func serveMetrics(ctx context.Context, run string, pass func(context.Context, []json.RawMessage) error, log io.Writer) (*metrics, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "no address for the component's metrics: %w", err)
	}
	secret := strings.ToLower(rand.Text())
	m := &metrics{pass: pass, log: log, uri: "http://" + l.Addr().String() + "/" + secret + "/v2/worker/metric/save/" + run}
	m.server = &http.Server{
		ReadTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: nil,
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// The genuine worker library writes two slashes behind the version.
			path := strings.Replace(r.URL.Path, "/v2//", "/v2/", 1)
			if r.Method != http.MethodPost || path != "/"+secret+"/v2/worker/metric/save/"+run {
				http.NotFound(w, r)
				return
			}
			m.answer(w, m.save(w, r))
		}),
	}
	go func() { _ = m.server.Serve(l) }() // it ends with close
	return m, nil
}

// answer answers in FATE-Flow's envelope.
//
// Spec: fate-flow-api §0.3, §3.1.
func (m *metrics) answer(w http.ResponseWriter, err error) {
	said := map[string]any{"code": 0, "message": "success"}
	if err != nil {
		said = map[string]any{"code": 5008, "message": openflow.Cut(err.Error(), 1000)}
		fmt.Fprintln(m.log, "a metric of the component was not taken:", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said) // the component may be gone
}

func (m *metrics) save(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxMetrics))
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "metrics cannot be read: %w", err)
	}
	var body struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := wire.Unmarshal(wire.Finite(raw), &body); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "metrics are not readable: %w", err)
	}
	return m.send(r.Context(), body.Data)
}

// send passes metrics on. One that the node does not take makes the task fail at its end: it would be lost without a word.
func (m *metrics) send(ctx context.Context, records []json.RawMessage) error {
	var err error
	switch {
	case len(records) == 0:
		return openflow.Errorf(openflow.CodeInvalid, "there are no metrics")
	case len(records) > maxSeries:
		err = openflow.Errorf(openflow.CodeInvalid, "there are %d metrics, more than %d", len(records), maxSeries)
	default:
		err = m.pass(ctx, records)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.wrong == nil && err != nil && !errors.Is(err, context.Canceled) {
		m.wrong = err
	}
	return err
}

// failed is the first thing that a node did not take.
func (m *metrics) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wrong
}

func (m *metrics) close() { _ = m.server.Close() } // the component has ended
