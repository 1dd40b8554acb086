package activities_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
)

var host = openflow.Party{Role: openflow.RoleHost, ID: "10000"}

// peers is every party's node, and the scheduler's own record.
type peers struct {
	spoken []openflow.Spoken // in the answer to a creation
	openflow.PartnerService
	away, err, store error
	order            openflow.JobOrder
	keys             []openflow.JobKey
	schedulers       []openflow.PartyID
	task             openflow.TaskRecord
	starts           []openflow.TaskStart
	updates          []openflow.TaskUpdate
	status           []openflow.JobStatus
	warnings         []string
	record           openflow.ScheduledJob
}

func (p *peers) scheduling() *activities.Scheduling {
	return &activities.Scheduling{Self: "9999", Directory: p, Jobs: p}
}

func (p *peers) Partner(_ context.Context, id openflow.PartyID) (openflow.PartnerService, error) {
	if id != "10000" {
		return nil, openflow.Errorf(openflow.CodeInternal, "wrong party")
	}
	return p, p.away
}

func (p *peers) Scheduler(context.Context, openflow.PartyID) (openflow.SchedulerService, error) {
	return nil, openflow.Errorf(openflow.CodeInternal, "not asked")
}

func (p *peers) seen(k openflow.JobKey) error { p.keys = append(p.keys, k); return p.err }

func (p *peers) OpenJob(_ context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	p.order = o
	r, err := openflow.Reserved(p.seen(o.Key))
	r.Spoken = p.spoken
	return r, err
}
func (p *peers) Reserve(_ context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(p.seen(k))
}
func (p *peers) Release(_ context.Context, k openflow.JobKey) error { return p.seen(k) }
func (p *peers) Tell(_ context.Context, k openflow.JobKey, n openflow.News) error {
	p.status, p.updates = append(p.status, n.Status), append(p.updates, n.Tasks...)
	return p.seen(k)
}
func (p *peers) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	p.status = append(p.status, end.Status)
	return p.seen(k)
}
func (p *peers) StartTask(_ context.Context, o openflow.TaskStart) error {
	p.schedulers, p.starts = append(p.schedulers, o.Scheduler), append(p.starts, o)
	return p.err
}
func (p *peers) AskTask(_ context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	p.schedulers = append(p.schedulers, k.Scheduler)
	return p.task.Standing(), p.err
}

func (p *peers) ScheduledJob(context.Context, openflow.JobID) (openflow.ScheduledJob, error) {
	return p.record, p.store
}
func (p *peers) UpdateScheduledJob(_ context.Context, _ openflow.JobID, to openflow.JobStatus, reason string) (bool, error) {
	if p.record.Status.Terminal() {
		return false, openflow.Errorf(openflow.CodeConflict, "it is %s", p.record.Status)
	}
	p.record.Status, p.record.Reason = to, reason
	return true, p.store
}
func (p *peers) QueueScheduledJob(ctx context.Context, _ openflow.Quota, _ openflow.PartyID, id openflow.JobID, reason string) (bool, error) {
	return p.UpdateScheduledJob(ctx, id, openflow.JobWaiting, reason)
}
func (p *peers) SetScheduledReason(_ context.Context, _ openflow.JobID, reason string) error {
	p.record.Reason = reason
	return nil
}
func (p *peers) FreeKey(context.Context, openflow.JobID) error { return nil }

func (p *peers) SetScheduledTasks(_ context.Context, _ openflow.JobID, runs []openflow.TaskRun) error {
	p.record.Tasks = runs
	return nil
}
func (p *peers) JobWarnings(context.Context, openflow.PartyID, openflow.JobID) ([]string, error) {
	return p.warnings, nil
}

func (p *peers) SetScheduledProgress(_ context.Context, _ openflow.JobID, percent int) error {
	p.record.Progress = percent
	return nil
}

var (
	atHost  = activities.PartyCall{Job: "1", Party: document.Party(host)}
	hostKey = openflow.JobKey{Scheduler: "9999", Job: "1", Party: host}
	asked   = document.Run{Scheduler: "9999", Job: "1", Task: "a", Party: document.Party(host)}
)

