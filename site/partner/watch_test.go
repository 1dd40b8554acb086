package partner_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
)

// running is what runs at party 10000: jobs with their tasks, and the reasons that were written.
type running struct {
	mu        sync.Mutex
	jobs      []openflow.JobRecord
	scheduled []openflow.ScheduledJob
	tasks     []openflow.TaskRecord
	writes    int
	err       error
	short     error            // what is wrong with the own disk
	spared    int              // how often room was made on it
	broken    map[string]error // what is done to a row and fails; see row
}

// row is what is met by who does that to the row of a job or task.
func (r *running) row(do, id string) error { return r.broken[do+" "+id] }

func (r *running) CheckSpace() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.short
}

func (r *running) Spare() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spared++
	return nil
}

func (r *running) RunningJobs(context.Context, int) ([]openflow.JobRecord, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]openflow.JobRecord{}, r.jobs...), r.err
}

func (r *running) RunningScheduledJobs(context.Context, int) ([]openflow.ScheduledJob, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]openflow.ScheduledJob{}, r.scheduled...), nil
}

func (r *running) TasksOfJob(_ context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]openflow.TaskRecord{}, r.tasks...), r.row("read", string(k.Job))
}

func (r *running) SetTaskReason(_ context.Context, k openflow.TaskKey, reason string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.row("task", string(k.Task)); err != nil {
		return err
	}
	for i, t := range r.tasks {
		if t.Key == k {
			r.tasks[i].Reason = reason
		}
	}
	return nil
}

func (r *running) SetRunningReason(_ context.Context, k openflow.JobKey, reason string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.row("job", string(k.Job)); err != nil {
		return false, err
	}
	for i, j := range r.jobs {
		if j.Key() == k {
			r.jobs[i].Reason = reason
			r.writes++
		}
	}
	return true, nil
}

func (r *running) SetRunningScheduledReason(_ context.Context, id openflow.JobID, reason string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.row("scheduled", string(id)); err != nil {
		return false, err
	}
	for i, j := range r.scheduled {
		if j.ID == id {
			r.scheduled[i].Reason = reason
			r.writes++
		}
	}
	return true, nil
}

func (r *running) reason() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.jobs[0].Reason
}

// line is the way to the other parties: what is wrong with whom, and who was asked how often. One that hangs answers
// when the one who asks gives up.
type line struct {
	mu    sync.Mutex
	wrong map[openflow.PartyID]error
	hangs map[openflow.PartyID]bool
	asked map[openflow.PartyID]int
}

func (l *line) Answers(ctx context.Context, id openflow.PartyID) error {
	l.mu.Lock()
	l.asked[id]++
	err, hangs := l.wrong[id], l.hangs[id]
	l.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return openflow.Errorf(openflow.CodeUnavailable, "the node does not answer: %w", ctx.Err())
	}
	return err
}

func (l *line) set(do func(*line)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	do(l)
}

// pass lets time pass in a bubble until nothing in it has anything left to do.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// watching runs a watch of party 10000 in a bubble of time, over a job of parties 9999, 10000 and 10001.
func watching(t *testing.T, tasks []openflow.TaskRecord, test func(*running, *line, *partner.Watch, *bytes.Buffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		three := []openflow.Party{{Role: openflow.RoleGuest, ID: "9999"}, {Role: openflow.RoleHost, ID: "10000"}, {Role: openflow.RoleArbiter, ID: "10001"}}
		dag := &openflow.DAG{Parties: three}
		r := &running{
			jobs:      []openflow.JobRecord{{ID: "1", Scheduler: "9999", Party: three[1], DAG: dag, StartTime: time.Now()}},
			scheduled: []openflow.ScheduledJob{{ID: "2", DAG: dag}},
			tasks:     append([]openflow.TaskRecord{}, tasks...),
		}
		for i := range r.tasks {
			r.tasks[i].Spec.Parties = three
			r.tasks[i].Key.Party = three[1]
		}
		l := &line{wrong: map[openflow.PartyID]error{}, hangs: map[openflow.PartyID]bool{}, asked: map[openflow.PartyID]int{}}
		var log bytes.Buffer
		w := partner.NewWatch("10000", r, l, r, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { w.Run(ctx) })
		test(r, l, w, &log)
		cancel()
		done.Wait()
	})
}

