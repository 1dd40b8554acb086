package cli_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"openflow/cli"
)

var update = flag.Bool("update", false, "write the golden files")

func TestExitCodes(t *testing.T) {
	file := writeFile(t, "dag.yaml", dag)
	wrong := writeFile(t, "wrong.yaml", strings.Replace(dag, "component_ref", "component", 1))
	cases := map[string]struct {
		args    []string
		answers map[string]string
		code    int
		stderr  string // is part of standard error
	}{
		"no command":          {nil, nil, 0, ""},
		"version":             {[]string{"--version"}, nil, 0, ""},
		"group alone":         {[]string{"job"}, nil, 0, ""},
		"unknown command":     {[]string{"jobs"}, nil, 2, `unknown command "jobs" for "openflow"; did you mean job?`},
		"unknown subcommand":  {[]string{"job", "lst"}, nil, 2, `unknown command "lst" for "openflow job"; did you mean list?`},
		"unknown flag":        {[]string{"job", "list", "--nope"}, nil, 2, "usage: openflow job list [flags]"},
		"argument missing":    {[]string{"job", "show"}, nil, 2, "ID is missing"},
		"argument too many":   {[]string{"job", "show", "a", "b"}, nil, 2, `unexpected argument "b"`},
		"bad output":          {[]string{"job", "list", "-o", "xml"}, nil, 2, `--output "xml"`},
		"bad limit":           {[]string{"job", "list", "--limit", "0"}, nil, 2, "--limit 0"},
		"bad status":          {[]string{"job", "list", "--status", "done"}, nil, 2, `--status "done"`},
		"file missing":        {[]string{"job", "submit", "/nonexistent"}, nil, 2, "no such file"},
		"document wrong":      {[]string{"job", "submit", wrong}, nil, 2, "line 5"},
		"node unreachable":    {[]string{"job", "list", "--node", "http://127.0.0.1:1"}, nil, 3, "--node URL"},
		"node's address":      {[]string{"job", "list", "--node", "x"}, nil, 2, "cannot be used"},
		"partner unreachable": {[]string{"job", "submit", file}, map[string]string{submitRoute: `!{"code":104,"message":"at party 10000: away"}`}, 3, "at party 10000"},
		"refused":             {[]string{"job", "submit", file}, map[string]string{submitRoute: `!{"code":5005,"message":"no grant"}`}, 1, "no grant"},
		"invalid to the node": {[]string{"job", "submit", file}, map[string]string{submitRoute: `!{"code":5001,"message":"cores"}`}, 2, "cores"},
		"no such job":         {[]string{"job", "show", "j"}, map[string]string{jobRoute: `!{"code":1001,"message":"No found job"}`}, 1, "No found job"},
		"submitted":           {[]string{"job", "submit", file}, ended("success", ""), 0, "warning: mind the arbiter"},
		"job succeeded":       {[]string{"job", "submit", file, "--watch"}, ended("success", ""), 0, "success   50%"},
		"job failed":          {[]string{"job", "watch", "j1"}, ended("failed", "psi_0 failed"), 1, "failed"},
		"job canceled":        {[]string{"job", "watch", "j1"}, ended("canceled", ""), 1, "canceled"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, url := newFake(t, c.answers)
			t.Setenv("OPENFLOW_NODE", url)
			r := run(t, c.args...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.stderr)
			if c.code == 2 || c.code == 3 {
				require.Empty(t, r.stdout)
			}
		})
	}
}

func TestUsageIsShownForTheCommandLineOnly(t *testing.T) {
	r := run(t, "job", "submit", writeFile(t, "dag.yaml", "dag: [1"))
	require.Equal(t, 2, r.code)
	require.NotContains(t, r.stderr, "usage:")
}

func TestNodeAndTokenPrecedence(t *testing.T) {
	flagged, flagURL := newFake(t, map[string]string{"GET /openflow/v1/user/site/list": "[]"})
	environment, envURL := newFake(t, map[string]string{"GET /openflow/v1/user/site/list": "[]"})
	t.Setenv("OPENFLOW_NODE", envURL)
	t.Setenv("OPENFLOW_TOKEN", "from-env")
	require.Zero(t, run(t, "site", "list").code)
	require.Equal(t, "Bearer from-env", environment.head["GET /openflow/v1/user/site/list"].Get("Authorization"))
	require.Zero(t, run(t, "--node", flagURL, "--token", "from-flag", "site", "list").code)
	require.Equal(t, "Bearer from-flag", flagged.head["GET /openflow/v1/user/site/list"].Get("Authorization"))
}

// A command that is added from outside, as cmd/openflow does.
func TestFurtherCommandsKeepTheRules(t *testing.T) {
	further := func(err error) *cobra.Command {
		c := &cobra.Command{Use: "further", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return err }}
		c.Flags().String("a", "", "")
		c.Flags().String("b", "", "")
		c.Flags().Bool("token", false, "is another thing here")
		c.MarkFlagsRequiredTogether("a", "b")
		return c
	}
	cases := map[string]struct {
		err  error
		args []string
		code int
	}{
		"fine":                      {nil, []string{"--token"}, 0},
		"argument refused by cobra": {nil, []string{"x"}, 2},
		"flags refused by cobra":    {nil, []string{"--a", "1"}, 2},
		"usage":                     {cli.Usage(os.ErrInvalid), nil, 2},
		"failed":                    {cli.Failed("it"), nil, 1},
		"another error":             {os.ErrInvalid, nil, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out, err bytes.Buffer
			t.Setenv("OPENFLOW_TOKEN", "text, not a boolean")
			code := cli.Execute(t.Context(), cli.NewRoot("v1", nil, further(c.err)), append([]string{"further"}, c.args...), &out, &err)
			require.Equal(t, c.code, code, err.String())
		})
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("HOME", "/home/user")
	t.Setenv("OPENFLOW_HOME", "")
	var all bytes.Buffer
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.NotEmpty(t, c.Long, c.CommandPath())
		require.Contains(t, c.Example, c.CommandPath(), "an example shows the command")
		args := strings.Fields(c.CommandPath())[1:]
		r := run(t, append(args, "--help")...)
		require.Zero(t, r.code)
		require.Empty(t, r.stderr)
		all.WriteString("$ " + c.CommandPath() + " --help\n" + r.stdout + "\n")
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(cli.NewRoot("v1", nil))
	const golden = "testdata/help.txt"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, all.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String(), "run go test ./cli -update and look at the difference")
}
