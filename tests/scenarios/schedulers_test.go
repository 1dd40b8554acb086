package scenarios_test

import (
	"encoding/json"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// Two schedulers give two jobs the same ID, with the same parties and tasks, and both run at the same time at the same
// sites. Rows, containers, credentials, messages, tables, models, metrics and logs stay apart.
func TestTwoSchedulersUseOneJobID(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Cores(8))
	guest, host, arbiter := e.As(t, "9999"), e.As(t, "10000"), e.As(t, "10001")
	breast(t, guest, host)
	const id openflow.JobID = "2026010100000000000000001"
	schedulers := []string{"10000", "10001"}
	whose := func(s string, query ...string) []string { return append(query, "scheduler_party_id", s) }

	dags := map[string]*openflow.DAG{}
	for _, s := range schedulers {
		d := example(t, "train", "")
		d.Conf.Scheduler, d.Conf.Initiator = openflow.PartyID(s), "9999"
		dags[s] = d
	}
	subs := map[string]openflow.Submission{}
	for i := range dags["10001"].Tasks { // the second training ends earlier, so its model is another one
		if lr := &dags["10001"].Tasks[i]; lr.Name == "lr_0" {
			lr.Parameters["epochs"] = json.Number("1")
		}
	}
	for s, d := range dags {
		subs[s] = e.Submission(t, d, id)
	}
	release := e.HoldAt(t, "9999", "reader_0") // until both run
	var submitted sync.WaitGroup
	for _, s := range schedulers {
		at := link(t, e, "9999", s).Scheduler()
		submitted.Go(func() {
			_, err := at.CreateJob(t.Context(), "9999", subs[s])
			if err != nil {
				t.Errorf("job of scheduler %s: %v", s, err)
			}
		})
	}
	submitted.Wait()

	row := func(c *env.Client, s string) wire.JobRow {
		var rows []wire.JobRow
		c.OK(c.Get("/v2/job/query", whose(s, "job_id", string(id))...), &rows)
		require.Len(t, rows, 1)
		require.Equal(t, s, rows[0].SchedulerPartyID)
		return rows[0]
	}
	both := func(c *env.Client, status openflow.JobStatus) {
		env.WaitUntil(t, env.Patience, "both jobs are "+string(status), func() (bool, string) {
			one, other := row(c, "10000"), row(c, "10001")
			return one.Status == string(status) && other.Status == string(status),
				one.Status + " " + one.Reason + ", " + other.Status + " " + other.Reason
		})
	}
	both(guest, openflow.JobRunning)
	release()
	for _, c := range []*env.Client{guest, host, arbiter} {
		both(c, openflow.JobSuccess)
	}

	epochs := map[string]int{}
	models := map[string]string{}
	for _, s := range schedulers {
		run := whose(s, env.Run(id, "guest", "9999", "lr_0")...)
		var records []wire.Metric
		guest.OK(guest.Get("/v2/output/metric/query", run...), &records)
		for _, m := range records {
			if m.Name == "lr_loss" {
				epochs[s]++
			}
		}
		var model map[string]json.RawMessage
		guest.OK(guest.Get("/v2/output/model/query", run...), &model)
		require.Len(t, sdk.Coefficients(model["output_model"]), 11)
		models[s] = string(model["output_model"])
		files := guest.Archive("/v2/output/data/download", run...)
		require.NotEmpty(t, files["train_output_data/0.csv"])
		var tasks []wire.TaskRow
		guest.OK(guest.Get("/v2/job/task/query", whose(s, "job_id", string(id))...), &tasks)
		require.NotEmpty(t, tasks)
		for _, task := range tasks {
			require.Equal(t, s, task.SchedulerPartyID)
			require.Equal(t, 0, task.TaskVersion)
			require.Equal(t, string(openflow.TaskSuccess), task.PartyStatus)
		}
	}
	require.Equal(t, 1, epochs["10001"])
	require.Greater(t, epochs["10000"], 1)
	require.NotEqual(t, models["10000"], models["10001"])

	t.Run("a query by the ID alone is refused, and lists the schedulers", func(t *testing.T) {
		for _, path := range []string{"/v2/job/query", "/v2/job/task/query", "/v2/job/task/list/query"} {
			refusedAsAmbiguous(t, guest.Get(path, "job_id", string(id)))
		}
		run := env.Run(id, "guest", "9999", "lr_0")
		for _, path := range []string{"/v2/output/metric/query", "/v2/output/model/query", "/v2/output/data/table", "/v2/output/data/display"} {
			refusedAsAmbiguous(t, guest.Get(path, run...))
		}
		for _, path := range []string{"/v2/job/stop", "/v2/job/rerun", "/v2/job/clean"} {
			refusedAsAmbiguous(t, guest.Post(path, map[string]string{"job_id": string(id)}))
		}
		client := sdk.Client{URL: guest.URL, Token: guest.Token}
		_, err := client.Job(t.Context(), id)
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
		_, err = client.Events(t.Context(), id, "")
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
		client.Scheduler = "10001"
		rows, err := client.Job(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, "10001", rows[0].SchedulerPartyID)
	})
	t.Run("a model is that of the job's own scheduler", func(t *testing.T) {
		d := example(t, "predict", string(id))
		d.Conf.Scheduler = "10000"
		predicted := guest.Submit(d)
		guest.WaitFor(predicted, openflow.JobSuccess)
		ours := guest.Archive("/v2/output/data/download", whose("10000", env.Run(id, "guest", "9999", "lr_0")...)...)
		require.NotEmpty(t, ours)
		require.Len(t, predictions(t, guest, predicted, "lr_0", "test_output_data"), 569)

		d = example(t, "predict", string(id))
		d.Conf.Scheduler = "9999"
		refused := guest.TrySubmit(d)
		require.NotZero(t, refused.Code)
	})
	t.Run("one is forgotten, the other stays", func(t *testing.T) {
		guest.OK(guest.Post("/v2/job/clean", map[string]string{"job_id": string(id), "scheduler_party_id": "10001"}), nil)
		require.Len(t, guest.Jobs(id), 1, "the ID is enough now")
		require.NotEmpty(t, guest.Archive("/v2/output/data/download", env.Run(id, "guest", "9999", "lr_0")...))
	})
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

func refusedAsAmbiguous(t *testing.T, answer wire.Envelope) {
	t.Helper()
	require.NotZero(t, answer.Code)
	require.Contains(t, answer.Message, "from schedulers 10000, 10001")
	require.NotNil(t, answer.Error)
	require.Equal(t, string(openflow.CodeConflict), answer.Error.Code)
}

// Of two jobs of one ID, one of them scheduled by the site itself, one is stopped, run again and forgotten. Whoever does so names
// its scheduler, and the other job goes on as if it were alone.
func TestOneOfTwoJobsOfOneID(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Cores(16))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	const id openflow.JobID = "2026010100000000000000002"
	const stays, goes = "9999", "10001"
	for _, s := range []string{stays, goes} {
		d := long(pair)
		d.Conf.Scheduler, d.Conf.Initiator = openflow.PartyID(s), "10000"
		_, err := link(t, e, "10000", s).Scheduler().CreateJob(t.Context(), "10000", e.Submission(t, d, id))
		require.NoError(t, err)
	}
	named := func(s string) map[string]string {
		return map[string]string{"job_id": string(id), "scheduler_party_id": s}
	}
	t.Cleanup(func() {
		for _, s := range []string{stays, goes} {
			guest.Post("/v2/job/stop", named(s))
		}
	})
	run := func(c *env.Client, s string) wire.TaskRow {
		var rows []wire.TaskRow
		c.OK(c.Get("/v2/job/task/query", "job_id", string(id), "scheduler_party_id", s), &rows)
		require.Len(t, rows, 1)
		require.Equal(t, s, rows[0].SchedulerPartyID)
		return rows[0]
	}
	settles := func(s string, want openflow.TaskStatus, version int) {
		t.Helper()
		for _, c := range []*env.Client{guest, host} {
			env.WaitUntil(t, env.Patience, "the run of scheduler "+s+" is "+string(want), func() (bool, string) {
				r := run(c, s)
				return r.PartyStatus == string(want) && r.TaskVersion == version, r.PartyStatus
			})
		}
	}
	undisturbed := func() {
		t.Helper()
		for _, c := range []*env.Client{guest, host} {
			r := run(c, stays)
			require.Equal(t, string(openflow.TaskRunning), r.PartyStatus)
			require.Zero(t, r.TaskVersion)
			require.Empty(t, r.Reason)
		}
	}
	settles(stays, openflow.TaskRunning, 0)
	settles(goes, openflow.TaskRunning, 0)
	follower := sdk.Client{URL: guest.URL, Token: guest.Token, Scheduler: stays}
	stream, err := follower.Events(t.Context(), id, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, stream.Close()) }()

	host.OK(host.Post("/v2/job/stop", named(goes)), nil)
	settles(goes, openflow.TaskCanceled, 0)
	undisturbed()
	env.WaitUntil(t, env.Patience, "it may be run again", func() (bool, string) {
		answer := host.Post("/v2/job/rerun", named(goes))
		return answer.Code == wire.Success, answer.Message
	})
	settles(goes, openflow.TaskRunning, 1)
	undisturbed()
	require.Len(t, e.Containers(t, "9999"), 2)
	guest.OK(guest.Post("/v2/job/stop", named(goes)), nil)
	settles(goes, openflow.TaskCanceled, 1)
	env.WaitUntil(t, env.Patience, "it may be forgotten", func() (bool, string) {
		answer := guest.Post("/v2/job/clean", named(goes))
		return answer.Code == wire.Success, answer.Message
	})
	undisturbed()
	require.Len(t, guest.Jobs(id), 1, "the ID is enough now")
	host.OK(host.Post("/v2/job/stop", named(stays)), nil)
	settles(stays, openflow.TaskCanceled, 0)
	for {
		event, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.Equal(t, stays, event.Scheduler, "a follower hears of the job that it has named")
		require.Zero(t, event.TaskVersion)
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
