package component

import (
	"context"
	"io"
	"net/http"
	"net/http/httputil"

	"openflow"
)

// Connect makes a connection through the node, which a route of its base layer upgrades to a protocol. The caller closes it.
// Errors: CodeUnavailable (the node does not answer), or why the node refuses it.
func (t *Task) Connect(ctx context.Context, path, protocol string) (io.ReadWriteCloser, error) {
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {protocol}}
	r := request{method: http.MethodGet, path: path, header: header}
	req, err := t.node.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	reply, err := t.node.http.Do(req)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeUnavailable, "node did not answer: %w", err)
	}
	if conn, ok := reply.Body.(io.ReadWriteCloser); ok && reply.StatusCode == http.StatusSwitchingProtocols {
		return conn, nil
	}
	defer reply.Body.Close() //nolint:errcheck // it was only read
	if err := decodeEnvelope(reply.Body, r, nil); err != nil {
		return nil, err
	}
	return nil, openflow.Errorf(openflow.CodeInternal, "node upgraded nothing at %s", path)
}

// Through passes requests of other programs in the container on to a route of the node's base layer, with the credential of the task
// in place of what they say of themselves. The path of each goes behind that of the route.
func (t *Task) Through(route string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			at := *t.node.base
			at.Path = route + p.In.URL.Path
			p.Out.URL, p.Out.Host = &at, at.Host
			p.Out.Header = http.Header{"Authorization": {"Bearer " + t.node.credential}}
			if kind := p.In.Header.Get("Content-Type"); kind != "" {
				p.Out.Header.Set("Content-Type", kind)
			}
		},
		Transport: t.node.http.Transport,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the node does not answer", http.StatusBadGateway)
		},
	}
}
