package attacks_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
	"openflow/tests/fuzzing"
	"openflow/tests/worst"
)

// A job of a shape that costs most is answered by a peer's victim in proportion to its length, in whatever dialect it comes
// and whoever sends it, and the node goes on.
func TestDocumentThatTakesMinutes(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Strict())
	a := attack(t, e, "10000", "9999")
	victim := e.As(t, "9999")
	shapes := map[string]*openflow.DAG{"what took 147 s": everybodyEverywhere()}
	for shape, of := range worst.Shapes {
		shapes[shape] = of(worst.Small)
	}
	for shape, d := range shapes {
		t.Run(shape, func(t *testing.T) {
			d.Parties = append([]openflow.Party{{Role: openflow.RoleGuest, ID: "9999"}}, d.Parties[1:]...)
			d.Conf.Scheduler, d.Conf.Initiator = "10000", "10000"
			text, err := wire.EncodeDAG(d)
			require.NoError(t, err)
			cheap(t, len(text), func() {
				_, err := a.calls().Partner().OpenJob(t.Context(), openflow.JobOrder{
					Key: openflow.JobKey{Scheduler: "10000", Job: "1", Party: d.Parties[0]}, DAG: d,
				})
				require.Error(t, err)
			})
			body := map[string]any{
				"job_id": "1", "role": "guest", "party_id": "9999", "dag": json.RawMessage(text), "schema_version": "2.2.0", "kind": "fate",
			}
			cheap(t, len(text), func() { a.refused("/v2/partner/job/create", body) })
			cheap(t, len(text), func() { a.refused("/v2/scheduler/job/create", body) })
			cheap(t, len(text), func() {
				answer := victim.Post("/v2/job/submit", map[string]any{"dag_schema": map[string]any{
					"dag": json.RawMessage(text), "schema_version": "2.2.0", "kind": "fate",
				}})
				require.NotZero(t, answer.Code)
			})
		})
	}
	require.Empty(t, victim.Jobs(""), "nothing has come of it")
}

// everybodyEverywhere has overrides of all tasks at all parties, many times: 4 MB that were looked at for every pair of parties.
func everybodyEverywhere() *openflow.DAG {
	d := &openflow.DAG{SchemaVersion: "2.2.0"}
	for i := range openflow.MaxParties {
		d.Parties = append(d.Parties, openflow.Party{Role: openflow.RoleHost, ID: openflow.PartyID(fmt.Sprint("100", i))})
	}
	tasks := map[openflow.TaskName]openflow.TaskOverride{}
	for i := range 100 {
		name := openflow.TaskName(fmt.Sprint("t", i))
		d.Tasks = append(d.Tasks, openflow.Task{Name: name, Component: "noop", Parties: d.Parties})
		tasks[name] = openflow.TaskOverride{Parameters: openflow.Parameters{"sleep_ms": 1}}
	}
	for i := range 100 {
		d.PartyTasks = append(d.PartyTasks, openflow.PartyTasks{Site: fmt.Sprint("s", i), Parties: d.Parties[1:], Tasks: tasks})
	}
	return d
}

