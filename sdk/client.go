package sdk

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/sdk/httpclient"
	"openflow/sdk/wire"
)

// DefaultURL is where a node listens unless it is told otherwise: where FATE-Flow's clients look, too.
const DefaultURL = "http://127.0.0.1:9380"

// Client calls one node. The zero value calls the node of this machine at DefaultURL. It is safe for concurrent use.
//
// Every method returns errors with the codes of the node. CodeUnavailable also means that the node did not answer, and
// CodeUnauthorized that it needs another Token.
type Client struct {
	URL   string // base address without path; empty: DefaultURL
	Token string // of the node's application layer; empty: none
	User  string // who submits. When set, jobs of other users are not shown
	// Scheduler is whose jobs are meant by their IDs, where jobs of several schedulers have the same one at the node. Empty: the
	// only one; CodeConflict, listing the schedulers, where there are several.
	Scheduler openflow.PartyID
	HTTP      *http.Client // nil: one that all such clients share. It must not limit the time, because transfers may be long
}

// shared is a user's client: a proxy of the environment leads to nodes elsewhere.
var shared = sync.OnceValue(func() *http.Client { return httpclient.New(httpclient.Options{Proxy: http.ProxyFromEnvironment}) })

// Trusting is a client for [Client.HTTP] to a node that shows a certificate of its own making. certificates has, in PEM, that of
// the node, which is the file users.pem in its home, or those of the authorities that have given it one. No others are believed.
// CodeInvalid: the text holds none, or the address no host.
func Trusting(address string, certificates []byte) (*http.Client, error) {
	if _, err := httpclient.Certificates(certificates); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "certificates of the node: %w", err)
	}
	return trusting(address, httpclient.Known{PEM: func() ([]byte, error) { return certificates, nil }})
}

// TrustingToo is [Trusting] where the authorities of this machine are believed too. read is asked at each handshake, since a
// node may have renewed what it shows.
func TrustingToo(address string, read func() ([]byte, error)) (*http.Client, error) {
	return trusting(address, httpclient.Known{PEM: read, System: true})
}

func trusting(address string, k httpclient.Known) (*http.Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the node's address %q cannot be used", address).WithHint("write it like %s", DefaultURL)
	}
	k.Host = u.Hostname()
	return httpclient.New(httpclient.Options{Proxy: http.ProxyFromEnvironment, TLS: k.TLS()}), nil
}

// callTimeout bounds calls that transfer no files. A submission is answered when all parties have created the job.
const callTimeout = 2 * time.Minute

// maxAnswer bounds answers that are read whole, in bytes: a thousand jobs with their DAGs.
const maxAnswer = 256 << 20

// errSilent is the end of a call that took longer than callTimeout.
var errSilent = fmt.Errorf("no answer within %s", callTimeout)

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, callTimeout, errSilent)
}

func (c *Client) base() string {
	if c.URL == "" {
		return DefaultURL
	}
	return strings.TrimSuffix(c.URL, "/")
}

// request is one call before it is sent.
type request struct {
	method string
	path   string
	query  url.Values
	header http.Header
	body   io.Reader
	size   int64 // of body, in bytes; negative: not known
}

func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query}
}

func post(path string, body any) (request, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return request{}, openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", path, err)
	}
	return request{
		method: http.MethodPost, path: path, header: http.Header{"Content-Type": {"application/json"}},
		body: bytes.NewReader(b), size: int64(len(b)),
	}, nil
}

// scheduler names the parameter that tells jobs of the same ID apart.
const scheduler = "scheduler_party_id"

// query is a list of names and values, of which empty ones are left out.
func query(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Add(pairs[i], pairs[i+1])
		}
	}
	return v
}

// fetch calls a GET route and decodes its data.
func (c *Client) fetch(ctx context.Context, path string, q url.Values, into any) error {
	_, err := c.call(ctx, get(path, q), into)
	return err
}

// tell calls a POST route and decodes its data into into, unless that is nil.
func (c *Client) tell(ctx context.Context, path string, body, into any) (wire.Envelope, error) {
	r, err := post(path, body)
	if err != nil {
		return wire.Envelope{}, err
	}
	return c.call(ctx, r, into)
}

func (c *Client) call(ctx context.Context, r request, into any) (wire.Envelope, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return c.exchange(ctx, r, into)
}

