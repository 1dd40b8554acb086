package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// Users of this machine are spoken to without TLS unless the operator wants it, and those of others with TLS unless the operator
// wants none.
func TestWhereUsersAreSpokenToInTLS(t *testing.T) {
	files := Users{Certificate: "c", Key: "k"}
	for name, tc := range map[string]struct {
		u               Users
		here, elsewhere bool
	}{
		"by default":              {Users{}, false, true},
		"--tls":                   {Users{TLS: true}, true, true},
		"--plain":                 {Users{Plain: true}, false, false},
		"--cert and --cert-key":   {files, true, true},
		"--cert-name is no order": {Users{Names: []string{"h"}}, false, true},
	} {
		require.NoError(t, tc.u.check(), name)
		for _, host := range []string{"127.0.0.1", "localhost", "::1", "127.0.0.7"} {
			require.Equal(t, tc.here, tc.u.secure(host), "%s at %s", name, host)
		}
		for _, host := range []string{"0.0.0.0", "::", "", "10.0.0.2", "node.example", "localhost.example"} {
			require.Equal(t, tc.elsewhere, tc.u.secure(host), "%s at %s", name, host)
		}
	}
	for name, u := range map[string]Users{
		"a certificate without a key": {Certificate: "c"}, "a key without a certificate": {Key: "k"}, "both": {TLS: true, Plain: true},
		"a certificate, and no TLS": {Plain: true, Certificate: "c", Key: "k"},
	} {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(u.check()), name)
	}
}

func TestNamesOfTheUsersCertificate(t *testing.T) {
	own := []string{"localhost", "127.0.0.1", "::1"}
	require.Equal(t, append(own, "10.0.0.2"), namesOf("10.0.0.2", nil))
	require.Equal(t, append(own, "bank.example", "node.example"), namesOf("node.example", []string{"bank.example"}))
	for _, everywhere := range []string{"", "0.0.0.0", "::"} {
		require.NotContains(t, namesOf(everywhere, nil), everywhere)
		require.Greater(t, len(namesOf(everywhere, nil)), len(own), "the machine's name")
	}
}
