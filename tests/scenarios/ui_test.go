package scenarios_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// listed is a workflow as the Temporal UI lists it.
type listed struct {
	Execution        struct{ WorkflowID string }
	SearchAttributes struct{ IndexedFields map[string]payload }
	Memo             struct{ Fields map[string]payload }
}

// payload is a value as Temporal keeps it.
type payload struct{ Data string }

func (p payload) text(t require.TestingT) string {
	raw, err := base64.StdEncoding.DecodeString(p.Data)
	require.NoError(t, err)
	var s string
	require.NoError(t, json.Unmarshal(raw, &s), "%s", raw)
	return s
}

// page asks the API behind the UI, at the node's own address.
func page(t require.TestingT, user *env.Client, method, path, body string, into any) int {
	r, err := http.NewRequest(method, user.URL+"/temporal/api/v1/namespaces/openflow/"+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, answer := user.Do(r)
	if resp.StatusCode == http.StatusOK && into != nil {
		require.NoError(t, json.Unmarshal(answer, into), "%s", answer)
	}
	return resp.StatusCode
}

func find(t require.TestingT, user *env.Client, query string) []listed {
	var list struct{ Executions []listed }
	require.Equal(t, http.StatusOK, page(t, user, http.MethodGet, "workflows?query="+url.QueryEscape(query), "", &list))
	return list.Executions
}

// summary is the headline of a workflow's page.
func summary(t require.TestingT, user *env.Client, workflow string) string {
	var answer struct {
		ExecutionConfig struct {
			UserMetadata struct{ Summary payload }
		}
	}
	require.Equal(t, http.StatusOK, page(t, user, http.MethodGet, "workflows/"+url.PathEscape(workflow), "", &answer))
	return answer.ExecutionConfig.UserMetadata.Summary.text(t)
}

// details is what a workflow says of itself at the moment.
func details(t require.TestingT, user *env.Client, workflow string) string {
	var answer struct {
		QueryResult struct{ Payloads []payload }
	}
	status := page(t, user, http.MethodPost, "workflows/"+url.PathEscape(workflow)+"/query/__temporal_workflow_metadata",
		`{"query":{"queryType":"__temporal_workflow_metadata"}}`, &answer)
	require.Equal(t, http.StatusOK, status)
	require.Len(t, answer.QueryResult.Payloads, 1)
	raw, err := base64.StdEncoding.DecodeString(answer.QueryResult.Payloads[0].Data)
	require.NoError(t, err)
	var m struct{ CurrentDetails string }
	require.NoError(t, json.Unmarshal(raw, &m), "%s", raw)
	return m.CurrentDetails
}

// The Temporal UI at the node's own address finds jobs and runs by what people know of them, says what is waited for,
// wants the node's login, and changes nothing.
func TestTemporalUI(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.UI(), env.Token(), env.Cores(4))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	first := guest.Submit(cores(4, env.DAG(pair, env.Noop("a", env.Sleep(300_000)), env.Noop("b", nil, "a"))))
	guest.WaitForTask(first, "a", openflow.TaskRunning)
	second := guest.Submit(cores(4, env.DAG(pair, env.Noop("a", nil))))
	soon := func(check func(c *assert.CollectT)) {
		t.Helper()
		require.EventuallyWithT(t, check, 20*time.Second, 20*time.Millisecond)
	}
	job := func(id openflow.JobID, status string) string {
		return `WorkflowType = "Job" AND OfJob = "` + string(id) + `" AND OfStatus = "` + status + `"`
	}

	soon(func(c *assert.CollectT) {
		found := find(c, guest, job(first, "running"))
		require.Len(c, found, 1)
		require.Equal(c, string(first), found[0].Execution.WorkflowID)
		require.Equal(c, "guest 9999, host 10000", found[0].Memo.Fields["parties"].text(c))
		require.Equal(c, "9999", found[0].Memo.Fields["scheduler"].text(c))
		require.Equal(c, "2 tasks, 2 parties", found[0].Memo.Fields["name"].text(c))
		require.Equal(c, "job "+string(first)+": 2 tasks, 2 parties", summary(c, guest, string(first)))
	})
	soon(func(c *assert.CollectT) {
		require.Equal(c, "waiting for a at guest 9999, host 10000", details(c, guest, string(first)))
	})
	soon(func(c *assert.CollectT) {
		require.Len(c, find(c, guest, job(second, "waiting")), 1)
		waits := details(c, guest, string(second))
		for _, word := range []string{"needs 4 cores", "0 of 4 are free", "since"} {
			require.Contains(c, waits, word)
		}
	})
	runs := `OfJob = "` + string(first) + `" AND OfTask = "a" AND OfRole = "host" AND OfParty = "10000" AND OfComponent = "noop"`
	soon(func(c *assert.CollectT) {
		found := find(c, host, runs+` AND OfStatus = "running"`)
		require.Len(c, found, 1)
		require.Equal(c, string(first)+"_a_0@9999@host_10000", found[0].Execution.WorkflowID)
		require.Equal(c, "a: noop as host", summary(c, host, found[0].Execution.WorkflowID))
	})

	guest.StopJob(first)
	guest.WaitFor(second, openflow.JobSuccess)
	soon(func(c *assert.CollectT) {
		require.Len(c, find(c, guest, job(first, "canceled")), 1)
		require.Len(c, find(c, guest, job(second, "success")), 1)
		require.Len(c, find(c, host, runs+` AND OfStatus = "canceled"`), 1)
		require.Contains(c, details(c, guest, string(first)), "canceled stopped by party 9999")
	})

	stranger := &env.Client{TB: t, URL: guest.URL}
	require.Equal(t, http.StatusUnauthorized, page(t, stranger, http.MethodGet, "workflows", "", nil))
	require.Equal(t, http.StatusMethodNotAllowed, page(t, guest, http.MethodPost, "workflows/"+string(first)+"/terminate", "{}", nil))
}
