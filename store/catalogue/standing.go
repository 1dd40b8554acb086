package catalogue

import (
	"context"
	"fmt"
	"slices"

	"openflow"
)

// standingRow is a row of the table component without its description.
type standingRow struct {
	Name     string `db:"name"`
	Provider string `db:"provider"`
	Version  string `db:"version"`
	State    string `db:"state"`
	Since    int64  `db:"since"`
	Machine  string `db:"machine"`
	Reason   string `db:"reason"`
}

var (
	standingColumns = columnsOf[standingRow]()
	selectStandings = `select ` + standingColumns.names + ` from component order by provider, version, name`
	selectFailed    = `select ` + standingColumns.names + ` from component where state = '` + string(openflow.ComponentFailed) + `' order by provider, version, name`
)

const updateStanding = `update component set state = $4, since = $5, machine = $6, reason = $7 where name = $1 and provider = $2 and version = $3`

func (r standingRow) record() openflow.ComponentRecord {
	return openflow.ComponentRecord{
		Name: r.Name, Provider: openflow.ProviderRef{Name: r.Provider, Version: r.Version},
		Standing: openflow.ComponentStanding{
			State: openflow.ComponentState(r.State), Reason: r.Reason, Machine: r.Machine, Since: timeOf(r.Since),
		},
	}
}

// Standings tells how all components of all providers stand, without their descriptions.
func (c *Catalogue) Standings(ctx context.Context) ([]openflow.ComponentRecord, error) {
	return c.standings(ctx, selectStandings)
}

// FailedComponents are those that cannot run here now, as Standings tells of them.
func (c *Catalogue) FailedComponents(ctx context.Context) ([]openflow.ComponentRecord, error) {
	return c.standings(ctx, selectFailed)
}

func (c *Catalogue) standings(ctx context.Context, query string) ([]openflow.ComponentRecord, error) {
	var list []openflow.ComponentRecord
	err := c.each(ctx, query, nil, func(from row) error {
		r, err := standingColumns.scan(from)
		list = append(list, r.record())
		return err
	})
	return list, classify("list the standings of components", err)
}

const adoptFailure = `update component set machine = $4 where name = $1 and provider = $2 and version = $3`

// AdoptFailures has a machine look again at the components that have failed, but for those that these others have found so.
func (c *Catalogue) AdoptFailures(ctx context.Context, machine string, others []string) error {
	err := c.write(ctx, func(t *tx) error {
		var list []standingRow
		err := t.each(ctx, selectFailed, func(from row) error {
			r, err := standingColumns.scan(from)
			if r.Machine != machine && !slices.Contains(others, r.Machine) {
				list = append(list, r)
			}
			return err
		})
		for _, r := range list {
			if err == nil {
				_, err = t.exec(ctx, adoptFailure, r.Name, r.Provider, r.Version, machine)
			}
		}
		return err
	})
	return classify("adopt the failures of components", err)
}

// ChangeComponents changes how components of a provider stand, all or none of them, and writes each change into the audit. It
// returns the changes; what stood so already is not among them. CodeNotFound: the provider is not registered, or has no such
// component. CodeConflict: the event leads nowhere from the state of one; see openflow.ComponentState.
func (c *Catalogue) ChangeComponents(ctx context.Context, call openflow.ComponentCall) ([]openflow.ComponentChange, error) {
	var made []openflow.ComponentChange
	err := c.write(ctx, func(t *tx) error {
		made = nil
		have, err := standing(ctx, t, call)
		if err != nil {
			return err
		}
		for _, o := range have {
			change, err := c.change(ctx, t, o, call)
			if err != nil {
				return err
			}
			if change != nil {
				made = append(made, *change)
			}
		}
		return nil
	})
	return made, classify(fmt.Sprintf("%s components of provider %s", call.Event, call.Provider), err)
}

// standing reads the components that a call is about.
func standing(ctx context.Context, t *tx, call openflow.ComponentCall) ([]openflow.ComponentRecord, error) {
	var have []openflow.ComponentRecord
	err := t.each(ctx, selectOffers, func(from row) error {
		r, err := offerColumns.scan(from)
		if err != nil {
			return err
		}
		one, err := decodeComponent(r)
		have = append(have, one)
		return err
	}, call.Provider.Name, call.Provider.Version)
	if err != nil {
		return nil, err
	}
	if len(have) == 0 {
		return nil, unknownProvider(call.Provider.Name, call.Provider.Version)
	}
	if call.Component == "" {
		return have, nil
	}
	i := slices.IndexFunc(have, func(o openflow.ComponentRecord) bool { return o.Name == call.Component })
	if i < 0 {
		return nil, openflow.Errorf(openflow.CodeNotFound, "provider %s has no component %q", call.Provider, openflow.Cut(call.Component, 80)).
			WithHint("openflow provider show %s lists what it has", call.Provider)
	}
	return have[i : i+1], nil
}

// change is of one component; nil: it stands so already. A probe neither ends what an operator has said nor a failure that
// another machine has found.
func (c *Catalogue) change(ctx context.Context, t *tx, o openflow.ComponentRecord, call openflow.ComponentCall) (*openflow.ComponentChange, error) {
	at := o.Standing
	call.Reason = openflow.Cut(call.Reason, maxTold)
	if call.Probe && (at.State == openflow.ComponentUnloaded || at.State == openflow.ComponentFailed && at.Machine != call.Machine) {
		return nil, nil
	}
	next, err := at.State.After(call.Event)
	if err != nil {
		return nil, err
	}
	if next == at.State && (next != openflow.ComponentFailed || at.Reason == call.Reason) {
		return nil, nil
	}
	now := openflow.ComponentStanding{State: next, Since: c.now()}
	if next == openflow.ComponentFailed {
		now.Reason, now.Machine = call.Reason, call.Machine
	}
	made := &openflow.ComponentChange{
		Component: o.Name, Provider: o.Provider, From: at.State, To: next, Reason: now.Reason, By: call.By, At: now.Since,
	}
	_, err = t.exec(ctx, updateStanding, o.Name, o.Provider.Name, o.Provider.Version, string(next), millis(now.Since), now.Machine, now.Reason)
	if err == nil {
		err = c.audited(ctx, t, call.Event, *made)
	}
	return made, err
}

// audited writes a change of a component into the audit.
func (c *Catalogue) audited(ctx context.Context, t *tx, by openflow.ComponentEvent, made openflow.ComponentChange) error {
	detail := string(made.From) + " → " + string(made.To)
	if made.Reason != "" {
		detail += ": " + made.Reason
	}
	r, err := c.rowOfAudit(openflow.AuditEvent{
		Time: made.At, Actor: made.By, Action: "component/" + string(by), Subject: made.Component + " of " + made.Provider.String(), Detail: detail,
	})
	if err == nil {
		_, err = t.exec(ctx, insertAudit, auditColumns.values(r)...)
	}
	return err
}
