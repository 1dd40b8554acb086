package openflow_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/fuzzing"
)

func TestParseCallSource(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, want := range map[string]string{
		"10.0.0.7":                            "10.0.0.7",
		"10.0.0.7/24":                         "10.0.0.0/24",
		"10.0.0.7/32":                         "10.0.0.7",
		"2001:db8::1":                         "2001:db8::1",
		"2001:db8:1::/48":                     "2001:db8:1::/48",
		"sha256:" + sum:                       "sha256:" + sum,
		"sha256:" + strings.Repeat("AB:", 32): "sha256:" + sum, // as openssl prints it, with one colon too many
		"authority":                           "authority",
	} {
		s, err := openflow.ParseCallSource(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String())
	}
	for _, text := range []string{
		"", "0.0.0.0/0", "10.0.0.0/8", "::/0", "2001::/32", "::ffff:10.0.0.7", "fe80::1%eth0", "localhost", "10.0.0.7:80", "sha256:", "sha256:ab",
		"sha256:" + strings.Repeat("zz", 32), "Authority", "10.0.0.7 ",
	} {
		_, err := openflow.ParseCallSource(text)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
	}
	_, err := openflow.ParseCallSources(make([]string, openflow.MaxCallSources+1))
	require.ErrorContains(t, err, "16 are allowed")
}

func FuzzParseCallSource(f *testing.F) {
	for _, text := range []string{"10.0.0.7", "2001:db8:1::/48", "sha256:00", "authority"} {
		f.Add(text)
	}
	fuzzing.Within(f, func(t *testing.T, text string) {
		s, err := openflow.ParseCallSource(text)
		if err != nil {
			return
		}
		again, err := openflow.ParseCallSource(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
