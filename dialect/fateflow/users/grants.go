package users

import (
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

// grants are those of the body, each of one thing: FATE-Flow takes them back one by one.
func (g Granting) grants() ([]openflow.Grant, error) {
	party := openflow.PartyID(g.PartyID)
	if err := openflow.CheckIdentifier("party_id", string(party)); err != nil {
		return nil, err
	}
	var grants []openflow.Grant
	for _, name := range strings.Split(g.Component, ",") {
		if name = strings.TrimSpace(name); name != "" {
			grants = append(grants, openflow.Grant{Kind: openflow.GrantUse, Initiator: party, Components: []openflow.GrantedComponent{{Name: name}}})
		}
	}
	for _, d := range g.Dataset {
		grants = append(grants, openflow.Grant{Kind: openflow.GrantUse, Initiator: party, Tables: []openflow.GrantedTable{{Name: openflow.TableName(d)}}})
	}
	if len(grants) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "name a component or a dataset")
	}
	for _, one := range grants {
		if err := one.Check(); err != nil {
			return nil, err
		}
	}
	return grants, nil
}

// entry is that a party may initiate and schedule jobs here. FATE-Flow has no words for it: whom its operator grants a
// resource, that party's jobs are meant to run. So it comes with the first resource, and goes with the last.
func entry(party openflow.PartyID) []openflow.Grant {
	return []openflow.Grant{{Kind: openflow.GrantInitiate, Initiator: party}, {Kind: openflow.GrantSchedule, Scheduler: party}}
}

func (a *api) grant(r *http.Request) (any, error) {
	var b Granting
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	grants, err := b.grants()
	if err != nil {
		return nil, err
	}
	_, err = a.AddGrants(r, append(grants, entry(openflow.PartyID(b.PartyID))...))
	return nil, openflow.About(openflow.AboutGrant, err)
}

// revoke takes back grants of one thing. What was not granted is passed over.
func (a *api) revoke(r *http.Request) (any, error) {
	var b Granting
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	wanted, err := b.grants()
	if err != nil {
		return nil, err
	}
	party := openflow.PartyID(b.PartyID)
	have, err := a.Catalogue.Grants(r.Context(), party)
	if err != nil {
		return nil, err
	}
	var gone []openflow.GrantID
	for _, w := range wanted {
		for _, h := range have {
			switch {
			case plain(h, w):
				gone = append(gone, h.ID)
			case gives(h, w):
				return nil, openflow.Errorf(openflow.CodeConflict, "grant %s gives that together with more: %s", h.ID, h).
					WithHint("take all of it back with openflow grant remove %s", h.ID)
			}
		}
	}
	left := slices.DeleteFunc(slices.Clone(have), func(g openflow.Grant) bool { return slices.Contains(gone, g.ID) })
	if !slices.ContainsFunc(left, func(g openflow.Grant) bool { return g.Kind == openflow.GrantUse }) {
		for _, h := range left {
			if slices.ContainsFunc(entry(party), func(e openflow.Grant) bool { return plain(h, e) }) {
				gone = append(gone, h.ID)
			}
		}
	}
	for _, id := range gone {
		if _, err := a.RemoveGrant(r, id); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// plain reports whether a grant says just what FATE-Flow's words say.
func plain(g, wanted openflow.Grant) bool {
	return g.Kind == wanted.Kind && g.Initiator == wanted.Initiator && g.Scheduler == wanted.Scheduler && g.Purpose == "" && g.Uses == 0 && g.Until.IsZero() &&
		len(g.Models)+len(g.Partners)+len(g.Limits) == 0 && slices.Equal(g.Components, wanted.Components) &&
		slices.EqualFunc(g.Tables, wanted.Tables, func(a, b openflow.GrantedTable) bool { return a.Name == b.Name && len(a.Columns)+len(b.Columns) == 0 })
}

// gives reports whether a grant gives the one thing that is wanted back.
func gives(g, wanted openflow.Grant) bool {
	return slices.ContainsFunc(g.Components, func(c openflow.GrantedComponent) bool {
		return slices.ContainsFunc(wanted.Components, func(w openflow.GrantedComponent) bool { return w.Name == c.Name })
	}) || slices.ContainsFunc(g.Tables, func(t openflow.GrantedTable) bool {
		return slices.ContainsFunc(wanted.Tables, func(w openflow.GrantedTable) bool { return w.Name == t.Name })
	})
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
	grants, err := a.Catalogue.Grants(r.Context(), openflow.PartyID(v[0]))
	out := granted{Component: []string{}, Dataset: []Dataset{}}
	for _, g := range grants {
		for _, c := range g.Components {
			if !slices.Contains(out.Component, c.Name) {
				out.Component = append(out.Component, c.Name)
			}
		}
		for _, t := range g.Tables {
			if d := Dataset(t.Name); !slices.Contains(out.Dataset, d) {
				out.Dataset = append(out.Dataset, d)
			}
		}
	}
	return out, err
}
