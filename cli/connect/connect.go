// Package connect gives a user's own machine a loopback address that leads to a node elsewhere: for programs that know neither
// TLS nor tokens, as FATE's.
//
// It passes on what programs of that user send to the routes of users, and nothing else. Whoever else reaches the address, such as
// a page in the user's browser or another user of the machine, is refused before anything goes to the node. Start reading at [Way].
package connect

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/origin"
	"openflow/server/reply"
)

// Way is the way from this machine to a node. Its parts are set before it serves.
type Way struct {
	Node *url.URL // with TLS, or on this machine
	// Token of the node is asked for with each request, so that a new one is taken over; empty: the programs sign themselves.
	Token func() (string, error)
	HTTP  *http.Client // by which the node is called; nil: as the web does
	Log   *slog.Logger
	// Owner tells which user of this machine has sent a request; nil: origin.Owner.
	Owner func(*http.Request) (uid int, known bool)
}

// NodeAddress reads the address of a node. One without TLS is taken on this machine only, since the token goes there. Errors:
// CodeInvalid.
func NodeAddress(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%q is no address of a node", openflow.Cut(text, 200)).WithHint("write it like https://node.example:9380")
	}
	if u.Scheme == "http" && !origin.Loopback(u.Host) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s is spoken to without TLS: the token and the data could be read on the way", openflow.Cut(text, 200)).
			WithHint("write https://…; the node speaks TLS wherever other machines reach it")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Listen binds an address of this machine that no other machine reaches. Errors: CodeInvalid, CodeConflict.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || !origin.Loopback(host) {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%q is no loopback address of this machine", openflow.Cut(address, 200)).
			WithHint("write it like 127.0.0.1:9380: whoever reached another one would act with your token")
	}
	return server.Listen(ctx, "openflow connect", address)
}

// patience is how long requests may take to end at a stop.
const patience = 2 * time.Second

// Serve passes requests on until ctx ends.
func (w *Way) Serve(ctx context.Context, l net.Listener) error {
	s := server.Serve(l, w.Handler(), w.Log, server.Bounds{Connections: server.Connections()})
	<-ctx.Done()
	return s.Close(context.WithoutCancel(ctx), patience)
}

// pages are FATE-Flow's for users. Those of sites and containers are none of theirs.
//
// Spec: fate-flow-api §0.1.
var pages = []string{"job", "output", "data", "table", "provider", "model", "log", "server", "site", "app", "permission"}

// leads tells whether a path is one that users call: FATE-Flow's pages, and those of our own command line.
func leads(path string) bool {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '/' }) // slashes too many are FATE's way
	if slices.Contains(parts, ".") || slices.Contains(parts, "..") || strings.ContainsAny(path, "\\;") {
		return false
	}
	return len(parts) > 2 && parts[0] == "v2" && slices.Contains(pages, parts[1]) ||
		len(parts) > 3 && parts[0] == "openflow" && parts[1] == "v1" && parts[2] == "user"
}

// Handler passes on what programs of this process's user send, and refuses the rest in FATE-Flow's envelope. Bodies go through as they
// come, either way, and nothing is kept of them.
func (w *Way) Handler() http.Handler {
	client := w.HTTP
	if client == nil {
		client = httpclient.New(httpclient.Options{Proxy: http.ProxyFromEnvironment})
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(w.Node)
			p.Out.Host = w.Node.Host
			for _, name := range []string{"Authorization", "Cookie", "Origin", "Referer"} {
				p.Out.Header.Del(name)
			}
			if token, _ := p.In.Context().Value(tokenKey{}).(string); token != "" {
				p.Out.Header.Set("Authorization", "Bearer "+token)
			}
		},
		Transport: client.Transport, FlushInterval: -1, ModifyResponse: w.answered, ErrorHandler: w.failed,
		ErrorLog: log.New(io.Discard, "", 0), // of answers that break off, which the program sees
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		token, err := "", w.admit(r)
		if err == nil && w.Token != nil {
			token, err = w.Token()
		}
		if err != nil {
			w.refuse(rw, r, err)
			return
		}
		proxy.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)))
	})
}

type tokenKey struct{}

// admit refuses what is not of a program of this user, or leads elsewhere than users go.
func (w *Way) admit(r *http.Request) error {
	if err := origin.Page(r); err != nil {
		return err
	}
	if !origin.Loopback(r.RemoteAddr) || !origin.Loopback(r.Host) {
		return openflow.Errorf(openflow.CodeUnauthorized, "this address is for programs of this machine, and the request names host %s", openflow.Cut(openflow.Line(r.Host), 80)).
			WithHint("call http://127.0.0.1 and the port; a page that a name of its own leads here is refused")
	}
	if origin.PassedOn(r.Header) {
		return openflow.Errorf(openflow.CodeUnauthorized, "a proxy has passed the request on: for whom, nobody here knows").
			WithHint("call this address without a proxy: set no_proxy=127.0.0.1")
	}
	owner := w.Owner
	if owner == nil {
		owner = origin.Owner
	}
	uid, known := owner(r)
	switch {
	case !known:
		return openflow.Errorf(openflow.CodeUnauthorized, "this machine does not tell which of its users calls, so the request is not passed on")
	case uid != os.Geteuid() && uid != 0:
		return openflow.Errorf(openflow.CodeUnauthorized, "this address is for the user who has started openflow connect, and another one calls").
			WithHint("run openflow connect as yourself, with a token of your own and another --listen")
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return openflow.Errorf(openflow.CodeUnimplemented, "no route has the method %s", openflow.Cut(openflow.Line(r.Method), 40))
	case !leads(r.URL.Path):
		return openflow.Errorf(openflow.CodeUnimplemented, "no route %s here: openflow connect leads to those of users, below /v2 and /openflow/v1/user",
			openflow.Cut(openflow.Line(r.URL.Path), 200))
	}
	return nil
}

// answered lets a node's answers through. Those for users have the status 200, whatever they say. Another one is of something on the
// way, such as a gateway, whose page no client of FATE's can read.
func (w *Way) answered(r *http.Response) error {
	r.Header.Del("Set-Cookie")
	if r.StatusCode != http.StatusOK {
		return openflow.Errorf(openflow.CodeUnavailable, "what answers at %s is no node that can be used now: it says %q", w.Node, openflow.Cut(r.Status, 80)).
			WithHint("check the address and what stands before the node")
	}
	return nil
}

// failed tells a program why its request has not come through.
func (w *Way) failed(rw http.ResponseWriter, r *http.Request, err error) {
	var own *openflow.Error
	switch {
	case r.Context().Err() != nil:
		return // the program has gone
	case errors.As(err, &own):
	case errors.Is(err, httpclient.ErrNotBelieved):
		own = openflow.Errorf(openflow.CodeUnauthorized, "the node at %s is not the one that --ca names: %w", w.Node, err).
			WithHint("copy users.pem from the node's home anew, if its operator has changed the node's key; nothing was sent")
	default:
		own = openflow.Errorf(openflow.CodeUnavailable, "the node at %s does not answer: %w", w.Node, err).
			WithHint("check that it runs and can be reached from this machine; then repeat the request")
	}
	w.refuse(rw, r, own)
}

func (w *Way) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	w.Log.WarnContext(r.Context(), "a request was not passed on", "method", openflow.Line(r.Method), "path", openflow.Line(r.URL.Path), "err", err.Error())
	rw.Header().Set("Connection", "close") // the rest of a body is not waited for
	reply.JSON(w.Log, rw, r, wire.Failure(err))
}
