package catalogue_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/catalogue/postgrestest"
	"openflow/tests/authority"
)

// A server is believed by its certificate, and speaks TLS or is not spoken to. What says neither is refused beyond this machine.
func TestTLS(t *testing.T) {
	a, foreign := authority.New(t), authority.New(t)
	shown, client, stranger := a.Issue(t, "server"), a.Issue(t, "client"), foreign.Issue(t, "client")
	secure := postgrestest.StartTLS(t, postgrestest.Files{Certificate: shown.Certificate, Key: shown.Key}).Database(t)
	callers := postgrestest.StartTLS(t, postgrestest.Files{Certificate: shown.Certificate, Key: shown.Key, Callers: a.File}).Database(t)
	plain := postgrestest.Database(t)
	believing := url.Values{"sslmode": {"verify-full"}, "sslrootcert": {a.File}}
	showing := func(p authority.Pair) url.Values {
		return url.Values{"sslmode": {"verify-full"}, "sslrootcert": {a.File}, "sslcert": {p.Certificate}, "sslkey": {p.Key}}
	}
	for name, tc := range map[string]struct {
		url   string
		query url.Values
		code  openflow.Code // empty: they talk
	}{
		"the right authority":            {secure, believing, ""},
		"another authority":              {secure, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {foreign.File}}, openflow.CodeUnavailable},
		"those of this machine":          {secure, url.Values{"sslmode": {"verify-full"}}, openflow.CodeUnavailable},
		"a server without TLS":           {plain, believing, openflow.CodeUnavailable},
		"a caller with a certificate":    {callers, showing(client), ""},
		"a caller without a certificate": {callers, believing, openflow.CodeUnauthorized},
		"a caller with a stranger's":     {callers, showing(stranger), openflow.CodeUnavailable},
		"no such file":                   {secure, url.Values{"sslmode": {"verify-full"}, "sslrootcert": {"none.pem"}}, openflow.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := catalogue.Open(t.Context(), catalogue.Options{URL: with(t, tc.url, func(u *url.URL) { u.RawQuery = tc.query.Encode() })})
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			if err == nil {
				require.NoError(t, c.Close())
			}
		})
	}
	for _, text := range []string{
		"postgres://u:p@10.0.0.5/d?sslmode=prefer", "postgres://u:p@10.0.0.5/d?sslmode=require", "postgres://u:p@/d?host=10.0.0.5&sslmode=allow",
		"postgres://u:p@127.0.0.1:5432,10.0.0.5:5432/d?sslmode=prefer",
	} {
		_, _, err := catalogue.ParseURL(text)
		requireCode(t, openflow.CodeInvalid, err)
		require.ErrorContains(t, err, "verify-full", text)
	}
	config, _, err := catalogue.ParseURL("postgres://u:p@db.example/d")
	require.NoError(t, err)
	require.NotNil(t, config.TLSConfig)
	require.False(t, config.TLSConfig.InsecureSkipVerify)
	require.Equal(t, "db.example", config.TLSConfig.ServerName)
	require.Empty(t, config.Fallbacks, "without TLS it is not called")
}
