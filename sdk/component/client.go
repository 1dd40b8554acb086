package component

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"openflow"
	"openflow/sdk/httpclient"
)

// defaultPatience is how long the kit repeats a request while its node, or the partner behind it, does not answer.
const defaultPatience = 30 * time.Minute

const (
	contentJSON     = "application/json"
	contentArrow    = "application/vnd.apache.arrow.stream"
	contentProtobuf = "application/x-protobuf"
	maxEnvelope     = 64 << 20
)

// longestAnswer is how long a request may take, above the node's own longest wait: 120 s for a full buffer.
const longestAnswer = 150 * time.Second

// client speaks with the node of this task. Every request may be repeated: the node answers repeats as it did before.
type client struct {
	base       *url.URL
	credential string
	http       *http.Client
	patience   time.Duration
	trace      string // header traceparent of every request; empty: this task is not traced
	log        *slog.Logger
}

// request is one call in a form that can be sent again.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	json         any                           // body as JSON; or
	body         func() (io.ReadCloser, error) // body as it is, opened anew for every attempt
	contentType  string                        // of body
	length       int64                         // of body, in bytes; 0: not known
}

func newClient(base, credential string, patience time.Duration, log *slog.Logger) (*client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "CONFIG names no node that could be called: %q", base)
	}
	return &client{base: u, credential: credential, patience: patience, log: log, http: httpclient.New(httpclient.Options{Patience: longestAnswer})}, nil
}

// call sends r until the node has answered, and decodes the envelope's data into into, unless that is nil.
func (c *client) call(ctx context.Context, r request, into any) error {
	return c.repeat(ctx, r, func(ctx context.Context) error {
		reply, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer reply.Body.Close() //nolint:errcheck // it was only read
		return decodeEnvelope(reply.Body, r, into)
	})
}

// open sends r until the node has answered, and returns the reply's body, which is not an envelope.
func (c *client) open(ctx context.Context, r request) (io.ReadCloser, error) {
	var body io.ReadCloser
	err := c.repeat(ctx, r, func(ctx context.Context) error {
		reply, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		if strings.HasPrefix(reply.Header.Get("Content-Type"), contentJSON) {
			defer reply.Body.Close() //nolint:errcheck // it was only read
			if err := decodeEnvelope(reply.Body, r, nil); err != nil {
				return err
			}
			return openflow.Errorf(openflow.CodeInternal, "node answered %s without content", r.path)
		}
		body = reply.Body
		return nil
	})
	return body, err
}

// repeat runs attempt until it succeeds, fails for good, or fails for longer than the patience.
func (c *client) repeat(ctx context.Context, r request, attempt func(context.Context) error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := attempt(ctx)
		if !passing(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 2, MaxInterval: 2 * time.Second}),
		backoff.WithMaxElapsedTime(max(c.patience, 1)), // 0 would be no limit
		backoff.WithNotify(func(err error, _ time.Duration) {
			c.log.Warn("node did not serve a request, it is repeated", "path", r.path, "error", err)
		}))
	switch {
	case err != nil && ctx.Err() != nil:
		return openflow.Errorf(openflow.CodeOf(ctx.Err()), "%s %s was given up: %w", r.method, r.path, context.Cause(ctx))
	case passing(err):
		return openflow.Errorf(openflow.CodeOf(err), "tried for %s: %w", c.patience, err)
	}
	return err
}

// passing reports whether a request that fails so may succeed later.
func passing(err error) bool {
	code := openflow.CodeOf(err)
	return code == openflow.CodeUnavailable || code == openflow.CodeExhausted
}

// send makes one attempt. A network failure or a status that promises better times is CodeUnavailable.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeUnavailable, "node did not answer: %w", err)
	}
	if reply.StatusCode == http.StatusOK {
		return reply, nil
	}
	defer reply.Body.Close() //nolint:errcheck // it was only read
	code := openflow.CodeInternal
	switch {
	case reply.StatusCode >= 500:
		code = openflow.CodeUnavailable
	case reply.StatusCode == http.StatusTooManyRequests:
		code = openflow.CodeExhausted
	case reply.StatusCode == http.StatusUnauthorized:
		code = openflow.CodeUnauthorized
	case reply.StatusCode == http.StatusForbidden:
		code = openflow.CodePermission
	}
	return nil, openflow.Errorf(code, "node answered %s %s with HTTP %s", r.method, r.path, reply.Status)
}

