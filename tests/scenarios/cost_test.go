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
	for name, tc := range map[string]struct {
		dialect      openflow.Dialect
		sent, report int
	}{
		"native":    {native.Name, 1 + n + 1, n}, // create, each task, stop
		"FATE-Flow": {fateflow.Name, 3 + 1 + 3*n + 3*(n-1) + 5, n},
	} {
		t.Run(name, func(t *testing.T) {
			e.Speak(t, tc.dialect, "9999", "10000")
			guest := e.As(t, "9999")
			id := guest.Submit(chain)
			guest.WaitFor(id, openflow.JobSuccess)
			e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
			sent := paths(there, id)
			require.Len(t, sent, tc.sent, "%v", sent)
			require.Len(t, paths(back, id), tc.report)

			job := countEvents(t, e, "9999", workflows.JobWorkflowID(id))
			require.Equal(t, events{local: 2 + 2*n + 2 + 2, shown: 2}, job, "open, start and stop at two parties, and two records; that it runs, and how it ended")
			for _, task := range []openflow.TaskName{"a", "b", "c"} {
				for _, p := range pair {
					key := openflow.TaskKey{Scheduler: "9999", Job: id, Task: task, Party: p}
					run := countEvents(t, e, string(p.ID), workflows.TaskWorkflowID(key))
					require.Equal(t, events{regular: 1, local: 1, shown: 1}, run, "the run itself, its report, and how it ended")
				}
			}
		})
	}
}

// slowCollect is a timing in which a push job asks its parties only after a minute, however slow the machine is.
func slowCollect() openflow.Timing {
	timing := env.Timing()
	timing.Collect = time.Minute
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
