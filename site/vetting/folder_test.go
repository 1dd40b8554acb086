package vetting

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A publisher signs files, and a folder of code is none: a policy that wants a signature does not let it run. Where it lies, or its digest, may be listed.
func TestFoldersAreNotSigned(t *testing.T) {
	r := openflow.ProviderRecord{Name: "acme", Kind: openflow.ProviderFolder, Place: "/opt/acme", Digest: "sha256:1", Interpreter: "/usr/bin/python3"}
	policy := openflow.DefaultSitePolicy()
	v := &Vetter{Policy: policy}
	_, err := v.Admit(t.Context(), r, openflow.Papers{})
	require.NoError(t, err)
	_, err = v.Admit(t.Context(), r, openflow.Papers{Signatures: []openflow.PublisherSignature{{Text: "x"}}})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "a publisher signs files")
	v.Policy.Images.RequireSignature = true
	_, err = v.Admit(t.Context(), r, openflow.Papers{})
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	v.Policy = policy
	v.Policy.Images.Registries = []string{"/srv/"}
	_, err = v.Admit(t.Context(), r, openflow.Papers{})
	require.ErrorContains(t, err, "code in /opt/acme")
	v.Policy.Images.Digests = []string{r.Digest}
	_, err = v.Admit(t.Context(), r, openflow.Papers{})
	require.NoError(t, err)
}
