package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows"
)

// The price of a job is held here: three tasks at two parties cost these local activities and no regular one.
func TestChainOfThreeTasks(t *testing.T) {
	w := newWorld(t)
	w.after(0, func() { w.update(workflows.UpdateCreated, "created") })
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Equal(t, map[string]int{
		"OpenJob": 2, "StopJob": 2, "RecordJob": 1, "EndJob": 1, // the job's own: once per party, and its record
		"StartTask": 6, // one per task and party
	}, w.local)
	require.Empty(t, w.regular)

	require.Equal(t, []string{"start a guest", "start a host", "start b guest", "start b host", "start c guest", "start c host"}, w.kinds("start "))
	starts := w.called("start ")
	require.GreaterOrEqual(t, starts[2].at.Sub(starts[1].at), time.Second, "b waits for a")
	for _, c := range w.called("announce") {
		require.Equal(t, "success", c.status)
	}
	for _, c := range w.called("stop") {
		require.Equal(t, "success", c.status)
	}
	require.Equal(t, openflow.JobSuccess, w.last().Status)
	require.Equal(t, 100, w.last().Progress)
	require.NoError(t, w.accepted["created"])
	require.Contains(t, w.accepted, "created")
	require.Equal(t, "u", w.called("create")[0].reason, "the user's name goes along")
}

func TestBranchesRunInParallel(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b guest", "b host", "c guest", "c host"} {
		w.runs[name] = run{after: time.Hour}
	}
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(diamond()))
	require.Less(t, w.env.Now().Sub(start), 2*time.Hour, "b and c at the same time")
	require.Equal(t, []string{"start d guest", "start d host"}, w.kinds("start d"))
	require.Len(t, w.kinds("announce"), 6, "each end is told once to each party")
	require.Equal(t, []string{"told d guest", "told d host"}, w.kinds("told"), "the last with that of the job")
}

// What several parties find wrong with a job is one answer. Where one refuses for another reason, the first refusal is
// the answer.
func TestMistakesOfAllPartiesAreOneAnswer(t *testing.T) {
	wrong := func(path string) func(int) error {
		return func(int) error {
			return openflow.Refusal([]openflow.Mistake{{Code: openflow.CodeInvalid, Path: path, Message: "wrong"}})
		}
	}
	for name, tc := range map[string]struct {
		host     func(int) error
		want     string
		mistakes int
	}{
		"both":               {wrong("dag.tasks.b"), "2 mistakes\n  at party 9999: dag.tasks.a: wrong\n  at party 10000: dag.tasks.b: wrong", 2},
		"one":                {nil, "dag.tasks.a: wrong", 1},
		"one, and no answer": {answers(openflow.CodePermission, "no grant"), "dag.tasks.a: wrong", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.answer["create guest"] = wrong("dag.tasks.a")
			if tc.host != nil {
				w.answer["create host"] = tc.host
			}
			w.after(0, func() { w.update(workflows.UpdateCreated, "created") })
			require.Equal(t, openflow.JobFailed, w.run(chain()))
			var refusal *openflow.Error
			require.ErrorAs(t, activityError(w.accepted["created"]), &refusal)
			require.Equal(t, tc.want, refusal.Message)
			require.Len(t, openflow.MistakesOf(refusal), tc.mistakes)
		})
	}
}

// What the parties speak comes with their answers to the creation. Those that have nothing in common are told that there is no
// job; otherwise each start says what it is. Of those that say nothing, the submitter hears.
func TestProtocolsOfAJob(t *testing.T) {
	speaks := func(versions ...string) (list []openflow.Spoken) {
		said := openflow.Spoken{Provider: openflow.ProviderRef{Name: "acme", Version: "1"}}
		for _, v := range versions {
			said.Protocols = append(said.Protocols, openflow.Protocol{Name: "p", Version: v})
		}
		for _, task := range []openflow.TaskName{"a", "b", "c"} {
			said.Task = task
			list = append(list, said)
		}
		return list
	}
	for name, tc := range map[string]struct {
		host     []openflow.Spoken
		want     string
		warnings int
	}{
		"one in common": {speaks("3", "2"), "p@2", 0},
		"none":          {speaks("9"), "", 0},
		"no word":       {nil, "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.says = map[openflow.Party][]openflow.Spoken{guest: speaks("1", "2"), host: tc.host}
			w.after(0, func() { w.update(workflows.UpdateCreated, "created") })
			status := w.run(chain())
			if tc.want == "" && tc.warnings == 0 {
				require.Equal(t, openflow.JobFailed, status)
				require.ErrorContains(t, activityError(w.accepted["created"]), "dag.tasks.a: its parties have no protocol in common")
				require.Empty(t, w.kinds("start"))
				require.Len(t, w.kinds("stop"), 2)
				return
			}
			require.Equal(t, openflow.JobSuccess, status)
			require.Len(t, w.answers["created"].(workflows.Created).Warnings, tc.warnings) //nolint:forcetypeassert // what the handler returns
			require.Len(t, w.protocols, 6)
			for k, p := range w.protocols {
				require.Equal(t, tc.want, p.String(), "%s", k)
			}
			for _, r := range w.ended {
				require.Equal(t, tc.want, r.Protocol.String(), "a rerun knows it")
			}
		})
	}
}