func (c *client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	target, err := c.base.Parse(r.path)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "address %q of the node: %w", r.path, err)
	}
	if r.query != nil {
		target.RawQuery = r.query.Encode()
	}
	body, contentType := r.body, r.contentType
	var raw []byte
	if r.json != nil {
		if raw, err = json.Marshal(r.json); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "body of %s: %w", r.path, err)
		}
		contentType = contentJSON
	}
	var reader io.Reader
	if raw != nil {
		reader = bytes.NewReader(raw)
	} else if body != nil {
		opened, err := body()
		if err != nil {
			return nil, err
		}
		reader = opened
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), reader)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "request %s: %w", r.path, err)
	}
	if raw == nil && r.length > 0 {
		req.ContentLength = r.length
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.credential != "" && target.Host == c.base.Host { // the credential never leaves for another address
		req.Header.Set("Authorization", "Bearer "+c.credential)
		if c.trace != "" {
			req.Header.Set("traceparent", c.trace)
		}
	}
	return req, nil
}

// decodeEnvelope reads {code, message, data}, or {data, error} of our own dialect. A reply that breaks off is a node that has
// gone away.
//
// Spec: fate-flow-api §0.3.
func decodeEnvelope(body io.Reader, r request, into any) error {
	var envelope struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
		Error   struct {        // of a node of ours
			Code    openflow.Code `json:"code"`
			Message string        `json:"message"`
			Hint    string        `json:"hint"`
		} `json:"error"`
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxEnvelope))
	if err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "node's answer to %s broke off: %w", r.path, err)
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "node's answer to %s is not readable: %w", r.path, err)
	}
	// By the site's policy, or by a bound of the run, in words that tell what to do. No repeat of this run changes either. A lack of
	// space passes: that is CodeExhausted, and the same request is sent again.
	if envelope.Error.Code == openflow.CodeRejected || envelope.Error.Code == openflow.CodeSpent {
		return &openflow.Error{Code: openflow.CodeRejected, Message: envelope.Error.Message, Hint: envelope.Error.Hint}
	}
	if envelope.Code != 0 && !envelope.Error.Code.Valid() {
		return openflow.Errorf(envelopeCode(envelope.Code), "node refused %s: %s (code %d)", r.path, envelope.Message, envelope.Code)
	}
	if envelope.Error.Code != "" {
		return openflow.Errorf(envelope.Error.Code, "node refused %s: %s", r.path, envelope.Error.Message).WithHint("%s", envelope.Error.Hint)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(envelope.Data, into); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "node's answer to %s is not readable: %w", r.path, err)
	}
	return nil
}

// envelopeCode translates the codes that worker routes answer.
//
// Spec: fate-flow-api §0.4.
func envelopeCode(code int) openflow.Code {
	switch code {
	case 2000, 2005, 7001:
		return openflow.CodeNotFound
	case 5000, 5002, 5003:
		return openflow.CodeUnauthorized
	case 5004, 5005:
		return openflow.CodePermission
	case 5001:
		return openflow.CodeInvalid
	}
	return openflow.CodeInternal
}

// resumed reads a body that the node can serve again from its beginning, and goes on where a broken connection ended.
// Tables never change, so the bytes are the same.
type resumed struct {
	ctx    context.Context //nolint:containedctx // a reader has no other way to be cancelled
	client *client
	from   request
	body   io.ReadCloser
	offset int64
}

func (r *resumed) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			if err := r.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if err == nil || errors.Is(err, io.EOF) || r.ctx.Err() != nil {
			return n, err
		}
		_ = r.body.Close() // it has already failed
		r.body = nil
		if n > 0 {
			return n, nil
		}
	}
}

func (r *resumed) reopen() error {
	return r.client.repeat(r.ctx, r.from, func(ctx context.Context) error {
		body, err := r.client.open(ctx, r.from)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, body, r.offset); err != nil {
			_ = body.Close() // it has already failed
			return openflow.Errorf(openflow.CodeUnavailable, "table %s broke off: %w", r.from.path, err)
		}
		r.body = body
		return nil
	})
}

func (r *resumed) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
