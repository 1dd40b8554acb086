package catalogue_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Papers are kept with a provider, and go with it.
func TestPapers(t *testing.T) { onEngines(t, testPapers) }

func testPapers(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	kept := func() (openflow.Papers, string) {
		t.Helper()
		got, err := c.Papers(ctx, acme)
		require.NoError(t, err)
		r, err := c.Provider(ctx, "acme", "1")
		require.NoError(t, err)
		return got, r.Papers
	}
	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
	got, digest := kept()
	require.Zero(t, got)
	require.Empty(t, digest)

	papers := openflow.Papers{
		Signatures: []openflow.PublisherSignature{{Text: "untrusted comment: é\nx\n", File: "00"}, {Text: "y"}}, SBOM: []byte(`{"a":"é\u0000"}`), Origin: "given",
	}
	require.NoError(t, c.AddProvider(ctx, acme, offers, papers), "the same again brings papers")
	got, first := kept()
	require.Equal(t, papers, got)
	require.NotEmpty(t, first)
	require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}), "or none, and then it keeps those that it has")
	got, digest = kept()
	require.Equal(t, papers, got)
	require.Equal(t, first, digest)

	next := openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: "z"}, {Text: "y"}}, SBOM: []byte("{}"), Origin: "made here"}
	require.NoError(t, c.AddProvider(ctx, acme, offers, next))
	got, digest = kept()
	require.Equal(t, openflow.Papers{
		Signatures: []openflow.PublisherSignature{{Text: "z"}, {Text: "y"}, papers.Signatures[0]}, SBOM: next.SBOM, Origin: next.Origin,
	}, got)
	require.NotEqual(t, first, digest, "who has read them before sees that there are others")
	for i := range 10 {
		require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: strconv.Itoa(i)}}}))
	}
	got, _ = kept()
	require.Len(t, got.Signatures, 8)
	require.Equal(t, "9", got.Signatures[0].Text, "the newest stay")

	other := acme
	other.Digest = "sha256:else"
	got, err := c.Papers(ctx, other)
	require.NoError(t, err)
	require.Zero(t, got, "of other content nothing is known")
}

// What is refused leaves neither components nor papers.
func TestPapersOfWhatIsRefused(t *testing.T) { onEngines(t, testPapersOfWhatIsRefused) }

func testPapersOfWhatIsRefused(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	acme, offers := provider("acme", "1")
	signed := openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: "x"}}, SBOM: []byte("{}")}
	require.NoError(t, c.AddProvider(ctx, acme, offers, signed))
	requireCode(t, openflow.CodeConflict, c.AddProvider(ctx, acme, offers[:1], openflow.Papers{SBOM: []byte("[]")}))
	other := acme
	other.Digest = "sha256:else"
	requireCode(t, openflow.CodeConflict, c.AddProvider(ctx, other, offers, openflow.Papers{SBOM: []byte("[]")}))
	for r, want := range map[openflow.ProviderRecord]openflow.Papers{acme: signed, other: {}} {
		got, err := c.Papers(ctx, r)
		require.NoError(t, err)
		require.Equal(t, want.SBOM, got.SBOM)
	}
}

// Whatever takes a provider's name and version next begins without papers, whoever took the one before away, and without
// what an operator preferred.
func TestPapersGoWithTheirProvider(t *testing.T) { onEngines(t, testPapersGoWithTheirProvider) }

func testPapersGoWithTheirProvider(t *testing.T, newCatalogue opener) {
	for name, builtIn := range map[string][]string{"removed": nil, "built in": {"1", "2"}} {
		t.Run(name, func(t *testing.T) {
			c, ctx := newCatalogue(t), t.Context()
			acme, offers := provider("acme", "1")
			require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{SBOM: []byte("{}")}))
			require.NoError(t, c.SetDefault(ctx, offers[0].Name, acme.Ref()))
			if len(builtIn) == 0 {
				require.NoError(t, c.RemoveProviders(ctx, acme.Ref()))
			}
			for _, version := range builtIn {
				own, offers := provider("acme", version)
				own.Kind, own.Digest = openflow.ProviderBuiltIn, "sha256:own"
				require.NoError(t, c.SetBuiltIn(ctx, own, offers))
			}
			defaults, err := c.Defaults(ctx)
			require.NoError(t, err)
			require.Empty(t, defaults)
			got, err := c.Papers(ctx, acme)
			require.NoError(t, err)
			require.Zero(t, got)
			require.NoError(t, c.AddProvider(ctx, acme, offers, openflow.Papers{}))
			r, err := c.Provider(ctx, "acme", "1")
			require.NoError(t, err)
			require.Empty(t, r.Papers)
		})
	}
}
