package cli_test

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli"
)

// settled parses args for a command with settings and applies environment and file.
func settled(tb testing.TB, file string, args ...string) (*cobra.Command, error) {
	tb.Helper()
	c := &cobra.Command{Use: "server"}
	c.Flags().String("listen-base", "default", "")
	c.Flags().Int("cores", 1, "")
	c.Flags().StringArray("peer", nil, "")
	c.Flags().Bool("token", false, "")
	c.Flags().String("config", "", "")
	c.Flags().Lookup("token").Annotations = map[string][]string{cli.EnvironmentAnnotation: {"REQUIRE_TOKEN"}}
	parent := &cobra.Command{Use: "openflow"}
	parent.PersistentFlags().String("node", "", "")
	parent.AddCommand(c)
	require.NoError(tb, c.ParseFlags(args))
	if file != "" {
		file = writeFile(tb, "settings.yaml", file)
	}
	return c, cli.ApplySettings(c, file)
}

func TestSettingsPrecedence(t *testing.T) {
	cases := map[string]struct {
		args []string
		env  string
		file string
		want string
	}{
		"default":          {want: "default"},
		"file":             {file: "listen-base: file", want: "file"},
		"environment wins": {env: "env", file: "listen-base: file", want: "env"},
		"flag wins":        {args: []string{"--listen-base", "flag"}, env: "env", file: "listen-base: file", want: "flag"},
		"text with ;":      {env: "a;b", want: "a;b"},
		"number as text":   {file: "listen-base: 9999", want: "9999"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv("OPENFLOW_LISTEN_BASE", c.env)
			}
			cmd, err := settled(t, c.file, c.args...)
			require.NoError(t, err)
			got, err := cmd.Flags().GetString("listen-base")
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestSettingsOfLists(t *testing.T) {
	for name, set := range map[string]func(t *testing.T) string{
		"file":        func(*testing.T) string { return "peer: [a=1, b=2]" },
		"environment": func(t *testing.T) string { t.Setenv("OPENFLOW_PEER", "a=1;b=2"); return "" },
	} {
		t.Run(name, func(t *testing.T) {
			c, err := settled(t, set(t))
			require.NoError(t, err)
			got, err := c.Flags().GetStringArray("peer")
			require.NoError(t, err)
			require.Equal(t, []string{"a=1", "b=2"}, got)
		})
	}
}

func TestSettingsFileOfTheEnvironment(t *testing.T) {
	t.Setenv("OPENFLOW_CONFIG", writeFile(t, "s.yaml", "cores: 7"))
	c, err := settled(t, "")
	require.NoError(t, err)
	got, err := c.Flags().GetInt("cores")
	require.NoError(t, err)
	require.Equal(t, 7, got)
}

func TestEnvironmentOfATokenForClientsIsNoSwitch(t *testing.T) {
	t.Setenv("OPENFLOW_TOKEN", "secret text")
	c, err := settled(t, "")
	require.NoError(t, err)
	require.False(t, c.Flags().Changed("token"))
	t.Setenv("OPENFLOW_REQUIRE_TOKEN", "true")
	c, err = settled(t, "")
	require.NoError(t, err)
	got, err := c.Flags().GetBool("token")
	require.NoError(t, err)
	require.True(t, got)
}

func TestSettingsMistakesAreNamed(t *testing.T) {
	cases := map[string]struct {
		env, file, says string
	}{
		"unknown key":       {file: "listn: x", says: `unknown key "listn"`},
		"client flag":       {file: "node: x", says: `unknown key "node"`},
		"not from a file":   {file: "config: x", says: `unknown key "config"`},
		"wrong type":        {file: "cores: many", says: "cores"},
		"wrong environment": {env: "many", says: "OPENFLOW_CORES"},
		"mapping":           {file: "cores: {a: 1}", says: "cores needs a value"},
		"list of lists":     {file: "peer: [[a]]", says: "peer needs a value"},
		"nothing":           {file: "cores:", says: "cores needs a value"},
		"several for one":   {file: "cores: [1, 2]", says: "cores"},
		"no mapping":        {file: "[1]", says: "configuration"},
		"twice":             {file: "cores: 1\ncores: 2", says: "cores"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv("OPENFLOW_CORES", c.env)
			}
			_, err := settled(t, c.file)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestSettingsFileMissing(t *testing.T) {
	t.Setenv("OPENFLOW_CONFIG", "/nonexistent/s.yaml")
	_, err := settled(t, "")
	require.ErrorContains(t, err, "/nonexistent/s.yaml does not exist")
}

func FuzzParseSettings(f *testing.F) {
	for _, s := range []string{"", "party: 9999", "peer: [a, 1, true, 1.5]", "a: {b: c}", "a: &x [*x]", "? [a]\n: b", "- a", "a: 2026-01-02", "a: .nan"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := cli.ParseSettings("f.yaml", b)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			require.Nil(t, values)
		}
	})
}
