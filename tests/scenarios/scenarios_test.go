package scenarios_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// scenario is a file of testdata: a job on the parties 9999, 10000 and 10001, and how it must look in the end.
type scenario struct {
	About  string                       `json:"about"`
	Submit string                       `json:"submit"` // whose user submits
	DAG    json.RawMessage              `json:"dag"`    // {dag, schema_version}
	Status string                       `json:"status"` // of the job, at every party
	Reason string                       `json:"reason"` // pattern of the job's reason, at every party
	Tasks  map[string]map[string]string `json:"tasks"`  // party → "<task> <role> <party>" → party_status; "a|b": either
}

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"),
		env.Policy("9999", "coordinated_lr:\n  allow_common_arbiter: true\n")) // two-roles-one-node.json
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var s scenario
			require.NoError(t, json.Unmarshal(data, &s))
			s.play(t, e)
		})
	}
}

func (s scenario) play(t *testing.T, e *env.Env) {
	user := e.As(t, s.Submit)
	answer := user.Post("/v2/job/submit", map[string]json.RawMessage{"dag_schema": s.DAG})
	user.OK(answer, nil)
	id := openflow.JobID(answer.JobID)
	for party, tasks := range s.Tasks {
		c := e.As(t, party)
		jobs := c.Wait(id)
		s.checkJobs(t, party, jobs)
		if openflow.JobStatus(s.Status) == openflow.JobSuccess {
			c.OK(c.Get("/v2/job/task/query", "job_id", string(id), "status", "success"), nil)
		}
		got := c.Settled(id)
		require.ElementsMatch(t, slices.Collect(maps.Keys(tasks)), slices.Collect(maps.Keys(got)), "tasks at %s", party)
		for key, want := range tasks {
			require.Containsf(t, strings.Split(want, "|"), got[key], "%s at %s", key, party)
		}
		require.Equal(t, ran(id, got), e.Starts(t, party, id), "starts at party %s", party)
	}
	for _, party := range e.Parties {
		if _, takesPart := s.Tasks[party]; !takesPart {
			require.Empty(t, e.As(t, party).Jobs(id), "rows at party %s, which takes no part", party)
		}
	}
	e.NoContainers(t)
	e.NoCoresHeld(t) // which a job holds until the last of its programs has ended
	for party := range s.Tasks {
		for _, j := range e.As(t, party).Jobs(id) {
			require.False(t, j.ResourceInUse, "at %s %s", j.Role, j.PartyID)
		}
	}
}

func (s scenario) checkJobs(t *testing.T, party string, jobs []wire.JobRow) {
	t.Helper()
	pattern := regexp.MustCompile(s.Reason)
	for _, j := range jobs {
		require.Equal(t, s.Status, j.Status, "at %s %s: %s", j.Role, j.PartyID, j.Reason)
		require.Equal(t, party, j.PartyID)
		require.Truef(t, pattern.MatchString(j.Reason), "at %s %s the reason %q matches %q", j.Role, j.PartyID, j.Reason, s.Reason)
		if s.Status == string(openflow.JobSuccess) {
			require.Equal(t, 100, j.Progress, "at %s %s", j.Role, j.PartyID)
			require.Empty(t, j.Reason)
		}
	}
}

// ran is the number of starts that a party's view of its tasks implies: one for each that has begun, none for the rest.
func ran(id openflow.JobID, statuses map[string]string) map[string]int {
	starts := map[string]int{}
	for key, status := range statuses {
		if status == string(openflow.TaskWaiting) {
			continue
		}
		f := strings.Fields(key)
		k := openflow.TaskKey{
			Job: id, Task: openflow.TaskName(f[0]), Party: openflow.Party{Role: openflow.Role(f[1]), ID: openflow.PartyID(f[2])},
		}
		starts[wire.PartyTaskID(k)] = 1
	}
	return starts
}
