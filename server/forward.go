package server

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Forward passes on what the containers of a pool's machine call to the base layer of their node, and nothing else. The
// credential of the task goes along and is checked there.
type Forward struct {
	To        *url.URL
	Prefixes  []string // below which containers call, in the dialects of the node; messages come beside them
	Transport http.RoundTripper
}

// Routes mounts the container side of the base layer. A node that does not answer is as silent here as it is itself:
// the connection breaks off, and the container repeats its request.
func (f Forward) Routes(r chi.Router) {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(f.To)
			p.Out.Host = f.To.Host
		},
		Transport: f.Transport, FlushInterval: -1,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	messages := []string{"/v1/interconn/chan", "/org.ppc.ptp.PrivateTransferTransport", "/org.ppc.grpc_ptp.PrivateTransferTransport"}
	for _, prefix := range append(messages, f.Prefixes...) {
		r.Handle(prefix+"/*", refuseDetours(proxy))
	}
}

// refuseDetours refuses paths that lead elsewhere once somebody on the way has resolved their dots.
func refuseDetours(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for segment := range strings.SplitSeq(r.URL.Path, "/") {
			if segment == "." || segment == ".." {
				http.NotFound(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	}
}
