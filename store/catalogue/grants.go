package catalogue

import (
	"context"
	"slices"
	"strings"

	"openflow"
)

// grantRow is a row of the table access_grant.
type grantRow struct {
	Party     string `db:"party"`
	Kind      string `db:"kind"`
	Namespace string `db:"namespace"`
	Name      string `db:"name"`
}

var (
	grantColumns = columnsOf[grantRow]()
	insertGrant  = grantColumns.insert("access_grant") + ` on conflict do nothing`
	deleteGrant  = `delete from access_grant where ` + grantColumns.same()
)

func rowOfGrant(g openflow.Grant) (grantRow, error) {
	r := grantRow{Party: string(g.Party), Kind: string(g.Kind)}
	switch {
	case g.Kind == openflow.GrantComponent && g.Name != "" && g.Table == openflow.TableName{}:
		r.Name = g.Name
		return r, nil
	case g.Kind == openflow.GrantTable && g.Name == "" && g.Table.Namespace != "" && g.Table.Name != "":
		r.Namespace, r.Name = g.Table.Namespace, g.Table.Name
		return r, nil
	}
	return r, openflow.Errorf(openflow.CodeInvalid, "grant to %s names neither one component nor one table", g.Party)
}

// AddGrant allows something to a peer. The same grant again changes nothing.
func (c *Catalogue) AddGrant(ctx context.Context, g openflow.Grant) error {
	r, err := rowOfGrant(g)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, insertGrant, grantColumns.values(r)...)
	return classify("add grant to "+string(g.Party), err)
}

// DeleteGrant takes a grant back. One that does not exist changes nothing.
func (c *Catalogue) DeleteGrant(ctx context.Context, g openflow.Grant) error {
	r, err := rowOfGrant(g)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, deleteGrant, grantColumns.values(r)...)
	return classify("delete grant to "+string(g.Party), err)
}

// Grants lists what a peer may use here, components first; with an empty party, what every peer may use.
func (c *Catalogue) Grants(ctx context.Context, p openflow.PartyID) ([]openflow.Grant, error) {
	w := &where{}
	w.equal("party", string(p))
	var grants []openflow.Grant
	err := c.each(ctx, `select `+grantColumns.names+` from access_grant`+w.String()+` order by party, kind, namespace, name`,
		w.args, func(from row) error {
			r, err := grantColumns.scan(from)
			g := openflow.Grant{Party: openflow.PartyID(r.Party), Kind: openflow.GrantKind(r.Kind)}
			if g.Kind == openflow.GrantTable {
				g.Table = openflow.TableName{Namespace: r.Namespace, Name: r.Name}
			} else {
				g.Name = r.Name
			}
			grants = append(grants, g)
			return err
		})
	return grants, classify("list grants", err)
}

// Granted checks that a peer may use all these components and tables. CodePermission names everything that is missing
// and the command that allows it.
func (c *Catalogue) Granted(ctx context.Context, p openflow.PartyID, components []string, tables []openflow.TableName) error {
	if len(components) == 0 && len(tables) == 0 {
		return nil
	}
	grants, err := c.Grants(ctx, p)
	if err != nil {
		return err
	}
	has := func(want openflow.Grant) bool { return slices.Contains(grants, want) }
	all := has(openflow.Grant{Party: p, Kind: openflow.GrantComponent, Name: "*"})
	var missing, flags []string
	for _, name := range components {
		if !all && !has(openflow.Grant{Party: p, Kind: openflow.GrantComponent, Name: name}) && !slices.Contains(missing, "component "+name) {
			missing, flags = append(missing, "component "+name), append(flags, "--component "+name)
		}
	}
	for _, t := range tables {
		if !has(openflow.Grant{Party: p, Kind: openflow.GrantTable, Table: t}) && !slices.Contains(missing, "table "+t.String()) {
			missing, flags = append(missing, "table "+t.String()), append(flags, "--table "+t.String())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "party %s may not use here: %s", p, strings.Join(missing, ", ")).
		WithHint("correct the name in the job; or, to allow it, the operator of this site runs: openflow grant add %s %s", p, strings.Join(flags, " "))
}
