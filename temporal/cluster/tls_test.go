package cluster_test

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"openflow"
	"openflow/temporal/cluster"
	"openflow/tests/authority"
)

// A cluster is believed by its certificate, and speaks TLS or is not spoken to. That one is spoken to shows in its answer.
func TestTLS(t *testing.T) {
	a, foreign := authority.New(t), authority.New(t)
	behind := refusing(t, codes.PermissionDenied)
	front := func(c *tls.Config) string {
		c.NextProtos = []string{"h2"}
		return authority.Front(t, behind, c)
	}
	secure, callers := front(a.Config(t, false)), front(a.Config(t, true))
	client, stranger := a.Issue(t, "client"), foreign.Issue(t, "client")
	for name, tc := range map[string]struct {
		o      cluster.Options
		spoken bool
	}{
		"the right authority":            {cluster.Options{Address: secure, CA: a.File}, true},
		"another authority":              {cluster.Options{Address: secure, CA: foreign.File}, false},
		"those of this machine":          {cluster.Options{Address: secure, TLS: true}, false},
		"another name":                   {cluster.Options{Address: secure, CA: a.File, ServerName: "other.example"}, false},
		"a cluster without TLS":          {cluster.Options{Address: behind, CA: a.File}, false},
		"a caller without TLS":           {cluster.Options{Address: secure}, false},
		"a caller with a certificate":    {cluster.Options{Address: callers, CA: a.File, Certificate: client.Certificate, Key: client.Key}, true},
		"a caller without a certificate": {cluster.Options{Address: callers, CA: a.File}, false},
		"a caller with a stranger's":     {cluster.Options{Address: callers, CA: a.File, Certificate: stranger.Certificate, Key: stranger.Key}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // a refused one takes as long as Dial waits
			want := openflow.CodeUnavailable
			if tc.spoken {
				want = openflow.CodePermission
			}
			_, err := cluster.Dial(t.Context(), tc.o)
			require.Equal(t, want, openflow.CodeOf(err), "%v", err)
		})
	}
}
