package registry

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// doorman is a policy that refuses at one of its steps.
type doorman struct{ admits, judges bool }

func refusal(yes bool) error {
	if yes {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "not for this site")
}

func (d doorman) Admit(_ context.Context, _ openflow.ProviderRecord, p openflow.Papers) (openflow.Papers, error) {
	return p, refusal(d.admits)
}

func (d doorman) Judge(_ context.Context, _ openflow.ProviderRecord, _ []openflow.ComponentRecord, p openflow.Papers) (openflow.Papers, error) {
	return p, refusal(d.judges)
}

func (doorman) Stands(context.Context, openflow.ProviderRecord) error { return nil }

// fetching counts what is pulled or loaded.
type fetching struct {
	shelf
	fetched *int
}

func (f fetching) Fetch(ctx context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, driver.Image, error) {
	*f.fetched++
	return f.shelf.Fetch(ctx, r)
}

// What the policy refuses by its place or signature is neither pulled nor loaded, whoever asks. Of what is refused later, nothing
// stays that was not here before.
func TestNothingStaysOfWhatIsRefused(t *testing.T) {
	ctx := t.Context()
	for name, tc := range map[string]struct {
		judge   doorman
		silent  bool   // it describes nothing
		version string // that the operator expects
		before  bool   // the runtime has the image before
		fetched int
		stays   bool
	}{
		"not admitted":             {doorman{}, false, "", false, 0, false},
		"not admitted, but here":   {doorman{}, false, "", true, 0, true},
		"refused later":            {doorman{admits: true}, false, "", false, 1, false},
		"refused later, but here":  {doorman{admits: true}, false, "", true, 1, true},
		"it describes nothing":     {doorman{true, true}, true, "", false, 1, false},
		"in another version":       {doorman{true, true}, false, "2", false, 1, false},
		"allowed":                  {doorman{true, true}, false, "", false, 1, true},
		"allowed, and here before": {doorman{true, true}, false, "", true, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := stocked(t)
			n := 0
			g.Judge, g.Machine = tc.judge, fetching{s, &n}
			for _, how := range []string{"pulled", "loaded", "in-a-folder", "checked", "checked-archive"} {
				if how == "in-a-folder" && tc.version != "" {
					continue
				}
				folder, what, stays := t.TempDir(), "acme/"+how+":1", tc.stays
				archive := filepath.Join(folder, "acme.tar")
				require.NoError(t, os.WriteFile(archive, []byte(strings.Repeat("x", 257)+"ustar"+strings.Repeat("x", 600)), 0o600))
				img := driver.Image{ID: "sha256:" + how, Entrypoint: []string{"/run"}}
				s.scripts[img.ID] = program(t, "exit 3")
				if !tc.silent {
					s.scripts[img.ID] = program(t, of(how, "1"))
				}
				s.fake.Publish(archive, img)
				s.fake.Publish(what, img)
				if tc.before {
					s.fake.Tag(what, img)
				}
				if how == "loaded" || how == "checked-archive" {
					what = archive
				}
				n = 0
				switch how {
				case "in-a-folder":
					_, _, err := g.RegisterFolder(ctx, folder)
					require.NoError(t, err)
				case "checked", "checked-archive":
					_, err := g.Hold(ctx, Registration{What: what, Version: tc.version})
					require.NoError(t, err)
					stays = tc.before
				default:
					_, _, err := g.Register(ctx, Registration{What: what, Version: tc.version})
					require.Equal(t, strings.HasPrefix(name, "allowed"), err == nil, "%v", err)
				}
				require.Equal(t, tc.fetched, n, how)
				_, err := s.fake.Image(ctx, img.ID)
				require.Equal(t, stays, err == nil, how)
			}
		})
	}
}

// A refusal takes nothing away from a provider that is registered.
func TestWhatIsRegisteredStays(t *testing.T) {
	g, s := stocked(t)
	s.scripts["sha256:1"] = program(t, of("acme", "1"))
	s.fake.Publish("acme/psi:1", driver.Image{ID: "sha256:1", Entrypoint: []string{"/run"}})
	_, _, err := g.Register(t.Context(), Registration{What: "acme/psi:1"})
	require.NoError(t, err)
	_, _, err = g.Register(t.Context(), Registration{What: "acme/psi:1", Version: "2"})
	require.Error(t, err)
	_, err = g.Hold(t.Context(), Registration{What: "acme/psi:1"})
	require.NoError(t, err)
	_, err = s.fake.Image(t.Context(), "sha256:1")
	require.NoError(t, err)

	// So it is with programs, of which the machine has copies.
	path := program(t, of("zeta", "1"))
	copies := func() int {
		list, err := os.ReadDir(s.Copies)
		require.NoError(t, err)
		return len(list)
	}
	_, _, err = g.Register(t.Context(), Registration{What: path, Version: "2"})
	require.Error(t, err)
	require.Zero(t, copies())
	_, _, err = g.Register(t.Context(), Registration{What: path})
	require.NoError(t, err)
	require.Equal(t, 1, copies())
	_, _, err = g.Register(t.Context(), Registration{What: path, Version: "2"})
	require.Error(t, err)
	require.Equal(t, 1, copies())
}
