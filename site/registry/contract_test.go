package registry

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// keeps is a script that keeps the contract.
const keeps = `
case "$1" in list) ;; desc) [ "$3" = psi ] || [ "$3" = scale ] || exit 4 ;; *) exit 2 ;; esac
`

// An image is held against the contract point by point; each script breaks one.
func TestHoldingAgainstTheContract(t *testing.T) {
	g, s := stocked(t)
	said := func(i *driver.Image) { i.Labels = map[string]string{contractLabel: "1"} }
	for name, tc := range map[string]struct {
		script string
		change func(*driver.Image)
		broken map[string]string // what is said, by point
	}{
		"all holds":     {keeps + of("acme", "1"), said, nil},
		"no version":    {keeps + of("acme", "1"), func(*driver.Image) {}, map[string]string{"contract version": "1 is meant"}},
		"a later one":   {keeps + of("acme", "1"), func(i *driver.Image) { i.Labels = map[string]string{contractLabel: "2"} }, map[string]string{"contract version": `made for version "2"`, "description": `made for version "2"`}},
		"takes all":     {of("acme", "1") + "\nexit 0", said, map[string]string{"unknown commands": "exit code 0", "unknown components": "exit code 0", "runs without configuration": "exit code 0"}},
		"hangs":         {strings.Replace(keeps, "*) exit 2", "run) sleep 600 ;; *) exit 2", 1) + of("acme", "1"), said, map[string]string{"runs without configuration": "has not ended"}},
		"volumes":       {keeps + of("acme", "1"), func(i *driver.Image) { said(i); i.Volumes = []string{"/data"} }, map[string]string{"files": "/data", "description": "it wants volumes"}},
		"nothing":       {keeps, func(i *driver.Image) { said(i); i.Entrypoint = nil }, map[string]string{"entry point": "neither an entry point", "description": "neither an entry point"}},
		"describes not": {"exit 3", said, map[string]string{"description": "exit status 3"}},
		"fickle":        {keeps + strings.Replace(of("acme", "1"), "for tests", `'$(date +%N)'`, 1), said, map[string]string{"same answers": "another way"}},
		"any order":     {keeps + inAnyOrder(of("acme", "1")), said, nil},
		"another's":     {keeps + of("openflow", "7"), said, map[string]string{"provider": "stands for the built-in provider"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "hangs" {
				within(t, 5*time.Second)
			}
			id := "sha256:" + name
			s.has(t, name, id, tc.script, tc.change)
			before, err := g.List(t.Context())
			require.NoError(t, err)
			found, err := g.Hold(t.Context(), Registration{What: name})
			require.NoError(t, err)
			require.Greater(t, len(found), 4)
			broken := map[string]string{}
			for _, f := range found {
				require.Equal(t, f.Verdict == openflow.VerdictOK, f.Remedy == "", "%+v", f)
				if f.Verdict != openflow.VerdictOK {
					broken[f.Check] = f.Detail
				}
			}
			require.Len(t, broken, len(tc.broken), "%v", broken)
			for point, says := range tc.broken {
				require.Contains(t, broken[point], says)
			}
			after, err := g.List(t.Context())
			require.NoError(t, err)
			require.Equal(t, before, after, "nothing is registered")
		})
	}
	found, err := g.Hold(t.Context(), Registration{What: "gone:1"})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Contains(t, found[0].Detail, "has no image gone:1")

	found, err = g.Hold(t.Context(), Registration{What: program(t, keeps+of("acme", "1"))})
	require.NoError(t, err)
	for _, f := range found {
		require.Equal(t, openflow.VerdictOK, f.Verdict, "%+v", f)
	}
}

// inAnyOrder lets a script describe its components with members and roles in an order that changes from answer to answer.
func inAnyOrder(script string) string {
	const members = `"description":"for tests",
"roles":["guest","host"]`
	return strings.Replace(script, members, `'$([ $(($$ % 2)) = 0 ] && echo '"description":"for tests","roles":["guest","host"]' || echo '"roles":["host","guest"],"description":"for tests"')'`, 1)
}

// stingy is a policy that lets everything run, and gives the components of one provider nothing.
type stingy struct{ provider string }

func (stingy) Stands(context.Context, openflow.ProviderRecord) error { return nil }

func (stingy) Admit(_ context.Context, _ openflow.ProviderRecord, given openflow.Papers) (openflow.Papers, error) {
	return given, nil
}

func (s stingy) Judge(
	_ context.Context, r openflow.ProviderRecord, components []openflow.ComponentRecord, given openflow.Papers,
) (openflow.Papers, error) {
	if r.Name == s.provider && len(components) > 0 {
		return given, openflow.Errorf(openflow.CodePermission, "policy.containers: %s may have nothing", r.Name)
	}
	return given, nil
}

// A check says what registration would: by the name that the image gives itself, and with what its components wish for.
func TestHoldingAgainstThePolicy(t *testing.T) {
	g, s := stocked(t)
	g.Judge = stingy{"acme"}
	for name, verdict := range map[string]openflow.Verdict{"acme": openflow.VerdictFail, "zeta": openflow.VerdictOK} {
		s.has(t, name+":1", "sha256:"+name, keeps+of(name, "1"))
		found, err := g.Hold(t.Context(), Registration{What: name + ":1"})
		require.NoError(t, err)
		i := slices.IndexFunc(found, func(f openflow.Finding) bool { return f.Check == "wishes" })
		require.GreaterOrEqual(t, i, 0)
		require.Equal(t, verdict, found[i].Verdict)
		_, _, err = g.Register(t.Context(), Registration{What: name + ":1"})
		require.Equal(t, verdict == openflow.VerdictOK, err == nil, "%v", err)
	}
}
