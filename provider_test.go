package openflow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestParseProvider(t *testing.T) {
	for text, want := range map[string]openflow.ProviderRef{
		"":                    {},
		"*":                   {},
		"*:*@*":               {},
		"acme":                {Name: "acme"},
		"acme:1.2.0":          {Name: "acme", Version: "1.2.0"},
		"acme@docker":         {Name: "acme", Device: "docker"},
		"fate:2.2.0@local":    {Name: "fate", Version: "2.2.0", Device: "local"},
		"*:2.2.0@local":       {Version: "2.2.0", Device: "local"},
		"acme:*@docker":       {Name: "acme", Device: "docker"},
		"acme:1.0-rc.1+build": {Name: "acme", Version: "1.0-rc.1+build"},
	} {
		got, err := openflow.ParseProvider(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := openflow.ParseProvider(got.String())
		require.NoError(t, err, text)
		require.Equal(t, got, again, text)
	}
	for _, text := range []string{
		":1", "acme:", "acme@", "acme:@docker", "@docker", "a:b:c", "a@b@c", "a b", "a\x1b", "-a", "../a", "a:\n", "acme:1@", "ä",
		strings.Repeat("a", 65), "acme:" + strings.Repeat("1", 65), strings.Repeat("a:", 1<<20),
	} {
		_, err := openflow.ParseProvider(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%.80q", text)
		require.Less(t, len(err.Error()), 400, "the message does not repeat everything")
	}
}

func TestCheckProvider(t *testing.T) {
	require.NoError(t, openflow.CheckProvider("acme", "1.0+b"))
	require.ErrorContains(t, openflow.CheckProvider("acme", ""), "version of a provider")
	require.ErrorContains(t, openflow.CheckProvider("a:b", "1"), "name of a provider")
}

func FuzzParseProvider(f *testing.F) {
	for _, text := range []string{"", "*", "acme", "fate:2.2.0@local", "*:1", "a@b", "a:b@c:d"} {
		f.Add(text)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		r, err := openflow.ParseProvider(text)
		if err != nil {
			return
		}
		again, err := openflow.ParseProvider(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
