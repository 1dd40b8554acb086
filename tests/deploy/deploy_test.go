// Package deploy checks the files of deploy/: that they parse, and that they name what exists.
package deploy

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"openflow/cmd/openflow/settings"
)

const folder = "../../deploy/"

// composeFile is what deploy/compose.yaml may consist of; another key is a mistake.
type composeFile struct {
	Name     string               `yaml:"name"`
	Logging  logging              `yaml:"x-logging"`
	Services map[string]*service  `yaml:"services"`
	Secrets  map[string]secret    `yaml:"secrets"`
	Networks map[string]*struct{} `yaml:"networks"`
	Volumes  map[string]*struct{} `yaml:"volumes"`
}

type logging struct {
	Driver  string            `yaml:"driver"`
	Options map[string]string `yaml:"options"`
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
	Logging     *logging                     `yaml:"logging"`
	Command     []string                     `yaml:"command"`
	Environment map[string]string            `yaml:"environment"`
	Secrets     []secretUse                  `yaml:"secrets"`
	DependsOn   map[string]map[string]string `yaml:"depends_on"`
	Volumes     []string                     `yaml:"volumes"`
	Ports       []string                     `yaml:"ports"`
	Networks    []string                     `yaml:"networks"`
	NetworkMode string                       `yaml:"network_mode"`
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
	for _, name := range []string{
		"postgres", "redis", "store", "bucket", "temporal", "server-1", "server-2", "balancer", "worker",
	} {
		require.Contains(t, c.Services, name)
	}
	for name, s := range c.Services {
		require.NotEmpty(t, s.Image, name)
		if name == "bucket" {
			require.Equal(t, "no", s.Restart, "it ends when it is done")
		} else {
			require.Equal(t, "unless-stopped", s.Restart, "%s comes back after a reboot", name)
		}
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
			if strings.HasPrefix(from, "./secrets/") {
				continue // made by the operator
			}
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

// Every file of settings that a page shows is taken by the server.
func TestFilesOfThePages(t *testing.T) {
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, page := range []string{"operations.md", "settings.md"} {
		text, err := os.ReadFile("../../docs/" + page)
		require.NoError(t, err)
		found := block.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, found, page)
		for _, m := range found {
			file := filepath.Join(t.TempDir(), "site.yaml")
			require.NoError(t, os.WriteFile(file, []byte(m[1]), 0o600))
			flags, s := pflag.NewFlagSet("server", pflag.ContinueOnError), settings.NewServer()
			settings.Register(flags, s)
			require.NoError(t, flags.Set("config", file))
			require.NoError(t, settings.Apply(flags, s), page)
			require.Equal(t, "9999", s.Party)
		}
	}
}

// settingsOf are the settings of a command: environment variable by flag.
func settingsOf(t *testing.T, command string) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for _, c := range settings.Commands() {
		if c.Name != command {
			continue
		}
		for _, g := range c.Groups {
			for _, f := range g.Fields {
				variables[f.Name] = f.Variable
			}
		}
	}
	require.NotEmpty(t, variables, "%s has no settings", command)
	return variables
}

// checkCommand checks a command line without the program: the command exists, and so does every flag.
func checkCommand(t *testing.T, where string, line []string) {
	t.Helper()
	require.NotEmpty(t, line, where)
	known := settingsOf(t, line[0])
	for _, word := range line[1:] {
		if flag, ok := strings.CutPrefix(word, "--"); ok {
			flag, _, _ = strings.Cut(flag, "=")
			require.Contains(t, known, flag, "%s of %s", word, where)
		}
	}
}

func checkVariables(t *testing.T, where, command string, variables []string) {
	t.Helper()
	known := slices.Collect(maps.Values(settingsOf(t, command)))
	for _, v := range variables {
		if strings.HasPrefix(v, settings.Prefix) {
			require.Contains(t, known, v, where)
		}
	}
}

// Every flag and every setting that the files give is one that the program knows.
func TestSettingsExist(t *testing.T) {
	var commands []string
	for name, s := range compose(t).Services {
		variables := slices.Collect(maps.Keys(s.Environment))
		if s.Image != "openflow:latest" {
			for _, v := range variables {
				require.False(t, strings.HasPrefix(v, "OPENFLOW_"), "%s of %s", v, name)
			}
			continue
		}
		checkCommand(t, name, s.Command)
		checkVariables(t, name, s.Command[0], variables)
		commands = append(commands, s.Command[0])
	}
	slices.Sort(commands)
	require.Equal(t, []string{"server", "server", "temporal", "worker"}, commands)
	for file, command := range map[string]string{"openflow": "server", "openflow-worker": "worker"} {
		checkVariables(t, file+".env", command, variablesIn(t, file+".env"))
		for _, line := range unit(t, file+".service")["Service"]["ExecStart"] {
			words := strings.Fields(line)
			require.Equal(t, "/usr/local/bin/openflow", words[0])
			checkCommand(t, file+".service", words[1:])
			require.Equal(t, command, words[1])
		}
	}
}