var begun = []openflow.TaskRecord{
	{Key: openflow.TaskKey{Task: "a"}, Status: openflow.TaskSuccess, PartyStatus: openflow.TaskSuccess},
	{Key: openflow.TaskKey{Task: "b"}, Status: openflow.TaskRunning, PartyStatus: openflow.TaskRunning},
	{Key: openflow.TaskKey{Task: "c"}, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting},
}

func TestSilentPartyIsNamedWithin15Seconds(t *testing.T) {
	watching(t, begun, func(r *running, l *line, _ *partner.Watch, log *bytes.Buffer) {
		pass(time.Minute)
		require.Equal(t, "waiting for task b at 9999 (guest), 10000 (host), 10001 (arbiter)", r.reason())
		require.Empty(t, r.scheduled[0].Reason, "its parties say what they wait for")
		require.Equal(t, 1, r.writes, "what stays is not written again")
		require.Empty(t, log.String())
		require.LessOrEqual(t, l.asked["10001"], 20)
		require.Zero(t, l.asked["10000"], "nobody asks itself")

		hung := time.Now()
		l.set(func(l *line) { l.hangs["10001"] = true })
		pass(15 * time.Second)
		since := r.reason()
		require.Regexp(t, `^waiting for party 10001 \(arbiter\): it has not answered since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`, since)
		require.Equal(t, since, r.scheduled[0].Reason)
		at, err := time.Parse(time.RFC3339, since[strings.Index(since, "since ")+len("since "):])
		require.NoError(t, err)
		require.WithinDuration(t, hung, at, 4*time.Second)
		pass(10 * time.Minute)
		require.Equal(t, since, r.reason(), "the time is that of the beginning")
		require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), "once: %s", log)

		l.set(func(l *line) {
			l.hangs["10001"] = false
			l.wrong["9999"] = openflow.Errorf(openflow.CodeUnavailable, "down: %w", openflow.ErrAbsent)
		})
		pass(15 * time.Second)
		require.Regexp(t, `^waiting for party 9999 \(guest\): it has not answered since [^ ]+: nobody listens at its address$`, r.reason())
		l.set(func(l *line) { clear(l.wrong) })
		pass(15 * time.Second)
		require.Equal(t, "waiting for task b at 9999 (guest), 10000 (host), 10001 (arbiter)", r.reason())
		require.Empty(t, r.scheduled[0].Reason)
		require.Equal(t, 2, strings.Count(log.String(), "party answers again"))
	})
}

// unusable is that party 9999 has answered, and in no way that can be used.
func unusable(what string) error {
	e := openflow.Errorf(openflow.CodeUnavailable, "%s", what)
	e.Party, e.Err = "9999", openflow.ErrUnusable
	return e
}

