package sdk

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"openflow"
)

// About is what a node tells of itself.
type About struct {
	PartyID    string   `json:"party_id"`
	Version    string   `json:"version"`
	Runtime    string   `json:"runtime"`     // docker or process
	TemporalUI string   `json:"temporal_ui"` // address; empty: none
	PublicKey  string   `json:"public_key"`
	Durability string   `json:"durability"` // what a power failure may cost
	StartTime  int64    `json:"start_time"` // milliseconds since 1970
	Warnings   []string `json:"warnings"`   // what its operator should know
	GrantAll   bool     `json:"grant_all"`  // peers need no grants
}

// About asks the node about itself.
func (c *Client) About(ctx context.Context) (About, error) {
	var a About
	err := c.fetch(ctx, "/openflow/v1/user/server/about", nil, &a)
	return a, err
}

// Finding is what one check of the node has found.
type Finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn or FAIL
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"` // what to do about it
}

// Doctor has the node look at everything that can be wrong with it: its peers, its machine, its workflows. It takes as long
// as the slowest peer, 20 s at most.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	var list []Finding
	err := c.fetch(ctx, "/openflow/v1/user/server/doctor", nil, &list)
	return list, err
}

// Healthz is nil when the node's process answers. It needs no token.
func (c *Client) Healthz(ctx context.Context) error {
	_, err := c.probe(ctx, "/healthz")
	return err
}

// Ready is nil when the node can take a job. It needs no token. CodeUnavailable tells why not.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.probe(ctx, "/readyz")
	return err
}

// Clock is the node's time, to the second.
func (c *Client) Clock(ctx context.Context) (time.Time, error) {
	date, err := c.probe(ctx, "/healthz")
	if err != nil {
		return time.Time{}, err
	}
	t, err := http.ParseTime(date)
	if err != nil {
		return t, openflow.Errorf(openflow.CodeUnimplemented, "the node at %s does not tell its time: %w", c.base(), err)
	}
	return t, nil
}

// maxProbe is what is read of a probe's text, in bytes.
const maxProbe = 4 << 10

func (c *Client) probe(ctx context.Context, path string) (date string, err error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	resp, err := c.do(ctx, get(path, nil))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }() // what is not read is not wanted
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Header.Get("Date"), nil
	case http.StatusServiceUnavailable:
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxProbe))
		if err != nil {
			return "", c.unreachable(ctx, err)
		}
		return "", openflow.Errorf(openflow.CodeUnavailable, "the node at %s is not ready: %s", c.base(), strings.TrimSpace(string(text)))
	}
	return "", c.strange(path, resp)
}
