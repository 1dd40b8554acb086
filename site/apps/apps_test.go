package apps_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/apps"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// nonces remember for ever.
type nonces struct {
	mu   sync.Mutex
	used map[string]time.Time
}

func (n *nonces) UseNonce(_ context.Context, peer, nonce string, until time.Time) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, known := n.used[peer+"|"+nonce]
	n.used[peer+"|"+nonce] = until
	return !known, nil
}

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// register is a site's, at a time that the test moves.
func register(t *testing.T) (*apps.Register, *nonces, *time.Time) {
	dir := t.TempDir()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(dir, "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	secrets, err := trust.LoadOrCreateCredentials(filepath.Join(dir, "secrets"))
	require.NoError(t, err)
	seal, err := secrets.Seal()
	require.NoError(t, err)
	n, now := &nonces{used: map[string]time.Time{}}, noon
	return &apps.Register{Rows: rows, Seal: seal, Nonces: n, Now: func() time.Time { return now }}, n, &now
}

func client(name string) openflow.App {
	return openflow.App{Kind: openflow.AppClient, Name: name, Role: openflow.AppMayUse, By: "ann"}
}

func TestAppsHaveTokens(t *testing.T) {
	r, _, _ := register(t)
	portal, token, err := r.Add(t.Context(), client("portal"))
	require.NoError(t, err)
	require.Len(t, token, 32)
	got, opened, err := r.App(t.Context(), openflow.AppClient, portal.ID)
	require.NoError(t, err)
	require.Equal(t, token, opened)
	require.Equal(t, portal, got)
	row, err := r.Rows.App(t.Context(), openflow.AppClient, portal.ID)
	require.NoError(t, err)
	require.NotContains(t, row.Token, token, "the database does not tell the token")

	_, second, err := r.Add(t.Context(), client("portal"))
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.Empty(t, second)
	_, _, err = r.Add(t.Context(), openflow.App{Kind: openflow.AppClient, Name: "p", Role: openflow.AppMayManage, Plain: true})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "who makes apps does so over TLS")
	_, _, err = r.Add(t.Context(), openflow.App{Kind: openflow.AppPartner, Name: "10000"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))

	peer, err := r.Introduce(t.Context(), openflow.App{ID: "40172236", Name: "10000"}, "AbCdEfGhIjKlMnOp")
	require.NoError(t, err)
	_, opened, err = r.AppOf(t.Context(), openflow.AppPartner, "10000")
	require.NoError(t, err)
	require.Equal(t, "AbCdEfGhIjKlMnOp", opened)
	_, err = r.Introduce(t.Context(), openflow.App{ID: "1", Name: "10001"}, "short")
	require.ErrorContains(t, err, "app_token")

	require.NoError(t, r.Remove(t.Context(), peer))
	_, _, err = r.AppOf(t.Context(), openflow.AppPartner, "10000")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestSignaturesAreTimely(t *testing.T) {
	r, _, _ := register(t)
	for away, good := range map[time.Duration]bool{
		0: true, apps.Skew: true, -apps.Skew: true, apps.Skew + time.Millisecond: false, -apps.Skew - time.Millisecond: false, -24 * time.Hour: false, 24 * time.Hour: false,
	} {
		err := r.CheckTime(noon.Add(away))
		if good {
			require.NoError(t, err, away)
			continue
		}
		var e *openflow.Error
		require.ErrorAs(t, err, &e, away)
		require.Equal(t, openflow.AboutTime, e.Subject)
		require.Equal(t, openflow.CodeUnauthorized, e.Code)
	}
}

// A signature counts once. It is remembered for as long as its time is taken.
func TestSignatureCountsOnce(t *testing.T) {
	r, n, _ := register(t)
	a, b := openflow.App{ID: "1", Kind: openflow.AppClient}, openflow.App{ID: "1", Kind: openflow.AppSite}
	require.NoError(t, r.Spend(t.Context(), a, "1234", noon))
	require.Equal(t, openflow.CodeUnauthorized, openflow.CodeOf(r.Spend(t.Context(), a, "1234", noon)))
	require.NoError(t, r.Spend(t.Context(), a, "1234", noon.Add(time.Second)), "another second")
	require.NoError(t, r.Spend(t.Context(), a, "1235", noon), "another nonce")
	require.NoError(t, r.Spend(t.Context(), b, "1234", noon), "another app")
	for key, until := range n.used {
		require.False(t, until.Before(noon.Add(apps.Skew)), key)
	}
}

// An app that floods is refused, and leaves a bounded number of nonces.
func TestRequestsOfAnAppAreBounded(t *testing.T) {
	r, n, now := register(t)
	a := openflow.App{ID: "1", Kind: openflow.AppClient, Name: "portal"}
	flood := func(count int) (taken int) {
		for i := range count {
			err := r.Spend(t.Context(), a, "1234", now.Add(time.Duration(i)*time.Millisecond))
			if err == nil {
				taken++
				continue
			}
			var e *openflow.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, openflow.CodeExhausted, e.Code)
		}
		return taken
	}
	require.Equal(t, 500, flood(2000))
	require.NoError(t, r.Spend(t.Context(), openflow.App{ID: "2", Kind: openflow.AppClient}, "1234", noon), "another app is unharmed")
	*now = noon.Add(10 * time.Second)
	require.Equal(t, 500, flood(2000), "what it may have has grown back")
	require.Len(t, n.used, 1001)
	*now = noon.Add(9 * time.Second)
	require.Zero(t, flood(1), "a clock that is set back gives nothing")
}
