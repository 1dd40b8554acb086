package runtimetest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// Unseen is the identity of homes that a test knows nothing of. Other tests run on the same machine, and nothing of theirs may be
// taken for what a node has left that is gone.
func Unseen(home string) (string, error) { return "", fmt.Errorf("%s is not this test's", home) }

// RunHost runs the part of the suite that is about what a node asks of a runtime besides containers. program is the
// path of package payload's executable, which Bring is given.
func RunHost(t *testing.T, o driver.Opener, program string) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	with := driver.Options{Home: t.TempDir(), Node: uuid.NewString(), Identity: Unseen, Log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		_, err := o.Vacate(context.WithoutCancel(t.Context()), with)
		require.NoError(t, err)
	})
	says, err := o.Probe(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, says)
	require.NotEmpty(t, o.Traits().Device)
	h, err := o.Open(ctx, with)
	require.NoError(t, err)
	require.Equal(t, o.Kind(), h.Kind())

	gateway, err := h.Gateway(ctx)
	require.NoError(t, err)
	if gateway != (driver.Gateway{}) {
		_, err := netip.ParseAddr(gateway.Listen)
		require.NoError(t, err, "a node can listen there")
		require.NotEmpty(t, gateway.Host)
	}
	has, err := h.Resources(ctx)
	require.NoError(t, err)
	require.False(t, has.Cores < 0 || has.Memory < 0 || has.GPUs < 0, "%v", has)
	image, err := h.Bring(ctx, program)
	require.NoError(t, err)
	again, err := h.Bring(ctx, program)
	require.NoError(t, err)
	require.Equal(t, image, again)
	testAsk(ctx, t, h, image, o.Traits().Isolates)
	testImages(ctx, t, h, program)
	_, err = h.Confine(ctx, 4711)
	require.NoError(t, err)
	testResidence(ctx, t, h, image, with.Node)
	require.NoError(t, h.Trim(ctx))

	found := h.Examine(ctx)
	require.NotEmpty(t, found)
	for _, f := range found {
		require.NotEqual(t, openflow.VerdictFail, f.Verdict, "%+v", f)
		require.NotEmpty(t, f.Check)
		require.NotEmpty(t, f.Detail)
		require.Equal(t, f.Verdict == openflow.VerdictOK, f.Remedy == "", "what is not well has a remedy: %+v", f)
	}

	s := driver.Spec{Name: "hosttest-" + with.Node, Labels: map[string]string{"hosttest": with.Node}, Image: image, Command: []string{"exit", "7"}}
	_, err = h.Ensure(ctx, s)
	require.NoError(t, err)
	require.NoError(t, h.Start(ctx, s.Name))
	require.NoError(t, h.Close())
	h, err = o.Open(ctx, with)
	require.NoError(t, err)
	st, err := h.Wait(ctx, s.Name)
	require.NoError(t, err, "the next process finds what the one before has left")
	require.Equal(t, 7, st.ExitCode)
	mine, err := h.List(ctx, nil)
	require.NoError(t, err)
	require.Len(t, mine, 1, "another node's are not among them")
	if o.Traits().Followers == driver.AnyReplica {
		removed, err := o.Vacate(ctx, with)
		require.NoError(t, err)
		require.Empty(t, removed, "other replicas may follow what there is")
		require.NoError(t, h.Remove(ctx, s.Name))
		require.NoError(t, h.Close())
		return
	}
	require.NoError(t, h.Close())
	removed, err := o.Vacate(ctx, with)
	require.NoError(t, err)
	require.NotEmpty(t, removed)
	removed, err = o.Vacate(ctx, with)
	require.NoError(t, err)
	require.Empty(t, removed, "nothing is left")
}

// testResidence wants a runtime that can have resident containers to tell those that run from others.
func testResidence(ctx context.Context, t *testing.T, h driver.Host, image, node string) {
	r, can := h.(driver.Residence)
	if !can {
		return
	}
	ask := func(name string, want openflow.Code) {
		t.Helper()
		_, err := r.Reach(ctx, name, 80)
		require.Equal(t, want, openflow.CodeOf(err), "%v", err)
		_, err = r.Execute(ctx, name, []string{"true"}, 100)
		require.Equal(t, want, openflow.CodeOf(err), "%v", err)
	}
	s := driver.Spec{Name: "residence-" + node, Labels: map[string]string{"hosttest": node}, Image: image, Command: []string{"hang"}}
	ask(s.Name, openflow.CodeNotFound)
	_, err := h.Ensure(ctx, s)
	require.NoError(t, err)
	ask(s.Name, openflow.CodeConflict)
	require.NoError(t, h.Start(ctx, s.Name))
	at, err := r.Reach(ctx, s.Name, 80)
	require.NoError(t, err)
	_, err = netip.ParseAddrPort(at)
	require.NoError(t, err, at)
	require.NoError(t, h.Stop(ctx, s.Name, 0))
	ask(s.Name, openflow.CodeConflict)
	require.NoError(t, h.Remove(ctx, s.Name))
}

// testImages wants every runtime to tell an image that it lacks from one that it runs, and a program from an archive.
func testImages(ctx context.Context, t *testing.T, h driver.Host, program string) {
	for _, name := range []string{"openflow/no-such-image:1", "sha256:" + uuid.NewString(), ""} {
		_, err := h.Image(ctx, name)
		require.Contains(t, []openflow.Code{openflow.CodeNotFound, openflow.CodeInvalid}, openflow.CodeOf(err), "%q: %v", name, err)
	}
	err := h.Layers(ctx, "openflow/no-such-image:1", func(io.Reader) error { return nil })
	require.Contains(t, []openflow.Code{openflow.CodeNotFound, openflow.CodeInvalid}, openflow.CodeOf(err), "%v", err)
	_, err = h.LoadArchive(ctx, program)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
}
