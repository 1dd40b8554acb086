package scenarios_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// command is a line of a page: what to run, at whose node, and the file that takes its output.
type command struct {
	args []string
	at   string
	into string
}

var (
	shBlock  = regexp.MustCompile("(?s)```sh\n(.*?)```")
	cliLine  = regexp.MustCompile(`^openflow (.*?)(?: > (\S+))?\s*# at (\d+)$`)
	jobOnTop = regexp.MustCompile(`(?m)^job\s+(\d{20,})`)
)

// commandsOf reads the commands of a page. A line that it does not understand fails the test.
func commandsOf(t *testing.T, page string) []command {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var list []command
	for _, block := range shBlock.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			m := cliLine.FindStringSubmatch(strings.TrimSpace(line))
			require.NotNil(t, m, "%s: %q is not a command at a party", page, line)
			list = append(list, command{strings.Fields(m[1]), m[3], m[2]})
		}
	}
	require.NotEmpty(t, list)
	return list
}

// openflow runs the program against a node.
func runCommand(t *testing.T, e *env.Env, c command) string {
	t.Helper()
	var out, told bytes.Buffer
	root := cli.NewRoot("test", nil)
	root.SetArgs(append(c.args, "--node", e.URL(c.at)))
	root.SetOut(&out)
	root.SetErr(&told)
	require.NoError(t, root.ExecuteContext(t.Context()), "openflow %s: %s", strings.Join(c.args, " "), told.String())
	if c.into != "" {
		require.NoError(t, os.WriteFile(c.into, out.Bytes(), 0o600))
	}
	return out.String()
}

// Every command of examples/README.md does what the page says, in its order, from a folder of one's own.
func TestExamples(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Strict())
	commands := commandsOf(t, "../../examples/README.md")
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "examples"), os.DirFS("../../examples")))
	t.Chdir(dir)
	job, outputs := "", map[string]string{}
	for _, c := range commands {
		for i, a := range c.args {
			if a == "JOB" {
				require.NotEmpty(t, job, "a job has been submitted before")
				c.args[i] = job
			}
		}
		out := runCommand(t, e, c)
		outputs[strings.Join(c.args[:2], " ")+" "+c.args[len(c.args)-1]] = out
		if c.args[1] == "submit" {
			m := jobOnTop.FindStringSubmatch(out)
			require.NotNil(t, m, out)
			job = m[1]
		}
	}
	scores, err := os.ReadFile(filepath.Join("scores", "test_output_data", "0.csv"))
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(scores)), "\n")
	require.Len(t, lines, 151, "150 customers are shared, and a header")
	require.Contains(t, lines[0], "predict_score")
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every document of docs/jobs.md is one that succeeds, those that predict with the model of the one that trains.
func TestDocumentsOfJobsPage(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	for at, names := range map[string][]string{"9999": {"customers", "customers_new"}, "10000": {"accounts", "accounts_new"}} {
		for _, name := range names {
			args := []string{"data", "upload", "../../examples/" + name + ".csv", "--namespace", "example", "--name", name, "--match", "id"}
			if name == "customers" {
				args = append(args, "--label", "y")
			}
			runCommand(t, e, command{args: args, at: at})
		}
	}
	page, err := os.ReadFile("../../docs/jobs.md")
	require.NoError(t, err)
	user, model := e.As(t, "9999"), ""
	documents := yamlBlock.FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, documents)
	for _, block := range documents {
		text := block[1]
		if strings.Contains(text, `"MODEL"`) {
			require.NotEmpty(t, model, "a document before it trains")
			text = strings.ReplaceAll(text, `"MODEL"`, `"`+model+`"`)
		}
		dag, err := wire.ParseDAG([]byte(text))
		require.NoError(t, err, text)
		id := user.Submit(dag)
		require.Equal(t, "success", user.Wait(id)[0].Status, text)
		if strings.Contains(text, "stage: train") && model == "" {
			model = string(id)
		}
	}
	require.NotEmpty(t, model)

	bodies := curlBody.FindAllStringSubmatch(string(page), -1)
	require.NotEmpty(t, bodies)
	for _, body := range bodies {
		answer := user.Post("/v2/job/submit", []byte(body[1]))
		user.OK(answer, nil)
		require.Equal(t, "success", user.Wait(openflow.JobID(answer.JobID))[0].Status, body[1])
	}
}

var curlBody = regexp.MustCompile(`(?s)curl [^\n]*/v2/job/submit [^\n]* -d '\n(.*?)'`)
