package embedded_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	sdktemporal "go.temporal.io/sdk/temporal"

	"openflow"
	"openflow/store/catalogue/postgrestest"
	"openflow/temporal/cluster"
	"openflow/temporal/embedded"
	"openflow/tests/authority"
)

// certificate writes a certificate for 127.0.0.1 that signs itself, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, secret.Public(), secret)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(secret)
	require.NoError(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return cert, key
}

// Replicas that come at once, over TLS and with the token, find a namespace that nobody has made before, with retention
// and search attributes, and workflows run in it. Strangers are refused.
func TestPostgresServesClusters(t *testing.T) {
	cert, key := certificate(t)
	a := authority.New(t)
	shown := a.Issue(t, "server")
	database := postgrestest.StartTLS(t, postgrestest.Files{Certificate: shown.Certificate, Key: shown.Key}).Database(t)
	database = strings.Replace(database, "sslmode=disable", "sslmode=verify-full&sslrootcert="+url.QueryEscape(a.File), 1)
	s := start(t, embedded.Options{
		Postgres: database, Listen: freeAddress(t), Token: "a-token-of-the-site", Certificate: cert, Key: key,
	})
	o := cluster.Options{
		Address: s.Frontend(), Namespace: "site-9999", CA: cert, Token: "a-token-of-the-site", Retention: 5 * time.Hour,
		SearchAttributes: map[string]enumspb.IndexedValueType{"JobID": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
		Logger:           slog.New(slog.DiscardHandler),
	}
	clients := make([]sdkclient.Client, 3)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			c, err := cluster.Dial(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			clients[i] = c
			t.Cleanup(c.Close)
		})
	}
	wg.Wait()
	for _, c := range clients {
		require.NotNil(t, c)
		require.Equal(t, 2, run(t, c, work(t, c), 2))
	}
	c := clients[0]
	job := sdktemporal.NewSearchAttributeKeyKeyword("JobID")
	_, err := c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{
		ID: uuid.NewString(), TaskQueue: "none", TypedSearchAttributes: sdktemporal.NewSearchAttributes(job.ValueSet("j1")),
	}, sequence, 1)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: `JobID = "j1"`})
		return err == nil && len(found.GetExecutions()) == 1
	}, within, 10*time.Millisecond)

	again := o
	again.Retention = 9 * time.Hour
	other, err := cluster.Dial(t.Context(), again)
	require.NoError(t, err)
	t.Cleanup(other.Close)
	ns, err := other.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: o.Namespace})
	require.NoError(t, err)
	require.Equal(t, 9*time.Hour, ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	for name, test := range map[string]struct {
		change func(*cluster.Options)
		code   openflow.Code
	}{
		"no token":      {func(o *cluster.Options) { o.Token = "" }, openflow.CodePermission},
		"a wrong token": {func(o *cluster.Options) { o.Token = "another" }, openflow.CodePermission},
		"no TLS":        {func(o *cluster.Options) { o.CA = "" }, openflow.CodeUnavailable},
		"another attribute": {func(o *cluster.Options) {
			o.SearchAttributes = map[string]enumspb.IndexedValueType{"JobID": enumspb.INDEXED_VALUE_TYPE_INT}
		}, openflow.CodeConflict},
	} {
		t.Run(name, func(t *testing.T) {
			o := o
			test.change(&o)
			_, err := cluster.Dial(t.Context(), o)
			require.Equal(t, test.code, openflow.CodeOf(err), "%v", err)
		})
	}
}
