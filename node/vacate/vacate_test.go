package vacate

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/process"
)

// away is a runtime that cannot be asked.
type away struct{ fake.Opener }

func (away) Vacate(context.Context, driver.Options) ([]string, error) {
	return nil, openflow.Errorf(openflow.CodeUnavailable, "no daemon")
}

func opened(t *testing.T, dir string) *home.Home {
	t.Helper()
	h, err := home.Open(dir, "9999")
	require.NoError(t, err)
	return h
}

// Whether a home is gone, is what the runtimes are told by.
func TestWhoseHome(t *testing.T) {
	with := func(text string) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "home.json"), []byte(text), 0o600))
		return dir
	}
	for name, tc := range map[string]struct {
		dir  string
		gone bool
		node string
	}{
		"its home":                   {with(`{"node":"n1"}`), false, "n1"},
		"none":                       {filepath.Join(t.TempDir(), "none"), true, ""},
		"an empty folder":            {t.TempDir(), true, ""},
		"a damaged home":             {with("{"), false, ""},
		"a home that cannot be seen": {filepath.Join(with("{}"), "home.json"), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			node, err := home.NodeOf(tc.dir)
			require.Equal(t, tc.gone, errors.Is(err, fs.ErrNotExist), "%v", err)
			require.Equal(t, tc.node, node)
			require.Equal(t, tc.node == "", err != nil)
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
	removed, err := Gone(t.Context(), driver.Openers{process.Opener{}, docker.Opener{}})
	require.NoError(t, err)
	require.NotContains(t, strings.Join(removed, " "), names[0])

	rt, err := engine.New(t.Context(), engine.Options{})
	require.NoError(t, err)
	left := func(name string) bool {
		list, err := rt.Networks(t.Context())
		require.NoError(t, err)
		return slices.ContainsFunc(list, func(n engine.Network) bool { return n.Name == name })
	}
	require.True(t, left(names[0]))
	require.False(t, left(names[1]), "by this call, or by a node that another test has started meanwhile")

	_, err = Node(t.Context(), there.Dir, driver.Openers{docker.Opener{}})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "its node runs")
	require.NoError(t, there.Close())
	v, err := Node(t.Context(), there.Dir, driver.Openers{process.Opener{}, docker.Opener{}})
	require.NoError(t, err)
	require.Equal(t, Found{Started: true, Removed: []string{"network " + names[0] + " with its rules"}}, v)
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
	v, err := Node(t.Context(), h.Dir, driver.Openers{away{}, process.Opener{}})
	require.NoError(t, err)
	require.Equal(t, []string{"1 programs"}, v.Removed, "also where another runtime could not be asked")
	require.ErrorContains(t, v.Unasked, "fake: no daemon")
	_, err = rt.Inspect(t.Context(), s.Name)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.NoError(t, Purge(h.Dir))
	_, err = os.Stat(h.Dir)
	require.ErrorIs(t, err, os.ErrNotExist)

	other := t.TempDir()
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(Purge(other)), "no home")
	v, err = Node(t.Context(), other, driver.Openers{process.Opener{}})
	require.NoError(t, err)
	require.Zero(t, v)
}
