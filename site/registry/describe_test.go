package registry

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/programs"
	"openflow/tests/fuzzing"
)

// program is a program of a shell script.
func program(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "components")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700))
	return path
}

// here asks programs of this machine as this user.
type here struct{}

func (here) Inspect(ctx context.Context, what, _ string) (openflow.ProviderRecord, error) {
	return (&programs.Programs{Images: driver.NoImages{Runtime: "process"}}).Inspect(ctx, what, "")
}

// Fetch and Discard have nothing to bring or to remove.
func (here) Fetch(_ context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, driver.Image, error) {
	return r, driver.Image{}, nil
}

func (here) Discard(context.Context, openflow.ProviderRecord) error { return nil }

// Ready has nothing to bring.
func (here) Ready(_ context.Context, r openflow.ProviderRecord) (string, error) { return r.Place, nil }

func (here) Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error) {
	return driver.AskHere(ctx, driver.Question{Image: r.Place, Command: args, Most: most})
}

// bringing is a machine on which the time for answers must begin once a program has been brought.
type bringing struct {
	here
	t     *testing.T
	stuck bool
	ready *atomic.Int64 // when it was
}

func (b bringing) Ready(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	if b.stuck {
		<-ctx.Done()
		return "", ctx.Err()
	}
	until, ok := ctx.Deadline()
	require.True(b.t, ok)
	require.Greater(b.t, time.Until(until), describeWithin, "this node's work is not the program's time")
	b.ready.Store(time.Now().UnixNano())
	return r.Place, nil
}

func (b bringing) Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error) {
	until, ok := ctx.Deadline()
	assert.True(b.t, ok)
	assert.False(b.t, until.Before(time.Unix(0, b.ready.Load()).Add(answersWithin)), "all of its time is left")
	return b.here.Ask(ctx, r, most, args...)
}

// The bound on answers is the program's: what this node needs to bring it is not counted, and has a bound of its own.
func TestBringingAProgramIsNotItsTime(t *testing.T) {
	path := program(t, of("acme", "1"))
	m := bringing{t: t, ready: new(atomic.Int64)}
	d, err := Describe(t.Context(), m, at(path))
	require.NoError(t, err)
	require.Len(t, d.Components, 2)
	_, err = Whose(t.Context(), m, at(path))
	require.NoError(t, err)

	m.stuck = true
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Describe(gone, m, at(path))
	require.ErrorIs(t, err, context.Canceled)
	before := broughtWithin
	broughtWithin = time.Millisecond
	t.Cleanup(func() { broughtWithin = before })
	_, err = Describe(t.Context(), m, at(path))
	require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err))
	require.ErrorContains(t, err, "could not be brought")
}

func at(path string) openflow.ProviderRecord { return openflow.ProviderRecord{Place: path} }

// of is a program of that provider with two components.
func of(provider, version string) string {
	return `case "$1" in
list) echo '{"buildin":["psi","scale"],"thirdparty":[]}' ;;
desc) echo '{"component":{"name":"'$3'","provider":"` + provider + `","version":"` + version + `","description":"for tests",
"roles":["guest","host"],"parameters":{"rounds":{"optional":true,"default":7,"type_meta":{"type":"integer"}},"protocol":{"optional":true,"type_meta":{"type":"string","enum":["` + provider + `"]}}},
"input_artifacts":{"data":{"in":{"stages":["default"],"roles":["guest"],"labelled":["guest"]}}},
"output_artifacts":{"metric":{"metric":{"stages":["default"]}}}}}' ;;
esac`
}

func TestDescribe(t *testing.T) {
	d, err := Describe(t.Context(), here{}, at(program(t, of("acme", "1.2.0"))))
	require.NoError(t, err)
	acme := openflow.ProviderRef{Name: "acme", Version: "1.2.0"}
	require.Equal(t, acme, d.Provider)
	require.Len(t, d.Components, 2)
	require.Equal(t, "psi", d.Components[0].Name)
	require.Equal(t, acme, d.Components[0].Provider)
	require.NotContains(t, string(d.Components[0].Description), "\n")
}

// A program gets nothing of the node's environment.
func TestDescribeGivesNoSecrets(t *testing.T) {
	t.Setenv("OPENFLOW_TOKEN", "secret")
	d, err := Describe(t.Context(), here{}, at(program(t, strings.Replace(of("acme", "1"), "for tests", `<'$(env | grep -c OPENFLOW)'>`, 1))))
	require.NoError(t, err)
	require.Contains(t, string(d.Components[0].Description), `<0>`)
}

// describes is a program with one component "a", described so.
func describes(text string) string {
	return `case "$1" in list) echo '{"buildin":["a"]}' ;; desc) ` + text + ` ;; esac`
}

