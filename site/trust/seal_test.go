package trust_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/trust"
)

// A token that is sealed shows nothing, and is opened by the same secret for the same app only.
func TestSeal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	of := func(dir string) trust.Seal {
		c, err := trust.LoadOrCreateCredentials(dir)
		require.NoError(t, err)
		seal, err := c.Seal()
		require.NoError(t, err)
		return seal
	}
	seal := of(dir)
	sealed := seal.Close("the-token-of-app-1", "client 1")
	require.NotContains(t, sealed, "the-token")
	require.NotEqual(t, sealed, seal.Close("the-token-of-app-1", "client 1"), "two rows do not show that they have the same token")
	opened, err := of(dir).Open(sealed, "client 1")
	require.NoError(t, err)
	require.Equal(t, "the-token-of-app-1", opened)

	other := of(filepath.Join(t.TempDir(), "other"))
	for name, open := range map[string]func() (string, error){
		"for another app":      func() (string, error) { return seal.Open(sealed, "client 2") },
		"with another secret":  func() (string, error) { return other.Open(sealed, "client 1") },
		"cut off":              func() (string, error) { return seal.Open(sealed[:len(sealed)-4], "client 1") },
		"empty":                func() (string, error) { return seal.Open("", "client 1") },
		"no base64url":         func() (string, error) { return seal.Open("=", "client 1") },
		"with a letter more":   func() (string, error) { return seal.Open(sealed+"AAAA", "client 1") },
		"shorter than a nonce": func() (string, error) { return seal.Open("AAAA", "client 1") },
	} {
		got, err := open()
		require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err), name)
		require.Empty(t, got, name)
		require.NotContains(t, err.Error(), "the-token")
	}

	_, err = trust.Credentials{}.Seal()
	require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err), "of nobody")
}

func TestTokensAndIDsOfApps(t *testing.T) {
	ids, letters := regexp.MustCompile(`^[0-9]{8}$`), map[rune]int{}
	for range 2000 {
		token := trust.NewAppToken()
		require.Len(t, token, 32)
		require.NoError(t, openflow.CheckAppToken(token))
		require.Regexp(t, ids, string(trust.NewAppID()))
		for _, c := range token {
			letters[c]++
		}
	}
	require.Len(t, letters, 62)
	for c, n := range letters { // about 1,032 each; six standard deviations
		require.InDelta(t, 2000*32/62, n, 200, string(c))
	}
	for name, token := range map[string]string{"short": "0123456789abcde", "long": strings.Repeat("x", 257), "with a line": "0123456789abcdef\n", "no text": "0123456789abcdef\xff"} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(openflow.CheckAppToken(token)), name)
	}
}