func TestWhatIsWrongWithAPeer(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string // part of the reason; empty: none that names the party
	}{
		"it answers":                {nil, ""},
		"it refuses the question":   {openflow.Errorf(openflow.CodeUnimplemented, "no route"), ""},
		"it is no peer":             {openflow.Errorf(openflow.CodeInvalid, "party 9999 is not known here"), ""},
		"this node is stopping":     {context.Canceled, ""},
		"no answer in time":         {context.DeadlineExceeded, "party 9999 (guest): it has not answered since "},
		"it answers HTTP 500":       {unusable("the node answered /site with HTTP 500"), "party 9999 (guest): since 2000-01-01T00:00:03Z its node gives no answer that can be used: the node answered /site with HTTP 500"},
		"its disk is full":          {openflow.AtParty("9999", openflow.Errorf(openflow.CodeExhausted, "claim nonce")), "that it cannot go on (exhausted)"},
		"its database is gone":      {openflow.AtParty("9999", openflow.Errorf(openflow.CodeInternal, "no table")), "that it cannot go on (internal)"},
		"its key is another":        {openflow.AtParty("10000", openflow.Errorf(openflow.CodeUnauthorized, "party 9999 signs with key x")), "do not accept each other's signatures: party 9999 signs with key x"},
		"it does not know this one": {openflow.AtParty("9999", openflow.Errorf(openflow.CodeUnauthorized, "party 10000 is not known here")), "do not accept each other's signatures: party 9999 says “party 10000 is not known here”"},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, begun, func(r *running, l *line, _ *partner.Watch, _ *bytes.Buffer) {
				l.set(func(l *line) { l.wrong["9999"] = tc.err })
				pass(10 * time.Second)
				if tc.want == "" {
					require.NotContains(t, r.reason(), "party 9999")
					return
				}
				require.Contains(t, r.reason(), tc.want)
			})
		})
	}
}

// Whoever stands at a peer's address can refuse in any words. This site's users read one line of them; the scheduler's own
// record, which is also the answer to another party, has none.
func TestWordsOfAPeer(t *testing.T) {
	for name, words := range map[string]string{
		"long":      "marked " + strings.Repeat("y", 16<<20) + "\nlies",
		"escapes":   "marked \x1b[2J\x1b[1;32mjob succeeded\r\x07",
		"direction": "marked \u202eseil\u202c",
		"cut":       "marked " + strings.Repeat("y", 498) + "\xe6\x97",
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, begun, func(r *running, l *line, _ *partner.Watch, log *bytes.Buffer) {
				l.set(func(l *line) {
					l.wrong["9999"] = openflow.AtParty("9999", openflow.Errorf(openflow.CodeUnauthorized, "%s", words).WithHint("%s", words))
				})
				pass(10 * time.Second)
				require.Contains(t, r.reason(), "party 9999 says “marked ")
				require.Less(t, len(r.reason()), 800)
				require.NotContains(t, r.reason(), "lies")
				require.NotRegexp(t, "[\x00-\x1f\u202e]", r.reason())
				require.True(t, utf8.ValidString(r.reason()))
				require.Contains(t, r.scheduled[0].Reason, "do not accept each other's signatures")
				require.NotContains(t, r.scheduled[0].Reason, "marked")
				require.Less(t, log.Len(), 4000)
			})
		})
	}
}

// A peer that answers the watch, and the calls for jobs with nonsense, is named until it answers one of them; not for one call
// alone, and not when it does not answer at all.
func TestPeerWhoseAnswersCannotBeUsed(t *testing.T) {
	nonsense := openflow.Errorf(openflow.CodeUnavailable, "the node answered /task/ask with HTTP 502").WithHint("openflow site probe 9999")
	nonsense.Party, nonsense.Err = "9999", openflow.ErrUnusable
	watching(t, begun, func(r *running, _ *line, w *partner.Watch, log *bytes.Buffer) {
		w.Called("9999", nonsense)
		pass(10 * time.Second)
		require.NotContains(t, r.reason(), "party 9999", "something on the way may have answered")
		for range 3 {
			w.Called("9999", nonsense)
			pass(10 * time.Second)
		}
		require.Contains(t, r.reason(), "waiting for party 9999 (guest): since ")
		require.Contains(t, r.reason(), "its node answers, and not so that this node can use it: the node answered /task/ask with HTTP 502 (openflow site probe 9999)")
		require.Contains(t, r.scheduled[0].Reason, "party 9999 (guest): since ")
		require.NotContains(t, r.scheduled[0].Reason, "502", "the scheduler's own record is told to others")
		require.Equal(t, 1, strings.Count(log.String(), "party answers, and not as it should"))
		w.Called("9999", nil)
		pass(10 * time.Second)
		require.NotContains(t, r.reason(), "party 9999")
		require.Contains(t, log.String(), "party answers again")
		for range 3 {
			w.Called("9999", openflow.Errorf(openflow.CodeUnavailable, "the connection broke"))
		}
		pass(10 * time.Second)
		require.NotContains(t, r.reason(), "party 9999", "the watch finds out whether it is silent")
		for range 3 {
			w.Called("777", nonsense)
		}
		pass(10 * time.Second)
		require.NotContains(t, log.String(), "777", "no job waits for it")
	})
}

