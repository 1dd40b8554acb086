package settings_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cmd/openflow/settings"
	"openflow/site/partner"
	"openflow/tests/fuzzing"
)

var update = flag.Bool("update", false, "rewrite docs/settings.md")

func writeFile(tb testing.TB, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "settings.yaml")
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// settled gives a command its command line, and then what environment and file say.
func settled(tb testing.TB, s any, file string, args ...string) error {
	tb.Helper()
	c := &cobra.Command{Use: "command"}
	settings.Register(c.Flags(), s)
	parent := &cobra.Command{Use: "openflow"}
	parent.PersistentFlags().String("node", "", "")
	parent.AddCommand(c)
	if file != "" {
		args = append(args, "--config", writeFile(tb, file))
	}
	require.NoError(tb, c.ParseFlags(args))
	return settings.Apply(c.Flags(), s)
}

// server is what a server is told that has a party.
func server(tb testing.TB, file string, args ...string) (*settings.Server, error) {
	tb.Helper()
	s := settings.NewServer()
	return s, settled(tb, s, file, append(args, "--party", "9999")...)
}

func TestPrecedence(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		env  string
		file string
		want string
	}{
		"default":          {want: "docker"},
		"file":             {file: "runtime: file", want: "file"},
		"environment wins": {env: "env", file: "runtime: file", want: "env"},
		"flag wins":        {args: []string{"--runtime", "flag"}, env: "env", file: "runtime: file", want: "flag"},
		"text with ;":      {env: "a;b", want: "a;b"},
		"number as text":   {file: "runtime: 0099", want: "0099"},
		"several lines":    {file: "runtime: |\n  a", want: "a"},
		"with a tag":       {file: "runtime: !!str 9", want: "9"},
		"quoted":           {file: `"runtime": "a # b"`, want: "a # b"},
		"after a comment":  {file: "# these\n---\nruntime: a # b", want: "a"},
		"only a comment":   {file: "# nothing", want: "docker"},
		"nothing at all":   {file: "\n", want: "docker"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv("OPENFLOW_RUNTIME", c.env)
			}
			s, err := server(t, c.file, c.args...)
			require.NoError(t, err)
			require.Equal(t, c.want, s.Runtime)
		})
	}
}

