package attacks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
)

// A container says what it likes of itself. A kilobyte of it is kept, its task ends, and other parties read none of it.
func TestLongWordsOfAContainer(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	release := e.Hold(t, "a")
	user := e.As(t, "10000")
	job := e.As(t, "9999").Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	run := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: parties[1]}
	secrets, err := trust.LoadOrCreateCredentials(e.Home("10000"))
	require.NoError(t, err)
	post := func(path string, body any) string {
		text, err := json.Marshal(body)
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.Node(t, "10000").BaseURL()+path, bytes.NewReader(text))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+secrets.Issue(run))
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		require.NoError(t, err)
		return string(answer)
	}
	long := strings.Repeat("y", 1<<20)
	id := wire.PartyTaskID(run)
	for range 60 {
		require.NotContains(t, post("/openflow/v1/container/task/warning", map[string]any{"warning": long}), `"error"`)
	}
	for path, body := range map[string]any{
		"/v2/worker/metric/save":        map[string]any{"data": []any{map[string]any{"name": long, "data": []any{}}}},
		"/v2/worker/data/tracking/save": map[string]any{"execution_id": id, "output_key": long, "data_type": long, "uri": long},
		"/v2/worker/task/status":        map[string]any{"execution_id": id, "status": long},
	} {
		require.NotContains(t, post(path, body), `"code":0`, path)
	}
	require.NotContains(t, post("/v2/worker/task/status", map[string]any{"execution_id": id, "status": "failed", "error": strings.Repeat("y", 20<<20)}), `"code":0`)
	said := map[string]any{"execution_id": id, "status": "failed", "error": long, "public": long, "code": "internal"}
	require.Contains(t, post("/v2/worker/task/status", said), `"code":0`)
	row := user.Tasks(job)[0]
	require.Contains(t, row.ErrorReport, "1048576 bytes; see the log")
	require.LessOrEqual(t, len(row.ErrorReport), openflow.MaxHeard)
	for _, w := range row.Warnings {
		require.LessOrEqual(t, len(w), openflow.MaxHeard)
	}
	require.Len(t, row.Warnings, 1, "the same warning is one")
	release()
	for _, id := range e.Parties {
		for _, job := range e.As(t, id).Wait(job) {
			require.Less(t, len(job.Reason), 2*openflow.MaxHeard)
		}
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