// What a job waits for when nobody is silent is read from this party's own runs.
func TestWhatARunningJobWaitsFor(t *testing.T) {
	run := func(task openflow.TaskName, together, here openflow.TaskStatus, reason string) openflow.TaskRecord {
		return openflow.TaskRecord{Key: openflow.TaskKey{Task: task}, Status: together, PartyStatus: here, Reason: reason}
	}
	for name, tc := range map[string]struct {
		tasks []openflow.TaskRecord
		want  string
	}{
		"its part is done":         {[]openflow.TaskRecord{run("a", openflow.TaskRunning, openflow.TaskSuccess, "")}, "waiting for task a at 9999 (guest), 10001 (arbiter)"},
		"it waits for cores":       {[]openflow.TaskRecord{run("a", openflow.TaskWaiting, openflow.TaskWaiting, "2 of 4 cores are free")}, "waiting for task a: 2 of 4 cores are free"},
		"others are at work":       {[]openflow.TaskRecord{run("a", openflow.TaskWaiting, openflow.TaskWaiting, "")}, "waiting for tasks of other parties"},
		"two tasks":                {[]openflow.TaskRecord{run("a", openflow.TaskRunning, openflow.TaskSuccess, ""), run("b", openflow.TaskRunning, openflow.TaskSuccess, "")}, "waiting for task a at 9999 (guest), 10001 (arbiter); task b at 9999 (guest), 10001 (arbiter)"},
		"it takes part in nothing": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, tc.tasks, func(r *running, _ *line, _ *partner.Watch, _ *bytes.Buffer) {
				pass(10 * time.Second)
				require.Equal(t, tc.want, r.reason())
			})
		})
	}
}

// Two parties that share no task any more need no way to each other; the scheduler needs all of them.
func TestPartiesThatShareNoTask(t *testing.T) {
	over := []openflow.TaskRecord{
		{Key: openflow.TaskKey{Task: "a"}, Status: openflow.TaskSuccess, PartyStatus: openflow.TaskSuccess},
	}
	watching(t, over, func(r *running, l *line, _ *partner.Watch, _ *bytes.Buffer) {
		r.mu.Lock()
		r.scheduled = nil
		r.mu.Unlock()
		l.set(func(l *line) { l.hangs["10001"] = true })
		pass(time.Minute)
		require.NotContains(t, r.reason(), "10001")
		require.Zero(t, l.asked["10001"])
		require.NotZero(t, l.asked["9999"], "the scheduler")
		r.mu.Lock()
		r.jobs[0].Scheduler = "10000"
		r.mu.Unlock()
		pass(15 * time.Second)
		require.Contains(t, r.reason(), "waiting for party 10001 (arbiter)")
	})
}

// A peer with which nothing runs is asked only when a call to it has failed, until it answers.
func TestPeersAreLeftAlone(t *testing.T) {
	watching(t, nil, func(r *running, l *line, w *partner.Watch, log *bytes.Buffer) {
		r.mu.Lock()
		r.jobs, r.scheduled = nil, nil
		r.mu.Unlock()
		w.Called("9999", nil)
		w.Called("9999", openflow.Errorf(openflow.CodeConflict, "it exists"))
		pass(time.Minute)
		require.Empty(t, l.asked)

		l.set(func(l *line) { l.wrong["9999"] = openflow.Errorf(openflow.CodeUnavailable, "down") })
		w.Called("9999", openflow.Errorf(openflow.CodeUnavailable, "down"))
		pass(time.Minute)
		require.Contains(t, log.String(), "does not answer")
		l.set(func(l *line) { clear(l.wrong) })
		pass(10 * time.Second)
		require.Contains(t, log.String(), "answers again")
		asked := l.asked["9999"]
		pass(time.Minute)
		require.Equal(t, asked, l.asked["9999"])
	})
}

