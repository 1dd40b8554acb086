package registry

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A component is STARTED while it has a container that serves. What an operator has unloaded stays so.
func TestServing(t *testing.T) {
	g := site(t)
	own := openflow.ProviderRef{Name: "openflow", Version: "2"}
	state := func() openflow.ComponentState {
		at, err := g.standing(t.Context(), "psi", own)
		require.NoError(t, err)
		return at.State
	}
	var told []openflow.ComponentChange
	g.Tell = func(_ context.Context, c openflow.ComponentChange) { told = append(told, c) }
	for range 2 {
		require.NoError(t, g.Serving(t.Context(), "m1", "psi", own, true))
		require.Equal(t, openflow.ComponentStarted, state())
	}
	require.Len(t, told, 1)
	require.Equal(t, "machine m1", told[0].By)
	require.True(t, g.Serves(t.Context(), "psi", own))
	for range 2 {
		require.NoError(t, g.Serving(t.Context(), "m1", "psi", own, false))
		require.Equal(t, openflow.ComponentStopped, state())
	}
	require.Equal(t, "openflow:2@docker", g.serves(t, ""), "it takes jobs all the same")
	require.Len(t, told, 2)

	_, err := g.Unload(t.Context(), "psi", own.String(), "ann")
	require.NoError(t, err)
	require.False(t, g.Serves(t.Context(), "psi", own))
	for _, serving := range []bool{true, false} {
		require.NoError(t, g.Serving(t.Context(), "m1", "psi", own, serving))
		require.Equal(t, openflow.ComponentUnloaded, state())
	}
	_, err = g.Load(t.Context(), "psi", own.String(), "ann")
	require.NoError(t, err)
	require.NoError(t, g.Serving(t.Context(), "m1", "psi", own, false))
	require.Equal(t, openflow.ComponentLoaded, state())
	require.True(t, g.Serves(t.Context(), "psi", own))
	g.Judge = strict{}
	require.False(t, g.Serves(t.Context(), "psi", own), "the policy does not let its provider run any more")
	g.Judge = nil

	other := openflow.ProviderRef{Name: "acme", Version: "1"}
	require.False(t, g.Serves(t.Context(), "psi", other), "nobody has registered it")
	require.NoError(t, g.Serving(t.Context(), "m1", "psi", other, true))
}

// Loading starts the containers of what is resident, and says what else there is.
func TestLoadAndStart(t *testing.T) {
	g := site(t)
	own := openflow.ProviderRef{Name: "openflow", Version: "2"}
	_, err := g.LoadAndStart(t.Context(), "psi", own.String(), "ann")
	require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(err), "this machine has no resident containers")
	has := &serving{}
	g.Residents = has
	_, err = g.LoadAndStart(t.Context(), "psi", own.String(), "ann")
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "nothing of that is resident")
	require.Empty(t, has.asked)

	rows, err := g.Rows.Components(t.Context(), own.Name, own.Version)
	require.NoError(t, err)
	for i := range rows {
		rows[i].Way, rows[i].Runs = openflow.WayResident, 2
	}
	g.Rows = residents{g.Rows, rows}
	_, err = g.LoadAndStart(t.Context(), "psi", own.String(), "ann")
	require.NoError(t, err)
	require.Equal(t, []string{"psi of openflow:2"}, has.asked)
}

// residents has these components of every provider.
type residents struct {
	Store
	rows []openflow.ComponentRecord
}

func (r residents) Components(context.Context, string, string) ([]openflow.ComponentRecord, error) {
	return r.rows, nil
}

// serving notes what is to be served.
type serving struct {
	Residents
	asked []string
}

func (s *serving) Serve(_ context.Context, of openflow.ProviderRef, component string, _ time.Duration) error {
	s.asked = append(s.asked, component+" of "+of.String())
	return nil
}

// strict is a policy that lets nothing run any more.
type strict struct{ stingy }

func (strict) Stands(context.Context, openflow.ProviderRecord) error {
	return openflow.Errorf(openflow.CodePermission, "a key was revoked")
}
