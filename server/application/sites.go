package application

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// siteInfo names the party of this node.
//
// Spec: fate-flow-api §1.10.
func (a *API) siteInfo(*http.Request) (any, error) {
	return map[string]openflow.PartyID{"party_id": a.About().Party}, nil
}

// serverInfo is what the FATE client asks for to see that the server is there.
//
// Spec: fate-flow-api §1.9 #43.
func (a *API) serverInfo(*http.Request) (any, error) {
	about := a.About()
	id := "flow-" + string(about.Party)
	return map[string]any{id: map[string]any{
		"instance_id": id, "timestamp": about.Started.UnixMilli(), "version": about.Version, "host": about.Host,
		"grpc_port": 0, "http_port": about.Port,
	}}, nil
}

// AboutNode is the data of /v2/server/about.
type AboutNode struct {
	PartyID    string   `json:"party_id"`
	Version    string   `json:"version"`
	Runtime    string   `json:"runtime"`
	TemporalUI string   `json:"temporal_ui"`
	PublicKey  string   `json:"public_key"`
	Durability string   `json:"durability"`
	StartTime  *int64   `json:"start_time"`
	Warnings   []string `json:"warnings,omitempty"`
}

func (a *API) about(*http.Request) (any, error) {
	b := a.About()
	return AboutNode{
		PartyID: string(b.Party), Version: b.Version, Runtime: b.Runtime, TemporalUI: b.TemporalUI, PublicKey: b.PublicKey,
		Durability: b.Durability, StartTime: wire.Millis(b.Started), Warnings: b.Warnings,
	}, nil
}

// Finding is one line of /v2/server/doctor.
type Finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn or FAIL
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// examine looks at everything that can be wrong with this node. It takes as long as the slowest peer.
func (a *API) examine(r *http.Request) (any, error) {
	list := []Finding{}
	for _, f := range a.Examine(r.Context()) {
		list = append(list, Finding{Name: f.Check, Status: string(f.Verdict), Detail: f.Detail, Remedy: f.Remedy})
	}
	return list, nil
}

// Site is a peer as the application layer shows it.
type Site struct {
	PartyID wire.Text `json:"party_id" check:"required"`
	URL     string    `json:"url,omitempty"`
	Keys    []string  `json:"keys,omitempty"`
	Key     string    `json:"key,omitempty"`   // in requests: the one key
	Final   bool      `json:"final,omitempty"` // in rotate: forget the older keys now
	AddedAt *int64    `json:"added_at,omitempty"`
	Dialect string    `json:"dialect,omitempty"` // which the peer speaks; in requests empty for nodes of openflow
	Version string    `json:"version,omitempty"` // of the dialect
	Profile string    `json:"profile,omitempty"` // of the dialect
}

func (a *API) listSites(r *http.Request) (any, error) {
	sites, err := a.Catalogue.Sites(r.Context())
	out := make([]Site, 0, len(sites))
	for _, s := range sites {
		out = append(out, Site{PartyID: wire.Text(s.Party), URL: s.URL, Keys: s.Keys, AddedAt: wire.Millis(s.AddedAt), Dialect: string(s.Dialect), Version: s.Version, Profile: s.Profile})
	}
	return out, err
}

// heardOf is how long the silent workers of the pool are still listed.
const heardOf = 24 * time.Hour

func (a *API) listWorkers(r *http.Request) (any, error) {
	list, err := a.Catalogue.Workers(r.Context(), time.Now().Add(-heardOf))
	out := make([]wire.Worker, len(list))
	for i, w := range list {
		out[i] = wire.EncodeWorker(w)
	}
	return out, err
}

// checkSite tells whether a peer answers this node and knows its key: a failure is an error with the peer's name.
func (a *API) checkSite(r *http.Request) (any, error) {
	v, err := required(r, "party_id")
	if err != nil {
		return nil, err
	}
	return nil, openflow.About(openflow.AboutSite, a.Sites.CheckSite(r.Context(), openflow.PartyID(v[0])))
}

// HeardRow is one entry of /v2/site/probe.
type HeardRow struct {
	Dialect  string `json:"dialect"`
	Version  string `json:"version"`
	Speaks   bool   `json:"speaks"`
	Recorded bool   `json:"recorded"`
	Error    string `json:"error,omitempty"`
}

