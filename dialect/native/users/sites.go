package users

import (
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// AboutNode is the data of /openflow/v1/user/server/about.
type AboutNode struct {
	PartyID    string   `json:"party_id"`
	Version    string   `json:"version"`
	Runtime    string   `json:"runtime"`
	TemporalUI string   `json:"temporal_ui"`
	PublicKey  string   `json:"public_key"`
	Durability string   `json:"durability"`
	StartTime  *int64   `json:"start_time"`
	Warnings   []string `json:"warnings,omitempty"`
	GrantAll   bool     `json:"grant_all,omitempty"` // peers need no grants
}

func (a *api) about(*http.Request) (any, error) {
	b := a.About()
	return AboutNode{
		PartyID: string(b.Party), Version: b.Version, Runtime: b.Runtime, TemporalUI: b.TemporalUI, PublicKey: b.PublicKey,
		Durability: b.Durability, StartTime: wire.Millis(b.Started), Warnings: b.Warnings, GrantAll: b.GrantAll,
	}, nil
}

// Finding is one line of /openflow/v1/user/server/doctor.
type Finding struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn or FAIL
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// examine looks at everything that can be wrong with this node. It takes as long as the slowest peer.
func (a *api) examine(r *http.Request) (any, error) {
	return encodeFindings(a.Examine(r.Context())), nil
}

func encodeFindings(found []openflow.Finding) []Finding {
	list := make([]Finding, len(found))
	for i, f := range found {
		list[i] = Finding{Name: f.Check, Status: string(f.Verdict), Detail: f.Detail, Remedy: f.Remedy}
	}
	return list
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
	Plain   bool      `json:"plain,omitempty"`   // it may be called without TLS, wherever it is
	Way     string    `json:"way,omitempty"`     // how calls get to it; in requests empty for what the record says
	Trust   string    `json:"trust,omitempty"`   // in answers: how it proves who calls, see openflow.Trust
	// Unsigned jobs are taken of it; in requests absent for what the record says.
	Unsigned *bool `json:"unsigned,omitempty"`
	// UnsignedFrom is from where unsigned requests are taken of it, and the jobs that they bring; in requests absent for what the
	// record says.
	UnsignedFrom *[]string `json:"unsigned_from,omitempty"`

	Limits *wire.Quota   `json:"limits,omitempty"` // what it may use; in requests, what is said of it alone
	Said   *wire.Quota   `json:"said,omitempty"`   // of Limits, what is not the site's rule for all peers
	Uses   *wire.PeerUse `json:"uses,omitempty"`
}

func (a *api) listSites(r *http.Request) (any, error) {
	sites, err := a.Catalogue.Sites(r.Context())
	out := make([]Site, 0, len(sites))
	for _, s := range sites {
		from := append([]string{}, s.Sources...)
		said, holds, use, err := a.Sites.LimitsOf(r.Context(), s.Party)
		if err != nil {
			return nil, openflow.About(openflow.AboutSite, err)
		}
		out = append(out, Site{
			PartyID: wire.Text(s.Party), URL: s.URL, Keys: s.Keys, AddedAt: wire.Millis(s.AddedAt), Dialect: string(s.Dialect), Version: s.Version,
			Profile: s.Profile, Plain: s.Plain, Unsigned: &s.Unsigned, UnsignedFrom: &from,
			Way: s.Way.String(), Trust: string(s.Trust()),
			Limits: wire.EncodeQuota(holds), Said: wire.EncodeQuota(said), Uses: wire.EncodePeerUse(use),
		})
	}
	return out, err
}

// limitSite says what a peer may use.
func (a *api) limitSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error {
		if b.Limits == nil {
			return openflow.Errorf(openflow.CodeInvalid, "invalid request: missing limits")
		}
		return a.Sites.LimitSite(r.Context(), openflow.PartyID(b.PartyID), b.Limits.Decode())
	})
}

// heardOf is how long the silent workers of the pool are still listed.
const heardOf = 24 * time.Hour

