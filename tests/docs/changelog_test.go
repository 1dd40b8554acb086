package docs

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// The newest version that CHANGELOG.md describes is that of the source.
func TestChangelogIsOfThisRelease(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	newest := regexp.MustCompile(`(?m)^## (\d\S*)`).FindSubmatch(text)
	require.NotNil(t, newest)
	require.Equal(t, openflow.Release, string(newest[1]))
}