func TestRefusalAtCreateIsUndoneEverywhere(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Parties = []openflow.Party{guest, host, arbiter}
	w.answer["create host"] = answers(openflow.CodePermission, "no grant for component psi")
	w.answer["create arbiter"] = answers(openflow.CodeUnavailable, "does not answer")
	w.answer["stop arbiter"] = times(5, openflow.CodeUnavailable, "does not answer")
	w.after(0, func() { w.update(workflows.UpdateCreated, "created") })
	require.Equal(t, openflow.JobFailed, w.run(p))

	var refusal *openflow.Error
	require.ErrorAs(t, activityError(w.accepted["created"]), &refusal)
	require.Equal(t, openflow.CodePermission, refusal.Code)
	require.Equal(t, openflow.PartyID("10000"), refusal.Party)
	require.Equal(t, "no grant for component psi", refusal.Message)
	require.Equal(t, []string{"stop arbiter", "stop arbiter", "stop arbiter", "stop arbiter", "stop arbiter", "stop arbiter", "stop guest", "stop host"},
		w.kinds("stop"), "at all parties, and again where it was not heard")
	require.Equal(t, "at party 10000: no grant for component psi", w.called("stop guest")[0].reason)
	require.Equal(t, openflow.JobFailed, w.last().Status)
	require.False(t, w.freed, "the same submission would be refused again")
	require.Equal(t, []string{"apply guest"}, w.kinds("apply"), "along with the creation; the stop gives it back")
	require.Empty(t, w.kinds("start"))
}

func TestPartyThatIsLateAtCreateIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.answer["create host"] = times(3, openflow.CodeUnavailable, "restarts")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Len(t, w.kinds("create host"), 4)
	require.Len(t, w.kinds("create guest"), 1)
}

// A party whose port is closed is told at once; nobody waits for the deadline of the creation.
func TestPartyThatIsAbsentAtCreateIsTold(t *testing.T) {
	w := newWorld(t)
	w.answer["create host"] = func(int) error {
		return openflow.Errorf(openflow.CodeUnavailable, "does not answer: %w", openflow.ErrAbsent)
	}
	w.after(0, func() { w.update(workflows.UpdateCreated, "created") })
	start := w.env.Now()
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Len(t, w.kinds("create host"), 1)
	require.Less(t, w.env.Now().Sub(start), 2*time.Second)
	require.ErrorContains(t, activityError(w.accepted["created"]), "10000")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(activityError(w.accepted["created"])))
	require.True(t, w.freed, "the submission may be made again under its key")
}

func TestBusyPartyIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.answer["apply host"] = times(3, openflow.CodeExhausted, "2 of 4 cores are free")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))

	const why = "waiting for party 10000 (host): 2 of 4 cores are free"
	require.Len(t, w.kinds("apply host"), 4)
	require.Len(t, w.kinds("apply guest"), 2, "after the first refusal nobody is asked before party 10000 has granted")
	require.Len(t, w.kinds("return guest"), 1, "what was granted is returned")
	require.Empty(t, w.kinds("return host"))
	require.Equal(t, []string{"update guest", "update guest", "update host", "update host"}, w.kinds("update"), "everybody is told once it lasts")
	for _, c := range w.called("update") {
		require.Equal(t, why, c.reason)
		require.Equal(t, "waiting", c.status)
	}
	require.Equal(t, openflow.JobWaiting, w.records[0].Status)
	require.Equal(t, why, w.records[0].Reason)
}

