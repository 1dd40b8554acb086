package application

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// AddGrants makes grants, all or none of them being such as can have an effect. It returns them as they are kept. Errors:
// CodeInvalid (one says nothing, is to a party that is no peer, or of a component that is not here).
func (s *Site) AddGrants(r *http.Request, grants []openflow.Grant) ([]openflow.Grant, error) {
	if len(grants) == 0 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "no grant is named")
	}
	for _, g := range grants {
		if err := s.effective(r.Context(), g); err != nil {
			return nil, err
		}
	}
	made := make([]openflow.Grant, len(grants))
	for i, g := range grants {
		var err error
		g.By = user(r)
		if made[i], err = s.Catalogue.AddGrant(r.Context(), g); err != nil {
			return nil, err
		}
		if err := s.granted(r, made[i]); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// RemoveGrant takes a grant back, and returns it. Errors: CodeNotFound.
func (s *Site) RemoveGrant(r *http.Request, id openflow.GrantID) (openflow.Grant, error) {
	g, err := s.Catalogue.DeleteGrant(r.Context(), id)
	if err != nil {
		return g, err
	}
	return g, s.granted(r, g)
}

// granted records a change of grants, by the name of the route that makes it.
func (s *Site) granted(r *http.Request, g openflow.Grant) error {
	return s.audit(r, "grant", openflow.AuditEvent{
		Subject: strings.TrimSpace(string(g.Initiator) + " " + string(g.Scheduler)), Detail: g.String(), Grants: []openflow.GrantID{g.ID},
	})
}

// effective refuses a grant that can have no effect.
func (s *Site) effective(ctx context.Context, g openflow.Grant) error {
	if err := g.Check(); err != nil {
		return err
	}
	for _, p := range []openflow.PartyID{g.Initiator, g.Scheduler} {
		if p == "" || p == s.About().Party {
			continue
		}
		if err := s.peer(ctx, p); err != nil {
			return err
		}
	}
	has, err := s.Providers.Names(ctx)
	if err != nil {
		return err
	}
	for _, c := range g.Components {
		if c.Name != openflow.AllComponents && !slices.Contains(has, c.Name) {
			return openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", c.Name).WithHint("it has: %s", strings.Join(has, ", "))
		}
	}
	return nil
}

func (s *Site) peer(ctx context.Context, p openflow.PartyID) error {
	_, err := s.Catalogue.Site(ctx, p)
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	sites, err := s.Catalogue.Sites(ctx)
	if err != nil {
		return err
	}
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = string(s.Party)
	}
	return openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeInvalid, "party %s is not known here", p).
		WithHint("the parties known here are: %s; register another first with openflow site add", strings.Join(names, ", ")))
}

func user(r *http.Request) string { return "user " + r.Header.Get(wire.UserHeader) }
