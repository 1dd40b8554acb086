package application

import (
	"context"
	"net"
	"net/http"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/origin"
	"openflow/store/catalogue"
)

// AddGrants makes grants, all or none of them being such as can have an effect. It returns them as they are kept. Errors:
// CodeInvalid (one says nothing, is over, is to a party that is no peer, or of a component, table or column that is not here).
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
		g.By = s.Who(r)
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
	if now := time.Now(); g.Expired(now) {
		return openflow.Errorf(openflow.CodeInvalid, "a grant until %s allows nothing: it is %s now", g.Until.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
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
	for _, t := range g.Tables {
		if err := s.grantable(ctx, t); err != nil {
			return openflow.About(openflow.AboutTable, err)
		}
	}
	return nil
}

// grantable refuses a table that is not here, or columns of which none can be cut out of it.
func (s *Site) grantable(ctx context.Context, t openflow.GrantedTable) error {
	rec, err := s.Catalogue.Table(ctx, t.Name)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return s.noTable(ctx, t.Name)
	case err != nil || len(t.Columns) == 0 || s.Columns == nil:
		return err
	}
	return s.Columns(ctx, rec, t.Columns)
}

// shownTables is how many tables a refusal names.
const shownTables = 20

func (s *Site) noTable(ctx context.Context, name openflow.TableName) error {
	tables, err := s.Catalogue.TableList(ctx, catalogue.TableFilter{SkipIntermediate: true, Limit: shownTables})
	if err != nil {
		return err
	}
	names := make([]string, len(tables))
	for i, t := range tables {
		names[i] = t.Name.String()
	}
	has := "there is none yet"
	if len(names) > 0 {
		has = "it has: " + strings.Join(names, ", ")
	}
	return openflow.Errorf(openflow.CodeInvalid, "no table %s at this site", name).WithHint("upload it first (openflow data upload); %s", has)
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

// Who is the user of a request, for the record: by the name that the program gives, and otherwise as what has let it in.
func (s *Site) Who(r *http.Request) string {
	if a, ok := AppOf(r); ok {
		return "app " + a.Name + " (" + string(a.ID) + ")"
	}
	if name := r.Header.Get(wire.UserHeader); name != "" {
		return "user " + name
	}
	if o := s.Access.owner(r); o.known && origin.Loopback(r.RemoteAddr) {
		uid := strconv.Itoa(o.uid)
		if known, err := user.LookupId(uid); err == nil {
			return "local user " + known.Username
		}
		return "local user " + uid
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	return "holder of the token at " + host
}