// Every call reaches the party under its key, and what goes wrong carries its name and code.
func TestCallsToParties(t *testing.T) {
	for name, call := range map[string]func(*activities.Scheduling) error{
		"open":   func(s *activities.Scheduling) error { _, err := s.OpenJob(t.Context(), atHost); return err },
		"return": func(s *activities.Scheduling) error { return s.ReturnResources(t.Context(), atHost) },
		"start":  func(s *activities.Scheduling) error { return s.StartJob(t.Context(), atHost) },
		"update": func(s *activities.Scheduling) error {
			return s.UpdateJob(t.Context(), activities.JobUpdate{Call: atHost, Status: openflow.JobWaiting})
		},
		"stop": func(s *activities.Scheduling) error {
			return s.StopJob(t.Context(), activities.JobUpdate{Call: atHost, Status: openflow.JobFailed})
		},
		"start task": func(s *activities.Scheduling) error {
			return s.StartTask(t.Context(), activities.TaskStart{Run: asked})
		},
		"update task": func(s *activities.Scheduling) error {
			return s.UpdateTask(t.Context(), activities.TaskUpdate{Run: asked})
		},
		"collect": func(s *activities.Scheduling) error { _, err := s.CollectTask(t.Context(), asked); return err },
	} {
		t.Run(name, func(t *testing.T) {
			p := &peers{record: openflow.ScheduledJob{DAG: &openflow.DAG{}}}
			require.NoError(t, call(p.scheduling()))
			for _, k := range p.keys {
				require.Equal(t, hostKey, k)
			}
			for _, s := range p.schedulers {
				require.Equal(t, openflow.PartyID("9999"), s)
			}
			require.Equal(t, 1, len(p.keys)+len(p.schedulers))
			for cause, p := range map[string]*peers{
				"refused":   {err: openflow.Errorf(openflow.CodeConflict, "why"), record: p.record},
				"not known": {away: openflow.Errorf(openflow.CodeConflict, "why"), record: p.record},
			} {
				var e *openflow.Error
				require.ErrorAs(t, activities.FromTemporal(call(p.scheduling())), &e, cause)
				require.Equal(t, openflow.CodeConflict, e.Code)
				require.Equal(t, openflow.PartyID("10000"), e.Party)
			}
		})
	}
}

// Part 7 #17: a party gets the DAG as it may see it.
func TestPartyGetsItsOwnParametersOnly(t *testing.T) {
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	p := &peers{record: openflow.ScheduledJob{UserName: "u", DAG: &openflow.DAG{
		Parties: []openflow.Party{guest, host},
		PartyTasks: []openflow.PartyTasks{
			{Site: "guest", Parties: []openflow.Party{guest}, Tasks: map[openflow.TaskName]openflow.TaskOverride{"a": {Parameters: openflow.Parameters{"secret": 1}}}},
			{Site: "host", Parties: []openflow.Party{host}},
		},
	}}}
	_, err := p.scheduling().OpenJob(t.Context(), atHost)
	require.NoError(t, err)
	require.Len(t, p.order.DAG.PartyTasks, 1)
	require.Equal(t, "host", p.order.DAG.PartyTasks[0].Site)
	require.Equal(t, "u", p.order.UserName)
	p.store = openflow.Errorf(openflow.CodeInternal, "disk")
	_, err = p.scheduling().OpenJob(t.Context(), atHost)
	require.True(t, retried(err))
}

func TestApplyResources(t *testing.T) {
	for name, tc := range map[string]struct {
		p    *peers
		want activities.ReserveAnswer
	}{
		"granted":  {&peers{}, activities.ReserveAnswer{Party: document.Party(host)}},
		"busy":     {&peers{err: openflow.AtParty("10000", openflow.Errorf(openflow.CodeExhausted, "2 of 4 free").WithHint("wait"))}, activities.ReserveAnswer{Party: document.Party(host), Code: openflow.CodeExhausted, Text: "2 of 4 free (wait)"}},
		"too much": {&peers{err: openflow.Errorf(openflow.CodeInvalid, "64 of 32")}, activities.ReserveAnswer{Party: document.Party(host), Code: openflow.CodeInvalid, Text: "64 of 32"}},
		"away":     {&peers{away: openflow.Errorf(openflow.CodeUnavailable, "down")}, activities.ReserveAnswer{Party: document.Party(host), Code: openflow.CodeUnavailable, Text: "down"}},
		"late":     {&peers{err: context.DeadlineExceeded}, activities.ReserveAnswer{Party: document.Party(host), Code: openflow.CodeDeadline, Text: "no answer in time"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.p.scheduling().ApplyResources(t.Context(), atHost)
			require.NoError(t, err, "a refusal is an answer")
			require.Equal(t, tc.want, got)
		})
	}
}

