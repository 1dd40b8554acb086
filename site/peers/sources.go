package peers

import (
	"context"
	"net/http"
	"slices"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Sources knows the callers of requests that nobody has signed, by where those come from. It is for the routes of dialects whose
// nodes sign none.
type Sources struct {
	Self    openflow.PartyID
	Signed  dialect.Verifier // of requests that are signed, which are proven by that alone
	Records *catalogue.Catalogue
	Also    trust.Authorities
}

// destinationHeader is where FATE-Flow says whom a request is for.
//
// Spec: fate-flow-api §0.8.1.
const destinationHeader = "Dest-Party-Id"

// Verify implements dialect.Verifier. What comes from nobody's source is refused like every request that is not signed. Errors:
// CodeUnauthorized, also where two records name the source.
func (s Sources) Verify(ctx context.Context, r *http.Request) (openflow.PartyID, error) {
	if trust.Signs(r.Header) {
		return s.Signed.Verify(ctx, r)
	}
	from, err := s.from(ctx, r)
	switch {
	case err != nil:
		return "", err
	case len(from) == 0:
		return s.Signed.Verify(ctx, r) // which says what is missing
	case len(from) > 1:
		return "", openflow.Errorf(openflow.CodeUnauthorized, "the request is not signed, and comes from where several parties may come from").
			WithHint("each party needs a source of its own: openflow site list")
	}
	if to := r.Header.Get(destinationHeader); to != "" && to != string(s.Self) {
		return "", openflow.Errorf(openflow.CodeUnauthorized, "the request is for party %q, which this is not", openflow.Cut(to, 64)).
			WithHint("check the address that the calling site has for party %s", s.Self)
	}
	*r = *r.WithContext(trust.Unsigned(r.Context(), from[0]))
	return from[0], nil
}

// from are the parties whose source the request comes from.
func (s Sources) from(ctx context.Context, r *http.Request) (parties []openflow.PartyID, err error) {
	origin := trust.OriginOf(r, s.Also, time.Now())
	if origin == (trust.Origin{}) {
		return nil, nil
	}
	return parties, eachSource(ctx, s.Records, func(party openflow.PartyID, source openflow.CallSource) {
		if origin.Comes(source, party) && !slices.Contains(parties, party) {
			parties = append(parties, party)
		}
	})
}

// eachSource goes through the sources of all peers.
func eachSource(ctx context.Context, records *catalogue.Catalogue, do func(openflow.PartyID, openflow.CallSource)) error {
	sites, err := records.SitesWithSources(ctx)
	if err != nil {
		return err
	}
	for _, site := range sites {
		list, err := openflow.ParseCallSources(site.Sources)
		if err != nil {
			return err
		}
		for _, source := range list {
			do(site.Party, source)
		}
	}
	return nil
}

// Named implements trust.Recorded.
func (k Keys) Named(ctx context.Context, fingerprint string) (named bool, err error) {
	return named, eachSource(ctx, k.Records, func(_ openflow.PartyID, s openflow.CallSource) {
		named = named || s.Certificate != "" && s.Certificate == fingerprint
	})
}
