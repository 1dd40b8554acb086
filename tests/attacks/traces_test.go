package attacks_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli"
	"openflow/runtime/driver"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// hostile clears a screen, writes backwards, sets a title, and has signs that nobody sees, also as C1 and as bytes that are no
// UTF-8.
const hostile = "fine\x1b[2J\x1b]0;owned\x07\u202egpj.exe\u2066\u200b\u009b31m\r\n\x9b31mend"

// unhidden requires that a screen does nothing at a text but to show it.
func unhidden(t *testing.T, where, text string) {
	t.Helper()
	require.True(t, utf8.ValidString(text), where)
	for i, r := range text {
		if r != '\n' && openflow.Hidden(r) {
			require.Failf(t, "a hidden character", "%s: %q at %d of %q", where, r, i, text[max(0, i-60):min(len(text), i+60)])
		}
	}
}

// A container and a peer, which drives a job of its own here, give every text that they may give as one that would do something to a
// screen. Neither a terminal, nor the node's log, nor Temporal's UI gets to see it so.
func TestTextsForTerminalsLogsAndTemporal(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	release := e.Hold(t, "a")
	own := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", openflow.Parameters{"fail": hostile})))
	user.WaitForTask(own, "a", openflow.TaskRunning)
	containers := e.Containers(t, "9999")
	require.Len(t, containers, 1)
	base := &env.Client{TB: t, URL: e.Node(t, "9999").BaseURL(), Token: credential(t, e, "9999", containers[0].Name)}
	run := wire.PartyTaskID(openflow.TaskKey{Job: own, Task: "a", Party: env.Parties("guest 9999")[0]})
	for path, body := range map[string]any{
		"/v2/worker/task/status":              map[string]any{"execution_id": run, "status": "failed", "error": hostile, "public": hostile, "code": hostile},
		"/openflow/v1/container/task/warning": map[string]any{"warning": hostile},
		"/v2/worker/metric/save/" + run:       map[string]any{"data": []any{map[string]any{"name": hostile, "type": hostile, "data": hostile}}},
	} {
		require.Zero(t, base.Post(path, body).Code, path)
	}

	a := attack(t, e, "10000", "9999")
	calls, ctx := a.calls(), t.Context()
	k := openflow.JobKey{Scheduler: a.Party, Job: "2026010100000000000000001", Party: env.Parties("guest 9999")[0]}
	theirs := openflow.TaskKey{Scheduler: a.Party, Job: k.Job, Task: "a", Party: k.Party}
	_, err := calls.OpenJob(ctx, order(t, e, k, env.DAG([]openflow.Party{k.Party}, env.Noop("a", openflow.Parameters{"fail": hostile}))))
	require.NoError(t, err)
	require.NoError(t, calls.StartTask(ctx, openflow.TaskStart{TaskKey: theirs, StartsJob: true}))
	require.NoError(t, calls.Tell(ctx, k, openflow.News{Reason: hostile}))
	require.NoError(t, calls.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed, Reason: hostile}))
	_, err = calls.AskTask(ctx, openflow.TaskKey{Job: openflow.JobID(hostile), Task: "a", Party: k.Party})
	require.Error(t, err, "which the node's log may tell of")
	release()
	user.WaitFor(own, openflow.JobFailed)
	user.WaitFor(k.Job, openflow.JobFailed)
	e.NoContainers(t)

	for _, args := range [][]string{
		{"job", "list"}, {"job", "show", string(own)}, {"job", "show", string(k.Job)}, {"job", "logs", string(own)}, {"job", "logs", string(k.Job)},
		{"job", "output", string(own), "--task", "a"}, {"job", "watch", string(own)}, {"site", "list"}, {"audit", "list"}, {"doctor"},
		{"job", "show", hostile}, {"data", "show", "a/" + hostile},
	} {
		for _, output := range []string{"text", "json"} {
			var stdout, stderr bytes.Buffer
			cli.Execute(ctx, cli.NewRoot("test", driver.Openers{}), append([]string{"--node", user.URL, "-o", output}, args...), &stdout, &stderr)
			for name, text := range map[string]string{"standard output": stdout.String(), "standard error": stderr.String()} {
				unhidden(t, name+" of "+strings.Join(args, " ")+" as "+output, text)
			}
			if output == "json" && stdout.Len() > 0 {
				require.True(t, json.Valid(stdout.Bytes()), "it is still a document")
			}
		}
	}
	unhidden(t, "the node's log", e.Log("9999"))
	for _, workflow := range []string{
		string(own), string(openflow.TaskKey{Scheduler: "9999", Job: own, Task: "a", Party: k.Party}.RunID()), string(theirs.RunID()),
	} {
		history, err := e.Node(t, "9999").History(ctx, workflow)
		require.NoError(t, err)
		var doc any
		require.NoError(t, json.Unmarshal(history, &doc))
		texts(doc, func(text string) { unhidden(t, "Temporal's history of "+workflow, text) })
	}
}

// texts calls each with every text of a JSON document, and of the documents in it that are packed as base64.
func texts(v any, each func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			texts(one, each)
		}
	case []any:
		for _, one := range v {
			texts(one, each)
		}
	case string:
		each(v)
		packed, err := base64.StdEncoding.DecodeString(v)
		var doc any
		if err == nil && json.Unmarshal(packed, &doc) == nil {
			texts(doc, each)
		}
	}
}

// A profile is for the operator: it needs the token in a header, and no link or form of a page gets one. Peers and containers
// have no way to it.
func TestProfilesAreForTheOperator(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Token())
	n, user := e.Node(t, "9999"), e.As(t, "9999")
	ask := func(url, method, path string, header ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, nil)
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(body)
	}
	const heap = "/debug/pprof/heap?debug=1"
	bearer := "Bearer " + user.Token
	for name, c := range map[string]struct {
		url, method, path string
		header            []string
	}{
		"a GET":                      {user.URL, http.MethodGet, heap, []string{"Authorization", bearer}},
		"no token":                   {user.URL, http.MethodPost, heap, nil},
		"a wrong token":              {user.URL, http.MethodPost, heap, []string{"Authorization", "Bearer x"}},
		"the token as a cookie":      {user.URL, http.MethodPost, heap, []string{"Cookie", "openflow_session=" + user.Token}},
		"the token in the address":   {user.URL, http.MethodPost, heap + "&token=" + user.Token, nil},
		"a page of another origin":   {user.URL, http.MethodPost, heap, []string{"Authorization", bearer, "Origin", "http://evil.example"}},
		"the interconnection layer":  {e.PeersURL("9999"), http.MethodPost, heap, []string{"Authorization", bearer}},
		"the containers' base layer": {n.BaseURL(), http.MethodPost, heap, []string{"Authorization", bearer}},
		"the program's arguments":    {user.URL, http.MethodPost, "/debug/pprof/cmdline", nil},
	} {
		status, body := ask(c.url, c.method, c.path, c.header...)
		require.NotEqual(t, http.StatusOK, status, name)
		require.NotContains(t, body, "heap profile", name)
	}
	status, body := ask(user.URL, http.MethodPost, heap, "Authorization", bearer)
	require.Equal(t, http.StatusOK, status, body)
	require.Contains(t, body, "heap profile")
}
