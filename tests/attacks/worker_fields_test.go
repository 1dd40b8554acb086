package attacks_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// told is when a row was last written: a container may say again and again that it runs.
var told = regexp.MustCompile(`"update_time":\d+,`)

// Whatever a container writes into FATE-Flow's calls of workers, it reads which field is wrong, and no row of the site changes. Nor
// does one change when it names another run.
//
// Spec: fate-flow-api §3.1.
func TestFieldsOfContainersCalls(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	user := e.As(t, "9999")
	release := e.Hold(t, "a")
	job := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	containers := e.Containers(t, "9999")
	require.Len(t, containers, 1)
	base := &env.Client{TB: t, URL: e.Node(t, "9999").BaseURL(), Token: credential(t, e, "9999", containers[0].Name)}
	run := wire.PartyTaskID(openflow.TaskKey{Job: job, Task: "a", Party: env.Parties("guest 9999")[0]})
	rows := func() string {
		text, err := json.Marshal([]any{user.Jobs(job), user.Tasks(job)})
		require.NoError(t, err)
		return told.ReplaceAllString(string(text), "")
	}

	object := "object:///sha256/" + strings.Repeat("0", 64)
	require.Zero(t, base.Post("/v2/worker/task/status", fields{"execution_id": run, "status": "running"}).Code, "the call itself is right")
	before := rows()
	for path, r := range map[string]struct {
		body     fields
		required []string
	}{
		"/v2/worker/task/status":        {fields{"execution_id": run, "status": "running"}, []string{"execution_id", "status"}},
		"/v2/worker/data/tracking/save": {fields{"execution_id": run, "uri": object, "output_key": "output_data", "data_type": "dataframe"}, nil},
		"/v2/worker/metric/save":        {fields{"execution_id": run, "data": []any{}}, nil},
	} {
		refused := func(what string, body any, names string, codes ...int) {
			t.Helper()
			said := base.Post(path, body)
			require.Contains(t, codes, said.Code, "%s: %s: %s", path, what, said.Message)
			require.Contains(t, said.Message+string(said.Data), names, "%s: %s", path, what)
		}
		refused("a list", []byte(`[]`), "", wire.InvalidParameter)
		refused("cut off", []byte(`{"execution_id":`), "", wire.InvalidParameter)
		refused("deep", []byte(strings.Repeat(`{"a":`, 100_000)), "", wire.InvalidParameter)
		for _, key := range r.required {
			refused("without "+key, r.body.without(key), key, wire.InvalidParameter)
		}
		for key := range r.body {
			refused("a truth for "+key, r.body.with(key, true), key, wire.InvalidParameter)
			if key != "data" {
				refused("a list for "+key, r.body.with(key, []int{1}), key, wire.InvalidParameter)
			}
			refused("an object for "+key, r.body.with(key, fields{"x": 1}), key, wire.InvalidParameter)
		}
		refused("another run", r.body.with("execution_id", "another_a_0_guest_9999"), "another task", wire.NoPermission)
		require.Equal(t, before, rows(), "%s changes nothing", path)
	}
	release()
	user.WaitFor(job, openflow.JobSuccess)
}