func TestStopOfAnUnknownJobIsSuccess(t *testing.T) {
	p := &peers{err: openflow.Errorf(openflow.CodeNotFound, "no such job")}
	require.NoError(t, p.scheduling().StopJob(t.Context(), activities.JobUpdate{Call: atHost, Status: openflow.JobFailed}))
}

func TestCollectTask(t *testing.T) {
	for name, tc := range map[string]struct {
		rec  openflow.TaskRecord
		want openflow.Cause
	}{
		"only what is public": {openflow.TaskRecord{
			PartyStatus: openflow.TaskFailed, Reason: "exit code 7", ErrorReport: "no column x\nat line 3",
			Cause: openflow.Cause{Code: openflow.CodeInvalid, Text: "too few columns"},
		}, openflow.Cause{Code: openflow.CodeInvalid, Text: "too few columns"}},
		"nothing is public": {openflow.TaskRecord{PartyStatus: openflow.TaskFailed, Reason: "exit code 7"}, openflow.Cause{}},
		"still going":       {openflow.TaskRecord{PartyStatus: openflow.TaskRunning}, openflow.Cause{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := (&peers{task: tc.rec}).scheduling()
			var heard []openflow.TaskStatus
			s.Asked = func(k openflow.TaskKey, status openflow.TaskStatus, err error) {
				require.NoError(t, err)
				require.Equal(t, asked.Decode(), k)
				heard = append(heard, status)
			}
			got, err := s.CollectTask(t.Context(), asked)
			require.Equal(t, []openflow.TaskStatus{tc.rec.PartyStatus}, heard)
			require.NoError(t, err)
			require.Equal(t, activities.Report{Run: asked, Status: tc.rec.PartyStatus, Cause: document.Cause(tc.want)}, got)
		})
	}
}

// A start that is tried once more says so: the first try is a local activity.
func TestARepeatedStartSaysSo(t *testing.T) {
	p := &peers{}
	s := p.scheduling()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(s)
	_, err := env.ExecuteLocalActivity(s.StartTask, activities.TaskStart{Run: asked})
	require.NoError(t, err)
	_, err = env.ExecuteActivity(s.StartTask, activities.TaskStart{Run: asked})
	require.NoError(t, err)
	require.Len(t, p.starts, 2)
	require.False(t, p.starts[0].Again)
	require.True(t, p.starts[1].Again)
}

// No answer to the question is lost: who watches hears of each.
func TestAnswersOfNoUseAreHeard(t *testing.T) {
	for name, p := range map[string]*peers{
		"junk":        {err: openflow.Errorf(openflow.CodeUnavailable, "told an unknown status")},
		"refused":     {err: openflow.Errorf(openflow.CodePermission, "no")},
		"no such run": {err: openflow.Errorf(openflow.CodeNotFound, "no")},
		"no address":  {away: openflow.Errorf(openflow.CodeInvalid, "party 10000 is not known here")},
	} {
		t.Run(name, func(t *testing.T) {
			s := p.scheduling()
			var heard []error
			s.Asked = func(_ openflow.TaskKey, _ openflow.TaskStatus, err error) { heard = append(heard, err) }
			_, err := s.CollectTask(t.Context(), asked)
			require.Error(t, err)
			require.Len(t, heard, 1)
			require.Equal(t, openflow.CodeOf(activities.FromTemporal(err)), openflow.CodeOf(heard[0]))
			require.ErrorContains(t, heard[0], "at party 10000: ")
		})
	}
}

func TestOwnRecordOfAJob(t *testing.T) {
	news := activities.JobNews{Job: "1", Status: openflow.JobFailed, Reason: "why", Progress: 50}
	p := &peers{}
	p.warnings = []string{"lr_0: not converged"}
	end, err := p.scheduling().EndJob(t.Context(), news)
	require.NoError(t, err)
	require.Equal(t, p.warnings, end.Warnings)
	require.Equal(t, openflow.JobFailed, p.record.Status)
	require.Equal(t, 50, p.record.Progress)

	news.Status, news.Reason = openflow.JobSuccess, "late"
	_, err = p.scheduling().EndJob(t.Context(), news)
	require.NoError(t, err, "an end is final, and a second one no fault")
	require.Equal(t, openflow.JobFailed, p.record.Status)

	p = &peers{}
	waits := activities.JobNews{Job: "1", Status: openflow.JobWaiting, Reason: "for party 10000"}
	require.NoError(t, p.scheduling().RecordJob(t.Context(), waits))
	require.Equal(t, "for party 10000", p.record.Reason)
	p.store = openflow.Errorf(openflow.CodeInternal, "disk")
	require.True(t, retried(p.scheduling().RecordJob(t.Context(), waits)))
	_, err = p.scheduling().EndJob(t.Context(), news)
	require.True(t, retried(err))
}

