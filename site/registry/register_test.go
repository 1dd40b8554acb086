package registry

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/site/programs"
)

// shelf is a machine with images in memory, each of which is played by a script.
type shelf struct {
	*programs.Programs
	fake    *fake.Runtime
	scripts map[string]string // paths, by the ID of the image
}

func (s shelf) Ask(ctx context.Context, r openflow.ProviderRecord, most int, args ...string) (driver.Answer, error) {
	started, err := s.Ready(ctx, r)
	if err != nil {
		return driver.Answer{}, err
	}
	if script, ok := s.scripts[started]; ok {
		started = script
	}
	return driver.AskHere(ctx, driver.Question{Image: started, Command: args, Most: most})
}

// stocked is a registry on a machine that has images.
func stocked(t *testing.T) (*Registry, shelf) {
	t.Helper()
	g, runtime := site(t), fake.New(nil)
	bring := func(_ context.Context, path string) (string, error) { return path, nil }
	s := shelf{
		&programs.Programs{Machine: "m1", Images: runtime, Isolated: true, Copies: t.TempDir(), Bring: bring}, runtime, map[string]string{},
	}
	g.Machine, g.Name = s, "m1"
	return g, s
}

// has lets the machine have an image that answers as a script does.
func (s shelf) has(t *testing.T, reference, id, script string, change ...func(*driver.Image)) {
	t.Helper()
	img := driver.Image{ID: id, Entrypoint: []string{"/run"}, OS: "linux"}
	for _, c := range change {
		c(&img)
	}
	s.scripts[id] = program(t, script)
	s.fake.Tag(reference, img)
}

func TestLifeOfAnImage(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	s.has(t, "acme/psi:1", "sha256:1", of("acme", "1"))
	p, list, err := g.Register(ctx, Registration{What: "acme/psi:1", User: "ann"})
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, []any{"acme", "1", openflow.ProviderImage, "acme/psi:1", "sha256:1", ""},
		[]any{p.Name, p.Version, p.Kind, p.Place, p.Digest, p.Archive})
	require.Equal(t, "acme:1@docker", g.serves(t, "acme"))
	_, _, err = g.Register(ctx, Registration{What: "acme/psi:1", User: "ann"})
	require.NoError(t, err, "the same again")

	// The tag has moved. What was registered stays what it was, and what the tag names now is another version or nothing.
	s.has(t, "acme/psi:1", "sha256:2", of("acme", "1"))
	image, err := s.Ready(ctx, p)
	require.NoError(t, err)
	require.Equal(t, "sha256:1", image)
	_, _, err = g.Register(ctx, Registration{What: "acme/psi:1"})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	s.has(t, "acme/psi:2", "sha256:3", of("acme", "2"))
	_, _, err = g.Register(ctx, Registration{What: "acme/psi:2", Name: "acme", Version: "2"})
	require.NoError(t, err)

	// It vanishes, and comes back.
	s.fake.Prune("sha256:1")
	require.NoError(t, g.Probe(ctx))
	_, err = g.Providers(ctx, []openflow.TaskSpec{psi("acme:1")})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, `component "psi" of provider acme:1 is FAILED at this site, and takes no new jobs: machine m1 lacks the image of provider acme:1, acme/psi:1`)
	require.NotContains(t, openflow.PublicText(err), "machine", "why is its own affair")
	require.Equal(t, "acme:2@docker", g.serves(t, "acme:2"))
	_, err = g.Load(ctx, "psi", "acme:1", "ann")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	s.has(t, "", "sha256:1", of("acme", "1"))
	require.NoError(t, g.Probe(ctx))
	require.Equal(t, "acme:1@docker", g.serves(t, "acme:1"))

	s.fake.Prune("sha256:3")
	require.NoError(t, g.Probe(ctx))
	s.has(t, "", "sha256:3", of("acme", "2"))
	own := g.ID
	g.ID = "m2"
	require.NoError(t, g.Probe(ctx))
	g.ID = own
	_, err = g.Providers(ctx, []openflow.TaskSpec{psi("acme:2")})
	require.ErrorContains(t, err, "FAILED", "another machine has it, which says nothing of this one")
	require.NoError(t, g.Probe(ctx))
	require.Equal(t, "acme:2@docker", g.serves(t, "acme:2"))
	_, err = g.Unload(ctx, "psi", "acme:2", "ann")
	require.NoError(t, err)
	require.NoError(t, g.Probe(ctx))
	_, err = g.Providers(ctx, []openflow.TaskSpec{psi("acme:2")})
	require.ErrorContains(t, err, "UNLOADED", "a probe loads nothing that an operator has unloaded")
	_, err = g.Remove(ctx, "acme:2", "ann")
	require.NoError(t, err)
}