func TestHostilePrograms(t *testing.T) {
	usual := `'{"component":{"name":"a","provider":"acme","version":"1"%s}}'`
	with := func(more string) string { return describes("echo " + strings.Replace(usual, "%s", more, 1)) }
	for name, tc := range map[string]struct{ script, says string }{
		"fails":                    {"echo why >&2; exit 3", "exit status 3: why"},
		"says nothing":             {"true", "not readable"},
		"writes for ever":          {"yes", "more than 65536 bytes"},
		"writes for ever, deaf":    {"trap '' PIPE TERM; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", "more than 65536 bytes"},
		"complains for ever":       {"yes >&2", "takes too long"},
		"hangs":                    {"exec sleep 600", "takes too long"},
		"hangs, deaf":              {"trap '' TERM; while :; do sleep 600; done", "takes too long"},
		"leaves somebody behind":   {"sleep 600 & echo '{\"buildin\":[\"a\"]}'", "left programs behind"},
		"100,000 components":       {`printf '{"buildin":["a0"'; i=1; while [ $i -lt 100000 ]; do printf ',"a%d"' $i; i=$((i+1)); done; echo ']}'`, "more than 65536 bytes"},
		"1,000 components":         {`printf '{"buildin":["a0"'; i=1; while [ $i -lt 1000 ]; do printf ',"a%d"' $i; i=$((i+1)); done; echo ']}'`, "it has 1000 components"},
		"none":                     {`echo '{"buildin":[]}'`, "it has 0 components"},
		"a component twice":        {`echo '{"buildin":["a"],"thirdparty":["a"]}'`, `component "a" twice`},
		"a name that moves":        {`printf '{"buildin":["a\\u001b[2J"]}'`, "not valid"},
		"a name as an option":      {`echo '{"buildin":["--help"]}'`, "not valid"},
		"a path as a name":         {`echo '{"buildin":["../a"]}'`, "not valid"},
		"an endless name":          {`printf '{"buildin":["'; head -c 60000 /dev/zero | tr '\0' a; echo '"]}'`, "not valid"},
		"no description":           {describes("echo no"), "not readable"},
		"no component in it":       {describes(`echo '{}'`), "of no form that is known here (fate, interop)"},
		"another component":        {describes(`echo '{"component":{"name":"b","provider":"acme","version":"1"}}'`), "another component"},
		"no provider":              {describes(`echo '{"component":{"name":"a","version":"1"}}'`), "no provider can be"},
		"no version":               {describes(`echo '{"component":{"name":"a","provider":"acme"}}'`), "no provider can be"},
		"a reference as its name":  {describes(`echo '{"component":{"name":"a","provider":"acme:1@docker","version":"1"}}'`), "no provider can be"},
		"control characters":       {with(`,"description":"\u001b[31mred"`), "control characters"},
		"zero bytes":               {with(`,"description":"\u0000"`), "control characters"},
		"text that turns":          {with(`,"description":"\u202e"`), "control characters"},
		"control character in key": {with(`,"parameters":{"\u001b":{}}`), "control characters"},
		"not UTF-8":                {describes(`printf '{"component":{"name":"a","description":"\377"}}'`), "not UTF-8"},
		"10 MB of description":     {describes(`head -c 10000000 /dev/zero | tr '\0' ' '; echo '{}'`), "more than 1048576 bytes"},
		"nested without end":       {describes(`head -c 10000 /dev/zero | tr '\0' '['`), "nested deeper"},
		"two documents":            {describes(`echo '{} {}'`), "not readable"},
		"an unknown role":          {with(`,"roles":["king"]`), "role"},
		"wrong types":              {with(`,"roles":7`), "no list of texts in component.roles"},
		"values without end":       {with(`,"x":['$(yes 0, | head -n 510000 | tr -d '\n')'0]`), "more than 250000 values"},
		"parameters without end":   {with(`,"parameters":{'$(seq 1000 | sed 's/.*/"p&":{},/' | tr -d '\n')'"p":{}}`), "1001 parameters"},
		"forms without end":        {with(`,"parameters":{"p":{"type_meta":{"anyOf":['$(yes '{},' | head -n 9000 | tr -d '\n')'{}]}}}`), "4000 are allowed"},
		"a pattern that is a bomb": {with(`,"parameters":{"p":{"type_meta":{"pattern":"([^a]{9}){99}[^b]{999}[^c]{999}"}}}`), "states"},
		"a schema from this disk":  {with(`,"parameters":{"p":{"type_meta":{"$schema":"file:///etc/hostname"}}}`), "type_meta is no JSON Schema"},
		"a schema from the net":    {with(`,"parameters":{"p":{"type_meta":{"$schema":"http://127.0.0.1:9/x"}}}`), "type_meta is no JSON Schema"},
		"a fork bomb's beginning":  {"for i in 1 2 3 4 5 6 7 8; do sleep 600 & done; wait", "takes too long"},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(tc.says, "too long") {
				within(t, 2*time.Second)
			} else {
				within(t, 3*time.Minute)
			}
			begun := time.Now()
			_, err := Describe(t.Context(), here{}, at(program(t, tc.script)))
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 4<<10)
			require.Less(t, time.Since(begun), 5*time.Minute, "what it has started lasts for ten")
		})
	}
}

// within shortens the patience with programs.
func within(t *testing.T, d time.Duration) {
	before := answersWithin
	answersWithin = d
	t.Cleanup(func() { answersWithin = before })
}

// Components of one program have one provider: otherwise one name would stand for another's work.
func TestProgramOfTwoProviders(t *testing.T) {
	_, err := Describe(t.Context(), here{}, at(program(t, `case "$1" in
list) echo '{"buildin":["a","b"]}' ;;
desc) echo '{"component":{"name":"'$3'","provider":"of-'$3'","version":"1"}}' ;;
esac`)))
	require.ErrorContains(t, err, "of-b:1")
}

func FuzzDescription(f *testing.F) {
	f.Add([]byte(`{"component":{"name":"a","provider":"acme","version":"1","roles":["guest"],"parameters":{"x":{"type_meta":{"type":"object","properties":{}}}}}}`))
	f.Add([]byte(`{"componentName":"EcdhPsi","provider":"acme","version":"1.4.0","roleList":["guest"],"inputParam":[{"name":"a","type":"int","validator":"(0,9]"}]}`))
	f.Add([]byte(`[[[[`))
	fuzzing.Within(f, func(t *testing.T, raw []byte) {
		c, err := Read(raw)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.NoError(t, openflow.CheckProvider(c.Provider.Name, c.Provider.Version))
	})
}