func TestOpenJobTellsRefusalFromWaiting(t *testing.T) {
	p := &peers{record: openflow.ScheduledJob{DAG: &openflow.DAG{}, UserName: "u"}}
	s := p.scheduling()
	g, err := s.OpenJob(t.Context(), atHost)
	require.NoError(t, err)
	require.Equal(t, activities.ReserveAnswer{Party: document.Party(host)}, g)
	require.Equal(t, "u", p.order.UserName)

	p.err = openflow.About(openflow.AboutResource, openflow.AtParty("10000", openflow.Errorf(openflow.CodeExhausted, "busy")))
	g, err = s.OpenJob(t.Context(), atHost)
	require.NoError(t, err, "it is created")
	require.Equal(t, openflow.CodeExhausted, g.Code)

	p.err = openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodePermission, "no grant"))
	_, err = s.OpenJob(t.Context(), atHost)
	err = activities.FromTemporal(err)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err))
	require.ErrorContains(t, err, "10000")
}

func TestRunThatIsBeingStoppedCountsAsRunning(t *testing.T) {
	p := &peers{task: openflow.TaskRecord{PartyStatus: openflow.TaskWaiting}}
	r, err := p.scheduling().CollectTask(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskWaiting, r.Status)
	p.task.Killed = true
	r, err = p.scheduling().CollectTask(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskRunning, r.Status)
}

// A party may say anything of its programs. What is not about the tasks that it has with others is dropped before it is kept.
func TestSpokenIsOfTheJobsTasks(t *testing.T) {
	guest, one := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, []openflow.Protocol{{Name: "p", Version: "1"}}
	acme := openflow.ProviderRef{Name: "acme", Version: "1"}
	p := &peers{record: openflow.ScheduledJob{DAG: &openflow.DAG{Parties: []openflow.Party{guest, host}, Tasks: []openflow.Task{
		{Name: "a"}, {Name: "b"}, {Name: "alone", Parties: []openflow.Party{host}}, {Name: "theirs", Parties: []openflow.Party{guest}},
	}}}}
	for _, task := range []openflow.TaskName{"a", "alone", "theirs", "nobodys", "a", "b"} {
		p.spoken = append(p.spoken, openflow.Spoken{Task: task, Provider: acme, Protocols: one})
	}
	got, err := p.scheduling().OpenJob(t.Context(), atHost)
	require.NoError(t, err)
	require.Equal(t, []activities.Spoken{{
		Tasks: []openflow.TaskName{"a", "b"}, Provider: document.Provider(acme), Protocols: []document.Protocol{{Name: "p", Version: "1"}},
	}}, got.Spoken, "once for all of which the same is said")
	require.Equal(t, []openflow.Spoken{{Task: "a", Provider: acme, Protocols: one}, {Task: "b", Provider: acme, Protocols: one}}, got.Decode().Spoken)
}

// Whoever submits waits for the answer: that nobody listens there is one, and silence is not.
func TestOpenJobAnswersAtOnceWhenNobodyListens(t *testing.T) {
	for name, tc := range map[string]struct {
		cause error
		again bool
	}{
		"nobody listens":     {openflow.ErrAbsent, false},
		"it does not answer": {context.DeadlineExceeded, true},
	} {
		t.Run(name, func(t *testing.T) {
			away := openflow.Errorf(openflow.CodeUnavailable, "does not answer: %w", tc.cause)
			p := &peers{record: openflow.ScheduledJob{DAG: &openflow.DAG{}}, err: away}
			_, err := p.scheduling().OpenJob(t.Context(), atHost)
			require.Equal(t, tc.again, retried(err))
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(activities.FromTemporal(err)))
			require.ErrorContains(t, activities.FromTemporal(err), "10000")
			require.True(t, retried(p.scheduling().StopJob(t.Context(), activities.JobUpdate{Call: atHost, Status: openflow.JobFailed})))
		})
	}
}
