package cli_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/site/trust/certificates"
)

// secure is a fake node that shows a certificate of its own making, in the home that it returns. The certificate names no host.
func secure(t *testing.T) (home, url string) {
	t.Helper()
	home = filepath.Join(t.TempDir(), "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	own, err := certificates.OpenOwn(home, filepath.Join(home, "users.pem"), []string{"node.invalid"}, time.Now)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(&fake{answers: map[string]string{"GET /openflow/v1/user/site/list": "[]"}, sent: map[string]string{}, head: map[string]http.Header{}})
	s.Listener = tls.NewListener(s.Listener, &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.Show(), nil },
	})
	s.Start()
	t.Cleanup(s.Close)
	return home, strings.Replace(s.URL, "http:", "https:", 1)
}

// A node that shows a certificate of its own making is known by its home on the same machine, and elsewhere by a copy of that. Any
// other is refused before it hears the token.
func TestNodeWithTLS(t *testing.T) {
	home, url := secure(t)
	other, _ := secure(t)
	copied := filepath.Join(t.TempDir(), "node.pem")
	text, err := os.ReadFile(filepath.Join(home, "users.pem"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, text, 0o644)) //nolint:gosec // it is for everybody
	open := filepath.Join(t.TempDir(), "open.pem")
	require.NoError(t, os.WriteFile(open, text, 0o600))
	require.NoError(t, os.Chmod(open, 0o666)) //nolint:gosec // that is what is tested
	nothing := writeFile(t, "nothing.pem", "no certificate")
	for name, tc := range map[string]struct {
		home, ca string
		code     int
		says     string
	}{
		"on the same machine":          {home, "", 0, ""},
		"elsewhere":                    {t.TempDir(), copied, 0, ""},
		"another node's home":          {other, "", 1, "--ca"},
		"the copy of another node's":   {home, filepath.Join(other, "users.pem"), 1, "is not known"},
		"without anything":             {t.TempDir(), "", 1, "OPENFLOW_CA"},
		"a copy that others may write": {home, open, 2, "open to other users"},
		"a copy that is none":          {home, nothing, 2, "no certificate"},
		"a copy that is missing":       {home, "missing.pem", 2, "missing.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OPENFLOW_HOME", tc.home)
			t.Setenv("OPENFLOW_CA", tc.ca)
			if tc.ca == "" {
				require.NoError(t, os.Unsetenv("OPENFLOW_CA"))
			}
			got := run(t, "site", "list", "--node", url)
			require.Equal(t, tc.code, got.code, got.stderr)
			require.Contains(t, got.stderr, tc.says)
		})
	}
	t.Setenv("OPENFLOW_HOME", home)
	got := run(t, "site", "list", "--node", strings.Replace(url, "https", "http", 1))
	require.Equal(t, 3, got.code)
	require.Contains(t, got.stderr, "https://", "the remedy")
	_, plain := newFake(t, nil)
	got = run(t, "site", "list", "--node", strings.Replace(plain, "http", "https", 1))
	require.Equal(t, 3, got.code)
	require.Contains(t, got.stderr, "speaks no TLS")
}
