package attacks_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// clientCertificate is one that somebody has made for himself.
func clientCertificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "9998"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	require.NoError(t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, "sha256:" + trust.Fingerprint(c)
}

// A node of FATE-Flow signs nothing. What comes without a signature is nobody's, unless the operator has said from where a peer's
// comes. Then it is that peer's, on FATE-Flow's routes only and with that peer's grants. It is not where somebody has passed it on.
func TestUnsignedRequestsBySourceOnly(t *testing.T) {
	e := env.New(t, env.Party("10000"), env.Party("10001"), env.Strict())
	victim := e.As(t, "10000")
	operator := &sdk.Client{URL: victim.URL}
	post := func(c *http.Client, url string, body any, header ...string) (string, error) {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(text))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := c.Do(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return string(answer), err
	}
	create := func(id, initiator string) map[string]any {
		return map[string]any{
			"job_id": id, "role": "host", "party_id": "10000", "schema_version": "2.2.0", "dag": map[string]any{
				"parties": []any{map[string]any{"role": "host", "party_id": []string{"10000"}}}, "stage": "default",
				"conf":  map[string]any{"initiator_party_id": initiator, "scheduler_party_id": "9998"},
				"tasks": map[string]any{"a": map[string]any{"component_ref": "noop"}},
			},
		}
	}
	code := func(answer string, err error) int {
		t.Helper()
		require.NoError(t, err)
		var said struct{ Code *int }
		require.NoError(t, json.Unmarshal([]byte(answer), &said), answer)
		require.NotNil(t, said.Code, answer)
		return *said.Code
	}
	plain := func(id, initiator string, header ...string) int {
		t.Helper()
		return code(post(http.DefaultClient, e.PeersURL("10000")+"/v2/partner/job/create", create(id, initiator), header...))
	}
	record := func(sources ...string) {
		t.Helper()
		victim.OK(victim.Post("/openflow/v1/user/site/add", map[string]any{
			"party_id": "9998", "url": "http://127.0.0.1:1", "dialect": "fate-flow", "unsigned_from": sources,
		}), nil)
	}

	require.Equal(t, wire.VerifyFailed, plain("1", "9998"), "nothing was said")
	record("10.0.0.7")
	require.Equal(t, wire.VerifyFailed, plain("1", "9998"), "it comes from elsewhere")
	record("127.0.0.1")
	require.Equal(t, wire.NoPermission, plain("1", "9998"), "it has no grants")
	made, err := operator.Grant(t.Context(), openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9998"},
		openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "10001"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9998"},
		openflow.Grant{Kind: openflow.GrantUse, Components: []openflow.GrantedComponent{{Name: "noop"}}, Initiator: "9998"})
	require.NoError(t, err)
	require.NotEmpty(t, made)
	require.Equal(t, wire.Success, plain("1", "9998"))
	rows := victim.Jobs("1")
	require.Len(t, rows, 1)
	require.False(t, rows[0].Signed)
	require.Equal(t, "9998", rows[0].InitiatorPartyID)

	require.Equal(t, wire.NoPermission, plain("2", "10001"), "what another party was granted is not its own to use")
	require.Equal(t, wire.VerifyFailed, plain("2", "9998", "X-Forwarded-For", "127.0.0.1"), "somebody has passed it on")
	require.Equal(t, wire.VerifyFailed, plain("2", "9998", trust.HeaderParty, "9998"), "it says that it is signed")
	require.Equal(t, wire.VerifyFailed, plain("2", "9998", "Dest-Party-Id", "10001"), "it is for another site")
	for _, path := range []string{"/openflow/v1/node/job/open", "/openflow/v1/node/site", "/v1/interconn/chan/invoke"} {
		answer, err := post(http.DefaultClient, e.PeersURL("10000")+path, create("2", "9998"))
		require.NoError(t, err)
		require.True(t, strings.Contains(answer, "not signed") || strings.Contains(answer, string(openflow.CodeUnauthorized)), "%s: %s", path, answer)
	}
	require.Empty(t, victim.Jobs("2"))

	shown, fingerprint := clientCertificate(t)
	other, _ := clientCertificate(t)
	secure := func(c tls.Certificate, id string) (string, error) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{ //nolint:gosec // an attacker verifies nothing
			MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, Certificates: []tls.Certificate{c},
		}}}
		return post(client, e.SecureURL("10000")+"/v2/partner/job/create", create(id, "9998"))
	}
	_, err = secure(shown, "3")
	require.Error(t, err, "an address is no certificate")
	record(fingerprint)
	require.Equal(t, wire.VerifyFailed, plain("3", "9998"), "the address is not its source any more")
	require.Equal(t, wire.Success, code(secure(shown, "3")))
	_, err = secure(other, "4")
	require.Error(t, err, "the same name in another certificate")
	require.Empty(t, victim.Jobs("4"))

	var found []struct{ Name, Status, Detail string }
	victim.OK(victim.Get("/openflow/v1/user/server/doctor"), &found)
	warned := ""
	for _, f := range found {
		if f.Name == "unsigned from "+fingerprint {
			warned = f.Status + ": " + f.Detail
		}
	}
	require.Contains(t, warned, "warn: whoever shows that certificate speaks as party 9998")
}
