package env

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Fault is what happens to a request on its way.
type Fault int

// The faults. Lost never reaches the node. Unanswered reaches it and is done, and the caller sees the connection break
// instead of the answer. Twice is delivered two times, byte for byte, and the second answer is thrown away. Slow comes
// late by Proxy.Delay. Hung is never answered, as by a process that has been stopped: the caller waits until it gives
// up. Garbled never reaches the node: something in between answers for it, as a gateway does.
const (
	None Fault = iota
	Lost
	Unanswered
	Twice
	Slow
	Garbled
	Hung
)

// Seen is a request that came to a proxy.
type Seen struct {
	Path   string
	Header http.Header
	Body   []byte
	Fault  Fault // what was done to it
}

// Proxy carries HTTP requests to one node, and does to them what it is told. Signatures stay whole, because the host
// is not signed.
type Proxy struct {
	Delay time.Duration // of Slow; set it before Inject

	target string
	server *httptest.Server

	mu     sync.Mutex
	choose func(path string, nth int) Fault // nth counts the requests for that path from 1
	count  map[string]int
	seen   []Seen
}

// NewProxy starts a proxy to the node at target and ends it with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{target: target, count: map[string]int{}}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	return p
}

// URL is where callers find the proxy.
func (p *Proxy) URL() string { return p.server.URL }

// Inject lets choose decide about every request from now on, counting anew. choose is never called concurrently.
func (p *Proxy) Inject(choose func(path string, nth int) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.choose, p.count = choose, map[string]int{}
}

// First applies a fault to the first n requests whose path ends in suffix.
func First(n int, suffix string, f Fault) func(string, int) Fault {
	return func(path string, nth int) Fault {
		if strings.HasSuffix(path, suffix) && nth <= n {
			return f
		}
		return None
	}
}

// Every applies a fault to every request.
func Every(f Fault) func(string, int) Fault { return func(string, int) Fault { return f } }

// Seen lists the requests for paths that end in suffix, in the order of arrival.
func (p *Proxy) Seen(suffix string) []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []Seen
	for _, s := range p.seen {
		if strings.HasSuffix(s.Path, suffix) {
			list = append(list, s)
		}
	}
	return list
}

// Faults counts what has been done to requests so far, so that a test can show that its fault has happened.
func (p *Proxy) Faults(f Fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, s := range p.seen {
		if s.Fault == f {
			n++
		}
	}
	return n
}

func (p *Proxy) judge(r *http.Request, body []byte) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count[r.URL.Path]++
	f := None
	if p.choose != nil {
		f = p.choose(r.URL.Path, p.count[r.URL.Path])
	}
	p.seen = append(p.seen, Seen{r.URL.Path, r.Header.Clone(), body, f})
	return f
}

// ServeHTTP carries one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller has gone
	}
	fault := p.judge(r, body)
	switch fault {
	case Lost:
		panic(http.ErrAbortHandler) // breaks the connection
	case Slow:
		late := time.NewTimer(p.Delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-r.Context().Done():
		}
	case Hung:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Garbled:
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>502 Bad Gateway</html>") // a caller that has gone is its own business
		return
	case None, Unanswered, Twice:
	}
	// Not the caller's context: what has been delivered is done, whether or not the caller still waits.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), Patience)
	defer cancel()
	status, header, answer, err := Send(ctx, p.target+r.URL.RequestURI(), r.Method, r.Header, body)
	if fault == Twice && err == nil {
		_, _, _, err = Send(ctx, p.target+r.URL.RequestURI(), r.Method, r.Header, body)
	}
	if err != nil || fault == Unanswered {
		panic(http.ErrAbortHandler)
	}
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // a caller that has gone is its own business
}

// connections are used once: a node that restarts must not be met on an old one.
var once = &http.Client{Transport: &http.Transport{
	DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
}}

// Send delivers a request as it is, headers and all, and reads the answer.
func Send(ctx context.Context, url, method string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	r.Header = header.Clone()
	resp, err := once.Do(r)
	if err != nil {
		return 0, nil, nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, answer, errors.Join(err, resp.Body.Close())
}

// Replay sends a request once more to the node behind the proxy, as an eavesdropper would.
func (p *Proxy) Replay(t testing.TB, s Seen) []byte {
	t.Helper()
	_, _, answer, err := Send(t.Context(), p.target+s.Path, http.MethodPost, s.Header, s.Body)
	require.NoError(t, err)
	return answer
}