// An image that the runtime has lost is brought back from its archive, as long as that is what it was.
func TestImageOfAnArchive(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "acme.tar")
	tar := []byte(strings.Repeat("x", 257) + "ustar" + strings.Repeat("x", 600))
	require.NoError(t, os.WriteFile(path, tar, 0o600))
	s.scripts["sha256:1"] = program(t, of("acme", "1"))
	s.fake.Publish(path, driver.Image{ID: "sha256:1", Entrypoint: []string{"/run"}})
	p, _, err := g.Register(ctx, Registration{What: path})
	require.NoError(t, err)
	require.Equal(t, []any{openflow.ProviderImage, path, "sha256:1"}, []any{p.Kind, p.Place, p.Digest})
	require.Contains(t, p.Archive, "sha256:")

	s.fake.Prune("sha256:1")
	require.NoError(t, s.Verify(ctx, p))
	require.NoError(t, g.Probe(ctx))
	require.Equal(t, "acme:1@docker", g.serves(t, "acme"))
	_, err = s.fake.Image(ctx, "sha256:1")
	require.NoError(t, err, "it was brought back")

	tar[600] ^= 1
	require.NoError(t, os.WriteFile(path, tar, 0o600))
	err = s.Verify(ctx, p)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "one byte: %v", err)
	_, err = s.Ready(ctx, p)
	require.NoError(t, err, "the runtime has what was registered")
	s.fake.Prune("sha256:1")
	_, err = s.Ready(ctx, p)
	require.ErrorContains(t, err, "the archive of the image of provider acme:1 at machine m1, "+path+", has changed since it was registered")
	require.NoError(t, g.Probe(ctx))
	_, err = g.Providers(ctx, []openflow.TaskSpec{psi("acme")})
	require.ErrorContains(t, err, "has changed since it was registered")

	require.NoError(t, os.Remove(path))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.Verify(ctx, p)))
}

// What is registered again with what it lacked is loaded at once.
func TestRegisteredAgainIsLoaded(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	s.has(t, "acme:1", "sha256:1", of("acme", "1"))
	p, _, err := g.Register(ctx, Registration{What: "acme:1"})
	require.NoError(t, err)
	_, err = g.fail(ctx, p, map[string]string{"psi": "it has no signature"})
	require.NoError(t, err)
	_, list, err := g.Register(ctx, Registration{What: "acme:1"})
	require.NoError(t, err)
	for _, c := range list {
		require.Equal(t, openflow.ComponentLoaded, c.Standing.State, c.Name)
	}
}

// What FATE-Flow's images have: labels that name their components, and no entry point that answers.
func TestImagesThatAreNotAsked(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	fates := func(i *driver.Image) {
		i.Entrypoint, i.Command = nil, []string{"/components", "-m", "x"}
		i.Labels = map[string]string{"component.2.name": "lr", "component.1.name": "psi", "component.x.name": "no", "maintainer": "ann"}
	}
	s.has(t, "acme/fates:1", "sha256:1", "exit 1", fates)
	_, _, err := g.Register(ctx, Registration{What: "acme/fates:1"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, `a label of acme/fates:1 names component "psi", and nothing says whose that is`)
	p, list, err := g.Register(ctx, Registration{What: "acme/fates:1", Name: "acme", Version: "1"})
	require.NoError(t, err)
	require.Equal(t, "acme:1", p.Ref().String())
	require.Len(t, list, 2)
	require.Equal(t, "lr", list[0].Name)
	require.Equal(t, "label", list[0].Form, "it is not as if it had described itself")

	described := json.RawMessage(`{"component":{"name":"psi","provider":"acme","version":"2","roles":["guest"],"parameters":{"x":{"type_meta":{"type":"integer"}}}}}`)
	s.has(t, "acme/bare:1", "sha256:2", "exit 1", fates, func(i *driver.Image) { i.Labels = nil })
	_, _, err = g.Register(ctx, Registration{What: "acme/bare:1", Name: "acme", Version: "2"})
	require.ErrorContains(t, err, "no entry point that could be asked")
	_, list, err = g.Register(ctx, Registration{What: "acme/bare:1", Descriptions: []json.RawMessage{described}})
	require.NoError(t, err)
	s.has(t, "acme/mute:1", "sha256:2", "exit 1")
	_, _, err = g.Register(ctx, Registration{What: "acme/mute:1", Descriptions: []json.RawMessage{described}})
	require.NoError(t, err, "its entry point does not describe it")
	found, err := g.Hold(ctx, Registration{What: "acme/mute:1", Descriptions: []json.RawMessage{described}})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(found, func(f openflow.Finding) bool {
		return f.Check == "described from outside" && f.Verdict == openflow.VerdictWarn
	}), "%+v", found)
	stays := json.RawMessage(strings.Replace(string(described), `"component":{`, `"component":{"way":"resident",`, 1))
	_, _, err = g.Register(ctx, Registration{What: "acme/mute:1", Descriptions: []json.RawMessage{stays}})
	require.ErrorContains(t, err, "an image without an entry point that answers serves no runs")
	require.Len(t, list, 1)
	require.Equal(t, "fate", list[0].Form)
	require.Contains(t, string(list[0].Description), "integer")
}