// exchange sends r, whatever time that takes, and reads the envelope of the answer.
func (c *Client) exchange(ctx context.Context, r request, into any) (wire.Envelope, error) {
	var e wire.Envelope
	resp, err := c.send(ctx, r)
	if err != nil {
		return e, err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read or is of no more use
	b, err := c.read(ctx, resp)
	if err != nil {
		return e, err
	}
	if err := json.Unmarshal(b, &e); err != nil {
		return e, c.strange(r.path, resp)
	}
	if err := e.Err(); err != nil {
		return e, err
	}
	if into != nil && len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, into); err != nil {
			return e, openflow.Errorf(openflow.CodeInternal, "the node's answer to %s has another form than expected: %w", r.path, err).
				WithHint("node and client may be of different versions: openflow doctor")
		}
	}
	return e, nil
}

// bare reads an answer that has an envelope only when it is a failure.
//
// Spec: fate-flow-api §0.3 (last paragraph).
func (c *Client) bare(ctx context.Context, r request, into any) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read or is of no more use
	b, err := c.read(ctx, resp)
	if err != nil {
		return err
	}
	var e wire.Envelope
	if json.Unmarshal(b, &e) == nil && e.Err() != nil {
		return e.Err()
	}
	if err := json.Unmarshal(b, into); err != nil {
		return c.strange(r.path, resp)
	}
	return nil
}

// open asks for a file. A failure comes as JSON, which a file never is.
func (c *Client) open(ctx context.Context, r request) (io.ReadCloser, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "application/json" {
		return resp.Body, nil
	}
	defer func() { _ = resp.Body.Close() }() // the body has been read or is of no more use
	b, err := c.read(ctx, resp)
	if err != nil {
		return nil, err
	}
	var e wire.Envelope
	if err := json.Unmarshal(b, &e); err != nil || e.Err() == nil {
		return nil, c.strange(r.path, resp)
	}
	return nil, e.Err()
}

// send sends r and returns the answer, whose status is 200.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer func() { _ = resp.Body.Close() }() // not read
		return nil, c.strange(r.path, resp)
	}
	return resp, nil
}

func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	address := c.base() + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, address, r.body)
	if err != nil || req.URL.Host == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the node's address %q cannot be used", c.base()).
			WithHint("write it like %s", DefaultURL)
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	if r.body != nil {
		req.ContentLength = r.size
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if c.User != "" {
		req.Header.Set(wire.UserHeader, c.User)
	}
	client := c.HTTP
	if client == nil {
		client = shared()
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return resp, nil
}

func (c *Client) read(ctx context.Context, resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if len(b) > maxAnswer {
		return nil, openflow.Errorf(openflow.CodeExhausted, "the node's answer is larger than %d bytes", maxAnswer)
	}
	return b, nil
}

// unreachable is the error of a call that got no answer, or not all of it. The caller's own end of patience is its own.
func (c *Client) unreachable(ctx context.Context, err error) error {
	silent := errors.Is(context.Cause(ctx), errSilent)
	if cause := ctx.Err(); cause != nil && !silent {
		return fmt.Errorf("the call to the node at %s ended early: %w", c.base(), cause)
	}
	if silent {
		err = errSilent
	}
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err // without the address, which the message names already
	}
	var unverified *tls.CertificateVerificationError
	if errors.Is(err, httpclient.ErrNotBelieved) || errors.As(err, &unverified) {
		return openflow.Errorf(openflow.CodeUnauthorized, "the node at %s is not known: %w", c.base(), err).
			WithHint("copy the file users.pem from the node's home, over a way that you trust, and name it with --ca or OPENFLOW_CA")
	}
	var own *openflow.Error
	if errors.As(err, &own) { // a file of certificates that cannot be used
		return own
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return openflow.Errorf(openflow.CodeUnavailable, "what answers at %s speaks no TLS", c.base()).WithHint("call it with http:// if it is on this machine")
	}
	return openflow.Errorf(openflow.CodeUnavailable, "the node at %s does not answer: %w", c.base(), err).
		WithHint("start it with openflow server, or name another with --node URL")
}

// strange is the error of an answer that no node gives. A server of TLS answers a request without with HTTP 400 in plain text.
func (c *Client) strange(path string, resp *http.Response) error {
	if resp.StatusCode == http.StatusBadRequest && resp.ProtoMinor == 0 && resp.Request != nil && resp.Request.URL.Scheme == "http" {
		return openflow.Errorf(openflow.CodeUnavailable, "what answers at %s speaks TLS only, it seems", c.base()).
			WithHint("call it with https:// (--node, or OPENFLOW_NODE)")
	}
	return openflow.Errorf(openflow.CodeUnavailable, "what answers at %s is not a node: %s gives HTTP %d with %q",
		c.base(), path, resp.StatusCode, resp.Header.Get("Content-Type")).
		WithHint("name the node's application layer with --node URL")
}
