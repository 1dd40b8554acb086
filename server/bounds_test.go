package server_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/server"
	"openflow/server/reply"
)

// serve serves h within bounds until the test ends, and returns its address. Who sends a header Known is known so.
func serve(t *testing.T, b server.Bounds, h http.HandlerFunc) string {
	t.Helper()
	l, err := server.Listen(t.Context(), "x", "127.0.0.1:0")
	require.NoError(t, err)
	s := server.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who := r.Header.Get("Known"); who != "" {
			reply.Known(w, r, who)
		}
		h(w, r)
	}), quiet(), b)
	t.Cleanup(func() { require.NoError(t, s.Close(t.Context(), 0)) })
	return l.Addr().String()
}

// caller is one connection.
type caller struct {
	*testing.T
	net.Conn
	answers *bufio.Reader
}

// call connects from an address of loopback, of which there are many.
func call(t *testing.T, from, to string) *caller {
	t.Helper()
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)), Timeout: time.Minute}
	c, err := d.DialContext(t.Context(), "tcp", to)
	if errors.Is(err, syscall.ECONNRESET) { // it was closed before this side knew of it: a connection that has gone
		near, far := net.Pipe()
		require.NoError(t, far.Close())
		return &caller{t, near, bufio.NewReader(near)}
	}
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() }) // the server may have been faster
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	return &caller{t, c, bufio.NewReader(c)}
}

// asks sends a request, and returns the answer.
func (c *caller) asks(as string) (*http.Response, error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nKnown: "+as+"\r\n\r\n"); err != nil {
		return nil, err
	}
	return http.ReadResponse(c.answers, nil)
}

// gone waits until the server has closed the connection.
func (c *caller) gone(why string) {
	c.Helper()
	_, err := io.Copy(io.Discard, c.answers)
	var late net.Error
	require.False(c, errors.As(err, &late) && late.Timeout(), "%s: the connection is still open", why)
}

func ok(http.ResponseWriter, *http.Request) {}

// Who is known keeps its connection, and who is not is answered and sent away.
func TestConnectionsOfTheUnknownAreClosed(t *testing.T) {
	at := serve(t, server.Bounds{Closes: true, Known: 1}, ok)
	known := call(t, "127.0.0.1", at)
	for range 3 {
		got, err := known.asks("a")
		require.NoError(t, err)
		require.False(t, got.Close)
	}
	stranger := call(t, "127.0.0.1", at)
	got, err := stranger.asks("")
	require.NoError(t, err)
	require.True(t, got.Close)
	stranger.gone("it is unknown")
	second := call(t, "127.0.0.1", at)
	got, err = second.asks("a")
	require.NoError(t, err, "it is answered")
	require.True(t, got.Close, "but one connection is kept for each")
	got, err = call(t, "127.0.0.1", at).asks("b")
	require.NoError(t, err)
	require.False(t, got.Close)
	require.NoError(t, known.Close())
}

// Of one address so many connections are held, the latest, and of others as many.
func TestAnAddressMakesRoomForItself(t *testing.T) {
	at := serve(t, server.Bounds{Unknown: 2}, ok)
	known := call(t, "127.0.0.2", at)
	_, err := known.asks("a")
	require.NoError(t, err)
	other := call(t, "127.0.0.3", at)
	first, second, third := call(t, "127.0.0.2", at), call(t, "127.0.0.2", at), call(t, "127.0.0.2", at)
	first.gone("it was the oldest of three")
	for _, c := range []*caller{known, other, second, third} {
		_, err := c.asks("a")
		require.NoError(t, err)
	}
}

// Where all is held by those who say nothing, who says who it is gets through; where all are known, nobody else does.
func TestTheKnownGetThrough(t *testing.T) {
	at := serve(t, server.Bounds{Connections: 4}, ok)
	known := call(t, "127.0.0.2", at)
	_, err := known.asks("a")
	require.NoError(t, err)
	var silent []*caller
	for range 10 {
		silent = append(silent, call(t, "127.0.0.3", at))
	}
	for i, c := range silent[:7] {
		c.gone("there is room for three: " + string(rune('0'+i)))
	}
	for _, who := range []string{"b", "c", "d"} {
		c := call(t, "127.0.0.4", at)
		_, err := c.asks(who)
		require.NoError(t, err, who)
	}
	for _, c := range silent {
		c.gone("others are known")
	}
	_, err = known.asks("a")
	require.NoError(t, err)
	late := call(t, "127.0.0.5", at)
	late.gone("all are known")
	require.NoError(t, known.Close())
	_, err = patient(t, at).asks("e")
	require.NoError(t, err, "one that goes makes room")
}