func TestImagesThatAreRefused(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	counter := filepath.Join(t.TempDir(), "counter")
	s.has(t, "acme:1", "sha256:1", of("acme", "1"))
	_, _, err := g.Register(ctx, Registration{What: "acme:1"})
	require.NoError(t, err)
	s.has(t, "built:1", "sha256:2", of("openflow", "9"))
	s.has(t, "fate:1", "sha256:3", of("fate", "2.2.0"))
	s.has(t, "fickle:1", "sha256:4", strings.Replace(of("fickle", "1"), "for tests", `'$(echo >>`+counter+`; wc -l <`+counter+`)'`, 1))
	s.has(t, "long:1", "sha256:5", `case "$1" in list) echo '{"buildin":["a"]}' ;; desc) head -c 10485760 /dev/zero | tr '\0' x ;; esac`)
	s.has(t, "twice:1", "sha256:6", `echo '{"buildin":["a","b"],"thirdparty":["a"]}'`)
	s.has(t, "silent:1", "sha256:7", `exit 0`)
	s.has(t, "failing:1", "sha256:8", `echo no such command >&2; exit 2`)
	s.has(t, "nothing:1", "sha256:9", of("acme", "2"), func(i *driver.Image) { i.Entrypoint = nil })
	s.has(t, "disk:1", "sha256:10", of("acme", "2"), func(i *driver.Image) { i.Volumes = []string{"/data"} })
	asked := filepath.Join(t.TempDir(), "asked")
	s.has(t, "later:1", "sha256:11", "touch "+asked+"\n"+of("acme", "2"), func(i *driver.Image) { i.Labels = map[string]string{contractLabel: "2"} })
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o700))
	described := json.RawMessage(`{"component":{"name":"psi","provider":"acme","version":"2"}}`)
	s.has(t, "labels:1", "sha256:14", "exit 1", func(i *driver.Image) {
		i.Entrypoint, i.Command, i.Labels = nil, []string{"x"}, map[string]string{"component.1.name": "lr"}
	})
	s.has(t, "label:1", "sha256:12", "exit 3", func(i *driver.Image) { i.Labels = map[string]string{"component.1.name": "lr"} })
	s.has(t, "python:1", "sha256:13", `printf 'Traceback (most recent call last):\n  File "x"\nValueError: no model in /opt\n' >&2; exit 1`)
	for name, tc := range map[string]struct {
		what Registration
		code openflow.Code
		says string
	}{
		"no image":                  {Registration{What: "gone:1"}, openflow.CodeNotFound, "machine m1 has no image gone:1, and it cannot be had"},
		"of somebody else":          {Registration{What: "acme:1", Name: "zeta"}, openflow.CodeInvalid, "is of provider acme:1, not of zeta"},
		"in another version":        {Registration{What: "acme:1", Version: "2"}, openflow.CodeInvalid, "is of provider acme:1, not of"},
		"as the built-in one":       {Registration{What: "built:1"}, openflow.CodeInvalid, "stands for the built-in provider"},
		"as FATE":                   {Registration{What: "fate:1"}, openflow.CodeInvalid, "stands for the built-in provider"},
		"another the second time":   {Registration{What: "fickle:1"}, openflow.CodeInvalid, "in another way when it was asked a second time"},
		"10 MB of description":      {Registration{What: "long:1"}, openflow.CodeInvalid, "more than 1048576 bytes"},
		"a name twice":              {Registration{What: "twice:1"}, openflow.CodeInvalid, `it has component "a" twice`},
		"says nothing":              {Registration{What: "silent:1"}, openflow.CodeInvalid, "not readable"},
		"knows no list":             {Registration{What: "failing:1"}, openflow.CodeInvalid, "exit status 2: no such command"},
		"nothing to run":            {Registration{What: "nothing:1"}, openflow.CodeInvalid, "neither an entry point nor a command"},
		"a disk of its own":         {Registration{What: "disk:1"}, openflow.CodeInvalid, "it wants volumes, and containers have none: /data"},
		"made for another contract": {Registration{What: "later:1"}, openflow.CodeInvalid, `made for version "2" of the contract, and this node has 1`},
		"a pipe":                    {Registration{What: pipe}, openflow.CodeInvalid, "not a regular file"},
		"described twice":           {Registration{What: "acme:1", Descriptions: []json.RawMessage{described, described}}, openflow.CodeInvalid, `component "psi" is described twice`},
		"described as nothing":      {Registration{What: "acme:1", Descriptions: []json.RawMessage{json.RawMessage(`[]`)}}, openflow.CodeInvalid, "names no component"},
		"describes itself and is described": {Registration{What: "acme:1", Descriptions: []json.RawMessage{described}}, openflow.CodeInvalid,
			"acme:1 describes itself, as psi, scale, so that no description is given beside it (leave --description out)"},
		"described otherwise than labelled": {Registration{What: "labels:1", Descriptions: []json.RawMessage{described}}, openflow.CodeInvalid,
			`component "psi" is described beside it, and its labels name others: lr`},
		"a label of nothing":          {Registration{What: "label:1"}, openflow.CodeInvalid, `a label of the image names component "lr": `},
		"a traceback":                 {Registration{What: "python:1"}, openflow.CodeInvalid, "exit status 1: ValueError: no model in /opt"},
		"in another dialect":          {Registration{What: "acme:1", Dialect: "toy"}, openflow.CodeConflict, "containers that speak usual"},
		"in no dialect":               {Registration{What: "acme:1", Dialect: "esperanto"}, openflow.CodeInvalid, "one of usual, toy"},
		"a name that cannot be":       {Registration{What: "acme:1", Name: "a b"}, openflow.CodeInvalid, "provider"},
		"an archive that is not here": {Registration{What: "/nowhere/acme.tar"}, openflow.CodeInvalid, "no such file"},
		"a program as well":           {Registration{What: program(t, of("acme", "1"))}, openflow.CodeConflict, "another program or image"},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := g.List(ctx)
			require.NoError(t, err)
			_, _, err = g.Register(ctx, tc.what)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 4<<10)
			after, err := g.List(ctx)
			require.NoError(t, err)
			require.Equal(t, before, after, "the registry is as it was")
		})
	}
	require.NoFileExists(t, asked, "what was made for another contract is not run")
}

