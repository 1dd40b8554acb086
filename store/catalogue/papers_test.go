package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Papers are kept with a provider, and go with it.
func TestPapers(t *testing.T) { onEngines(t, testPapers) }

func testPapers(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	papers := openflow.Papers{
		Signatures: []openflow.PublisherSignature{{Text: "untrusted comment: é\nx\n", File: "00"}, {Text: "y"}}, SBOM: []byte(`{"a":"é\u0000"}`), Origin: "given",
	}
	requireCode(t, openflow.CodeNotFound, c.SavePapers(ctx, "acme", "1", papers))
	require.NoError(t, c.AddProvider(ctx, acme, offers))
	got, err := c.Papers(ctx, "acme", "1")
	require.NoError(t, err)
	require.Zero(t, got)
	require.NoError(t, c.SavePapers(ctx, "acme", "1", papers))
	got, err = c.Papers(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, papers, got)
	papers.Signatures, papers.SBOM = papers.Signatures[:1], nil
	require.NoError(t, c.SavePapers(ctx, "acme", "1", papers))
	got, err = c.Papers(ctx, "acme", "1")
	require.NoError(t, err)
	require.Equal(t, papers.Signatures, got.Signatures)
	require.Empty(t, got.SBOM)
	err = c.RemoveProvider(ctx, "acme", "1")
	require.NoError(t, err)
	got, err = c.Papers(ctx, "acme", "1")
	require.NoError(t, err)
	require.Zero(t, got)
}
