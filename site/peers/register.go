package peers

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Peer is a partner that is known from the start.
type Peer struct {
	Party openflow.PartyID
	URL   string
	Key   string // public key, text form
	Plain bool   // its address may be without TLS, wherever it is
}

// Parse reads "ID=URL,KEY", or "ID=URL,KEY,plain" of a peer that may be called without TLS.
func Parse(s string) (Peer, error) {
	id, rest, ok := strings.Cut(s, "=")
	address, key, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 {
		return Peer{}, openflow.Errorf(openflow.CodeInvalid, "peer %q is not of the form ID=URL,KEY", s).
			WithHint("the other site prints its key with: openflow site key --home DIR")
	}
	key, plain := strings.CutSuffix(key, ",plain")
	p := Peer{Party: openflow.PartyID(id), URL: strings.TrimSuffix(address, "/"), Key: key, Plain: plain}
	return p, p.Check()
}

// Check refuses a party ID, address or key that cannot be one.
func (p Peer) Check() error {
	if err := openflow.CheckIdentifier("party ID of a peer", string(p.Party)); err != nil {
		return err
	}
	u, err := url.Parse(p.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		return openflow.Errorf(openflow.CodeInvalid, "peer %s: %q is not an http or https address", p.Party, p.URL).
			WithHint("write it like https://10.0.0.2:9390")
	}
	if _, err := trust.ParsePublicKey(p.Key); err != nil {
		return err
	}
	return secret(openflow.SiteRecord{Party: p.Party, URL: p.URL, Plain: p.Plain})
}

// Register is the list of peers, as an operator keeps it.
type Register struct {
	Self      openflow.PartyID
	Records   *catalogue.Catalogue
	Dialects  dialect.All    // that a record may name, the usual one first
	Directory *Directory     // for CheckSite
	Farewell  Farewell       // for RemoveSite
	Rule      openflow.Quota // of peers of which nothing is said
}

// LimitSite says what a peer may use, in place of what was said before.
func (r Register) LimitSite(ctx context.Context, id openflow.PartyID, q openflow.Quota) error {
	if _, err := r.Records.Site(ctx, id); err != nil {
		return err
	}
	return r.Records.SaveQuota(ctx, id, q)
}

// LimitsOf is what was said of a peer, what holds for it, and what it uses.
func (r Register) LimitsOf(ctx context.Context, id openflow.PartyID) (said, holds openflow.Quota, use openflow.PeerUse, err error) {
	if said, err = r.Records.Quota(ctx, id); err == nil {
		use, err = r.Records.PeerUse(ctx, id)
	}
	return said, said.Or(r.Rule), use, err
}

// CheckSite calls a peer that is registered.
func (r Register) CheckSite(ctx context.Context, id openflow.PartyID) error {
	c, err := r.Directory.Client(ctx, id)
	if err != nil {
		return err
	}
	seen, err := c.Examine(ctx, true)
	if err == nil {
		err = seen.CallBack
	}
	return err
}

// ProbeSite tries every dialect on a peer, in each version and profile, and changes nothing: what its record says, only the operator changes.
func (r Register) ProbeSite(ctx context.Context, id openflow.PartyID) ([]openflow.HeardDialect, error) {
	record, err := r.Directory.site(ctx, id)
	if err != nil {
		return nil, err
	}
	var list []openflow.HeardDialect
	for _, d := range r.Dialects.BetweenNodes() {
		versions, profiles := d.Speaks()
		for _, version := range versions {
			for _, profile := range profiles {
				asked := record
				asked.Dialect, asked.Version, asked.Profile = d.Name(), version, profile
				list = append(list, openflow.HeardDialect{
					Dialect: d.Name(), Version: version, Profile: profile, Err: d.Client(r.Directory.link(asked)).Probe(ctx),
					Recorded: d.Name() == record.Dialect && version == record.Version && profile == record.Profile,
				})
			}
		}
	}
	return list, nil
}

// AddSite registers a peer, or gives a registered one another address or dialect. A different key is refused: that is rotate.
func (r Register) AddSite(ctx context.Context, s openflow.SiteRecord) error {
	key := ""
	if len(s.Keys) > 0 {
		key = s.Keys[0]
	}
	if err := (Peer{Party: s.Party, URL: s.URL, Key: key, Plain: s.Plain}).Check(); err != nil {
		return err
	}
	if s.Party == r.Self {
		return openflow.Errorf(openflow.CodeInvalid, "party %s is this node itself", s.Party)
	}
	_, err := r.Records.ChangeSite(ctx, s.Party, func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
		if !known {
			made, err := r.Dialects.Complete(s)
			made.AddedAt = time.Now()
			return made, err
		}
		if !slices.Contains(have.Keys, key) {
			return have, openflow.Errorf(openflow.CodeConflict, "party %s is registered with another key", s.Party).
				WithHint("if it has really changed: openflow site rotate %s --key %s", s.Party, key)
		}
		have.URL, have.Plain = s.URL, s.Plain
		if s.Dialect == "" && s.Version == "" && s.Profile == "" { // who says nothing leaves it as it is
			return have, nil
		}
		said := s
		if said.Dialect = cmp.Or(s.Dialect, have.Dialect); said.Dialect == have.Dialect {
			said.Version, said.Profile = cmp.Or(s.Version, have.Version), cmp.Or(s.Profile, have.Profile)
		}
		said, err := r.Dialects.Complete(said)
		have.Dialect, have.Version, have.Profile = said.Dialect, said.Version, said.Profile
		return have, err
	})
	return err
}

// change changes the record of a peer that is known. CodeNotFound: it is not.
func (r Register) change(ctx context.Context, id openflow.PartyID, what func(*openflow.SiteRecord)) error {
	if _, err := r.Records.Site(ctx, id); err != nil {
		return err // with what can be done
	}
	_, err := r.Records.ChangeSite(ctx, id, func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
		if !known {
			return have, openflow.Errorf(openflow.CodeNotFound, "site %s was removed just now", id)
		}
		what(&have)
		return have, nil
	})
	return err
}

// TakeUnsigned says whether jobs that a peer submits or schedules are taken without the mandate of their initiator.
func (r Register) TakeUnsigned(ctx context.Context, id openflow.PartyID, on bool) error {
	return r.change(ctx, id, func(have *openflow.SiteRecord) { have.Unsigned = on })
}

// RemoveSite ends the jobs that are shared with a peer, and forgets it: its requests are refused from now on.
func (r Register) RemoveSite(ctx context.Context, id openflow.PartyID) error {
	if _, err := r.Records.Site(ctx, id); err != nil {
		return err
	}
	ended, err := r.Farewell.To(ctx, id)
	if err != nil {
		return err
	}
	if err := r.Records.DeleteSite(ctx, id); err != nil {
		return err
	}
	late, err := r.Farewell.To(ctx, id) // jobs that began meanwhile
	return errors.Join(err, r.Farewell.restate(ctx, append(ended, late...)))
}

// RotateSite takes a further key of a peer; final forgets the earlier ones.
func (r Register) RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error {
	if _, err := trust.ParsePublicKey(key); err != nil {
		return err
	}
	return r.change(ctx, id, func(have *openflow.SiteRecord) {
		switch {
		case final:
			have.Keys = []string{key}
		case !slices.Contains(have.Keys, key):
			have.Keys = append([]string{key}, have.Keys[:min(1, len(have.Keys))]...)
		}
	})
}