func TestWakeCutsThePauseShort(t *testing.T) {
	w := newWorld(t)
	free := false
	w.answer["apply host"] = func(int) error {
		if free {
			return nil
		}
		return openflow.Errorf(openflow.CodeExhausted, "busy")
	}
	const woken = 50*time.Minute + 10*time.Millisecond
	w.after(woken, func() {
		free = true
		w.env.SignalWorkflow(workflows.SignalWake, nil)
	})
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	applied := w.called("apply host")
	require.Equal(t, woken, applied[len(applied)-1].at.Sub(start).Round(time.Millisecond))
}

// Two jobs that want the same parties must not each hold what the other one lacks. After a refusal all jobs ask in the
// same order, and what comes after a refusal is not asked at all.
func TestPartiesAreAskedInOrderAfterARefusal(t *testing.T) {
	w := newWorld(t)
	w.answer["apply guest"] = times(2, openflow.CodeExhausted, "busy")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	var asked []string
	for _, c := range w.called("apply") {
		asked = append(asked, c.what)
	}
	require.ElementsMatch(t, []string{"apply guest", "apply host"}, asked[:2], "the first time all at once")
	require.Equal(t, []string{"apply host", "apply guest", "apply host", "apply guest"}, asked[2:], "party 10000 comes before 9999")
	require.Equal(t, []string{"return host", "return host"}, w.kinds("return"))
}

// A party that is busy calls; one that does not answer cannot, so it is asked again soon.
func TestPausesOfAWait(t *testing.T) {
	for code, want := range map[openflow.Code]int{openflow.CodeExhausted: 6, openflow.CodeUnavailable: 60} {
		w := newWorld(t)
		w.answer["apply host"] = answers(code, "no")
		w.after(time.Hour, func() { w.stop(openflow.JobCanceled, "enough") })
		require.Equal(t, openflow.JobCanceled, w.run(chain()))
		n := len(w.kinds("apply host"))
		if code == openflow.CodeExhausted {
			require.LessOrEqual(t, n, want)
			require.Greater(t, n, 1, "a call may be lost")
		} else {
			require.Greater(t, n, want)
		}
	}
}

// While one party is busy the others are not asked, and they still hear of the job before they could take it for
// forgotten.
func TestPartiesThatAreNotAskedHearOfTheJob(t *testing.T) {
	w := newWorld(t)
	w.answer["apply host"] = answers(openflow.CodeExhausted, "busy")
	w.after(24*time.Hour, func() { w.stop(openflow.JobCanceled, "enough") })
	last := w.env.Now()
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	for _, c := range w.called("update guest") {
		require.Less(t, c.at.Sub(last), 50*time.Minute)
		last = c.at
	}
	require.Less(t, w.env.Now().Sub(last), 50*time.Minute)
	require.Len(t, w.kinds("apply guest"), 1)
}

// Every application is written to the job's history, which Temporal bounds at 51 200 events: about ten per round.
func TestLongWaitStaysWithinAHistory(t *testing.T) {
	w := newWorld(t)
	const wait = 28 * 24 * time.Hour
	w.answer["apply host"] = answers(openflow.CodeExhausted, "busy")
	w.after(wait, func() { w.stop(openflow.JobCanceled, "enough") })
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	n := len(w.kinds("apply host"))
	require.Less(t, n, 4800)
	require.Greater(t, n, 1000, "it is still asked often")
}

func TestMoreThanASiteHasFailsTheJob(t *testing.T) {
	w := newWorld(t)
	w.answer["apply host"] = answers(openflow.CodeInvalid, "needs 64 cores, the site has 32")
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Equal(t, "refused by party 10000 (host): needs 64 cores, the site has 32", w.last().Reason)
	require.Equal(t, []string{"stop guest", "stop host"}, w.kinds("stop"), "which gives back what the guest granted")
	require.Empty(t, w.kinds("start"))
}

