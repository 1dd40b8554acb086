// Package deploy checks the files of deploy/: that they parse, and that they name what exists.
package deploy

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
)

const folder = "../../deploy/"

// composeFile is what deploy/compose.yaml may consist of; another key is a mistake.
type composeFile struct {
	Name     string               `yaml:"name"`
	Services map[string]*service  `yaml:"services"`
	Secrets  map[string]secret    `yaml:"secrets"`
	Networks map[string]*struct{} `yaml:"networks"`
	Volumes  map[string]*struct{} `yaml:"volumes"`
}

type secret struct {
	File string `yaml:"file"`
}

type secretUse struct {
	Source string `yaml:"source"`
	Target string `yaml:"target"`
}

type service struct {
	Image       string                       `yaml:"image"`
	Command     []string                     `yaml:"command"`
	Environment map[string]string            `yaml:"environment"`
	Secrets     []secretUse                  `yaml:"secrets"`
	DependsOn   map[string]map[string]string `yaml:"depends_on"`
	Volumes     []string                     `yaml:"volumes"`
	Ports       []string                     `yaml:"ports"`
	Networks    []string                     `yaml:"networks"`
	Restart     string                       `yaml:"restart"`
	Grace       string                       `yaml:"stop_grace_period"`
	Healthcheck *healthcheck                 `yaml:"healthcheck"`
}

type healthcheck struct {
	Test     []string `yaml:"test"`
	Interval string   `yaml:"interval"`
	Retries  int      `yaml:"retries"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile(folder + "compose.yaml")
	require.NoError(t, err)
	var c composeFile
	require.NoError(t, yaml.UnmarshalWithOptions(text, &c, yaml.DisallowUnknownField()))
	return c
}

// Every name in the compose file is defined in it, and the stack is whole.
func TestComposeFile(t *testing.T) {
	c := compose(t)
	for _, name := range []string{"postgres", "redis", "store", "temporal", "server-1", "server-2", "balancer", "worker"} {
		require.Contains(t, c.Services, name)
	}
	for name, s := range c.Services {
		require.NotEmpty(t, s.Image, name)
		require.Equal(t, "unless-stopped", s.Restart, "%s comes back after a reboot", name)
		for on, how := range s.DependsOn {
			require.Contains(t, c.Services, on, name)
			if how["condition"] == "service_healthy" {
				require.NotNil(t, c.Services[on].Healthcheck, "%s waits for the health of %s", name, on)
			}
		}
		for _, n := range s.Networks {
			require.Contains(t, c.Networks, n, name)
		}
		for _, n := range s.Secrets {
			require.Contains(t, c.Secrets, n.Source, name)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(from, "./") {
				require.FileExists(t, filepath.Join(folder, from))
			} else if !strings.HasPrefix(from, "/") {
				require.Contains(t, c.Volumes, from, name)
			}
		}
		if s.Ports != nil {
			require.Equal(t, "balancer", name, "only the balancer is reachable from outside")
		}
	}
	one, two := c.Services["server-1"], c.Services["server-2"]
	require.Equal(t, one.Environment, two.Environment, "both servers are one site")
	require.Equal(t, one.Secrets, two.Secrets)
	require.NotEqual(t, one.Volumes, two.Volumes, "and have a folder each")
}

// serverFlags are the flags that cmd/openflow registers in a file, read from its source: linking the program into this test
// would take longer than everything else in it.
func serverFlags(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasSuffix(sel.Sel.Name, "Var") {
			return true
		}
		if lit, ok := call.Args[1].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			name, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			names = append(names, name)
		}
		return true
	})
	require.Contains(t, names, "party")
	return names
}

// clusterFlags are those of the parts that one machine outgrows.
var clusterFlags = []string{"temporal", "temporal-namespace", "postgres", "redis", "s3"}

// flagOf is the flag that an environment variable stands for.
func flagOf(variable string) string {
	if variable == "OPENFLOW_REQUIRE_TOKEN" {
		return "token"
	}
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "OPENFLOW_")), "_", "-")
}

// Every setting that the files give is one that the program knows.
func TestSettingsExist(t *testing.T) {
	known := append(serverFlags(t, "../../cmd/openflow/server.go"), clusterFlags...)
	for name, s := range compose(t).Services {
		for v := range s.Environment {
			if strings.HasPrefix(v, "OPENFLOW_") {
				require.Contains(t, known, flagOf(v), "%s of %s", v, name)
			}
		}
	}
	for _, v := range settings(t) {
		require.Contains(t, known, flagOf(v), "%s of openflow.env", v)
	}
}

// settings are the variables of openflow.env, those that are commented out too.
func settings(t *testing.T) (names []string) {
	t.Helper()
	f, err := os.Open(folder + "openflow.env")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimPrefix(s.Text(), "#")
		if name, _, ok := strings.Cut(line, "="); ok && strings.HasPrefix(name, "OPENFLOW_") {
			names = append(names, name)
		}
	}
	require.NotEmpty(t, names)
	return names
}

// unit reads a systemd unit: section → key → values.
func unit(t *testing.T) map[string]map[string][]string {
	t.Helper()
	text, err := os.ReadFile(folder + "openflow.service")
	require.NoError(t, err)
	sections, section := map[string]map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			sections[section] = map[string][]string{}
		default:
			key, value, ok := strings.Cut(line, "=")
			require.True(t, ok, line)
			sections[section][key] = append(sections[section][key], value)
		}
	}
	return sections
}

// What the unit must say for running tasks to survive a restart and an update, and what it must not.
func TestUnit(t *testing.T) {
	s := unit(t)["Service"]
	require.Equal(t, []string{"process"}, s["KillMode"], "tasks outlive the node")
	require.Equal(t, []string{"on-failure"}, s["Restart"])
	require.Equal(t, []string{"/etc/openflow/openflow.env"}, s["EnvironmentFile"])
	for _, harmful := range []string{"PrivateTmp", "NoNewPrivileges", "MemoryDenyWriteExecute", "SystemCallFilter", "PrivateNetwork", "PrivateUsers"} {
		require.NotContains(t, s, harmful, "it breaks tasks or Docker")
	}
	require.Contains(t, settings(t), "OPENFLOW_PARTY")
	require.True(t, slices.Contains(s["StateDirectory"], "openflow"))
}

// systemd itself reads the unit where it is installed; the tests above hold everywhere.
func TestUnitIsUnderstoodBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed: the unit has been parsed by TestUnit only")
		return
	}
	text, err := os.ReadFile(folder + "openflow.service")
	require.NoError(t, err)
	program, err := exec.LookPath("true") // the program need not be installed for the unit to be right
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "openflow.service")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/openflow", program)), 0o644))
	out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	require.NotContains(t, string(out), "openflow.service:", "not even a warning")
}
