package peers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// register is that of party 9999, which knows nobody.
func register(t *testing.T) Register {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return Register{Self: "9999", Records: rows, Dialects: dialect.All{native.Dialect{}, fateflow.Dialect{}}}
}

func nodeKey(t *testing.T) trust.Key {
	t.Helper()
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700))
	key, err := trust.LoadOrCreateKey(home)
	require.NoError(t, err)
	return key
}

func fate(id openflow.PartyID, sources ...string) openflow.SiteRecord {
	return openflow.SiteRecord{Party: id, URL: "https://fate.example", Dialect: fateflow.Name, Sources: sources}
}

// Changes of a record that come at once all count: an address, a key, and whose jobs are taken.
func TestChangesAtOnce(t *testing.T) {
	r, key, next := register(t), nodeKey(t).Public().String(), nodeKey(t).Public().String()
	record := openflow.SiteRecord{Party: "10000", URL: "https://a", Keys: []string{key}}
	require.NoError(t, r.AddSite(t.Context(), record))
	for range 10 {
		record.URL = "https://b"
		changes := []func() error{
			func() error { return r.AddSite(t.Context(), record) },
			func() error { return r.TakeUnsigned(t.Context(), "10000", true) },
			func() error { return r.RotateSite(t.Context(), "10000", next, false) },
		}
		errs := make([]error, len(changes))
		var all sync.WaitGroup
		for i, change := range changes {
			all.Go(func() { errs[i] = change() })
		}
		all.Wait()
		require.NoError(t, errors.Join(errs...))
		s, err := r.Records.Site(t.Context(), "10000")
		require.NoError(t, err)
		require.Equal(t, "https://b", s.URL)
		require.True(t, s.Unsigned)
		require.Equal(t, []string{next, key}, s.Keys)
		require.NoError(t, r.RotateSite(t.Context(), "10000", key, true))
		require.NoError(t, r.TakeUnsigned(t.Context(), "10000", false))
		record.URL = "https://a"
		require.NoError(t, r.AddSite(t.Context(), record))
	}
	for name, err := range map[string]error{
		"unsigned": r.TakeUnsigned(t.Context(), "10001", true), "rotate": r.RotateSite(t.Context(), "10001", next, true),
	} {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), name)
	}
}

