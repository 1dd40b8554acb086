package sdk

import (
	"context"

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
	Plain   bool     `json:"plain"`    // it may be called without TLS, wherever it is
	Way     string   `json:"way"`      // how calls get to it: direct, router, packets
	Trust   string   `json:"trust"`    // how it proves who calls: key, fate-site-signature, none
	// Unsigned jobs are taken of it: whatever its node says of their initiator is believed.
	Unsigned bool `json:"unsigned"`
	// UnsignedFrom is from where unsigned requests are taken of it, and the jobs that they bring.
	UnsignedFrom []string `json:"unsigned_from"`

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
	Plain   bool             `json:"plain,omitempty"`
	Way     openflow.PeerWay `json:"way,omitempty"`
	Final   bool             `json:"final,omitempty"`
	Limits  *wire.Quota      `json:"limits,omitempty"`

	Unsigned     *bool     `json:"unsigned,omitempty"`
	UnsignedFrom *[]string `json:"unsigned_from,omitempty"`
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
	Plain   bool // without TLS, wherever it is
	Way     openflow.PeerWay
	// Unsigned takes jobs from the peer without the mandate of their initiator, as FATE-Flow sends them; nil: as it was.
	Unsigned *bool
	// UnsignedFrom is from where unsigned requests of a node of FATE-Flow are taken, and the jobs that they bring: addresses,
	// networks, "sha256:…" of the certificate that it shows, or "authority"; nil: as it was.
	UnsignedFrom *[]string
}

// AddSite registers a peer, or gives a registered one another address. The answers of a FATE-Flow node are believed without
// a signature. CodeConflict: it is registered with another key.
func (c *Client) AddSite(ctx context.Context, id openflow.PartyID, url, key string, speaks Speech) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/add", siteChange{
		PartyID: id, URL: url, Key: key, Dialect: speaks.Dialect, Version: speaks.Version, Profile: speaks.Profile, Plain: speaks.Plain,
		Unsigned: speaks.Unsigned, UnsignedFrom: speaks.UnsignedFrom, Way: speaks.Way,
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

// Dataset is a table as FATE's routes name it.
type Dataset struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// grantID is the body with which a grant is taken back.
type grantID struct {
	ID openflow.GrantID `json:"id"`
}

// Grants lists what is granted to a party, as an initiator or a scheduler, oldest first; with an empty party, all grants.
func (c *Client) Grants(ctx context.Context, id openflow.PartyID) ([]openflow.Grant, error) {
	var list wire.Grants
	err := c.fetch(ctx, "/openflow/v1/user/grant/list", query("party_id", string(id)), &list)
	return decodeGrants(list), err
}

// Grant makes grants, and returns them as they are kept. A grant that is there already and counts no uses stays as it is.
// Errors: CodeInvalid (nothing is made).
func (c *Client) Grant(ctx context.Context, grants ...openflow.Grant) ([]openflow.Grant, error) {
	var body, made wire.Grants
	for _, g := range grants {
		body.Grants = append(body.Grants, wire.EncodeGrant(g))
	}
	_, err := c.tell(ctx, "/openflow/v1/user/grant/add", body, &made)
	return decodeGrants(made), err
}

// Revoke takes a grant back, and returns it. Errors: CodeNotFound.
func (c *Client) Revoke(ctx context.Context, id openflow.GrantID) (openflow.Grant, error) {
	var gone wire.Grants
	if _, err := c.tell(ctx, "/openflow/v1/user/grant/remove", grantID{id}, &gone); err != nil || len(gone.Grants) == 0 {
		return openflow.Grant{}, err
	}
	return gone.Grants[0].Decode(), nil
}

func decodeGrants(list wire.Grants) []openflow.Grant {
	grants := make([]openflow.Grant, len(list.Grants))
	for i, g := range list.Grants {
		grants[i] = g.Decode()
	}
	return grants
}
