package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"openflow"
)

// siteRow is a row of the table site.
type siteRow struct {
	Party   string `db:"party"`
	URL     string `db:"url"`
	Dialect string `db:"dialect"`
	Version string `db:"dialect_version"`
	Profile string `db:"profile"`
	AddedAt int64  `db:"added_at" fieldtag:"first"`
	// Unsigned jobs are taken of it.
	Unsigned bool   `db:"unsigned"`
	Keys     string `db:"keys"` // JSON
	Plain    bool   `db:"plain"`
	Sources  string `db:"sources"` // JSON
	Way      string `db:"way"`
}

var (
	siteColumns = columnsOf[siteRow]()
	saveSite    = siteColumns.save("site", "party")
	readSite    = `select ` + siteColumns.names + ` from site where party = $1`
)

// SaveSite records a peer, replacing what was known of it; AddedAt stays the first time.
func (c *Catalogue) SaveSite(ctx context.Context, s openflow.SiteRecord) error {
	if err := openflow.CheckIdentifier("party_id", string(s.Party)); err != nil {
		return err
	}
	_, err := c.ChangeSite(ctx, s.Party, func(openflow.SiteRecord, bool) (openflow.SiteRecord, error) { return s, nil })
	return err
}

// ChangeSite records what change makes of a peer, whose record it is given; known tells whether there is one. Nobody else changes
// it meanwhile. It may be asked twice, and what it fails with comes through, with nothing changed.
func (c *Catalogue) ChangeSite(
	ctx context.Context, p openflow.PartyID, change func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error),
) (openflow.SiteRecord, error) {
	var s openflow.SiteRecord
	err := c.write(ctx, func(t *tx) error {
		have, err := scanSite(t.one(ctx, readSite, string(p)))
		known := !errors.Is(err, sql.ErrNoRows)
		if err != nil && known {
			return err
		}
		if s, err = change(have, known); err != nil {
			return err
		}
		keys, err := encode("the keys of site "+string(p), s.Keys)
		if err != nil {
			return err
		}
		sources := ""
		if len(s.Sources) > 0 {
			if sources, err = encode("the sources of site "+string(p), s.Sources); err != nil {
				return err
			}
		}
		_, err = t.exec(ctx, saveSite, siteColumns.values(siteRow{
			Party: string(p), URL: s.URL, Dialect: string(s.Dialect), Version: s.Version, Profile: s.Profile,
			AddedAt: orNow(s.AddedAt, c.stamp()), Unsigned: s.Unsigned, Keys: keys, Plain: s.Plain, Sources: sources,
			Way: string(s.Way),
		})...)
		if err == nil && !known {
			_, err = t.exec(ctx, `delete from meta where name = $1`, removed(p))
		}
		return err
	})
	return s, classify("save site "+string(p), err)
}

func scanSite(from row) (openflow.SiteRecord, error) {
	r, err := siteColumns.scan(from)
	if err != nil {
		return openflow.SiteRecord{}, err
	}
	s := openflow.SiteRecord{
		Party: openflow.PartyID(r.Party), URL: r.URL, Dialect: openflow.Dialect(r.Dialect), Version: r.Version, Profile: r.Profile,
		AddedAt: timeOf(r.AddedAt), Unsigned: r.Unsigned, Plain: r.Plain, Way: openflow.PeerWay(r.Way),
	}
	if r.Sources != "" {
		if err := decode("the sources of site "+r.Party, r.Sources, &s.Sources); err != nil {
			return s, err
		}
	}
	return s, decode("site "+r.Party, r.Keys, &s.Keys)
}

// SiteRemoved is when a party was removed that has not been a peer since; zero: never.
func (c *Catalogue) SiteRemoved(ctx context.Context, p openflow.PartyID) (time.Time, error) {
	text, err := c.Meta(ctx, removed(p))
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, openflow.Errorf(openflow.CodeInternal, "%s: %w", removed(p), err)
	}
	return at, nil
}

// removed names the fact that a peer was removed.
func removed(p openflow.PartyID) string { return "the removal of site " + string(p) }

// Site returns a peer; CodeNotFound if it is not known.
func (c *Catalogue) Site(ctx context.Context, p openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := scanSite(c.one(ctx, readSite, string(p)))
	if errors.Is(err, sql.ErrNoRows) {
		return s, openflow.Errorf(openflow.CodeNotFound, "site %s is not known here", p).
			WithHint("exchange keys once: openflow site add %s --url URL --key KEY", p)
	}
	return s, classify("read site "+string(p), err)
}

// Sites lists the peers by party ID.
func (c *Catalogue) Sites(ctx context.Context) ([]openflow.SiteRecord, error) {
	return c.sites(ctx, "")
}

// SitesWithSources lists those of which unsigned requests are taken.
func (c *Catalogue) SitesWithSources(ctx context.Context) ([]openflow.SiteRecord, error) {
	return c.sites(ctx, ` where sources <> ''`)
}

func (c *Catalogue) sites(ctx context.Context, where string) ([]openflow.SiteRecord, error) {
	var sites []openflow.SiteRecord
	err := c.each(ctx, `select `+siteColumns.names+` from site`+where+` order by party`, nil, func(r row) error {
		s, err := scanSite(r)
		sites = append(sites, s)
		return err
	})
	return sites, classify("list sites", err)
}

// SiteByKey returns the peer that has that key; CodeNotFound if nobody has it. The text of a key needs no escape in JSON. What
// the pattern finds besides, such as a key that differs in its case, is compared and left out.
func (c *Catalogue) SiteByKey(ctx context.Context, key string) (found openflow.SiteRecord, err error) {
	err = c.each(ctx, `select `+siteColumns.names+` from site where keys like $1 order by party`, []any{`%"` + key + `"%`}, func(r row) error {
		s, err := scanSite(r)
		if err == nil && found.Party == "" && slices.Contains(s.Keys, key) {
			found = s
		}
		return err
	})
	if err == nil && found.Party == "" {
		return found, notFound("no peer has this key")
	}
	return found, classify("find the site of a key", err)
}

// DeleteSite forgets a peer with its apps and everything granted to it, and keeps that it was removed. A peer that is not known is
// CodeNotFound.
func (c *Catalogue) DeleteSite(ctx context.Context, p openflow.PartyID) error {
	err := c.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `delete from site where party = $1`, string(p))
		if err == nil && n == 0 {
			return notFound("site %s is not known here", p)
		}
		if err == nil {
			_, err = t.exec(ctx, `delete from access_grant where initiator = $1 or scheduler = $1`, string(p))
		}
		if err == nil {
			_, err = t.exec(ctx, deleteQuota, string(p))
		}
		if err == nil {
			_, err = t.exec(ctx, deleteAppsOf, string(p))
		}
		if err == nil {
			_, err = t.exec(ctx, saveMeta, metaColumns.values(metaRow{removed(p), timeOf(c.stamp()).UTC().Format(time.RFC3339)})...)
		}
		return err
	})
	return classify("delete site "+string(p), err)
}
