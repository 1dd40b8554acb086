package encrypted_test

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/encrypted"
	"openflow/tests/authority"
)

func TestFiles(t *testing.T) {
	a := authority.New(t)
	client := a.Issue(t, "client")
	text := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	large := filepath.Join(t.TempDir(), "large")
	require.NoError(t, os.WriteFile(large, make([]byte, 1<<20+1), 0o600))
	c, err := encrypted.Files{CA: a.File, Certificate: client.Certificate, Key: client.Key}.Config("h")
	require.NoError(t, err)
	require.NotNil(t, c.RootCAs)
	require.Len(t, c.Certificates, 1)
	require.Equal(t, "h", c.ServerName)
	for name, f := range map[string]encrypted.Files{
		"no such file": {CA: filepath.Join(t.TempDir(), "none")}, "no authority": {CA: text}, "a device": {CA: "/dev/zero"},
		"half a pair": {Certificate: client.Certificate}, "the other half": {Key: client.Key},
		"no certificate": {Certificate: text, Key: client.Key}, "another's key": {Certificate: a.File, Key: client.Key},
	} {
		_, err := f.Config("")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%s: %v", name, err)
	}
	_, err = encrypted.Files{CA: large}.Config("")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "is larger than 1MiB", "and not that it holds no certificate")
	query := url.Values{"ca": {"a"}, "cert": {"b"}, "cert_key": {"c"}, "region": {"d"}}
	require.Equal(t, encrypted.Files{CA: "a", Certificate: "b", Key: "c"}, encrypted.Take(query))
	require.Equal(t, url.Values{"region": {"d"}}, query)
}

// A database on another machine is known by its certificate, unless the operator says by name that nothing is encrypted.
func TestPostgres(t *testing.T) {
	t.Setenv("PGSSLROOTCERT", "")
	for said, refused := range map[string]bool{"prefer": true, "allow": true, "require": true, "disable": false, "verify-full": false} { // by the environment
		t.Setenv("PGSSLMODE", said)
		err := encrypted.Postgres("10.0.0.5", url.Values{})
		require.Equal(t, refused, openflow.CodeOf(err) == openflow.CodeInvalid, "%s: %v", said, err)
		require.Equal(t, said == "disable", encrypted.Plain("postgres://u:p@h/d"), said)
	}
	t.Setenv("PGSSLMODE", "")
	for query, want := range map[string]string{
		"": "verify-full", "sslmode=disable": "disable", "sslmode=verify-ca": "verify-ca", "sslmode=verify-full": "verify-full",
		"sslmode=require&sslrootcert=f": "require", "sslmode=require": "-", "sslmode=allow": "-", "sslmode=prefer": "-",
	} {
		q, err := url.ParseQuery(query)
		require.NoError(t, err)
		err = encrypted.Postgres("10.0.0.5", q)
		require.Equal(t, want == "-", openflow.CodeOf(err) == openflow.CodeInvalid, "%s: %v", query, err)
		if want != "-" {
			require.Equal(t, want, q.Get("sslmode"), query)
		}
		for _, here := range []string{"", "127.0.0.1", "localhost", "::1"} {
			q, err := url.ParseQuery(query)
			require.NoError(t, err)
			before := q.Get("sslmode")
			require.NoError(t, encrypted.Postgres(here, q))
			require.Equal(t, before, q.Get("sslmode"))
		}
	}
}

func TestPlain(t *testing.T) {
	for text, want := range map[string]bool{
		"redis://h:6379/0": true, "redis://127.0.0.1/0": false, "rediss://h/0": false, "unix:///run/redis.sock?db=0": false,
		"postgres://u:p@h/d?sslmode=disable": true, "postgres://u:p@h/d": false, "postgres://u:p@localhost/d?sslmode=disable": false,
		"s3://h/b?tls=false": true, "s3://h/b?tls=0": true, "s3://h/b?tls=true": false, "s3://h/b": false, "s3://[::1]:9/b?tls=false": false, "": false,
	} {
		require.Equal(t, want, encrypted.Plain(text), text)
	}
}
