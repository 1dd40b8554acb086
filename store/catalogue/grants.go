package catalogue

import (
	"context"
	"slices"
	"strings"

	"openflow"
)

func grantKey(g openflow.Grant) (namespace, name string, err error) {
	switch {
	case g.Kind == openflow.GrantComponent && g.Name != "" && g.Table == openflow.TableName{}:
		return "", g.Name, nil
	case g.Kind == openflow.GrantTable && g.Name == "" && g.Table.Namespace != "" && g.Table.Name != "":
		return g.Table.Namespace, g.Table.Name, nil
	}
	return "", "", openflow.Errorf(openflow.CodeInvalid, "grant to %s names neither one component nor one table", g.Party)
}

// AddGrant allows something to a peer. The same grant again changes nothing.
func (c *Catalogue) AddGrant(ctx context.Context, g openflow.Grant) error {
	namespace, name, err := grantKey(g)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `insert into access_grant (party, kind, namespace, name) values ($1, $2, $3, $4) on conflict do nothing`,
		string(g.Party), string(g.Kind), namespace, name)
	return classify("add grant to "+string(g.Party), err)
}

// DeleteGrant takes a grant back. One that does not exist changes nothing.
func (c *Catalogue) DeleteGrant(ctx context.Context, g openflow.Grant) error {
	namespace, name, err := grantKey(g)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `delete from access_grant where party = $1 and kind = $2 and namespace = $3 and name = $4`,
		string(g.Party), string(g.Kind), namespace, name)
	return classify("delete grant to "+string(g.Party), err)
}

// Grants lists what a peer may use here, components first; with an empty party, what every peer may use.
func (c *Catalogue) Grants(ctx context.Context, p openflow.PartyID) ([]openflow.Grant, error) {
	w := &where{}
	w.equal("party", string(p))
	var grants []openflow.Grant
	err := c.each(ctx, `select party, kind, namespace, name from access_grant`+w.String()+` order by party, kind, namespace, name`,
		w.args, func(r row) error {
			var g openflow.Grant
			var namespace, name string
			err := r.Scan(&g.Party, &g.Kind, &namespace, &name)
			if g.Kind == openflow.GrantTable {
				g.Table = openflow.TableName{Namespace: namespace, Name: name}
			} else {
				g.Name = name
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
		WithHint("correct the name in the job; or, to allow it, the operator of the site that refuses it runs: openflow grant add %s %s", p, strings.Join(flags, " "))
}
