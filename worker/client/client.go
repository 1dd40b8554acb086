// Package client is the client of a node's base layer for the workers of its pool: the rows of runs, what their containers
// need, and their logs, over HTTP with the worker token.
//
// It never retries, because the workflow whose activity calls it does. A node that does not answer is CodeUnavailable,
// which says nothing about the run. Start reading at [Client].
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/store/document"
	"openflow/worker/form"
)

// Client talks to the node of one site.
type Client struct {
	URL   string // of the listener for workers, without a trailing slash
	Token string
	HTTP  *http.Client
}

// callTimeout bounds one call; a log may take as long as it is.
const callTimeout = 10 * time.Second

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 32 << 20

// Site asks whose node this is. CodeUnauthorized: the token is not this node's.
func (c *Client) Site(ctx context.Context) (form.Site, error) {
	var s form.Site
	return s, c.call(ctx, http.MethodGet, "/openflow/v1/pool/site", nil, &s)
}

// Register tells the node that this worker is alive.
func (c *Client) Register(ctx context.Context, w openflow.WorkerRecord) error {
	return c.call(ctx, http.MethodPost, "/openflow/v1/pool/worker", wire.EncodeWorker(w), nil)
}

// Task implements activities.TaskStore.
func (c *Client) Task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error) {
	return c.TaskByRunID(ctx, k.RunID())
}

// TaskByRunID finds a run. CodeNotFound: the site does not know it.
func (c *Client) TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error) {
	var row json.RawMessage
	if err := c.call(ctx, http.MethodGet, "/openflow/v1/pool/task?"+query(id), nil, &row); err != nil {
		return openflow.TaskRecord{}, err
	}
	return form.DecodeTask(row)
}

func query(id openflow.RunID) string {
	return url.Values{"execution_id": {string(id)}}.Encode()
}

// Provider finds a provider in the site's registry. CodeNotFound: it is not registered.
func (c *Client) Provider(ctx context.Context, name, version string) (openflow.ProviderRecord, error) {
	var p form.Provider
	err := c.call(ctx, http.MethodGet, "/openflow/v1/pool/provider?"+url.Values{"name": {name}, "version": {version}}.Encode(), nil, &p)
	return p.Decode(), err
}

// Serves asks whether a component may have resident containers.
func (c *Client) Serves(ctx context.Context, component string, of openflow.ProviderRef) (bool, error) {
	return c.resident(ctx, form.Resident{Component: component, Provider: document.Provider(of)})
}

// Serving tells that a machine has a resident container of a component that serves, or none any more.
func (c *Client) Serving(ctx context.Context, machine, component string, of openflow.ProviderRef, serving bool) error {
	_, err := c.resident(ctx, form.Resident{Component: component, Provider: document.Provider(of), Machine: machine, Serving: &serving})
	return err
}

func (c *Client) resident(ctx context.Context, about form.Resident) (bool, error) {
	var a form.Allowed
	err := c.call(ctx, http.MethodPost, "/openflow/v1/pool/resident", about, &a)
	return a.Allowed, err
}

// Supply fetches what only the node can give to the run's container.
func (c *Client) Supply(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error) {
	var g form.Supply
	err := c.call(ctx, http.MethodGet, "/openflow/v1/pool/task/supply?"+query(r.Key.RunID()), nil, &g)
	return openflow.TaskSupply(g), err
}

// StartTask implements activities.TaskStore.
func (c *Client) StartTask(ctx context.Context, k openflow.TaskKey, at openflow.Launch) (bool, error) {
	var b form.Change
	err := c.call(ctx, http.MethodPost, "/openflow/v1/pool/task/start", form.EncodeStart(k, at), &b)
	return b.Changed, err
}

// FinishTask implements activities.TaskStore.
func (c *Client) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	var b form.Change
	err := c.call(ctx, http.MethodPost, "/openflow/v1/pool/task/end", form.EncodeEnd(k, end), &b)
	return b.Changed, err
}

// PutLog implements activities.LogStore: it streams what write writes. An error of write comes through.
func (c *Client) PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (string, error) {
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := write(w, w)
		_ = w.CloseWithError(err) // never fails
		failed <- err
	}()
	var b form.Log
	err := c.do(ctx, http.MethodPut, "/openflow/v1/pool/log", "application/octet-stream", r, &b)
	_ = r.CloseWithError(io.ErrClosedPipe) // lets the writer end when the node has not read everything
	if werr := <-failed; werr != nil && !errors.Is(werr, io.ErrClosedPipe) {
		return "", werr
	}
	return b.Digest, err
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if body == nil {
		return c.do(ctx, method, path, "", nil, into)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "request to %s cannot be encoded: %w", path, err)
	}
	return c.do(ctx, method, path, "application/json", bytes.NewReader(b), into)
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, body)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "address %q of the site is not usable: %w", c.URL, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }() // read, or of no more use
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if resp.Header.Get(wire.CodeHeader) == string(openflow.CodeUnimplemented) { // of another listener of a node
		return openflow.Errorf(openflow.CodeInvalid, "%s is not the listener for workers: it has no %s", c.URL, path).
			WithHint("give the address of the node's --listen-workers")
	}
	var e wire.Envelope
	if resp.StatusCode != http.StatusOK || wire.Unmarshal(b, &e) != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "%s answered %s with HTTP %d and no envelope", c.URL, path, resp.StatusCode).
			WithHint("is that the address of a node's --listen-workers?")
	}
	err = e.Err()
	if openflow.CodeOf(err) == openflow.CodeUnimplemented {
		return openflow.Errorf(openflow.CodeInvalid, "%s is not the listener for workers: %w", c.URL, err).
			WithHint("give the address of the node's --listen-workers")
	}
	if err != nil || into == nil {
		return err
	}
	if err := wire.Unmarshal(e.Data, into); err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "%s answered %s with unreadable data: %w", c.URL, path, err)
	}
	return nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	var known *openflow.Error
	if errors.As(err, &known) && known.Code == openflow.CodeUnauthorized { // it is another one than the token says
		return known
	}
	return openflow.Errorf(openflow.CodeUnavailable, "the node at %s does not answer: %w", c.URL, err).
		WithHint("check that it runs with --listen-workers, and the address")
}

// CheckURL reads the address of a site: http or https, a host, and nothing behind it. CodeInvalid otherwise.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(text, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%q is not the address of a site", text).
			WithHint("write it like https://10.0.0.2:9391: what the node was given as --listen-workers")
	}
	return u, nil
}