// Sources are for peers that sign nothing, are nobody else's, and stand beside a key only where the operator gives both.
func TestSourcesInARecord(t *testing.T) {
	r, ctx, key := register(t), t.Context(), nodeKey(t).Public().String()
	sum := "sha256:" + fmt.Sprintf("%064d", 7)
	require.NoError(t, r.AddSite(ctx, fate("9998", "10.0.0.7/24", sum, "authority")))
	s, err := r.Records.Site(ctx, "9998")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.0/24", sum, "authority"}, s.Sources)
	require.Empty(t, s.Keys)
	require.NoError(t, r.AddSite(ctx, openflow.SiteRecord{Party: "9998", URL: "https://other.example"}))
	require.NoError(t, r.AddSite(ctx, fate("9997", "10.0.1.0/24", "authority")), "each has the authorities' word for its own name")

	native := fate("10000", "10.0.2.7")
	native.Dialect = ""
	native.Keys = []string{key}
	for name, tc := range map[string]struct {
		record openflow.SiteRecord
		code   openflow.Code
		says   string
	}{
		"none, and no key":           {fate("10000"), openflow.CodeInvalid, "has no key"},
		"a native node":              {native, openflow.CodeInvalid, "in which nodes sign their requests"},
		"an address of another peer": {fate("10000", "10.0.0.9"), openflow.CodeConflict, "of party 10000 and of party 9998"},
		"a network with another's":   {fate("10000", "10.0.0.0/16"), openflow.CodeConflict, "of party 10000"},
		"another's certificate":      {fate("10000", sum), openflow.CodeConflict, "of party 10000 and of party 9998"},
		"everywhere":                 {fate("10000", "0.0.0.0/0"), openflow.CodeInvalid, "wider than one institution's"},
		"nowhere":                    {fate("10000", "fate.example"), openflow.CodeInvalid, "no place"},
		"taken back without a key":   {fate("9998", []string{}...), openflow.CodeInvalid, "has no key"},
		"a key that it has not":      {openflow.SiteRecord{Party: "9998", URL: "https://a", Keys: []string{key}}, openflow.CodeConflict, "another key"},
		"without TLS":                {openflow.SiteRecord{Party: "10000", URL: "http://fate.example", Dialect: fateflow.Name, Sources: []string{"10.0.3.1"}}, openflow.CodeInvalid, "without TLS"},
		"another dialect":            {openflow.SiteRecord{Party: "9998", URL: "https://a", Dialect: "native"}, openflow.CodeInvalid, "in which nodes sign"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.record.Party == "9998" && tc.record.Dialect == fateflow.Name {
				tc.record.Sources = []string{}
			}
			err := r.AddSite(ctx, tc.record)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
	require.NoError(t, r.RotateSite(ctx, "9998", key, true))
	taken := fate("9998")
	taken.Keys, taken.Sources = []string{key}, []string{}
	require.NoError(t, r.AddSite(ctx, taken), "it signs by now")
	s, err = r.Records.Site(ctx, "9998")
	require.NoError(t, err)
	require.Empty(t, s.Sources)
}

// refuses says who has no signature.
type refuses struct{}

func (refuses) Verify(_ context.Context, r *http.Request) (openflow.PartyID, error) {
	return "", openflow.Errorf(openflow.CodeUnauthorized, "the request is not signed well")
}

// An unsigned request is a peer's where it comes from that peer's source, and nobody's otherwise. One that says that it is signed is
// proven by that, wherever it comes from.
func TestCallersBySource(t *testing.T) {
	r, ctx := register(t), t.Context()
	shown := &x509.Certificate{Raw: []byte("a certificate")}
	shown.NotBefore, shown.NotAfter = shown.NotBefore.AddDate(-1, 0, 0), shown.NotBefore.AddDate(4000, 0, 0)
	require.NoError(t, r.AddSite(ctx, fate("9998", "10.0.0.0/24")))
	require.NoError(t, r.AddSite(ctx, fate("9997", "sha256:"+trust.Fingerprint(shown))))
	require.NoError(t, r.Records.SaveSite(ctx, fate("9996", "10.0.5.1"))) // as two operators at once could
	require.NoError(t, r.Records.SaveSite(ctx, fate("9995", "10.0.5.0/24")))
	v := Sources{Self: "9999", Signed: refuses{}, Records: r.Records}
	by := func(c *x509.Certificate) func(*http.Request) {
		return func(r *http.Request) { r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}} }
	}
	for name, tc := range map[string]struct {
		change func(*http.Request)
		want   openflow.PartyID
		says   string
	}{
		"from its network":       {func(*http.Request) {}, "9998", ""},
		"for this site":          {func(r *http.Request) { r.Header.Set("Dest-Party-Id", "9999") }, "9998", ""},
		"for another site":       {func(r *http.Request) { r.Header.Set("Dest-Party-Id", "10000") }, "", `for party "10000"`},
		"from elsewhere":         {func(r *http.Request) { r.RemoteAddr = "10.0.1.7:1" }, "", "not signed well"},
		"passed on":              {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.0.0.7") }, "", "not signed well"},
		"as another":             {func(r *http.Request) { r.Header.Set("Initiator-Party-Id", "9997") }, "9998", ""},
		"says that it is signed": {func(r *http.Request) { r.Header.Set(trust.HeaderParty, "9998") }, "", "not signed well"},
		"by its certificate":     {by(shown), "9997", ""},
		"by another certificate": {by(&x509.Certificate{Raw: []byte("b"), NotBefore: shown.NotBefore, NotAfter: shown.NotAfter}), "", "not signed well"},
		"from two parties":       {func(r *http.Request) { r.RemoteAddr = "10.0.5.1:1" }, "", "several parties"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodPost, "/", nil)
			req.RemoteAddr = "10.0.0.7:4711"
			tc.change(req)
			got, err := v.Verify(ctx, req)
			require.Equal(t, tc.want, got)
			if tc.says == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(err))
			require.ErrorContains(t, err, tc.says)
		})
	}
	named, err := Keys{r.Records}.Named(ctx, trust.Fingerprint(shown))
	require.NoError(t, err)
	require.True(t, named)
	named, err = Keys{r.Records}.Named(ctx, "")
	require.NoError(t, err)
	require.False(t, named)
}