func TestFailingTaskEndsTheJob(t *testing.T) {
	w := newWorld(t)
	w.runs["b host"] = run{status: openflow.TaskFailed, err: "exit code 7"}
	w.runs["b guest"], w.runs["c guest"], w.runs["c host"] = run{never: true}, run{never: true}, run{never: true}
	start := w.env.Now()
	require.Equal(t, openflow.JobFailed, w.run(diamond()))
	const why = `task "b" failed at party 10000 (host): component noop failed: exit code 7`
	require.Equal(t, why, w.last().Reason)
	require.Equal(t, 50, w.last().Progress)
	require.Empty(t, w.kinds("start d"))
	require.Less(t, w.env.Now().Sub(start), time.Minute)
	require.Empty(t, w.kinds("announce b"), "the end of the job tells")
	for _, c := range w.called("told b") {
		require.Equal(t, "failed", c.status, "which stops the guest's run of it")
		require.Equal(t, why, c.reason)
	}
	require.Equal(t, []string{"told b guest", "told b host", "told c guest", "told c host"}, w.kinds("told"))
	for _, c := range w.called("stop") {
		require.Equal(t, "failed", c.status)
		require.Equal(t, why, c.reason)
	}
	require.Len(t, w.called("stop"), 2)
}

func TestStopWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.answer["apply host"] = answers(openflow.CodeExhausted, "busy")
	w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "stopped by party 9999") })
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Equal(t, openflow.JobCanceled, w.last().Status)
	require.Equal(t, "stopped by party 9999", w.last().Reason)
	require.Empty(t, w.kinds("start"))
	require.Len(t, w.kinds("stop"), 2)
	require.NoError(t, w.accepted["stop"])
}

func TestStopWhileRunning(t *testing.T) {
	for status, want := range map[openflow.JobStatus]openflow.JobStatus{
		openflow.JobCanceled: openflow.JobCanceled, openflow.JobTimeout: openflow.JobTimeout, openflow.JobFailed: openflow.JobFailed,
		"": openflow.JobCanceled, openflow.JobRunning: openflow.JobCanceled, // sent by hand
	} {
		t.Run(string(status), func(t *testing.T) {
			w := newWorld(t)
			w.runs["b guest"], w.runs["b host"] = run{never: true}, run{never: true}
			w.after(time.Hour, func() {
				w.stop(status, "first")
				w.update(workflows.UpdateStop, "again", workflows.StopRequest{Status: openflow.JobFailed, Reason: "second"})
			})
			require.Equal(t, want, w.run(chain()))
			require.Equal(t, "first", w.last().Reason)
			require.Equal(t, 33, w.last().Progress)
			require.Empty(t, w.kinds("start c"))
			require.Len(t, w.kinds("stop"), 2)
		})
	}
}

func TestStopOfANewJob(t *testing.T) {
	w := newWorld(t)
	w.after(0, func() { w.stop(openflow.JobCanceled, "at once") })
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Empty(t, w.kinds("start a"))
	require.Len(t, w.kinds("stop"), 2)
}

func TestRefusedStartOfATask(t *testing.T) {
	w := newWorld(t)
	w.answer["start b host"] = answers(openflow.CodeConflict, "the job is failed")
	w.runs["b guest"] = run{never: true}
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Equal(t, `task "b" could not be started at party 10000 (host): the job is failed`, w.last().Reason)
	require.Len(t, w.kinds("start b host"), 1)
	require.Empty(t, w.kinds("start c"))
}

func TestRefusedStartOfTheJob(t *testing.T) {
	w := newWorld(t)
	w.answer["startjob host"] = answers(openflow.CodeConflict, "it is canceled here")
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Equal(t, `task "a" could not be started at party 10000 (host): it is canceled here`, w.last().Reason)
	require.Empty(t, w.kinds("start b"))
	// The refusal may come first: then the guest is not asked any more, or refuses by itself.
	require.Contains(t, []openflow.TaskStatus{"", openflow.TaskCanceled}, w.status[openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: guest}],
		"what began is stopped")
}

// The parties of the first task learn from its start that the job runs, the others from a call of their own.
func TestPartyWithoutAFirstTaskIsToldThatTheJobRuns(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Parties = []openflow.Party{guest, host, arbiter}
	p.Tasks[2].Parties = p.Parties
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Equal(t, 1, w.local["StartJob"])
	require.Equal(t, []string{"startjob arbiter", "startjob guest", "startjob host"}, w.kinds("startjob"), "each once")
}

// envAttempts is after how many attempts the SDK's test environment gives an activity up that a server would repeat
// until its deadline.
const envAttempts = 10

func TestPartyThatIsAwayAtAStartIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.answer["start b host"] = times(4, openflow.CodeUnavailable, "restarts")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Len(t, w.kinds("start b host"), 5)
	require.Equal(t, map[string]int{"StartTask": 4}, w.regular)
}

