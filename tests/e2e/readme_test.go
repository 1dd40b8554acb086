package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/tests/env"
)

// readmeCommands are the commands of README's section on a node of one's own, one a line, without comments.
func readmeCommands(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "## A node of your own\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	return commandsOf(section)
}

// commandsOf are the lines of a text's blocks of commands.
func commandsOf(section string) []string {
	var commands []string
	for i, block := range strings.Split(section, "```\n") {
		if i%2 == 0 {
			continue // between two blocks
		}
		line := ""
		for part := range strings.Lines(block) {
			part, _, _ = strings.Cut(part, " #")
			part = strings.TrimSpace(part)
			if more, goes := strings.CutSuffix(part, "\\"); goes {
				line += more
				continue
			}
			if line += part; line != "" {
				commands = append(commands, line)
			}
			line = ""
		}
	}
	return commands
}

// reader is somebody who follows README at one site, with the addresses and folders of this test in place of README's.
type reader struct {
	t       *testing.T
	dir     string
	places  *strings.Replacer
	running []*exec.Cmd

	environment []string // of its commands, beside this process's
}

// do runs one command to its end and returns what it prints.
func (r *reader) do(line string) string {
	r.t.Helper()
	cmd := r.command(line)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoErrorf(r.t, err, "%s: %s%s", line, out, stderr.String())
	return string(out)
}

// start runs one that goes on, until it says that it is ready.
func (r *reader) start(line string, more ...string) {
	r.t.Helper()
	r.startUntil("\nready\n", line, more...)
}

// startUntil runs one that goes on, until it says these words.
func (r *reader) startUntil(words, line string, more ...string) {
	r.t.Helper()
	cmd := r.command(line, more...)
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(r.t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	r.running = append(r.running, cmd)
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
		select {
		case <-ended:
		case <-time.After(env.Patience):
			_ = cmd.Process.Kill()
		}
		if r.t.Failed() {
			r.t.Logf("%s\n%s", line, said)
		}
	})
	env.WaitUntil(r.t, env.Patience, line, func() (bool, string) {
		select {
		case err := <-ended:
			ended <- err
			r.t.Fatalf("%s: it ended: %v: %s", line, err, said)
		default:
		}
		return strings.Contains(said.String(), words), said.String()
	})
}

func (r *reader) command(line string, more ...string) *exec.Cmd {
	if r.places == nil {
		r.places = strings.NewReplacer()
	}
	words := strings.Fields(r.places.Replace(line))
	require.Equal(r.t, "bin/openflow", words[0], line)
	cmd := run(r.t, append(words[1:], more...)...)
	cmd.Dir = r.dir
	cmd.Env = append(append(cmd.Env, "OPENFLOW_NODE="+r.places.Replace("http://127.0.0.1:9380")), r.environment...)
	return cmd
}

// Two sites do what README says, in its order, and a job of both succeeds; a worker of one takes a task. Only folders,
// addresses and keys are this test's own, and tasks run as processes, which README offers.
func TestReadme(t *testing.T) {
	commands := readmeCommands(t)
	find := func(verb string) string {
		i := slices.IndexFunc(commands, func(c string) bool { return strings.HasPrefix(c, "bin/openflow "+verb) })
		require.GreaterOrEqual(t, i, 0, "README has no openflow %s", verb)
		return commands[i]
	}
	ports, sites := env.Ports(t, 6), map[string]*reader{}
	parties := []string{"9999", "10000"}
	keys := map[string]string{}
	for i, party := range parties {
		dir := t.TempDir()
		r := &reader{t: t, dir: dir}
		sites[party] = r
		r.places = strings.NewReplacer("/var/lib/openflow-worker", filepath.Join(dir, "worker"), "/var/lib/openflow", filepath.Join(dir, "home"))
		keys[party] = strings.TrimSpace(r.do(find("site key")))
		for name, text := range map[string]string{
			"people.csv": fmt.Sprintf("id,y,x0\n1,0,0.5\n2,1,0.25\n%d,0,0.75\n", 3+i),
			"job.yaml": `schema_version: "2.2.0"
dag:
  parties: [{role: guest, party_id: ["9999"]}, {role: host, party_id: ["10000"]}]
  tasks:
    reader_0: {component_ref: reader, parameters: {namespace: ns, name: people}}
    psi_0:
      component_ref: psi
      inputs: {data: {input_data: {task_output_artifact: {producer_task: reader_0, output_artifact_key: output_data}}}}
`,
		} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
	}
	process := []string{"--runtime", "process", "--components", env.Components(t), "--log-level", "warn"}
	for i, party := range parties {
		partner := parties[1-i]
		at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", ports[3*i+n]) }
		r := sites[party]
		r.places = strings.NewReplacer(
			"/var/lib/openflow-worker", filepath.Join(r.dir, "worker"), "/var/lib/openflow", filepath.Join(r.dir, "home"),
			"--party 9999", "--party "+party, "10000", partner, "127.0.0.1:9380", at(0), "0.0.0.0:9390", at(1), "10.0.0.1:9391", at(2),
			"10.0.0.2:9390", fmt.Sprintf("127.0.0.1:%d", ports[3*(1-i)+1]), "ed25519:THEIR-KEY", keys[partner],
		)
		r.start(find("server --party"), process...)
		require.Contains(t, r.do(find("data upload")), "ns/people")
		r.do(find("grant add"))
		require.Contains(t, r.do(find("data show")), partner, "whom the grant lets read it")
	}
	guest := sites["9999"]
	for party, r := range sites { // after both are up: what doctor looks at is the other one too
		said := r.do(find("doctor"))
		require.NotContains(t, said, "FAIL", party)
	}
	out := guest.do(find("job submit") + " -o json")
	require.Contains(t, out, `"success"`)

	worker := sites["10000"]
	stop := worker.running[0]
	require.NoError(t, stop.Process.Signal(syscall.SIGTERM))
	args := strings.TrimPrefix(find("server …"), "bin/openflow server …")
	env.WaitUntil(t, env.Patience, "the node has stopped", func() (bool, string) {
		return syscall.Kill(stop.Process.Pid, 0) != nil, "it runs"
	})
	worker.start(find("server --party")+args, append(process, "--no-tasks")...)
	require.NoError(t, os.WriteFile(filepath.Join(worker.dir, "worker.token"), []byte(worker.do(find("site worker-token"))), 0o600))
	worker.start(find("worker"), process...)
	out = guest.do(find("job submit") + " -o json")
	require.Contains(t, out, `"success"`, "the host's tasks ran at its worker")
}
