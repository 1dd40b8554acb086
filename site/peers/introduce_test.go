package peers

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/native"
	"openflow/store/catalogue"
)

// A start registers whom it names once. What an operator has said of a peer since stays: a key, an address, a removal.
func TestIntroduce(t *testing.T) {
	key, next := nodeKey(t).Public().String(), nodeKey(t).Public().String()
	named := Peer{Party: "10000", URL: "https://a", Key: key}
	added := openflow.SiteRecord{Party: "10000", URL: "https://a", Keys: []string{key}}
	for name, c := range map[string]struct {
		since func(t *testing.T, r Register)
		url   string // in the record then
		keys  []string
		gone  bool
	}{
		"nothing":     {func(*testing.T, Register) {}, "https://a", []string{key}, false},
		"a key more":  {func(t *testing.T, r Register) { require.NoError(t, r.RotateSite(t.Context(), "10000", next, false)) }, "https://a", []string{next, key}, false},
		"another key": {func(t *testing.T, r Register) { require.NoError(t, r.RotateSite(t.Context(), "10000", next, true)) }, "https://a", []string{next}, false},
		"another address": {func(t *testing.T, r Register) {
			added := added
			added.URL = "https://b"
			require.NoError(t, r.AddSite(t.Context(), added))
		}, "https://b", []string{key}, false},
		"a removal": {func(t *testing.T, r Register) { require.NoError(t, r.Records.DeleteSite(t.Context(), "10000")) }, "", nil, true},
		"removed and added": {func(t *testing.T, r Register) {
			require.NoError(t, r.Records.DeleteSite(t.Context(), "10000"))
			require.NoError(t, r.AddSite(t.Context(), added))
		}, "https://a", []string{key}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := register(t)
			registered, err := r.Introduce(t.Context(), named)
			require.NoError(t, err)
			require.True(t, registered)
			c.since(t, r)
			for range 2 {
				registered, err = r.Introduce(t.Context(), named)
				require.NoError(t, err)
				require.False(t, registered)
				n, err := r.Look(t.Context(), named)
				require.NoError(t, err)
				require.Equal(t, named, n.Peer)
				require.Equal(t, c.gone, !n.Known)
				require.Equal(t, c.gone, !n.Removed.IsZero())
				require.Equal(t, c.url, n.Record.URL)
				require.Equal(t, c.keys, n.Record.Keys)
			}
			events, _, err := r.Records.Audit(t.Context(), catalogue.AuditFilter{})
			require.NoError(t, err)
			require.Len(t, events, 1, "the start has done one thing")
			e := events[0]
			require.Equal(t, []string{"openflow server --peer", "site/add", "10000"}, []string{e.Actor, e.Action, e.Subject})
			require.Contains(t, e.Detail, "address: none → https://a")
			require.Contains(t, e.Detail, key)
		})
	}
}

// A peer of the start speaks the usual dialect.
func TestIntroducedPeersSpeakTheUsualDialect(t *testing.T) {
	r := register(t)
	_, err := r.Introduce(t.Context(), Peer{Party: "10000", URL: "https://a", Key: nodeKey(t).Public().String()})
	require.NoError(t, err)
	s, err := r.Records.Site(t.Context(), "10000")
	require.NoError(t, err)
	require.Equal(t, native.Dialect{}.Name(), s.Dialect)
	require.NotEmpty(t, s.Profile)
	require.False(t, s.AddedAt.IsZero())
}

// What an address without TLS is refused with can be typed where it was refused.
func TestAdviceOnAnAddressWithoutTLS(t *testing.T) {
	key := nodeKey(t).Public().String()
	_, err := Parse("10000=http://10.0.0.2:9390," + key)
	require.ErrorContains(t, err, "is without TLS")
	advised := "10000=http://10.0.0.2:9390," + key + ",plain"
	require.ErrorContains(t, err, "--peer "+advised)
	require.NotContains(t, err.Error(), "site add")
	p, err := Parse(advised)
	require.NoError(t, err)
	require.True(t, p.Plain)
	err = register(t).AddSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: "http://10.0.0.2:9390", Keys: []string{key}})
	require.ErrorContains(t, err, "openflow site add 10000 --url http://10.0.0.2:9390 --key KEY --plain")
}
