package scenarios_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/tests/env"
	"openflow/workflows"
)

// The price of a job of n tasks in a row at two parties, one of which schedules: HTTP calls between the nodes, Temporal
// workflows, and activities. It is the throughput (docs/performance.md), so it is held here: a number may fall, not rise.
func TestCostOfAJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Proxied(), env.Deadlines(slowCollect()))
	there, back := e.Link(t, "9999", "10000"), e.Link(t, "10000", "9999")
	const n = 3
	chain := env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b"))
	run := events{regular: 1, local: 1, shown: 1} // the run itself, its report, and how it ended
	for name, tc := range map[string]struct {
		dialect openflow.Dialect
		want    cost
		slow    int // calls that a regular activity makes, because the partner may answer late
		begun   int // local activities of the partner's runs that tell the scheduler of their begin
	}{
		"native":    {native.Name, cost{sent: 1 + n + 1, reports: n}, 0, 0}, // create, each task, stop
		"FATE-Flow": {fateflow.Name, cost{sent: 3 + 1 + 3*n + 3*(n-1) + 5, reports: 2 * n}, 1 + n + 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			e.Speak(t, tc.dialect, "9999", "10000")
			// Open, start and stop at two parties, and two records; that it runs, and how it ended.
			theirs := run
			theirs.local += tc.begun
			tc.want.job, tc.want.runs = events{local: 2 + 2*n + 2 + 2, regular: tc.slow, shown: 2}, [2 * n]events{run, theirs, run, theirs, run, theirs}
			var got cost
			for range 5 { // a call that a slow machine does not answer within 3 s is tried again, and costs more
				id := e.As(t, "9999").Submit(chain)
				e.As(t, "9999").WaitFor(id, openflow.JobSuccess)
				e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
				got = cost{job: countEvents(t, e, "9999", workflows.JobWorkflowID(id))} // it has closed: all has been sent
				for i, task := range []openflow.TaskName{"a", "b", "c"} {
					for k, p := range pair {
						key := openflow.TaskKey{Scheduler: "9999", Job: id, Task: task, Party: p}
						got.runs[2*i+k] = countEvents(t, e, string(p.ID), workflows.TaskWorkflowID(key))
					}
				}
				got.sent, got.reports = len(paths(there, id)), len(paths(back, id))
				if got == tc.want {
					return
				}
				t.Logf("sent %v, reported %v", paths(there, id), paths(back, id))
			}
			require.Equal(t, tc.want, got)
		})
	}
}

// cost is what a job of three tasks has cost: calls, and events of its histories.
type cost struct {
	sent, reports int
	job           events
	runs          [6]events
}

// slowCollect is a timing in which a push job never asks its parties, however slow the machine is.
func slowCollect() openflow.Timing {
	timing := env.Timing()
	timing.Collect = time.Hour
	return timing
}

// paths are the calls about a job that a link has carried to the partner and scheduler pages.
func paths(link *env.Proxy, id openflow.JobID) []string {
	var list []string
	for _, s := range link.Seen("") {
		if s.Fault == env.None && (strings.HasPrefix(s.Path, "/v2/") || strings.HasPrefix(s.Path, "/openflow/")) && strings.Contains(string(s.Body), string(id)) {
			list = append(list, s.Path)
		}
	}
	return list
}

type events struct{ local, regular, versions, shown int }

type historyEvent struct {
	Type   string `json:"eventType"`
	Marker struct {
		Name string `json:"markerName"`
	} `json:"markerRecordedEventAttributes"`
}

// countEvents counts what a workflow's history holds of activities, version gates and changes of its searchable status,
// once it has closed.
func countEvents(t *testing.T, e *env.Env, party, workflowID string) events {
	t.Helper()
	var history struct {
		Events []historyEvent `json:"events"`
	}
	env.WaitUntil(t, env.Patience, workflowID+" has closed", func() (bool, string) {
		raw, err := e.Node(t, party).History(t.Context(), workflowID)
		require.NoError(t, err)
		history.Events = nil
		require.NoError(t, json.Unmarshal(raw, &history))
		last := history.Events[len(history.Events)-1].Type
		return last == "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", last
	})
	var got events
	for _, event := range history.Events {
		switch {
		case event.Type == "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED":
			got.regular++
		case event.Type == "EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
			got.shown++
		case event.Marker.Name == "LocalActivity":
			got.local++
		case event.Marker.Name == "Version":
			got.versions++
		}
	}
	return got
}
