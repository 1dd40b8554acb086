package peers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// Check refuses a party ID, address or key that cannot be one. What it advises, --peer understands.
func (p Peer) Check() error {
	return p.check(fmt.Sprintf("--peer %s=%s,%s,plain", p.Party, p.URL, p.Key))
}

// check is Check that advises what else would allow an address without TLS.
func (p Peer) check(allow string) error {
	if _, err := trust.ParsePublicKey(p.Key); err != nil {
		return err
	}
	return p.checkAddress(allow)
}

// checkAddress is check for a peer that has no key.
func (p Peer) checkAddress(allow string) error {
	if err := openflow.CheckIdentifier("party ID of a peer", string(p.Party)); err != nil {
		return err
	}
	u, err := url.Parse(p.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		return openflow.Errorf(openflow.CodeInvalid, "peer %s: %q is not an http or https address", p.Party, p.URL).
			WithHint("write it like https://10.0.0.2:9390")
	}
	return secret(openflow.SiteRecord{Party: p.Party, URL: p.URL, Plain: p.Plain}, allow)
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

// AddSite registers a peer, or gives a registered one another address or dialect. A different key is refused: that is rotate. A
// peer that signs nothing needs none. Sources that are nil stay as they are.
func (r Register) AddSite(ctx context.Context, s openflow.SiteRecord) error {
	s.Keys = slices.DeleteFunc(slices.Clone(s.Keys), func(key string) bool { return key == "" })
	p := Peer{Party: s.Party, URL: s.URL, Plain: s.Plain}
	check := p.checkAddress
	if len(s.Keys) > 0 {
		p.Key = s.Keys[0]
		check = p.check
	}
	if err := check(addPlain(s)); err != nil {
		return err
	}
	sources, err := openflow.ParseCallSources(s.Sources)
	if err != nil {
		return err
	}
	s.Sources = slices.Clone(s.Sources) // nil stays nil
	for i, source := range sources {
		s.Sources[i] = source.String()
	}
	if err := r.ownSources(ctx, s); err != nil {
		return err
	}
	if s.Party == r.Self {
		return openflow.Errorf(openflow.CodeInvalid, "party %s is this node itself", s.Party)
	}
	_, err = r.Records.ChangeSite(ctx, s.Party, func(have openflow.SiteRecord, known bool) (openflow.SiteRecord, error) {
		if !known {
			made, err := r.Dialects.Complete(s)
			made.AddedAt = time.Now()
			return made, cmp.Or(err, proves(made))
		}
		if len(s.Keys)+len(have.Keys) > 0 && !slices.Contains(have.Keys, p.Key) {
			return have, openflow.Errorf(openflow.CodeConflict, "party %s is registered with another key", s.Party).
				WithHint("if it has really changed: openflow site rotate %s --key %s", s.Party, cmp.Or(p.Key, "KEY"))
		}
		have.URL, have.Plain, have.Way = s.URL, s.Plain, cmp.Or(s.Way, have.Way)
		if s.Sources != nil {
			have.Sources = s.Sources
		}
		if s.Dialect == "" && s.Version == "" && s.Profile == "" { // who says nothing leaves it as it is
			_, err := r.Dialects.Complete(have) // it may have another way
			return have, cmp.Or(err, proves(have))
		}
		said := s
		said.Way = have.Way
		if said.Dialect = cmp.Or(s.Dialect, have.Dialect); said.Dialect == have.Dialect {
			said.Version, said.Profile = cmp.Or(s.Version, have.Version), cmp.Or(s.Profile, have.Profile)
		}
		said, err := r.Dialects.Complete(said)
		have.Dialect, have.Version, have.Profile = said.Dialect, said.Version, said.Profile
		return have, cmp.Or(err, proves(have))
	})
	return err
}

// proves refuses a record by which nobody could tell who calls, and sources of requests that a peer's dialect signs.
func proves(s openflow.SiteRecord) error {
	switch {
	case len(s.Sources) > 0 && s.Trust() == openflow.TrustSignature:
		return openflow.Errorf(openflow.CodeInvalid, "party %s signs its requests with an app: none is taken for where it comes from", s.Party).
			WithHint("leave out --unsigned-from, or take it back with --unsigned-from=; a node of FATE that signs nothing has --trust none")
	case len(s.Sources) > 0 && s.Profile != dialect.Unsigned:
		return openflow.Errorf(openflow.CodeInvalid, "party %s speaks %s, in which nodes sign their requests: none is taken for where it comes from", s.Party, s.Dialect).
			WithHint("leave out --unsigned-from; only for a node of FATE-Flow give --dialect fate-flow")
	case s.Trust() == openflow.TrustNone && len(s.Sources) == 0:
		return openflow.Errorf(openflow.CodeInvalid, "party %s has no key, so nothing proves who calls", s.Party).
			WithHint("give the key that openflow site key prints there; a node of FATE-Flow has none: " +
				"give --trust fate-site-signature, or where it signs nothing --unsigned-from")
	}
	return nil
}

// ownSources refuses a source that is another peer's too: its requests would be nobody's.
func (r Register) ownSources(ctx context.Context, s openflow.SiteRecord) error {
	own, err := openflow.ParseCallSources(s.Sources)
	if err != nil || len(own) == 0 {
		return err
	}
	var both error
	err = eachSource(ctx, r.Records, func(party openflow.PartyID, theirs openflow.CallSource) {
		for _, source := range own {
			same := source.Certificate != "" && source.Certificate == theirs.Certificate || source.Network.IsValid() && theirs.Network.IsValid() && source.Network.Overlaps(theirs.Network)
			if same && party != s.Party {
				both = openflow.Errorf(openflow.CodeConflict, "unsigned requests from %s would be of party %s and of party %s", source, s.Party, party).
					WithHint("give each its own: an address, a network apart from others, or the certificate that it shows")
			}
		}
	})
	return cmp.Or(err, both)
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
