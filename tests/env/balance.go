package env

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
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

// BalanceConnections is the address, host and port, of a balancer before several such addresses, which ends with the test. Each
// connection goes to one of them in turn, and to the next where one does not answer. It passes on bytes and reads none, so that
// TLS is spoken through it.
func BalanceConnections(t testing.TB, to ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() }) // it carries nothing more
	go func() {
		for turn := 0; ; turn++ {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go pass(from, to, turn)
		}
	}()
	return l.Addr().String()
}

func pass(from net.Conn, to []string, turn int) {
	defer func() { _ = from.Close() }() // both sides see the end of it
	for i := range to {
		far, err := net.Dial("tcp", to[(turn+i)%len(to)])
		if err != nil {
			continue
		}
		defer func() { _ = far.Close() }() // as above
		done := make(chan struct{}, 2)
		for _, way := range [][2]net.Conn{{from, far}, {far, from}} {
			go func() {
				_, _ = io.Copy(way[0], way[1]) // as above
				done <- struct{}{}
			}()
		}
		<-done
		return
	}
}