func TestPartyThatStaysAwayAtAStartFailsTheJob(t *testing.T) {
	w := newWorld(t)
	w.answer["start b host"] = answers(openflow.CodeUnavailable, "gone")
	w.runs["b guest"] = run{never: true}
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Contains(t, w.last().Reason, "gone")
	require.Contains(t, w.last().Reason, "10000")
	require.Len(t, w.kinds("start b host"), 1+envAttempts)
}

// A party whose disk is full may have room again. Only whoever submits is told at once, and can do something about it.
func TestPartyWithoutRoomForNewsIsToldAgain(t *testing.T) {
	t.Run("that the job runs", func(t *testing.T) {
		w := newWorld(t)
		p := chain()
		p.Parties = []openflow.Party{guest, host, arbiter} // which takes part in no task, so it has to be told
		w.answer["startjob arbiter"] = times(3, openflow.CodeExhausted, "the disk is full")
		require.Equal(t, openflow.JobSuccess, w.run(p))
		require.Len(t, w.kinds("startjob arbiter"), 4)
	})
	t.Run("at the creation", func(t *testing.T) {
		w := newWorld(t)
		w.answer["create host"] = times(1, openflow.CodeExhausted, "the disk is full")
		require.Equal(t, openflow.JobFailed, w.run(chain()))
		require.Contains(t, w.last().Reason, "the disk is full")
		require.Len(t, w.kinds("create host"), 1)
	})
}

// By default a job runs one task at a time (fate-flow-api §4.7): a branch that finds no cores waits for the other one,
// however long that takes.
func TestBranchThatFindsNoCoresWaits(t *testing.T) {
	w := newWorld(t)
	busy := true
	for _, role := range []string{"guest", "host"} {
		w.runs["b "+role] = run{after: 5 * time.Hour}
		w.answer["start c "+role] = func(int) error {
			if busy {
				return openflow.Errorf(openflow.CodeExhausted, "task b holds the job's cores")
			}
			return nil
		}
	}
	w.after(5*time.Hour, func() { busy = false })
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(diamond()))
	c := w.called("start c guest")
	require.WithinDuration(t, start.Add(5*time.Hour), c[len(c)-1].at, 10*time.Second, "the end of b lets c start")
	require.Less(t, len(c), 1000)
	require.Empty(t, w.regular)
}

// Two tasks that take cores in different orders at two parties would wait for each other for ever.
func TestTasksAreStartedOneAfterTheOther(t *testing.T) {
	w := newWorld(t)
	w.answer["start b host"] = times(3, openflow.CodeUnavailable, "restarts")
	require.Equal(t, openflow.JobSuccess, w.run(diamond()))
	var order []string
	for _, c := range w.called("start ") {
		if len(order) == 0 || order[len(order)-1] != c.what[6:7] {
			order = append(order, c.what[6:7])
		}
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, order)
}

func TestLostReportIsCollected(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Timing.Collect = time.Minute
	w.runs["b host"] = run{silent: true}
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.NotEmpty(t, w.kinds("collect b host"))
	require.Empty(t, w.kinds("collect a"), "only silent runs are asked")
}

func TestCollectedFailureTellsWhy(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Timing.Collect = time.Minute
	w.runs["b host"] = run{silent: true, status: openflow.TaskFailed, err: "exit code 7"}
	w.answer["collect b host"] = times(2, openflow.CodeUnavailable, "restarts")
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.Equal(t, `task "b" failed at party 10000 (host): component noop failed: exit code 7`, w.last().Reason)
	require.Len(t, w.kinds("collect b host"), 3)
}

// Nobody reports in a poll job (fate-flow-api §2.4.2), and it is not to crawl for that.
func TestPollJobIsCollected(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.SyncType = openflow.Poll
	for _, name := range []string{"a guest", "a host", "b guest", "b host", "c guest", "c host"} {
		w.runs[name] = run{silent: true, after: 10 * time.Second}
	}
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Less(t, w.env.Now().Sub(start), 35*time.Second)
}

func TestEndIsOfferedToAPartyUntilItAnswers(t *testing.T) {
	w := newWorld(t)
	w.answer["stop host"] = times(envAttempts, openflow.CodeUnavailable, "down")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Len(t, w.kinds("stop host"), 1+envAttempts)
	require.Len(t, w.kinds("stop guest"), 1)
	require.Equal(t, 1, w.local["EndJob"])
	stops := w.called("stop host")
	require.Greater(t, stops[envAttempts].at.Sub(stops[0].at), 30*time.Second)
}

