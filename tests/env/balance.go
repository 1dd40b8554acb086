package env

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// Balance is the address of a balancer before several servers, which ends with the test: requests go to each in turn,
// and to the next where one does not answer.
func Balance(t testing.TB, to ...string) string {
	t.Helper()
	front := httptest.NewServer(&balancer{to: to})
	t.Cleanup(front.Close)
	return front.URL
}

type balancer struct {
	to   []string
	turn atomic.Int64
}

// ServeHTTP implements http.Handler.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	first := b.turn.Add(1)
	for i := range b.to {
		q, err := http.NewRequestWithContext(r.Context(), r.Method, b.to[(int(first)+i)%len(b.to)]+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		q.Header = r.Header.Clone()
		resp, err := http.DefaultTransport.RoundTrip(q)
		if err != nil {
			continue
		}
		defer func() { _ = resp.Body.Close() }() // copied to its end, or nobody reads on
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body) // a client that is gone needs no answer
		return
	}
	http.Error(w, "no server answers", http.StatusBadGateway)
}