// variablesIn are the variables of a file of settings, those that are commented out too.
func variablesIn(t *testing.T, file string) (names []string) {
	t.Helper()
	f, err := os.Open(folder + file)
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
func unit(t *testing.T, file string) map[string]map[string][]string {
	t.Helper()
	text, err := os.ReadFile(folder + file)
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

// units are the systemd units, by the setting without which their program does not start.
var units = map[string]string{"openflow": "OPENFLOW_PARTY", "openflow-worker": "OPENFLOW_SITE"}

// What a program of the stack writes is bounded: Docker keeps it all otherwise.
func TestLogsOfTheStackAreBounded(t *testing.T) {
	for name, s := range compose(t).Services {
		require.NotNil(t, s.Logging, name)
		require.Equal(t, "json-file", s.Logging.Driver, name)
		require.NotEmpty(t, s.Logging.Options["max-size"], name)
		require.NotEmpty(t, s.Logging.Options["max-file"], name)
	}
}

// ports are what each kind of caller finds at a node, in every text that somebody may copy from.
var ports = map[string]*regexp.Regexp{
	"9380": regexp.MustCompile(`(?:--listen |\nlisten: |OPENFLOW_LISTEN[=:] ?"?|--node https?://)[\w.]+:(\d+)`),
	"9390": regexp.MustCompile(`(?:--listen-interconnection |\nlisten-interconnection: |OPENFLOW_LISTEN_INTERCONNECTION[=:] ?"?|--url https://|--peer \d+=https://)[\w.]+:(\d+)`),
	"9391": regexp.MustCompile(`(?:--listen-workers |OPENFLOW_LISTEN_WORKERS[=:] ?"?|--site"?,? "?https://|OPENFLOW_SITE[=:] ?"?https://)[\w.]+:(\d+)`),
}

// README, the operator's page, the help texts and deploy/ name the same ports, and no partner is told of the users' one.
func TestPortsAgree(t *testing.T) {
	const root = "../../"
	files := []string{root + "README.md", root + "docs/operations.md", root + "docs/settings.md"}
	for _, pattern := range []string{"deploy/*", "cli/*.go", "cmd/openflow/*.go", "cmd/openflow/settings/*.go"} {
		found, err := filepath.Glob(root + pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	named := map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for port, pattern := range ports {
			for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
				if m[1] != "7233" { // openflow temporal
					require.Equal(t, port, m[1], "%s: %s", file, m[0])
				}
				named[port]++
			}
		}
	}
	for port := range ports {
		require.Greater(t, named[port], 2, "texts that name %s", port)
	}
}

// What the units must say for running tasks to survive a restart and an update, and what they must not.
func TestUnits(t *testing.T) {
	for name, required := range units {
		s := unit(t, name+".service")["Service"]
		require.Equal(t, []string{"process"}, s["KillMode"], "tasks outlive %s", name)
		require.Equal(t, []string{"on-failure"}, s["Restart"], name)
		require.Equal(t, []string{"/etc/openflow/" + name + ".env"}, s["EnvironmentFile"])
		for _, harmful := range []string{
			"PrivateTmp", "NoNewPrivileges", "MemoryDenyWriteExecute", "SystemCallFilter", "PrivateNetwork", "PrivateUsers",
		} {
			require.NotContains(t, s, harmful, "it breaks tasks or Docker")
		}
		require.Contains(t, variablesIn(t, name+".env"), required)
		require.Equal(t, []string{name}, s["StateDirectory"])
	}
}

// systemd itself reads the units where it is installed; the tests above hold everywhere.
func TestUnitsAreUnderstoodBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd is not installed: the units have been parsed by TestUnits only")
		return
	}
	program, err := exec.LookPath("true") // the program need not be installed for the units to be right
	require.NoError(t, err)
	for name := range units {
		text, err := os.ReadFile(folder + name + ".service")
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), name+".service")
		text = []byte(strings.ReplaceAll(string(text), "/usr/local/bin/openflow", program))
		require.NoError(t, os.WriteFile(file, text, 0o644))
		out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput()
		require.NoErrorf(t, err, "%s", out)
		require.NotContains(t, string(out), name+".service:", "not even a warning")
	}
}
