// Package httpclient makes the HTTP clients with which programs of this project call nodes: users' programs, containers,
// machines of a pool, and nodes among themselves. Start reading at [New].
package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options are where callers differ. The zero value fits a node or a program that calls the same few nodes often.
type Options struct {
	// Proxy chooses a proxy for a request, as http.Transport has it; nil: none. Nodes are named by address, and a proxy of
	// the environment must not see their credentials.
	Proxy func(*http.Request) (*url.URL, error)
	// Patience is how long an answer may take to begin once the request is sent; 0: as long as the request's context.
	Patience time.Duration
	// TLS is how the other side is known, and what is shown to it; nil: as the web does.
	TLS *tls.Config
	// Meet is done with each new connection before any request is sent over it; nil: nothing. Its error closes the connection.
	Meet func(context.Context, net.Conn) error
	// GRPC speaks HTTP/2 in place of HTTP/1.1, also without TLS.
	GRPC bool
}

// alive finds out within 25 s that the machine at the other end of a connection is gone, with or without a call under way.
var alive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}

const (
	connecting = 10 * time.Second // bounds the making of a connection
	buffer     = 64 << 10         // of each direction, in bytes: tables and messages are large
	idle       = 64               // connections that are kept open for the next calls to one node
)

// New makes a client without a limit of time for the whole call: transfers may be long. It follows no redirection, because
// a credential goes to the address that was given and to no other. It asks for no compression, so that what is passed on
// stays as it was sent. Unless told otherwise it speaks HTTP/1.1, where a long transfer keeps no other call waiting.
func New(o Options) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = o.Proxy
	t.TLSClientConfig = o.TLS.Clone() // of nil too
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(!o.GRPC)
	t.Protocols.SetHTTP2(o.GRPC)
	t.Protocols.SetUnencryptedHTTP2(o.GRPC)
	if o.GRPC { // many calls have one connection
		t.HTTP2 = &http.HTTP2Config{SendPingTimeout: alive.Idle, PingTimeout: alive.Idle}
	}
	t.DialContext = (&net.Dialer{Timeout: connecting, KeepAliveConfig: alive}).DialContext
	if o.Meet != nil {
		t.DialContext = met(t.DialContext, o.Meet)
	}
	t.ResponseHeaderTimeout = o.Patience
	t.MaxIdleConnsPerHost = idle
	t.DisableCompression = true
	t.WriteBufferSize, t.ReadBufferSize = buffer, buffer
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// met makes connections that have been met.
func met(
	dial func(ctx context.Context, network, address string) (net.Conn, error), meet func(context.Context, net.Conn) error,
) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := meet(ctx, conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return conn, nil
	}
}