func TestPartyThatNeverAnswersTheEndIsGivenUp(t *testing.T) {
	w := newWorld(t)
	w.answer["stop host"] = answers(openflow.CodeUnavailable, "gone")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Len(t, w.kinds("stop host"), 2+envAttempts)
	require.Equal(t, openflow.JobSuccess, w.last().Status)
}

func TestPartyThatKnowsNothingOfTheJobHasStopped(t *testing.T) {
	w := newWorld(t)
	w.answer["stop host"] = answers(openflow.CodeNotFound, "no such job")
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Len(t, w.kinds("stop host"), 1)
}

func TestLateAndRepeatedReportsChangeNothing(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a guest", "a host", "b guest", "b host"} {
		w.runs[name] = run{repeats: 3}
	}
	w.answer["stop host"] = times(6, openflow.CodeUnavailable, "down") // the workflow lives on for a while
	w.after(4*time.Second, func() {
		key := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: host}
		w.update(workflows.UpdateReport, "late", activities.Report{Run: document.EncodeRun(key), Status: openflow.TaskFailed})
	})
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.ErrorContains(t, w.accepted["late"], "changes nothing", "it takes no room in the history")
	delete(w.accepted, "late")
	require.Len(t, w.kinds("start "), 6)
	require.Len(t, w.kinds("announce"), 4)
	require.Equal(t, openflow.JobSuccess, w.last().Status)
	for id, err := range w.accepted {
		if err != nil {
			require.ErrorContains(t, err, "changes nothing", id)
		}
	}
}

// A party that reports what is not so, again and again, brings no report into the history but the first.
func TestReportsOfVersionsThatAreNotRun(t *testing.T) {
	w := newWorld(t)
	w.runs["a host"] = run{never: true}
	w.after(time.Second, func() {
		for v := 1; v <= 20; v++ {
			key := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Version: v, Party: host}
			w.update(workflows.UpdateReport, string(key.RunID()), activities.Report{Run: document.EncodeRun(key), Status: openflow.TaskFailed})
		}
	})
	w.after(2*time.Second, func() { w.stop(openflow.JobCanceled, "enough") })
	require.Equal(t, openflow.JobCanceled, w.run(jobOf(task("a"))))
	turnedAway := 0
	for _, err := range w.accepted {
		if err != nil {
			require.ErrorContains(t, err, "rejected: the report changes nothing")
			turnedAway++
		}
	}
	require.Equal(t, 20, turnedAway)
}

// A scheduler that is killed before its steps are recorded takes them again. Its parties remember the first time: the
// reports of their runs can come before the workflow starts them again. They are turned away then, and repeated.
func TestReportsComeBeforeTheStart(t *testing.T) {
	w := newWorld(t)
	for _, p := range []openflow.Party{guest, host} {
		w.runs["a "+string(p.Role)] = run{never: true}
		key := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: p}
		for id, at := range map[string]time.Duration{"early " + string(p.Role): 0, "late " + string(p.Role): time.Minute} {
			w.after(at, func() {
				w.update(workflows.UpdateReport, id, activities.Report{Run: document.EncodeRun(key), Status: openflow.TaskSuccess})
			})
		}
	}
	require.Equal(t, openflow.JobSuccess, w.run(jobOf(task("a"), task("b", "a"))))
	for _, p := range []openflow.Party{guest, host} {
		require.ErrorContains(t, w.accepted["early "+string(p.Role)], "the run has not been started")
		require.NoError(t, w.accepted["late "+string(p.Role)])
	}
	require.Empty(t, w.kinds("collect"))
}

// Somebody cancels the workflow itself, in the Temporal UI: the job still ends everywhere.
func TestCanceledWorkflowEndsTheJob(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*world)
		at      time.Duration
	}{
		"while waiting": {func(w *world) { w.answer["apply host"] = answers(openflow.CodeExhausted, "busy") }, time.Minute},
		"while running": {func(w *world) { w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true} }, time.Minute},
		"at creation":   {func(w *world) { w.answer["create host"] = answers(openflow.CodeUnavailable, "gone") }, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tc.prepare(w)
			w.after(tc.at, w.env.CancelWorkflow)
			w.env.ExecuteWorkflow(workflows.Job, workflows.EncodePlan(chain()))
			require.True(t, w.env.IsWorkflowCompleted())
			require.Len(t, w.kinds("stop"), 2)
			require.Equal(t, openflow.JobCanceled, w.last().Status)
		})
	}
}
