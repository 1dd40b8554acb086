package scenarios_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// spoken is where a dialect's reports and questions go.
var spoken = map[openflow.Dialect]struct{ report, ask string }{
	native.Name:   {"/openflow/v1/node/scheduled/report", "/openflow/v1/node/task/ask"},
	fateflow.Name: {"/v2/scheduler/task/report", "/v2/partner/task/collect"},
}

// Both ways to learn of progress, with the scheduler at each of the three places and in each dialect: on success, on
// failure, on a rerun and on a stop.
func TestPlacements(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Proxied(), env.Deadlines(slowCollect()))
	calls := func(from, to, path string, id openflow.JobID) int { // each once, though it may be tried again on a slow machine
		said := map[string]bool{}
		for _, s := range e.Link(t, from, to).Seen(path) {
			if strings.Contains(string(s.Body), string(id)) {
				said[string(s.Body)] = true
			}
		}
		return len(said)
	}
	for dialect, paths := range spoken {
		for _, two := range [][2]string{{"9999", "10000"}, {"9999", "10001"}, {"10000", "10001"}} {
			e.Speak(t, dialect, two[0], two[1])
		}
		for name, scheduler := range map[string]string{"initiator": "9999", "partner": "10000", "third party": "10001"} {
			for _, way := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
				t.Run(string(dialect)+": "+string(way)+" to the "+name, func(t *testing.T) {
					submit := func(tasks ...openflow.Task) openflow.JobID {
						d := env.DAG(pair, tasks...)
						d.Conf.Scheduler, d.Conf.SyncType = openflow.PartyID(scheduler), way
						return e.As(t, "9999").Submit(d)
					}
					ended := func(id openflow.JobID, status openflow.JobStatus, reason string) {
						for _, p := range pair {
							rows := e.As(t, string(p.ID)).WaitFor(id, status)
							require.Contains(t, rows[0].Reason, reason)
							require.Equal(t, scheduler, rows[0].SchedulerPartyID)
						}
						e.NoContainers(t)
						e.NoCoresHeld(t)
					}

					id := submit(env.Noop("a", nil), env.Noop("b", nil, "a"))
					ended(id, openflow.JobSuccess, "")
					for _, p := range pair {
						party := string(p.ID)
						e.OneStartEach(t, party, id, env.Key("a", p), env.Key("b", p))
						if party == scheduler {
							continue
						}
						reports := calls(party, scheduler, paths.report, id)
						collects := calls(scheduler, party, paths.ask, id)
						if way == openflow.Callback {
							each := map[openflow.Dialect]int{native.Name: 1, fateflow.Name: 2}[dialect] // FATE-Flow's state machine hears of the beginning too
							require.Equal(t, 2*each, reports, "one for each run, or two")
							require.Zero(t, collects, "nothing is asked that has been said")
						} else {
							require.Zero(t, reports)
							require.GreaterOrEqual(t, collects, 2)
						}
						for _, other := range e.Parties {
							if other != scheduler && other != party {
								require.Zero(t, calls(other, party, "/task/start", id), "only the scheduler drives")
							}
						}
					}
					if !slices.ContainsFunc(pair, func(p openflow.Party) bool { return string(p.ID) == scheduler }) {
						require.Empty(t, e.As(t, scheduler).Jobs(id), "it takes no part")
						require.Empty(t, e.Starts(t, scheduler, id))
					}

					failing := env.Noop("a", openflow.Parameters{"fail": true})
					id = submit(failing)
					ended(id, openflow.JobFailed, `task "a" failed at party`)
					user := e.As(t, "9999")
					user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
					env.WaitUntil(t, env.Patience, "its task runs once more", func() (bool, string) {
						tasks := user.Tasks(id)
						return slices.ContainsFunc(tasks, func(r wire.TaskRow) bool {
							return r.TaskVersion == 1 && r.Status == string(openflow.TaskFailed)
						}), user.TaskStatuses(id)["a"]
					})
					ended(id, openflow.JobFailed, `task "a" failed at party`)

					id = submit(env.Noop("a", env.Sleep(300_000)))
					for _, p := range pair {
						e.As(t, string(p.ID)).WaitForTask(id, "a", openflow.TaskRunning)
					}
					stopped := e.As(t, "10000").StopJob(id)
					require.Equal(t, openflow.JobCanceled, stopped.Status)
					ended(id, openflow.JobCanceled, "stopped by party 10000")
				})
			}
		}
	}
}
