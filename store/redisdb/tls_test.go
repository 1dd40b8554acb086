package redisdb_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/redisdb"
	"openflow/store/redisdb/redistest"
	"openflow/temporal/loopback"
	"openflow/tests/authority"
)

// A server is believed by its certificate, and speaks TLS or is not spoken to.
func TestTLS(t *testing.T) {
	a, foreign := authority.New(t), authority.New(t)
	shown, client, stranger := a.Issue(t, "server"), a.Issue(t, "client"), foreign.Issue(t, "client")
	ports, err := loopback.FreePorts(3, nil)
	require.NoError(t, err)
	files := []string{"--tls-cert-file", shown.Certificate, "--tls-key-file", shown.Key, "--tls-ca-cert-file", a.File}
	start := func(secure, plain int, callers string) {
		redistest.Start(t, append(files, "--tls-port", fmt.Sprint(secure), "--port", fmt.Sprint(plain), "--tls-auth-clients", callers)...)
	}
	start(ports[0], ports[1], "no")
	start(ports[2], 0, "yes")
	at := func(port int) string { return fmt.Sprintf("127.0.0.1:%d/0", port) }
	believing, foreignly := "?ca="+a.File, "?ca="+foreign.File
	showing := func(p authority.Pair) string { return believing + "&cert=" + p.Certificate + "&cert_key=" + p.Key }
	for name, tc := range map[string]struct {
		url  string
		code openflow.Code // empty: they talk
	}{
		"the right authority":              {"rediss://" + at(ports[0]) + believing, ""},
		"another authority":                {"rediss://" + at(ports[0]) + foreignly, openflow.CodeUnavailable},
		"those of this machine":            {"rediss://" + at(ports[0]), openflow.CodeUnavailable},
		"a server without TLS":             {"rediss://" + at(ports[1]) + believing + "&dial_timeout=1s", openflow.CodeUnavailable}, // it waits for more
		"a caller without TLS":             {"redis://" + at(ports[0]), openflow.CodeUnavailable},
		"a caller with a certificate":      {"rediss://" + at(ports[2]) + showing(client), ""},
		"a caller without a certificate":   {"rediss://" + at(ports[2]) + believing, openflow.CodeUnavailable},
		"a caller with a stranger's":       {"rediss://" + at(ports[2]) + showing(stranger), openflow.CodeUnavailable},
		"files, and no TLS":                {"redis://" + at(ports[1]) + believing, openflow.CodeInvalid},
		"no such file":                     {"rediss://" + at(ports[0]) + "?ca=none.pem", openflow.CodeInvalid},
		"whoever answers":                  {"rediss://" + at(ports[0]) + "?skip_verify=true", openflow.CodeInvalid},
		"a mistake in the name of a file":  {"rediss://" + at(ports[0]) + "?cafile=" + a.File, openflow.CodeInvalid},
		"half a certificate, by a mistake": {"rediss://" + at(ports[0]) + believing + "&cert=" + client.Certificate, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := redisdb.Open(t.Context(), tc.url)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			if err == nil {
				require.NoError(t, c.Close())
			}
		})
	}
}