// probeSite tries every dialect on a peer.
func (a *API) probeSite(r *http.Request) (any, error) {
	v, err := required(r, "party_id")
	if err != nil {
		return nil, err
	}
	list, err := a.Sites.ProbeSite(r.Context(), openflow.PartyID(v[0]))
	rows := make([]HeardRow, len(list))
	for i, h := range list {
		rows[i] = HeardRow{Dialect: string(h.Dialect), Version: h.Version, Speaks: h.Err == nil, Recorded: h.Recorded}
		if h.Err != nil {
			rows[i].Error = openflow.FirstLine(h.Err.Error())
		}
	}
	return rows, openflow.About(openflow.AboutSite, err)
}

// maxURL is how many bytes the address of a peer may have.
const maxURL = 2 << 10

func (a *API) site(r *http.Request, do func(Site) error) (any, error) {
	var b Site
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	if err := openflow.CheckIdentifier("party_id", string(b.PartyID)); err != nil {
		return nil, err
	}
	if err := wire.CheckText("address", b.URL, maxURL); err != nil {
		return nil, openflow.About(openflow.AboutSite, err)
	}
	if err := do(b); err != nil {
		return nil, openflow.About(openflow.AboutSite, err)
	}
	return nil, a.audit(r, "site", string(b.PartyID)+" "+b.URL+" "+b.Key)
}

func (a *API) addSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error {
		return a.Sites.AddSite(r.Context(), openflow.SiteRecord{
			Party: openflow.PartyID(b.PartyID), URL: b.URL, Keys: []string{b.Key}, Dialect: openflow.Dialect(b.Dialect),
			Version: b.Version, Profile: b.Profile,
		})
	})
}

func (a *API) removeSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error { return a.Sites.RemoveSite(r.Context(), openflow.PartyID(b.PartyID)) })
}

func (a *API) rotateSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error {
		return a.Sites.RotateSite(r.Context(), openflow.PartyID(b.PartyID), b.Key, b.Final)
	})
}

// maxSubject is how many bytes an event of the audit tells of what it is about: every name that has an effect fits.
const maxSubject = 4 << 10

// audit keeps who changed what: "site/add", "grant/delete".
func (a *API) audit(r *http.Request, what, subject string) error {
	return a.Catalogue.AppendAudit(r.Context(), openflow.AuditEvent{
		Actor: "user " + r.Header.Get(wire.UserHeader), Action: what + "/" + path.Base(r.URL.Path), Subject: openflow.Cut(subject, maxSubject),
	})
}

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
func (a *API) eachGrant(r *http.Request, check, do func(context.Context, openflow.Grant) error) (any, error) {
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
		if err := a.audit(r, "grant", string(g.Party)+" "+g.Name+" "+g.Table.String()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (a *API) grant(r *http.Request) (any, error) {
	return a.eachGrant(r, a.known, a.Catalogue.AddGrant)
}

// known refuses a grant that can have no effect: to a party that is no peer, or of a component that is not here.
func (a *API) known(ctx context.Context, g openflow.Grant) error {
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
	if has := a.Components(); !slices.Contains(has, g.Name) {
		return openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", g.Name).
			WithHint("it has: %s", strings.Join(has, ", "))
	}
	return nil
}

func (a *API) revoke(r *http.Request) (any, error) {
	all := func(context.Context, openflow.Grant) error { return nil }
	return a.eachGrant(r, all, a.Catalogue.DeleteGrant)
}

type granted struct {
	PartyID   string    `json:"party_id,omitempty"`
	Component []string  `json:"component"`
	Dataset   []Dataset `json:"dataset"`
}

func (a *API) grants(r *http.Request) (any, error) {
	v, err := required(r, "party_id")
	if err != nil {
		return nil, err
	}
	return a.grantsOf(r, openflow.PartyID(v[0]))
}

func (a *API) grantsOf(r *http.Request, p openflow.PartyID) (granted, error) {
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

// listGrants shows the grants of all peers.
func (a *API) listGrants(r *http.Request) (any, error) {
	sites, err := a.Catalogue.Sites(r.Context())
	out := []granted{}
	for _, s := range sites {
		g, err := a.grantsOf(r, s.Party)
		if err != nil {
			return nil, err
		}
		g.PartyID = string(s.Party)
		out = append(out, g)
	}
	return out, err
}