// A runtime without isolation, or without images, refuses them.
func TestImagesWhereNoneRun(t *testing.T) {
	g, _ := stocked(t)
	g.Machine = &programs.Programs{Machine: "m1", Images: driver.NoImages{Runtime: "process"}}
	_, _, err := g.Register(t.Context(), Registration{What: "acme/psi:1"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, "the process runtime runs no images (use --runtime docker)")
}

// An image that is registered again with another description is checked with that one, also at a replica, from the next job on.
func TestDescriptionsOfTheNextRegistration(t *testing.T) {
	g, s := stocked(t)
	ctx := t.Context()
	s.has(t, "acme:1", "sha256:1", "exit 1", func(i *driver.Image) { i.Entrypoint, i.Command = nil, []string{"x"} })
	describe := func(protocol string) Registration {
		return Registration{What: "acme:1", Descriptions: []json.RawMessage{json.RawMessage(
			`{"component":{"name":"psi","provider":"acme","version":"1","protocols":[{"name":"acme/psi","version":"` + protocol + `"}]}}`)}}
	}
	replica := &Registry{Self: g.Self, Rows: g.Rows, Device: g.Device}
	for _, protocol := range []string{"1", "2", "3"} {
		p, _, err := g.Register(ctx, describe(protocol))
		require.NoError(t, err)
		for _, at := range []*Registry{g, replica} {
			served, err := at.Providers(ctx, []openflow.TaskSpec{psi("acme")})
			require.NoError(t, err)
			require.Equal(t, []openflow.Protocol{{Name: "acme/psi", Version: protocol}}, served[0].Protocols)
		}
		_, err = g.Remove(ctx, "acme", "ann")
		require.NoError(t, err)
		require.Eventually(t, func() bool { return time.Since(p.AddedAt) > time.Millisecond }, time.Second, time.Millisecond) // the clock of the rows
	}
}