func (a *api) listWorkers(r *http.Request) (any, error) {
	list, err := a.Catalogue.Workers(r.Context(), time.Now().Add(-heardOf))
	out := make([]wire.Worker, len(list))
	for i, w := range list {
		out[i] = wire.EncodeWorker(w)
	}
	return out, err
}

// checkSite tells whether a peer answers this node and knows its key: a failure is an error with the peer's name.
func (a *api) checkSite(r *http.Request) (any, error) {
	v, err := reply.Required(r, "party_id")
	if err != nil {
		return nil, err
	}
	return nil, openflow.About(openflow.AboutSite, a.Sites.CheckSite(r.Context(), openflow.PartyID(v[0])))
}

// HeardRow is one entry of /openflow/v1/user/site/probe.
type HeardRow struct {
	Dialect  string `json:"dialect"`
	Version  string `json:"version"`
	Profile  string `json:"profile"`
	Speaks   bool   `json:"speaks"`
	Recorded bool   `json:"recorded"`
	Error    string `json:"error,omitempty"`
}

// probeSite tries every dialect on a peer.
func (a *api) probeSite(r *http.Request) (any, error) {
	v, err := reply.Required(r, "party_id")
	if err != nil {
		return nil, err
	}
	list, err := a.Sites.ProbeSite(r.Context(), openflow.PartyID(v[0]))
	rows := make([]HeardRow, len(list))
	for i, h := range list {
		rows[i] = HeardRow{Dialect: string(h.Dialect), Version: h.Version, Profile: h.Profile, Speaks: h.Err == nil, Recorded: h.Recorded}
		if h.Err != nil {
			rows[i].Error = openflow.FirstLine(h.Err.Error())
		}
	}
	return rows, openflow.About(openflow.AboutSite, err)
}

// maxURL is how many bytes the address of a peer may have.
const maxURL = 2 << 10

func (a *api) site(r *http.Request, do func(Site) error) (any, error) {
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
	before, err := a.recorded(r, b)
	if err != nil {
		return nil, openflow.About(openflow.AboutSite, err)
	}
	failed := openflow.About(openflow.AboutSite, do(b))
	after, err := a.recorded(r, b)
	changes := ""
	if err == nil { // or else it would seem that all was taken away
		changes = before.Changes(after)
	}
	if failed == nil || err == nil && changes != "" { // what was changed is told also where not all could be done
		subject := strings.TrimRight(string(b.PartyID)+" "+b.URL+" "+b.Key+" "+b.Limits.String(), " ")
		err = errors.Join(err, a.AuditChange(r, "site", subject, changes))
	}
	return nil, cmp.Or(failed, err)
}

// recorded is what this site has of a peer; nothing of a party that is none.
func (a *api) recorded(r *http.Request, b Site) (openflow.SiteRecord, error) {
	s, err := a.Catalogue.Site(r.Context(), openflow.PartyID(b.PartyID))
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = nil
	}
	return s, err
}

func (a *api) addSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error {
		id := openflow.PartyID(b.PartyID)
		record := openflow.SiteRecord{
			Party: id, URL: b.URL, Keys: []string{b.Key}, Dialect: openflow.Dialect(b.Dialect), Version: b.Version, Profile: b.Profile,
			Plain: b.Plain, Way: openflow.PeerWay(b.Way),
		}
		if b.UnsignedFrom != nil {
			record.Sources = append([]string{}, *b.UnsignedFrom...)
		}
		err := a.Sites.AddSite(r.Context(), record)
		if err != nil || b.Unsigned == nil {
			return err
		}
		return a.Sites.TakeUnsigned(r.Context(), id, *b.Unsigned)
	})
}

func (a *api) removeSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error { return a.Sites.RemoveSite(r.Context(), openflow.PartyID(b.PartyID)) })
}

func (a *api) rotateSite(r *http.Request) (any, error) {
	return a.site(r, func(b Site) error {
		return a.Sites.RotateSite(r.Context(), openflow.PartyID(b.PartyID), b.Key, b.Final)
	})
}
