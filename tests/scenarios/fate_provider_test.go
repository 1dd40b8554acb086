package scenarios_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// registerFATE is the body by which FATE's client registers a provider.
func registerFATE(path string) map[string]any {
	return map[string]any{"name": "smallfate", "version": "1.0", "device": "local", "metadata": map[string]any{"path": path, "venv": env.Interpreter}}
}

// scale is a task of the small provider, which reads a table.
func scale(name string, input openflow.Input, parameters openflow.Parameters) openflow.Task {
	input.Kind, input.Key = openflow.InputData, "input_data"
	task := by("smallfate", "scale", name, parameters)
	task.Inputs = []openflow.Input{input}
	return task
}

// A provider that is registered FATE's way, by the path of its code and its virtual environment, is described, listed and run as
// FATE-Flow does that: with a TaskConfig of FATE's schema. The rows that it leaves in its own engine's store are the task's output.
func TestProviderRegisteredAsFATEDoes(t *testing.T) {
	e := env.New(t, env.Trust("smallfate"), env.Party("9999"))
	guest := e.As(t, "9999")
	code := env.SmallFATE(t)
	require.Equal(t, "create success", guest.Post("/v2/provider/register", registerFATE(code)).Message)
	require.Equal(t, "update success", guest.Post("/v2/provider/register", registerFATE(code)).Message, "the same again")

	var rows []struct {
		Provider string            `json:"provider_name"`
		Metadata map[string]string `json:"metadata"`
	}
	guest.OK(guest.Get("/v2/provider/query", "name", "smallfate"), &rows)
	require.Len(t, rows, 1)
	require.Equal(t, "smallfate:1.0@local", rows[0].Provider)
	require.Equal(t, map[string]string{"path": code, "venv": env.Interpreter}, rows[0].Metadata)
	shown, err := (&sdk.Client{URL: e.URL("9999")}).Provider(t.Context(), "smallfate")
	require.NoError(t, err)
	require.Equal(t, "folder", shown.Kind)
	require.Equal(t, "scale", shown.Components[0].Name)

	guest.OK(guest.Upload("people", "rows", `{"match_id_name":"id","label_name":"y"}`, strings.NewReader("id,y,x0\n1,0,1.5\n2,1,-2\n")), nil)
	parties := env.Parties("guest 9999")
	table := openflow.Input{Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Namespace: "people", Name: "rows"}}}
	of := func(task openflow.TaskName) openflow.Input {
		return openflow.Input{Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: task, OutputKey: "output_data"}}}
	}
	model := func(task openflow.TaskName) openflow.Input {
		return openflow.Input{Kind: openflow.InputModel, Key: "input_model", Channels: []openflow.Channel{{Source: openflow.FromTask, ProducerTask: task, OutputKey: "output_model"}}}
	}
	second := scale("scale_1", of("scale_0"), openflow.Parameters{"factor": 10.0})
	second.Inputs = append(second.Inputs, model("scale_0"))
	id := guest.Submit(env.DAG(parties, scale("scale_0", table, openflow.Parameters{"factor": 2.0}), second))
	guest.WaitFor(id, openflow.JobSuccess)

	for _, row := range guest.Tasks(id) {
		require.Equal(t, []string{"smallfate:1.0@local", shown.Digest}, []string{row.ProviderName, row.ProgramDigest})
	}
	files := guest.Archive("/v2/output/data/download", env.Run(id, "guest", "9999", "scale_1")...)
	text := string(files["output_data/0.csv"])
	require.Contains(t, text, ",60.0\n", "1.5 by 2, and by 10 and the model's 2")
	require.Contains(t, text, ",-80.0\n")
	metrics := guest.Metrics(env.Run(id, "guest", "9999", "scale_1"))
	require.Contains(t, metrics, "loss")
	require.JSONEq(t, `{"rows":2,"worst":null}`, string(metrics["summary"]))
	var models json.RawMessage
	guest.OK(guest.Get("/v2/output/model/query", env.Run(id, "guest", "9999", "scale_1")...), &models)
	require.Contains(t, string(models), `"factor":20`)
	require.Contains(t, guest.TaskLog(env.Run(id, "guest", "9999", "scale_1")), "running scale")

	t.Run("a task does not succeed with an output that was not taken in", func(t *testing.T) {
		for trouble, want := range map[string]string{
			"no_table": `output "output_data" was not taken in`,
			"no_meta":  "No found task output",
			"raise":    "customer 4711",
		} {
			id := guest.Submit(env.DAG(parties, scale("scale_0", table, openflow.Parameters{"trouble": trouble})))
			guest.WaitFor(id, openflow.JobFailed)
			require.Contains(t, guest.Tasks(id)[0].Reason, want)
		}
	})

	t.Run("code that has changed is not run", func(t *testing.T) {
		file := filepath.Join(code, "fate", "components", "__init__.py")
		before, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, append(before, "# changed\n"...), 0o600))
		id := guest.Submit(env.DAG(parties, scale("scale_0", table, nil)))
		guest.WaitFor(id, openflow.JobFailed)
		require.Contains(t, guest.Tasks(id)[0].Reason, "has changed since it was registered")
		answer := guest.Post("/v2/provider/register", registerFATE(code))
		require.NotZero(t, answer.Code)
		require.Contains(t, answer.Message, "is registered with another program or image")
		require.NoError(t, os.WriteFile(file, before, 0o600))
		id = guest.Submit(env.DAG(parties, scale("scale_0", table, nil)))
		guest.WaitFor(id, openflow.JobSuccess)
	})
}

