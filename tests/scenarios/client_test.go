package scenarios_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// What the FATE client asks, in its order, and what it demands of the answers.
//
// Spec: fate-client §4.
func TestFATEClient(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))

	t.Run("init", func(t *testing.T) {
		user := e.As(t, "9999")
		var site struct {
			PartyID string `json:"party_id"`
		}
		user.OK(user.Get("/v2/site/info/query"), &site)
		require.Equal(t, "9999", site.PartyID)
		var servers map[string]map[string]any
		user.OK(user.Get("/v2/server/fateflow"), &servers)
		require.Len(t, servers, 1)
		// Slashes too many, as the genuine programs write them.
		user.OK(user.Get("/v2//site/info/query/"), &site)
	})

	t.Run("submit and poll", func(t *testing.T) {
		user := e.As(t, "9999")
		answer := user.TrySubmit(env.DAG(pair, env.Noop("a", env.Sleep(300)), env.Noop("b", nil, "a")))
		user.OK(answer, nil)
		var model wire.CreatedModel
		require.NoError(t, json.Unmarshal(answer.Data, &model))
		require.NotEmpty(t, answer.JobID)
		require.Equal(t, wire.CreatedModel{ModelID: answer.JobID, ModelVersion: "0"}, model)
		id := openflow.JobID(answer.JobID)

		first := user.Jobs(id)
		require.Len(t, first, 1, "the job is there at once")
		var seen []string
		lastProgress := 0
		env.WaitUntil(t, env.Patience, "the client stops polling", func() (bool, string) {
			var jobs []wire.JobRow
			user.OK(user.Get("/v2/job/query", "job_id", answer.JobID, "role", "guest", "party_id", "9999"), &jobs)
			require.Len(t, jobs, 1)
			if s := jobs[0].Status; !slices.Contains(seen, s) {
				seen = append(seen, s)
			}
			require.GreaterOrEqual(t, jobs[0].Progress, lastProgress, "progress never falls")
			lastProgress = jobs[0].Progress
			running := user.Get("/v2/job/task/query", "job_id", answer.JobID, "role", "guest", "party_id", "9999", "status", "running")
			require.Contains(t, []int{wire.Success, wire.TaskNotFound}, running.Code, running.Message)
			return env.Ended(jobs[0].Status), jobs[0].Status
		})
		require.Subset(t, []string{"waiting", "running", "success"}, seen)
		require.Equal(t, 100, lastProgress)

		row := user.Jobs(id)[0]
		require.NotNil(t, row.CreateTime)
		require.NotNil(t, row.StartTime)
		require.NotNil(t, row.EndTime)
		require.NotNil(t, row.Elapsed)
		require.Equal(t, []string{"9999", "9999"}, []string{row.InitiatorPartyID, row.SchedulerPartyID})
		require.NotEmpty(t, row.DAG)
		for _, task := range user.Tasks(id) {
			require.Equal(t, "success", task.Status, task.TaskName)
			require.Equal(t, "success", task.PartyStatus, task.TaskName)
			require.NotNil(t, task.ExitCode)
			require.Zero(t, *task.ExitCode)
			require.NotEmpty(t, task.Container)
			require.NotNil(t, task.Elapsed)
		}
	})

	t.Run("a federated status that is at every party", func(t *testing.T) {
		id := e.As(t, "9999").Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
		for _, party := range e.Parties {
			user := e.As(t, party)
			user.WaitFor(id, openflow.JobSuccess)
			for _, task := range user.Tasks(id) {
				require.Equal(t, "success", task.Status, "%s at %s", task.TaskName, party)
			}
		}
	})

	t.Run("lists and pages", func(t *testing.T) {
		user := e.As(t, "9999")
		for range 3 {
			user.WaitFor(user.Submit(env.DAG(pair, env.Noop("a", nil))), openflow.JobSuccess)
		}
		type rows struct {
			Count int           `json:"count"`
			Data  []wire.JobRow `json:"data"`
		}
		var page, second rows
		user.OK(user.Get("/v2/job/list/query", "limit", "2", "page", "1", "role", "guest"), &page)
		require.Len(t, page.Data, 2)
		require.GreaterOrEqual(t, page.Count, 3)
		require.Equal(t, []string{"10000"}, page.Data[0].Partners)
		user.OK(user.Get("/v2/job/list/query", "limit", "2", "page", "2", "role", "guest"), &second)
		require.NotEqual(t, page.Data[0].JobID, second.Data[0].JobID)
		require.Equal(t, page.Count, second.Count)
	})

	t.Run("what is not there has the codes of the original", func(t *testing.T) {
		user := e.As(t, "9999")
		none := env.Run("19990101000000000000", "guest", "9999", "a")
		for path, code := range map[string]int{
			"/v2/job/query": wire.JobNotFound, "/v2/job/task/query": wire.TaskNotFound, "/v2/output/metric/query": wire.TaskNotFound,
			"/v2/output/model/query": wire.TaskNotFound, "/v2/output/data/download": wire.TaskNotFound,
		} {
			require.Equal(t, code, user.Get(path, none...).Code, path)
		}
		require.Equal(t, wire.InvalidParameter, user.Get("/v2/output/metric/query", "job_id", "1").Code)
		require.Equal(t, wire.FunctionRestricted, user.Get("/v2/no/such/route").Code)
	})

	t.Run("logs", func(t *testing.T) {
		user := e.As(t, "9999")
		d := env.DAG(pair, env.Noop("a", env.Sleep(300_000)))
		d.PartyTasks = []openflow.PartyTasks{env.At(pair[0], "a", openflow.Parameters{"fail": "paper jam", "sleep_ms": 0})} // or the host may be first
		id := user.Submit(d)
		user.WaitFor(id, openflow.JobFailed)
		user.Settled(id)
		require.Contains(t, user.TaskLog(env.Run(id, "guest", "9999", "a")), "paper jam")
		for _, task := range user.Tasks(id) {
			require.Contains(t, task.ErrorReport, "paper jam")
		}
	})

	t.Run("dependencies", func(t *testing.T) {
		user := e.As(t, "9999")
		id := user.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
		var graph struct {
			Components []string          `json:"component_list"`
			Modules    map[string]string `json:"component_module"`
		}
		user.OK(user.Get("/v2/job/dag/dependency", "job_id", string(id), "role", "guest", "party_id", "9999"), &graph)
		require.Equal(t, []string{"a", "b"}, graph.Components)
		require.Equal(t, "noop", graph.Modules["b"])
	})

	t.Run("clean forgets an ended job", func(t *testing.T) {
		user := e.As(t, "9999")
		id := user.Submit(env.DAG(pair, env.Noop("a", nil)))
		user.WaitFor(id, openflow.JobSuccess)
		user.OK(user.Post("/v2/job/clean", map[string]string{"job_id": string(id)}), nil)
		require.Empty(t, user.Jobs(id))
		require.NotEmpty(t, e.As(t, "10000").Jobs(id), "the other party's rows are its own")
	})

}
