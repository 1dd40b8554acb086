package doctor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/doctor"
)

// What the start says of a peer, and its record not, is told with the way to change either.
func TestNamedPeers(t *testing.T) {
	well := doctor.Named{Party: "10000", URL: "https://h", Key: "ed25519:a", Known: true,
		Record: openflow.SiteRecord{Party: "10000", URL: "https://h", Keys: []string{"ed25519:a"}}}
	change := func(f func(*doctor.Named)) doctor.Named { n := well; f(&n); return n }
	for name, c := range map[string]struct {
		peer   doctor.Named
		want   openflow.Verdict
		says   string
		remedy []string
	}{
		"the same":           {well, good, "says what the record says", nil},
		"amid a rotation":    {change(func(n *doctor.Named) { n.Record.Keys = []string{"ed25519:b", "ed25519:a"} }), good, "", nil},
		"a rotated key":      {change(func(n *doctor.Named) { n.Record.Keys = []string{"ed25519:b"} }), tip, "the key ed25519:a, and its record has ed25519:b; the record counts", []string{"without this --peer", "openflow site rotate 10000 --key ed25519:a"}},
		"no key any more":    {change(func(n *doctor.Named) { n.Record.Keys = nil }), tip, "its record has none", []string{"site rotate 10000"}},
		"another address":    {change(func(n *doctor.Named) { n.Record.URL = "https://g" }), tip, "the address https://h, and its record has https://g", []string{"openflow site add 10000 --url https://h --key ed25519:a"}},
		"plain at the start": {change(func(n *doctor.Named) { n.Plain = true }), tip, "https://h (plain), and its record has https://h;", []string{"--key ed25519:a --plain"}},
		"plain by record":    {change(func(n *doctor.Named) { n.Record.Plain = true }), tip, "its record has https://h (plain)", []string{"site add 10000"}},
		"both":               {change(func(n *doctor.Named) { n.Record.URL, n.Record.Keys = "https://g", []string{"ed25519:b"} }), tip, "ed25519:b; the address", []string{"site rotate 10000 --key ed25519:a, then openflow site add 10000"}},
		"removed":            {doctor.Named{Party: "10000", URL: "https://h", Key: "ed25519:a", Removed: time.Unix(0, 0)}, tip, "names a party that was removed on 1970-01-01T00:00:00Z and stays removed", []string{"without this --peer", "openflow site add 10000 --url https://h --key ed25519:a"}},
		"no peer":            {doctor.Named{Party: "10000", URL: "https://h", Key: "ed25519:a"}, tip, "is no peer", []string{"openflow site add 10000"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := find(t, []openflow.Finding{c.peer.Examine()}, "--peer 10000", c.says)
			require.Equal(t, c.want, f.Verdict)
			for _, text := range c.remedy {
				require.Contains(t, f.Remedy, text)
			}
		})
	}
}
