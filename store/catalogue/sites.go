package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
)

// SaveSite records a peer, replacing what was known of it; AddedAt stays the first time.
func (c *Catalogue) SaveSite(ctx context.Context, s openflow.SiteRecord) error {
	if err := openflow.CheckIdentifier("party_id", string(s.Party)); err != nil {
		return err
	}
	keys, err := encode("the keys of site "+string(s.Party), s.Keys)
	if err != nil {
		return err
	}
	_, err = c.exec(ctx, `insert into site (party, url, dialect, dialect_version, profile, added_at, keys)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (party) do update set url = excluded.url, dialect = excluded.dialect,
			dialect_version = excluded.dialect_version, profile = excluded.profile, keys = excluded.keys`,
		string(s.Party), s.URL, string(s.Dialect), s.Version, s.Profile, orNow(s.AddedAt, c.stamp()), keys)
	return classify("save site "+string(s.Party), err)
}

func scanSite(r row) (openflow.SiteRecord, error) {
	var s openflow.SiteRecord
	var added int64
	var keys string
	if err := r.Scan(&s.Party, &s.URL, &s.Dialect, &s.Version, &s.Profile, &added, &keys); err != nil {
		return s, err
	}
	s.AddedAt = timeOf(added)
	return s, decode("site "+string(s.Party), keys, &s.Keys)
}

// Site returns a peer; CodeNotFound if it is not known.
func (c *Catalogue) Site(ctx context.Context, p openflow.PartyID) (openflow.SiteRecord, error) {
	s, err := scanSite(c.one(ctx, `select party, url, dialect, dialect_version, profile, added_at, keys from site where party = $1`, string(p)))
	if errors.Is(err, sql.ErrNoRows) {
		return s, openflow.Errorf(openflow.CodeNotFound, "site %s is not known here", p).
			WithHint("exchange keys once: openflow site add %s --url URL --key KEY", p)
	}
	return s, classify("read site "+string(p), err)
}

// Sites lists the peers by party ID.
func (c *Catalogue) Sites(ctx context.Context) ([]openflow.SiteRecord, error) {
	var sites []openflow.SiteRecord
	err := c.each(ctx, `select party, url, dialect, dialect_version, profile, added_at, keys from site order by party`, nil, func(r row) error {
		s, err := scanSite(r)
		sites = append(sites, s)
		return err
	})
	return sites, classify("list sites", err)
}

// DeleteSite forgets a peer and everything granted to it. A peer that is not known is CodeNotFound.
func (c *Catalogue) DeleteSite(ctx context.Context, p openflow.PartyID) error {
	err := c.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `delete from site where party = $1`, string(p))
		if err == nil && n == 0 {
			return notFound("site %s is not known here", p)
		}
		if err == nil {
			_, err = t.exec(ctx, `delete from access_grant where party = $1`, string(p))
		}
		return err
	})
	return classify("delete site "+string(p), err)
}
