package objects_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects"
	"openflow/tests/fuzzing"
)

func FuzzParseURI(f *testing.F) {
	f.Add("object:///sha256/" + strings.Repeat("0a", 32))
	f.Add("object:///sha256/../../etc/passwd")
	f.Add("object:///sha256/" + strings.Repeat("0A", 32))
	f.Add("")
	fuzzing.Within(f, func(t *testing.T, uri string) {
		digest, err := objects.ParseURI(uri)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Equal(t, uri, objects.URI(digest))
		require.Len(t, digest, 64)
		require.NotContains(t, digest, "/")
		require.NotContains(t, digest, ".")
	})
}
