package sdk

import (
	"context"
	"strconv"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// AuditFilter selects entries of the record of who changed what; the zero value selects all. Texts are parts, whatever
// their case.
type AuditFilter struct {
	Actor, Action, Subject string
	Party                  openflow.PartyID // the whole ID of who asked for a decision
	Outcome                openflow.Outcome // of a decision
	Since, Until           time.Time        // from the one on, and before the other; zero: open
	Limit                  int              // of one page, at most 1000; 0: the node's own
	After                  string           // Next of the page before
}

// Audit lists who changed what at this site, newest first.
func (c *Client) Audit(ctx context.Context, f AuditFilter) (wire.AuditPage, error) {
	q := query("actor", f.Actor, "action", f.Action, "subject", f.Subject, "party", string(f.Party), "outcome", string(f.Outcome), "after", f.After)
	for name, at := range map[string]time.Time{"since": f.Since, "until": f.Until} {
		if !at.IsZero() {
			q.Set(name, strconv.FormatInt(at.UnixMilli(), 10))
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	var page wire.AuditPage
	err := c.fetch(ctx, "/openflow/v1/user/audit/list", q, &page)
	return page, err
}

// Table describes a table of this site, with its first rows as Display. CodeNotFound: there is none of that name.
func (c *Client) Table(ctx context.Context, n openflow.TableName) (wire.TableInfo, error) {
	var info wire.TableInfo
	err := c.fetch(ctx, "/v2/table/query", query("namespace", n.Namespace, "name", n.Name, "display", "true"), &info)
	return info, err
}

// TableUses tells whose jobs may read a table, and which have read it or do.
func (c *Client) TableUses(ctx context.Context, n openflow.TableName) (wire.TableUses, error) {
	var uses wire.TableUses
	err := c.fetch(ctx, "/openflow/v1/user/table/uses", query("namespace", n.Namespace, "name", n.Name), &uses)
	return uses, err
}

// DeleteTable forgets a table. CodeNotFound: there is none of that name; CodeConflict: a job reads it that has not ended.
func (c *Client) DeleteTable(ctx context.Context, n openflow.TableName) error {
	_, err := c.tell(ctx, "/v2/table/delete", Dataset(n), nil)
	return err
}
