package sdk

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// SitePolicy is what the node allows, whoever submits.
type SitePolicy struct {
	File   string              `json:"file"`   // that it is read from, if it exists
	Policy openflow.SitePolicy `json:"policy"` // in force
}

// Policy fetches the policy that the node has in force.
func (c *Client) Policy(ctx context.Context) (SitePolicy, error) {
	var p SitePolicy
	err := c.fetch(ctx, "/openflow/v1/user/site/policy", nil, &p)
	return p, err
}

// Scores lists what partners were told about the node's tables: of one partner, or of all with an empty one.
func (c *Client) Scores(ctx context.Context, partner openflow.PartyID) ([]wire.ScoreAccount, error) {
	var list []wire.ScoreAccount
	err := c.fetch(ctx, "/openflow/v1/user/site/scores", query("party_id", string(partner)), &list)
	return list, err
}

// RaiseScores sets how many score vectors a partner may have about a table's content; to 0 takes that back. Errors:
// CodeNotFound (no such table), CodeInvalid.
func (c *Client) RaiseScores(ctx context.Context, change wire.ScoreChange) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/scores/raise", change, nil)
	return err
}

// ResetScores forgets what a partner was told about a table's content, and a raised limit. CodeNotFound: there is
// neither.
func (c *Client) ResetScores(ctx context.Context, change wire.ScoreChange) error {
	_, err := c.tell(ctx, "/openflow/v1/user/site/scores/reset", change, nil)
	return err
}
