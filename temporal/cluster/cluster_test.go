package cluster_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"openflow"
	"openflow/temporal/cluster"
)

// refusing is a frontend that answers every call with one code.
func refusing(t *testing.T, code codes.Code) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return status.Error(code, "as the test has it") }))
	go func() { _ = s.Serve(l) }() // until Stop
	t.Cleanup(s.Stop)
	return l.Addr().String()
}

func TestDialRefuses(t *testing.T) {
	speaksTLS := httptest.NewUnstartedServer(http.NotFoundHandler())
	speaksTLS.EnableHTTP2 = true
	speaksTLS.StartTLS()
	t.Cleanup(speaksTLS.Close)
	dir := t.TempDir()
	text := filepath.Join(dir, "text.pem")
	require.NoError(t, os.WriteFile(text, []byte("no certificate"), 0o600))
	ca := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: speaksTLS.Certificate().Raw}), 0o600))
	const token = "a secret of the site"

	for name, test := range map[string]struct {
		o    cluster.Options
		code openflow.Code
		say  string
	}{
		"no address":          {cluster.Options{}, openflow.CodeInvalid, "no address"},
		"half a certificate":  {cluster.Options{Address: "h:1", Key: ca}, openflow.CodeInvalid, "go together"},
		"no CA file":          {cluster.Options{Address: "h:1", CA: filepath.Join(dir, "none")}, openflow.CodeInvalid, "none"},
		"a CA that is none":   {cluster.Options{Address: "h:1", CA: text}, openflow.CodeInvalid, "PEM"},
		"a pair that is none": {cluster.Options{Address: "h:1", Certificate: text, Key: text}, openflow.CodeInvalid, "text.pem"},
		"nobody listens":      {cluster.Options{Address: "127.0.0.1:1"}, openflow.CodeUnavailable, "127.0.0.1:1"},
		"an unknown CA": {cluster.Options{Address: strings.TrimPrefix(speaksTLS.URL, "https://"), TLS: true},
			openflow.CodeUnavailable, "the CA that signed"},
		"another name": {cluster.Options{Address: strings.TrimPrefix(speaksTLS.URL, "https://"), CA: ca, ServerName: "temporal.invalid"},
			openflow.CodeUnavailable, "the name in it"},
		"denied":            {cluster.Options{Address: refusing(t, codes.PermissionDenied)}, openflow.CodePermission, "check the token"},
		"not authenticated": {cluster.Options{Address: refusing(t, codes.Unauthenticated)}, openflow.CodeUnauthorized, "wants a token"},
		"something else":    {cluster.Options{Address: refusing(t, codes.Unimplemented)}, openflow.CodeInternal, "as the test has it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // what is not there takes as long as Dial waits
			test.o.Token = token
			_, err := cluster.Dial(t.Context(), test.o)
			require.Equal(t, test.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, test.say)
			require.NotContains(t, err.Error(), token)
		})
	}
}