// Every kind of value is read in the same way from all three places.
func TestKindsOfValues(t *testing.T) {
	lines := map[string]string{
		"peer": "a=1;b=2", "cores": "7", "gpus": "-1", "memory": "1GiB", "keep-jobs": "90m", "no-tasks": "true", "log-level": "warn",
	}
	want := settings.NewServer()
	want.Party, want.Peers, want.Share.Cores, want.Share.Memory, want.NoTasks, want.Level = "9999", []string{"a=1", "b=2"}, 7, 1<<30, true, 4
	want.Keep.Jobs = 90 * time.Minute
	for place, read := range map[string]func(t *testing.T) (*settings.Server, error){
		"flags": func(t *testing.T) (*settings.Server, error) {
			var args []string
			for name, text := range lines {
				for v := range strings.SplitSeq(text, ";") {
					args = append(args, "--"+name+"="+v)
				}
			}
			return server(t, "", args...)
		},
		"environment": func(t *testing.T) (*settings.Server, error) {
			for name, text := range lines {
				t.Setenv("OPENFLOW_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_")), text)
			}
			return server(t, "")
		},
		"file": func(t *testing.T) (*settings.Server, error) {
			text := ""
			for name, v := range lines {
				if name == "peer" {
					v = "[a=1, b=2]"
				}
				text += name + ": " + v + "\n"
			}
			return server(t, text)
		},
	} {
		t.Run(place, func(t *testing.T) {
			got, err := read(t)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestFileOfTheEnvironment(t *testing.T) {
	t.Setenv("OPENFLOW_CONFIG", writeFile(t, "cores: 7"))
	s, err := server(t, "")
	require.NoError(t, err)
	require.EqualValues(t, 7, s.Share.Cores)
}

func TestEnvironmentOfATokenForClientsIsNoSetting(t *testing.T) {
	t.Setenv("OPENFLOW_TOKEN", "secret text")
	s, err := server(t, "")
	require.NoError(t, err)
	require.False(t, s.Token)
	t.Setenv("OPENFLOW_REQUIRE_TOKEN", "true")
	s, err = server(t, "")
	require.NoError(t, err)
	require.True(t, s.Token)
	t.Setenv("OPENFLOW_WORKER_TOKEN", "the pool's")
	w := settings.NewWorker()
	require.NoError(t, settled(t, w, "", "--site", "https://10.0.0.2:9391"))
	require.Equal(t, "the pool's", w.Token)
}

func TestMistakesAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		env, file, says string
	}{
		"unknown key":            {file: "# site\nlissten: x", says: `settings.yaml, line 2: unknown key "lissten" (did you mean listen?)`},
		"like nothing":           {file: "colour: x", says: `line 1: unknown key "colour" (docs/settings.md lists the keys)`},
		"the first of them":      {file: "cores: 1\nzoo: 1\nape: 1", says: `line 2: unknown key "zoo"`},
		"client flag":            {file: "node: x", says: `unknown key "node"`},
		"not from a file":        {file: "config: x", says: `unknown key "config"`},
		"with dashes":            {file: "--cores: 1", says: `unknown key "--cores"`},
		"merged":                 {file: "<<: {cores: 1}", says: `unknown key "<<"`},
		"unknown mapping":        {file: "server: {listen: x}", says: `line 1: unknown key "server"`},
		"wrong type":             {file: "token: true\ncores: many", says: `line 2: cores: "many" is not a whole number of cores from 1 on`},
		"no cores":               {file: "cores: 0", says: `"0" is not a whole number of cores`},
		"no number":              {file: "gpus: many", says: `gpus: "many" is not a whole number`},
		"no switch":              {file: "grant-all: maybe", says: `grant-all: "maybe" is neither true nor false`},
		"no time":                {file: "keep-jobs: 30d", says: `keep-jobs: "30d" is not a time like 90s, 30m or 720h`},
		"no time to be heard of": {file: "machine-gone: 0s", says: "machine-gone: 0s is too short (5s is the least)"},
		"before now":             {file: "worker-wait: -1m", says: "worker-wait: -1m is too short (1s is the least)"},
		"wrong memory":           {file: "memory: lots", says: "line 1: memory"},
		"no memory":              {file: "job-memory: 0", says: "0 is not enough"},
		"no unit":                {file: "memory: 64", says: "64 is not enough (give the unit, as in 64GiB; 1MiB is the least)"},
		"wrong level":            {file: "log-level: loud", says: "debug, info, warn and error"},
		"wrong environment":      {env: "many", says: "environment variable OPENFLOW_CORES"},
		"mapping":                {file: "cores: {a: 1}", says: "line 1: cores needs a value"},
		"list of lists":          {file: "peer: [[a]]", says: "peer needs a value"},
		"empty list":             {file: "peer: []", says: "peer needs a value"},
		"nothing":                {file: "cores:", says: "cores needs a value"},
		"several for one":        {file: "runtime: [docker, process]", says: "line 1: runtime takes one value, not a list"},
		"alias":                  {file: "home: &a x\nsecrets: *a", says: "home needs a value"},
		"no mapping":             {file: "[1]", says: "line 1: there are no keys"},
		"a word":                 {file: "server", says: "line 1: there are no keys"},
		"twice":                  {file: "cores: 1\ncores: 2", says: "cores"},
		"two documents":          {file: "cores: 1\n---\ngpus: 2", says: "several documents"},
		"no YAML":                {file: "cores: [", says: "is not YAML"},
		"no text":                {file: "home: \xff", says: "is not a text"},
		"too long":               {file: strings.Repeat("#", 1<<20+1), says: "is not a text of at most 1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv("OPENFLOW_CORES", c.env)
			}
			_, err := server(t, c.file)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// A message about a file tells nothing of the lines around the mistake.
func TestMistakesKeepSecrets(t *testing.T) {
	for _, file := range []string{"postgres: postgres://me:hidden@h/d\ncores: [", "redis: redis://:hidden@h\nrediss: 1", "s3: [hidden, [x]]"} {
		_, err := server(t, file)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestWhatMustBeGiven(t *testing.T) {
	for flag, s := range map[string]any{
		"--party": settings.NewServer(), "--site": settings.NewWorker(), "--postgres": settings.NewTemporal(),
	} {
		err := settled(t, s, "")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, flag+" is missing")
	}
}

func TestFileMissing(t *testing.T) {
	t.Setenv("OPENFLOW_CONFIG", "/nonexistent/s.yaml")
	_, err := server(t, "")
	require.ErrorContains(t, err, "/nonexistent/s.yaml does not exist")
}

// Every field of the structs is a setting with a name and a text, and has a flag.
func TestEveryFieldIsASetting(t *testing.T) {
	structs := []any{settings.NewServer(), settings.NewWorker(), settings.NewTemporal()}
	commands := settings.Commands()
	require.Len(t, commands, len(structs))
	for i, c := range commands {
		flags := pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
		settings.Register(flags, structs[i])
		seen := map[string]bool{}
		for _, g := range c.Groups {
			require.NotEmpty(t, g.Fields, g.Title)
			for _, f := range g.Fields {
				require.NotNil(t, flags.Lookup(f.Name), "%q of %s is of a kind without a flag", f.Name, c.Name)
				require.NotEmpty(t, f.Help, f.Name)
				require.False(t, seen[f.Variable], "%s of %s is there twice", f.Variable, c.Name)
				seen[f.Variable] = true
			}
		}
	}
}

// What the page says of jobs without a size is what the site's rules do.
func TestDefaultOfJobMemory(t *testing.T) {
	require.Zero(t, partner.DefaultLimits().JobMemory)
}

func TestPage(t *testing.T) {
	const file = "../../../docs/settings.md"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(settings.Page()), 0o644))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, settings.Page(), string(text), "make golden writes it anew")
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "party: 9999", "peer: [a, 1, true, 1.5]", "a: {b: c}", "a: &x [*x]", "? [a]\n: b", "- a", "a: 2026-01-02", "a: .nan", "a: !!str 1", "a: >\n b"} {
		f.Add([]byte(s))
	}
	fuzzing.Within(f, func(t *testing.T, b []byte) {
		values, err := settings.Parse("f.yaml", b)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.Nil(t, values)
		}
	})
}