// patient connects until it is let in: that a connection has gone is noticed soon.
func patient(t *testing.T, at string) *caller {
	for {
		c := call(t, "127.0.0.5", at)
		if _, err := c.asks("e"); err == nil {
			return c
		}
		require.NoError(t, t.Context().Err())
	}
}

// Half requests end: without a header, without a body, and with one that only trickles.
func TestHalfRequestsEnd(t *testing.T) {
	at := serve(t, server.Bounds{Pace: server.Pace{Header: 50 * time.Millisecond}}, ok)
	for name, said := range map[string]string{"nothing": "", "a line": "POST / HTTP/1.1\r\n", "half a header": "POST / HTTP/1.1\r\nHost: x\r\nX: "} {
		c := call(t, "127.0.0.1", at)
		_, _ = io.WriteString(c, said) // the server may have been faster
		c.gone(name)
	}

	read := make(chan error, 1)
	at = serve(t, server.Bounds{Pace: server.Pace{Silence: 100 * time.Millisecond, Start: 300 * time.Millisecond}}, func(_ http.ResponseWriter, r *http.Request) {
		_, err := reply.Body(r, 1<<20)
		read <- err
	})
	c := call(t, "127.0.0.1", at)
	_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	require.NoError(t, err)
	require.ErrorContains(t, <-read, "too slowly")
	c.gone("half a body")

	c = call(t, "127.0.0.1", at)
	_, err = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	require.NoError(t, err)
	go func() {
		trickle := time.NewTicker(20 * time.Millisecond) // never silent, and slower than a body may be
		defer trickle.Stop()
		for range trickle.C {
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}()
	require.ErrorContains(t, <-read, "too slowly")
	c.gone("a body that trickles")
}

// Of a body that the handler leaves alone nothing is waited for, and its caller is not told to send it.
func TestUnreadBodiesAreNotWaitedFor(t *testing.T) {
	at := serve(t, server.Bounds{Closes: true}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	for name, header := range map[string]string{
		"announced": "Content-Length: 200000000", "chunked": "Transfer-Encoding: chunked", "small": "Content-Length: 100",
		"asks before": "Content-Length: 200000000\r\nExpect: 100-continue",
	} {
		c := call(t, "127.0.0.1", at)
		_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\n"+header+"\r\n\r\n")
		require.NoError(t, err)
		got, err := http.ReadResponse(c.answers, nil)
		require.NoError(t, err, name)
		require.Equal(t, http.StatusUnauthorized, got.StatusCode, "%s: and not 100", name)
		c.gone(name)
	}
}

// An answer that nobody takes does not hold its handler.
func TestAnswersMustBeTaken(t *testing.T) {
	written := make(chan error, 1)
	at := serve(t, server.Bounds{Pace: server.Pace{Silence: 100 * time.Millisecond}}, func(w http.ResponseWriter, _ *http.Request) {
		var err error
		for err == nil { // until the buffers of both sides are full
			_, err = w.Write(make([]byte, 1<<10))
		}
		written <- err
	})
	c := call(t, "127.0.0.1", at)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.ErrorContains(t, <-written, "timeout")
}

// A handler may take longer than any pace between what it reads and what it answers.
func TestHandlersMayWait(t *testing.T) {
	const silence = time.Second
	at := serve(t, server.Bounds{Pace: server.Pace{Silence: silence, Start: silence}}, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			_, err = io.WriteString(w, "one ")
		}
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		select {
		case <-time.After(2 * silence): // it works
		case <-r.Context().Done():
			err = r.Context().Err()
		}
		if err == nil {
			_, _ = io.WriteString(w, "two") // what the test then misses it says
		}
	})
	resp, err := http.Post("http://"+at, "text/plain", strings.NewReader("body"))
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "one two", string(text))
	require.NoError(t, resp.Body.Close())
}

// HTTP/2 is spoken where it is wanted, and nowhere else: there a connection is one request at a time.
func TestOneRequestAtATime(t *testing.T) {
	for grpc, want := range map[bool]int{true: 2, false: 0} {
		at := serve(t, server.Bounds{GRPC: grpc}, ok)
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
		resp, err := client.Get("http://" + at)
		if want == 0 {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, resp.ProtoMajor)
		require.NoError(t, resp.Body.Close())
		client.CloseIdleConnections()
	}
}

// What a listener may hold leaves room for the others, however few descriptors there are.
func TestConnections(t *testing.T) {
	require.GreaterOrEqual(t, server.Connections(), 64)
	require.LessOrEqual(t, server.Connections(), 2048)
}