// A row that cannot be read or written keeps no other from its reason, at whatever place it stands. One that is gone is no error.
func TestOneRowFails(t *testing.T) {
	for name, tc := range map[string]struct {
		rows []string
		code openflow.Code
		logs bool
	}{
		"the tasks of a job cannot be read":    {[]string{"read 1"}, openflow.CodeInternal, true},
		"its reason cannot be written":         {[]string{"job 1"}, openflow.CodeInternal, true},
		"that of its task cannot":              {[]string{"task b"}, openflow.CodeInternal, true},
		"that of a job that is scheduled here": {[]string{"scheduled 2"}, openflow.CodeInternal, true},
		"all of them":                          {[]string{"job 1", "task b", "scheduled 2"}, openflow.CodeUnavailable, true},
		"all of them are gone":                 {[]string{"read 1", "job 1", "task b", "scheduled 2"}, openflow.CodeNotFound, false},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, begun, func(r *running, l *line, w *partner.Watch, log *bytes.Buffer) {
				r.mu.Lock()
				third, fourth, more := r.jobs[0], r.scheduled[0], r.tasks[1]
				third.ID, fourth.ID, more.Key.Task = "3", "4", "d"
				r.jobs, r.scheduled, r.tasks = append(r.jobs, third), append(r.scheduled, fourth), append(r.tasks, more)
				r.broken = map[string]error{}
				for _, row := range tc.rows {
					r.broken[row] = openflow.Errorf(tc.code, "the row is broken")
				}
				r.mu.Unlock()
				l.set(func(l *line) { l.wrong["9999"] = openflow.Errorf(openflow.CodeUnavailable, "down") })
				for range 6 {
					for _, task := range []int{1, 3} {
						w.Hindered(r.tasks[task].Key.SessionID(), openflow.WhatItStores, openflow.Errorf(openflow.CodeExhausted, "full"))
					}
					pass(2 * time.Second)
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				require.Contains(t, r.jobs[1].Reason, "waiting for party 9999")
				require.Contains(t, r.scheduled[1].Reason, "waiting for party 9999")
				require.Contains(t, r.tasks[3].Reason, "its outputs are refused")
				require.Equal(t, tc.logs, strings.Contains(log.String(), "the row is broken"), "%s", log)
				require.Zero(t, r.spared)
			})
		})
	}
}

// That the disk is full is seen behind whatever else fails before.
func TestFullDiskBehindAnotherFailure(t *testing.T) {
	watching(t, begun, func(r *running, _ *line, _ *partner.Watch, log *bytes.Buffer) {
		r.mu.Lock()
		third := r.jobs[0]
		third.ID = "3"
		r.jobs = append(r.jobs, third)
		r.broken = map[string]error{
			"job 1": openflow.Errorf(openflow.CodeInternal, "the row is broken"), "job 3": openflow.Errorf(openflow.CodeExhausted, "no space left"),
		}
		r.mu.Unlock()
		pass(time.Minute)
		r.mu.Lock()
		defer r.mu.Unlock()
		require.Equal(t, 1, r.spared)
		require.Contains(t, log.String(), "times=2")
	})
}

func TestWatchGoesOnWithoutTheCatalogue(t *testing.T) {
	watching(t, begun, func(r *running, _ *line, _ *partner.Watch, log *bytes.Buffer) {
		r.mu.Lock()
		r.err = openflow.Errorf(openflow.CodeUnavailable, "the catalogue is away")
		r.mu.Unlock()
		pass(10 * time.Second)
		require.Contains(t, log.String(), "the catalogue is away")
		r.mu.Lock()
		r.err = nil
		r.mu.Unlock()
		pass(10 * time.Second)
		require.NotEmpty(t, r.reason())
	})
}
