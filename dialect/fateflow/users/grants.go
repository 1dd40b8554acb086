package users

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// Dataset names a table in a grant.
type Dataset struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Granting is the body of the three permission routes.
//
// Spec: fate-flow-api §1.12 #65.
type Granting struct {
	PartyID   wire.Text `json:"party_id" check:"required"`
	Component string    `json:"component"` // comma separated, or *
	Dataset   []Dataset `json:"dataset"`
}

func (g Granting) grants() ([]openflow.Grant, error) {
	party := openflow.PartyID(g.PartyID)
	if err := openflow.CheckIdentifier("party_id", string(party)); err != nil {
		return nil, err
	}
	var grants []openflow.Grant
	for _, name := range strings.Split(g.Component, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if name != "*" {
			if err := openflow.CheckIdentifier("component", name); err != nil {
				return nil, err
			}
		}
		grants = append(grants, openflow.Grant{Party: party, Kind: openflow.GrantComponent, Name: name})
	}
	for _, d := range g.Dataset {
		if err := openflow.TableName(d).Check(); err != nil {
			return nil, err
		}
		grants = append(grants, openflow.Grant{Party: party, Kind: openflow.GrantTable, Table: openflow.TableName(d)})
	}
	if len(grants) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "name a component or a dataset")
	}
	return grants, nil
}

// eachGrant does something with all grants of a request, once each of them has passed the check.
func (a *api) eachGrant(r *http.Request, check, do func(context.Context, openflow.Grant) error) (any, error) {
	var b Granting
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	grants, err := b.grants()
	if err != nil {
		return nil, err
	}
	for _, g := range grants {
		if err := check(r.Context(), g); err != nil {
			return nil, err
		}
	}
	for _, g := range grants {
		if err := do(r.Context(), g); err != nil {
			return nil, err
		}
		what := g.Name
		if g.Kind == openflow.GrantTable {
			what = g.Table.String()
		}
		if err := a.Audit(r, "grant", string(g.Party)+" "+what); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (a *api) grant(r *http.Request) (any, error) {
	return a.eachGrant(r, a.known, a.Catalogue.AddGrant)
}

// known refuses a grant that can have no effect: to a party that is no peer, or of a component that is not here.
func (a *api) known(ctx context.Context, g openflow.Grant) error {
	if _, err := a.Catalogue.Site(ctx, g.Party); openflow.CodeOf(err) == openflow.CodeNotFound {
		sites, err := a.Catalogue.Sites(ctx)
		if err != nil {
			return err
		}
		names := make([]string, len(sites))
		for i, s := range sites {
			names[i] = string(s.Party)
		}
		return openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeInvalid, "party %s is not known here", g.Party).
			WithHint("the parties known here are: %s; register another first with openflow site add", strings.Join(names, ", ")))
	} else if err != nil {
		return err
	}
	if g.Kind != openflow.GrantComponent || g.Name == "*" {
		return nil
	}
	has, err := a.Providers.Names(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(has, g.Name) {
		return openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", g.Name).
			WithHint("it has: %s", strings.Join(has, ", "))
	}
	return nil
}

func (a *api) revoke(r *http.Request) (any, error) {
	all := func(context.Context, openflow.Grant) error { return nil }
	return a.eachGrant(r, all, a.Catalogue.DeleteGrant)
}

type granted struct {
	PartyID   string    `json:"party_id,omitempty"`
	Component []string  `json:"component"`
	Dataset   []Dataset `json:"dataset"`
}

func (a *api) grants(r *http.Request) (any, error) {
	v, err := reply.Required(r, "party_id")
	if err != nil {
		return nil, err
	}
	return a.grantsOf(r, openflow.PartyID(v[0]))
}

func (a *api) grantsOf(r *http.Request, p openflow.PartyID) (granted, error) {
	grants, err := a.Catalogue.Grants(r.Context(), p)
	out := granted{Component: []string{}, Dataset: []Dataset{}}
	for _, g := range grants {
		if g.Kind == openflow.GrantComponent {
			out.Component = append(out.Component, g.Name)
			continue
		}
		out.Dataset = append(out.Dataset, Dataset(g.Table))
	}
	return out, err
}
