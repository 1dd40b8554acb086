package sdk

import (
	"context"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// Site is a peer of the node.
type Site struct {
	PartyID string   `json:"party_id"`
	URL     string   `json:"url"`
	Keys    []string `json:"keys"`     // public keys that it may sign with, the present one first
	AddedAt int64    `json:"added_at"` // milliseconds since 1970
	Dialect string   `json:"dialect"`  // that it speaks: native, fate-flow
	Version string   `json:"version"`  // of the dialect
	Profile string   `json:"profile"`  // of the dialect: how callers are known and answers proven

	Limits wire.Quota   `json:"limits"` // what it may use
	Said   wire.Quota   `json:"said"`   // of Limits, what the operator has said of this peer
	Uses   wire.PeerUse `json:"uses"`
}

// siteChange is the body of the routes that change peers.
type siteChange struct {
	PartyID openflow.PartyID `json:"party_id"`
	URL     string           `json:"url,omitempty"`
	Key     string           `json:"key,omitempty"`
	Dialect openflow.Dialect `json:"dialect,omitempty"`
	Version string           `json:"version,omitempty"`
	Profile string           `json:"profile,omitempty"`
	Final   bool             `json:"final,omitempty"`
	Limits  *wire.Quota      `json:"limits,omitempty"`
}

// Sites lists the peers of the node.
func (c *Client) Sites(ctx context.Context) ([]Site, error) {
	var list []Site
	err := c.fetch(ctx, "/openflow/v1/user/site/list", nil, &list)
	return list, err
}

// Workers lists the machines of the node's pool that have been heard of in the last day.
func (c *Client) Workers(ctx context.Context) ([]wire.Worker, error) {
	var list []wire.Worker
	err := c.fetch(ctx, "/openflow/v1/user/site/workers", nil, &list)
	return list, err
}

// Speech is how a peer talks. What is empty is the usual one, of a node of openflow; what a registered peer has stays.
type Speech struct {
	Dialect openflow.Dialect
	Version string
	Profile string
}

// AddSite registers a peer, or gives a registered one another address. The answers of a FATE-Flow node are believed without
// a signature. CodeConflict: it is registered with another key.
func (c *Client) AddSite(ctx context.Context, id openflow.PartyID, url, key string, speaks Speech) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/add", siteChange{
		PartyID: id, URL: url, Key: key, Dialect: speaks.Dialect, Version: speaks.Version, Profile: speaks.Profile,
	}, nil)
	return err
}

// Heard is what a peer has answered to one dialect: advice.
type Heard struct {
	Dialect  string `json:"dialect"`
	Version  string `json:"version"`
	Profile  string `json:"profile"`
	Speaks   bool   `json:"speaks"`
	Recorded bool   `json:"recorded"` // its record names all three
	Error    string `json:"error"`    // why it seems not to speak it
}

// ProbeSite tries every dialect on a peer, in each version and profile. Nothing changes: the record says what the operator has said.
func (c *Client) ProbeSite(ctx context.Context, id openflow.PartyID) ([]Heard, error) {
	var list []Heard
	err := c.fetch(ctx, "/openflow/v1/user/site/probe", query("party_id", string(id)), &list)
	return list, err
}

// RemoveSite forgets a peer, whose requests are refused from then on.
func (c *Client) RemoveSite(ctx context.Context, id openflow.PartyID) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/remove", siteChange{PartyID: id}, nil)
	return err
}

// RotateSite takes a new key of a peer beside its present one; final forgets the present one.
func (c *Client) RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/rotate", siteChange{PartyID: id, Key: key, Final: final}, nil)
	return err
}

// LimitSite says what a peer may use, in place of what was said before; what is 0 is the site's rule for all peers.
func (c *Client) LimitSite(ctx context.Context, id openflow.PartyID, q openflow.Quota) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/limit", siteChange{PartyID: id, Limits: wire.EncodeQuota(q)}, nil)
	return err
}

// CheckSite has the node call a peer. Nil means that the peer answers and knows the node's key.
// Errors: CodeUnavailable, CodeUnauthorized (the peer does not trust this node), naming the peer.
func (c *Client) CheckSite(ctx context.Context, id openflow.PartyID) error {
	return c.fetch(ctx, "/openflow/v1/user/site/check", query("party_id", string(id)), nil)
}

// Grants is what a peer's jobs may use here.
type Grants struct {
	PartyID    string    `json:"party_id"`
	Components []string  `json:"component"` // "*" is every one
	Tables     []Dataset `json:"dataset"`
}

// Dataset is a table in a grant.
type Dataset struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// grantChange is the body of the routes that change grants.
//
// Spec: fate-flow-api §1.12 #65.
type grantChange struct {
	PartyID   openflow.PartyID `json:"party_id"`
	Component string           `json:"component,omitempty"` // comma separated
	Dataset   []Dataset        `json:"dataset,omitempty"`
}

// Grants lists what peers may use, of every peer that is registered.
func (c *Client) Grants(ctx context.Context) ([]Grants, error) {
	var list []Grants
	err := c.fetch(ctx, "/openflow/v1/user/permission/resource/list", nil, &list)
	return list, err
}

// Grant lets a peer's jobs use components and tables here; the component "*" stands for all.
func (c *Client) Grant(ctx context.Context, id openflow.PartyID, components []string, tables []openflow.TableName) error {
	return c.change(ctx, "/v2/permission/resource/grant", id, components, tables)
}

// Revoke takes grants back. What was not granted is passed over.
func (c *Client) Revoke(ctx context.Context, id openflow.PartyID, components []string, tables []openflow.TableName) error {
	return c.change(ctx, "/v2/permission/resource/delete", id, components, tables)
}

func (c *Client) change(ctx context.Context, path string, id openflow.PartyID, components []string, tables []openflow.TableName) error {
	body := grantChange{PartyID: id, Component: strings.Join(components, ",")}
	for _, t := range tables {
		body.Dataset = append(body.Dataset, Dataset(t))
	}
	_, err := c.tell(ctx, path, body, nil)
	return err
}