// A request whose values are many, deep or long-named is refused before they are read.
func TestBodyOfSmallValues(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	a := attack(t, e, "10000", "9999")
	victim := e.As(t, "9999")
	for name, dag := range map[string]string{
		"numbers": "[" + strings.Repeat("1,", 4<<20) + "1]",
		"objects": "[" + strings.Repeat("{},", 2<<20) + "1]",
		"depth":   strings.Repeat("[", 4<<20),
		"names":   `{"` + strings.Repeat("n", 1<<20) + `":{"a":{"b":1}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/v2/partner/job/create", "/v2/scheduler/job/create", "/v2/partner/task/collect", "/v2/scheduler/task/report"} {
				body := []byte(`{"job_id":"1","role":"guest","party_id":"9999","dag":` + dag + `}`)
				cheap(t, len(body), func() { a.refused(path, body) })
			}
			body := []byte(`{"dag_schema":` + dag + `}`)
			cheap(t, len(body), func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, victim.URL+"/v2/job/submit", bytes.NewReader(body))
				require.NoError(t, err)
				require.NotZero(t, victim.Call(r).Code)
			})
		})
	}
	victim.WaitFor(victim.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil))), openflow.JobSuccess)
}

// refused posts a body that nobody takes.
func (a *attacker) refused(path string, body any) {
	a.t.Helper()
	status, answer := a.post(path, body)
	require.NotContains(a.t, string(answer), `"code":0`, "%d", status)
	require.NotEqual(a.t, http.StatusInternalServerError, status, "%s", answer)
}

// cheap holds that a call costs this process, with all its nodes, no more than its length allows.
func cheap(t *testing.T, size int, call func()) {
	t.Helper()
	bytes, took := fuzzing.Cost(call)
	fuzzing.Check(t, size, bytes, took)
}

// container is the node as the program of a running task reaches it.
func container(t *testing.T, e *env.Env, id string, run openflow.TaskKey) *env.Client {
	t.Helper()
	for _, c := range e.Containers(t, id) {
		text, err := os.ReadFile(filepath.Join(e.Home(id), "tasks", c.Name, "spec.json"))
		require.NoError(t, err)
		var rec struct{ Spec struct{ Env []string } }
		require.NoError(t, json.Unmarshal(text, &rec))
		for _, v := range rec.Spec.Env {
			if token, ok := strings.CutPrefix(v, "OPENFLOW_CREDENTIAL="); ok {
				return &env.Client{TB: t, URL: e.Node(t, id).BaseURL(), Token: token}
			}
		}
	}
	require.Failf(t, "no container", "%v", run)
	return nil
}

// A container cannot make its node take memory by a model: neither by YAML that stands for more than it is, nor by fields of
// the form.
func TestModelThatIsABomb(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	key := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	inside := container(t, e, "9999", key)
	row := user.Jobs(job)[0]
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for name, tc := range map[string]struct {
		meta   string
		fields int
	}{
		"aliases of aliases": {bomb, 0},
		"lists of lists":     {strings.Repeat("- ", 30_000) + "x", 0},
		"brackets":           {strings.Repeat("[", 60_000), 0},
		"12,000 fields":      {"name: lr\n", 12_000},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := model(t, wire.PartyTaskID(key), row, tc.meta, tc.fields)
			cheap(t, len(body), func() {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, inside.URL+"/v2/worker/model/save", bytes.NewReader(body))
				require.NoError(t, err)
				r.Header.Set("Content-Type", kind)
				r.Header.Set("Authorization", "Bearer "+inside.Token)
				answer := inside.Call(r)
				require.NotZero(t, answer.Code)
				require.Contains(t, answer.Message, map[bool]string{true: "the form has more than", false: "too much to read"}[tc.fields > 0])
			})
		})
	}
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// model is a form that saves a model package with that meta, behind that many fields that nobody asked for.
func model(t *testing.T, run string, row wire.JobRow, meta string, fields int) (body []byte, kind string) {
	t.Helper()
	var text bytes.Buffer
	form := multipart.NewWriter(&text)
	for i := range fields {
		require.NoError(t, form.WriteField(fmt.Sprint("field", i), strings.Repeat("x", 1<<10)))
	}
	for name, value := range map[string]string{
		"execution_id": run, "model_id": row.ModelID, "model_version": row.ModelVersion, "output_key": "model", "type_name": "json_model",
	} {
		require.NoError(t, form.WriteField(name, value))
	}
	file, err := form.CreateFormFile("file", "model.tar")
	require.NoError(t, err)
	archive := tar.NewWriter(file)
	require.NoError(t, archive.WriteHeader(&tar.Header{Name: "model.yaml", Mode: 0o600, Size: int64(len(meta))}))
	_, err = archive.Write([]byte(meta))
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	require.NoError(t, form.Close())
	return text.Bytes(), form.FormDataContentType()
}