// FATE's own name means the built-in components until code of FATE's contract is registered under it, and that code from then on.
func TestTheNameOfFATE(t *testing.T) {
	e := env.New(t, env.Trust("fate"), env.Party("9999"))
	guest := e.As(t, "9999")
	noop := env.DAG(env.Parties("guest 9999"), by("fate", "noop", "a", nil))
	id := guest.Submit(noop)
	guest.WaitFor(id, openflow.JobSuccess)

	code := env.SmallFATE(t)
	file := filepath.Join(code, "fate", "components", "__init__.py")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(text), `"smallfate"`, `"fate"`, 1)), 0o600))
	body := registerFATE(code)
	body["name"] = "fate"
	require.Equal(t, "create success", guest.Post("/v2/provider/register", body).Message)
	answer := guest.TrySubmit(noop)
	require.NotZero(t, answer.Code)
	require.Contains(t, answer.Message, "noop")
	guest.OK(guest.Upload("people", "rows", `{"match_id_name":"id"}`, strings.NewReader("id,x0\n1,1.5\n")), nil)
	task := scale("scale_0", openflow.Input{Channels: []openflow.Channel{{Source: openflow.FromDataWarehouse, Namespace: "people", Name: "rows"}}}, nil)
	task.Conf.Provider = "fate"
	id = guest.Submit(env.DAG(env.Parties("guest 9999"), task))
	guest.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, "fate:1.0@local", guest.Tasks(id)[0].ProviderName)
	id = guest.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	guest.WaitFor(id, openflow.JobSuccess)
}

// What is no provider of FATE's kind, or nobody's whom the operator trusts, is refused, and nothing is registered.
func TestProvidersThatFATEWouldNotRun(t *testing.T) {
	e := env.New(t, env.Trust("smallfate"), env.Party("9999"))
	guest := e.As(t, "9999")
	changed := func(key string, value any, metadata bool) map[string]any {
		b := registerFATE(env.SmallFATE(t))
		if metadata {
			b["metadata"].(map[string]any)[key] = value
			return b
		}
		b[key] = value
		return b
	}
	open, empty := env.SmallFATE(t), t.TempDir()
	require.NoError(t, os.Chmod(filepath.Join(open, "fate", "__init__.py"), 0o666))
	linked := env.SmallFATE(t)
	require.NoError(t, os.Symlink("/tmp", filepath.Join(linked, "elsewhere")))
	for name, c := range map[string]struct {
		body map[string]any
		want string
	}{
		"no interpreter":          {changed("venv", "", true), "nothing says which interpreter runs it"},
		"an interpreter's name":   {changed("venv", "python3", true), "is not a whole path"},
		"one that there is not":   {changed("venv", "/nowhere/python", true), "cannot be used as an interpreter"},
		"a folder without code":   {changed("path", empty, true), "does not describe its components"},
		"no folder":               {changed("path", "/nowhere", true), "cannot be used"},
		"code that others change": {changed("path", open, true), "other users can change"},
		"a link out of it":        {changed("path", linked, true), "a link to a folder outside"},
		"another version":         {changed("version", "2.0", false), "says that it is of provider smallfate:1.0"},
		"another name":            {changed("name", "other", false), "does not run programs of provider other"},
		"docker":                  {changed("device", "docker", false), "Device not supported: device[docker]"},
	} {
		answer := guest.Post("/v2/provider/register", c.body)
		require.NotZero(t, answer.Code, name)
		require.Contains(t, answer.Message, c.want, name)
	}
	var rows []json.RawMessage
	guest.OK(guest.Get("/v2/provider/query", "name", "smallfate"), &rows)
	require.Empty(t, rows)
}
