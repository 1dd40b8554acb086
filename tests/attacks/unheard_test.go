package attacks_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// A node of FATE-Flow takes everything, and answers reports and questions how a run stands with nonsense. The jobs wait, and people read
// whom for and why. The log has each once.
func TestPeerThatAnswersNonsense(t *testing.T) {
	e := env.New(t, env.Party("10000"))
	user := e.As(t, "10000")
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/scheduler/task/report":
			w.WriteHeader(http.StatusInternalServerError)
		case "/v2/partner/task/collect":
			_, _ = io.WriteString(w, `{"code":0,"message":"success","data":{"status":"cheerful","party_status":"cheerful"}}`)
		default:
			_, _ = io.WriteString(w, `{"code":0,"message":"success"}`)
		}
	}))
	t.Cleanup(peer.Close)
	user.OK(user.Post("/openflow/v1/user/site/add", map[string]any{
		"party_id": "9998", "url": peer.URL, "dialect": "fate-flow", "unsigned_from": []string{"127.0.0.1"},
	}), nil)

	const theirs = "202601010000000000001"
	call := func(path string, more map[string]any) {
		t.Helper()
		body := map[string]any{"job_id": theirs, "role": "host", "party_id": "10000"}
		for k, v := range more {
			body[k] = v
		}
		text, err := json.Marshal(body)
		require.NoError(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.PeersURL("10000")+"/v2/partner/"+path, bytes.NewReader(text))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		require.NoError(t, err)
		require.Contains(t, string(answer), `"code":0`, path)
	}
	call("job/create", map[string]any{"schema_version": "2.2.0", "dag": map[string]any{
		"parties": []any{map[string]any{"role": "guest", "party_id": []string{"9998"}}, map[string]any{"role": "host", "party_id": []string{"10000"}}},
		"stage":   "default", "conf": map[string]any{"initiator_party_id": "9998", "scheduler_party_id": "9998"},
		"tasks": map[string]any{"a": map[string]any{"component_ref": "noop"}},
	}})
	call("job/resource/apply", nil)
	call("job/start", nil)
	call("task/start", map[string]any{"task_id": theirs + "_a", "task_version": 0})
	own := user.Submit(env.DAG(env.Parties("guest 10000", "host 9998"), env.Noop("b", nil)))

	reads := func(id openflow.JobID, want string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "the job says what it waits for", func() (bool, string) {
			said := user.Jobs(id)[0].Reason
			return strings.Contains(said, want), said
		})
	}
	reads(theirs, "does not take the report that task a has ended here")
	reads(own, "how task b stands")
	log := e.Log("10000")
	require.Equal(t, 1, strings.Count(log, "a scheduler does not take the report of a run's end"), "%s", log)
	require.Equal(t, 1, strings.Count(log, "a party does not say how a run stands"), "%s", log)
}
