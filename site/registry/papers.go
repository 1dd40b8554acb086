package registry

import (
	"context"

	"openflow"
)

// Judge holds what is to be registered against the site's policy.
type Judge interface {
	// Judge refuses what the policy does not let run; see approval.Decide. A name or components that nobody knows yet are
	// empty. It completes the papers: of what is said to be signed it notes what was, and it makes an SBOM where none is given.
	Judge(ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers) (openflow.Papers, error)
	// Keep keeps the papers of a provider that has been registered, beside those that it has.
	Keep(ctx context.Context, r openflow.ProviderRecord, papers openflow.Papers) error
}

func (g *Registry) judge(
	ctx context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers,
) (openflow.Papers, error) {
	if g.Judge == nil {
		return given, nil
	}
	return g.Judge.Judge(ctx, r, components, given)
}

func (g *Registry) keep(ctx context.Context, r openflow.ProviderRecord, papers openflow.Papers) error {
	if g.Judge == nil {
		return nil
	}
	return g.Judge.Keep(ctx, r, papers)
}
