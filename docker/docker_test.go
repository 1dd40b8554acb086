package docker

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
)

func TestConformanceOfTheHost(t *testing.T) { runtimetest.RunHost(t, Opener{}, runtimetest.Build(t)) }

// When the network of another node may be removed: never while that node could be there.
func TestGone(t *testing.T) {
	const node = "1f0d3b60-0000-4000-8000-000000000000"
	here := engine.OwnerOf("")
	now := time.Now()
	homes := map[string]string{"/its": node, "/another": "2f0d3b60-0000-4000-8000-000000000000"}
	o := driver.Options{Identity: func(dir string) (string, error) {
		switch {
		case dir == "/damaged":
			return "", errors.New("home.json is damaged")
		case homes[dir] == "":
			return "", fs.ErrNotExist
		}
		return homes[dir], nil
	}}
	for name, tc := range map[string]struct {
		change func(*engine.Network)
		served bool
		gone   bool
	}{
		"no home":                      {func(*engine.Network) {}, false, true},
		"another node's home by now":   {func(n *engine.Network) { n.Owner.Home = "/another" }, false, true},
		"ended long ago":               {func(n *engine.Network) { n.Containers, n.Ended = 2, now.Add(-2*settledFor) }, false, true},
		"its home":                     {func(n *engine.Network) { n.Owner.Home = "/its" }, false, false},
		"a home that cannot be read":   {func(n *engine.Network) { n.Owner.Home = "/damaged" }, false, false},
		"somebody listens":             {func(*engine.Network) {}, true, false},
		"something runs":               {func(n *engine.Network) { n.Containers, n.Running = 1, 1 }, false, false},
		"something has just ended":     {func(n *engine.Network) { n.Containers, n.Ended = 1, now.Add(-time.Minute) }, false, false},
		"of another machine":           {func(n *engine.Network) { n.Owner.Host = "elsewhere 1" }, false, false},
		"made by who says nothing":     {func(n *engine.Network) { n.Owner = engine.Owner{} }, false, false},
		"a path on an unknown machine": {func(n *engine.Network) { n.Owner.Host = "" }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := engine.Network{
				Name: NetworkName(node), Owner: engine.Owner{Home: "/none", Host: here.Host}, Gateway: netip.MustParseAddr("10.77.0.1"),
			}
			tc.change(&n)
			require.Equal(t, tc.gone, gone(n, here, o, func(engine.Network) bool { return tc.served }, now))
		})
	}
}

// An operator may prune the network while nothing runs. The node makes it again; doctor says so, and counts right.
func TestExaminationOfAPrunedNetwork(t *testing.T) {
	ctx := t.Context()
	o := driver.Options{Home: t.TempDir(), Node: uuid.NewString(), Log: slog.New(slog.DiscardHandler)}
	o.Identity = runtimetest.Unseen
	t.Cleanup(func() {
		_, err := Opener{}.Vacate(context.WithoutCancel(ctx), o)
		require.NoError(t, err)
	})
	opened, err := Opener{}.Open(ctx, o)
	require.NoError(t, err)
	h := opened.(*host)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	_, err = h.Gateway(ctx)
	require.NoError(t, err)
	there := h.look(ctx)
	require.NoError(t, there.err)
	require.False(t, there.pruned)

	other, err := engine.New(ctx, engine.Options{Network: NetworkName(o.Node)})
	require.NoError(t, err)
	require.NoError(t, other.RemoveNetwork(ctx))
	require.NoError(t, other.Close())
	gone := h.look(ctx)
	require.NoError(t, gone.err)
	require.True(t, gone.pruned)
	for _, f := range h.Examine(ctx) {
		require.NotContains(t, f.Detail, "-1 ")
	}
}

func TestExamine(t *testing.T) {
	const good, tip, bad = openflow.VerdictOK, openflow.VerdictWarn, openflow.VerdictFail
	well := func(change func(*daemon)) []openflow.Finding {
		d := daemon{release: "20.10", api: "1.41", network: "openflow-1", filters: true}
		change(&d)
		return d.examine()
	}
	one := func(f openflow.Finding) []openflow.Finding { return []openflow.Finding{f} }
	for name, c := range map[string]struct {
		got   []openflow.Finding
		check string
		want  openflow.Verdict
		says  string
	}{
		"docker":     {well(func(*daemon) {}), "docker", good, "1.41"},
		"away":       {well(func(d *daemon) { d.err = errors.New("no daemon") }), "docker", bad, "no daemon"},
		"too old":    {well(func(d *daemon) { d.api = "1.39" }), "docker", bad, "1.39"},
		"2":          {well(func(d *daemon) { d.api = "2.0" }), "docker", good, "2.0"},
		"filter":     {well(func(*daemon) {}), "system calls", good, "filters"},
		"no filter":  {well(func(d *daemon) { d.filters = false }), "system calls", bad, "does not filter"},
		"image":      {well(func(*daemon) {}), "image", good, ""},
		"image lost": {well(func(d *daemon) { d.lost = []string{"sha256:1"} }), "image", bad, "sha256:1"},
		"network":    {well(func(*daemon) {}), "network", good, "nothing else"},
		"network pruned": {
			well(func(d *daemon) { d.pruned, d.firewall = true, errors.New("no interface") }), "network", tip, "docker network prune",
		},
		"host open": {
			well(func(d *daemon) { d.firewall, d.reachable = errors.New("not root"), []string{"tcp 0.0.0.0:22"} }),
			"network", tip, "0.0.0.0:22",
		},
		"no rules, no danger": {well(func(d *daemon) { d.firewall = errors.New("not root") }), "network", tip, "nothing else listens"},
		"networks":            {one(networks(nil, 3)), "networks", good, "3 container networks"},
		"networks left":       {one(networks(strings.Fields("openflow-1 b c d e f g"), 9)), "networks", tip, "and 2 more"},
		"too many networks":   {one(networks(nil, 25)), "networks", tip, "25 container networks"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range c.got {
				if f.Check == c.check {
					require.Equal(t, c.want, f.Verdict)
					require.Contains(t, f.Detail, c.says)
					require.Equal(t, f.Verdict == good, f.Remedy == "")
					return
				}
			}
			t.Fatalf("no check %q in %+v", c.check, c.got)
		})
	}
}
