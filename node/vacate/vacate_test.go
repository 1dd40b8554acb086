package vacate

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/process"
)

func opened(t *testing.T, dir string) *home.Home {
	t.Helper()
	h, err := home.Open(dir, "9999")
	require.NoError(t, err)
	return h
}

// When the network of another node may be removed: never while that node could be there.
func TestGone(t *testing.T) {
	here := engine.OwnerOf("")
	now := time.Now()
	id := home.Identity{Format: home.Format, Node: uuid.NewString(), Party: "9999"}
	text, err := json.Marshal(id)
	require.NoError(t, err)
	with := func(file string) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "home.json"), []byte(file), 0o600))
		return dir
	}
	none := filepath.Join(t.TempDir(), "none")
	for name, tc := range map[string]struct {
		change func(*engine.Network)
		served bool
		gone   bool
	}{
		"no home":                      {func(*engine.Network) {}, false, true},
		"an empty folder":              {func(n *engine.Network) { n.Owner.Home = t.TempDir() }, false, true},
		"another node's home by now":   {func(n *engine.Network) { n.Owner.Home = with(`{"node":"` + uuid.NewString() + `"}`) }, false, true},
		"ended long ago":               {func(n *engine.Network) { n.Containers, n.Ended = 2, now.Add(-2*settledFor) }, false, true},
		"its home":                     {func(n *engine.Network) { n.Owner.Home = with(string(text)) }, false, false},
		"a damaged home":               {func(n *engine.Network) { n.Owner.Home = with("{") }, false, false},
		"a home that cannot be seen":   {func(n *engine.Network) { n.Owner.Home = filepath.Join(with("{}"), "home.json") }, false, false},
		"somebody listens":             {func(*engine.Network) {}, true, false},
		"something runs":               {func(n *engine.Network) { n.Containers, n.Running = 1, 1 }, false, false},
		"something has just ended":     {func(n *engine.Network) { n.Containers, n.Ended = 1, now.Add(-time.Minute) }, false, false},
		"of another machine":           {func(n *engine.Network) { n.Owner.Host = "elsewhere 1" }, false, false},
		"made by who says nothing":     {func(n *engine.Network) { n.Owner = engine.Owner{} }, false, false},
		"a path on an unknown machine": {func(n *engine.Network) { n.Owner.Host = "" }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			n := engine.Network{
				Name: docker.NetworkName(id.Node), Owner: engine.Owner{Home: none, Host: here.Host}, Gateway: netip.MustParseAddr("10.77.0.1"),
			}
			tc.change(&n)
			require.Equal(t, tc.gone, gone(n, here, func(engine.Network) bool { return tc.served }, now))
		})
	}
}

// A node whose home has been deleted leaves a network with rules; the next start of any node removes it, and nothing of
// a node that is there.
func TestNetworksOfNodesThatAreGone(t *testing.T) {
	there, lost := opened(t, filepath.Join(t.TempDir(), "there")), opened(t, filepath.Join(t.TempDir(), "lost"))
	var names []string
	for _, h := range []*home.Home{there, lost} {
		rt, err := engine.New(t.Context(), engine.Options{Network: docker.NetworkName(h.Node), Owner: engine.OwnerOf(h.Dir)})
		require.NoError(t, err, "no Docker daemon: run tests/services/docker.sh")
		_, err = rt.Gateway(t.Context())
		require.NoError(t, err)
		names = append(names, docker.NetworkName(h.Node))
		t.Cleanup(func() {
			require.NoError(t, rt.Discard(context.WithoutCancel(t.Context()), docker.NetworkName(h.Node), true))
			require.NoError(t, rt.Close())
		})
	}
	require.NoError(t, os.RemoveAll(lost.Dir))
	removed, err := Gone(t.Context(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NotContains(t, removed, names[0])

	rt, err := engine.New(t.Context(), engine.Options{})
	require.NoError(t, err)
	left := func(name string) bool {
		list, err := rt.Networks(t.Context())
		require.NoError(t, err)
		return slices.ContainsFunc(list, func(n engine.Network) bool { return n.Name == name })
	}
	require.True(t, left(names[0]))
	require.False(t, left(names[1]), "by this call, or by a node that another test has started meanwhile")

	_, err = Node(t.Context(), there.Dir)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "its node runs")
	require.NoError(t, there.Close())
	v, err := Node(t.Context(), there.Dir)
	require.NoError(t, err)
	require.Equal(t, names[0], v.Network)
	require.True(t, v.Networked)
	require.False(t, left(names[0]))
	require.NoError(t, rt.Close())
}

// Node ends the programs of a node, and Purge takes its home and nothing else.
func TestVacateAndPurge(t *testing.T) {
	h := opened(t, filepath.Join(t.TempDir(), "home"))
	tasks, err := h.Folder("tasks")
	require.NoError(t, err)
	rt, err := process.New(tasks)
	require.NoError(t, err)
	s := driver.Spec{Name: "lasting", Image: "/bin/sleep", Command: []string{"600"}}
	_, err = rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(Purge(h.Dir)), "its node runs")
	require.NoError(t, h.Close())
	v, err := Node(t.Context(), h.Dir)
	require.NoError(t, err)
	require.Equal(t, 1, v.Programs)
	require.False(t, v.Networked, "the process runtime has none")
	_, err = rt.Inspect(t.Context(), s.Name)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.NoError(t, Purge(h.Dir))
	_, err = os.Stat(h.Dir)
	require.ErrorIs(t, err, os.ErrNotExist)

	other := t.TempDir()
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(Purge(other)), "no home")
	v, err = Node(t.Context(), other)
	require.NoError(t, err)
	require.Zero(t, v)
}
