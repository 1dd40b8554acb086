package initiator_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/initiator"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
)

// network is the schedulers that the initiator can reach.
type network struct {
	openflow.SchedulerService
	asked  openflow.PartyID
	away   error
	answer openflow.Submitted
	err    error
	subs   []openflow.Submission
	stops  []openflow.JobID
	caller openflow.PartyID
	knows  func(openflow.PartyID) error // what the scheduler there says of a job
	odd    openflow.JobStatus           // how it calls a stopped job; empty: as it should
}

func (n *network) Partner(context.Context, openflow.PartyID) (openflow.PartnerService, error) {
	return nil, openflow.Errorf(openflow.CodeInternal, "an initiator calls no partner")
}

func (n *network) Scheduler(_ context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	n.asked = id
	if n.knows != nil {
		n.err = n.knows(id)
	}
	return n, n.away
}

func (n *network) CreateJob(_ context.Context, caller openflow.PartyID, s openflow.Submission) (openflow.Submitted, error) {
	n.caller, n.subs = caller, append(n.subs, s)
	return n.answer, n.err
}

func (n *network) StopJob(_ context.Context, caller openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	if status != openflow.JobCanceled {
		return openflow.Stopped{}, openflow.Errorf(openflow.CodeInternal, "a user cancels")
	}
	if n.err == nil {
		n.caller, n.stops = caller, append(n.stops, id)
	}
	return openflow.Stopped{Status: cmp.Or(n.odd, status)}, n.err
}

type rows struct {
	list       []openflow.JobRecord
	err        error
	schedulers map[openflow.JobID]openflow.PartyID
	forgetful  error
	warnings   map[openflow.JobID][]string
}

func (r rows) RememberScheduler(_ context.Context, id openflow.JobID, scheduler openflow.PartyID) error {
	if r.schedulers != nil {
		r.schedulers[id] = scheduler
	}
	return r.forgetful
}

func (r rows) SchedulerOf(_ context.Context, _ openflow.PartyID, id openflow.JobID) (openflow.PartyID, error) {
	err := cmp.Or(r.err, r.forgetful)
	if s, ok := r.schedulers[id]; ok || err != nil {
		return s, err
	}
	if len(r.list) > 0 {
		return r.list[0].Scheduler, nil
	}
	return "", openflow.Errorf(openflow.CodeNotFound, "no job %s", id)
}

func (r rows) AddJobWarnings(_ context.Context, _ openflow.PartyID, id openflow.JobID, texts []string) error {
	if r.warnings != nil {
		r.warnings[id] = texts
	}
	return r.forgetful
}

func (r rows) JobRows(context.Context, openflow.PartyID, openflow.JobID) ([]openflow.JobRecord, error) {
	return r.list, r.err
}

// mandates signs what it is given: the text says what that was.
type mandates struct{}

func (mandates) Give(d *openflow.DAG, id openflow.JobID, user string) (*openflow.Mandate, error) {
	return &openflow.Mandate{Text: fmt.Appendf(nil, "%s at %s by %q: %s %s", id, d.Conf.Scheduler, user, d.Conf.ModelID, d.Conf.SyncType)}, nil
}

func service(n *network, r rows) *initiator.Service {
	return &initiator.Service{Self: "9999", Ends: ends{}, Rows: r, Components: lr{}, Mandates: mandates{}, Directory: n, NewID: func() openflow.JobID { return "new" }}
}

func dag() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{{Name: "a", Component: "noop"}},
	}
}

func TestSubmitJob(t *testing.T) {
	n := &network{answer: openflow.Submitted{ID: "first"}}
	d := dag()
	d.Conf.Initiator = "666"
	got, err := service(n, rows{}).SubmitJob(t.Context(), openflow.Submission{DAG: d, IdempotencyKey: "k", UserName: "u"})
	require.NoError(t, err)
	require.Equal(t, openflow.JobID("first"), got.ID)
	require.Equal(t, openflow.PartyID("9999"), n.asked, "without a scheduler it is this node")
	require.Equal(t, openflow.PartyID("9999"), n.caller)
	sub := n.subs[0]
	require.Equal(t, openflow.JobID("new"), sub.ID)
	require.Equal(t, "k", sub.IdempotencyKey)
	require.Equal(t, "u", sub.UserName)
	require.Equal(t, openflow.PartyID("9999"), sub.DAG.Conf.Initiator, "whatever the user wrote")
	require.Equal(t, `new at 9999 by "u": new callback`, string(sub.Mandate.Text), "it signs a job in which nothing is open")
	require.Equal(t, openflow.PartyID("666"), d.Conf.Initiator, "the user's DAG is not changed")

	d.Conf.Scheduler = "10000"
	_, err = service(n, rows{}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
	require.NoError(t, err)
	require.Equal(t, openflow.PartyID("10000"), n.asked)
}

func TestSubmitJobFails(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*network, *openflow.DAG)
		code   openflow.Code
		party  openflow.PartyID
		sent   bool
	}{
		"broken DAG":        {func(_ *network, d *openflow.DAG) { d.Tasks = nil }, openflow.CodeInvalid, "", false},
		"unknown scheduler": {func(n *network, _ *openflow.DAG) { n.away = openflow.Errorf(openflow.CodeInvalid, "not known") }, openflow.CodeInvalid, "9999", false},
		"refused": {
			func(n *network, _ *openflow.DAG) { n.err = openflow.Errorf(openflow.CodeRejected, "no") }, openflow.CodeRejected, "9999", true,
		},
		"refused by a party": {
			func(n *network, _ *openflow.DAG) {
				n.err = openflow.AtParty("10000", openflow.Errorf(openflow.CodePermission, "no"))
			},
			openflow.CodePermission, "10000", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, d := &network{}, dag()
			tc.change(n, d)
			_, err := service(n, rows{}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
			var e *openflow.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.code, e.Code)
			require.Equal(t, tc.party, e.Party)
			require.Equal(t, tc.sent, len(n.subs) == 1)
		})
	}
}

func TestStopJob(t *testing.T) {
	stop := func(n *network, r rows, id openflow.JobID) error {
		_, err := service(n, r).StopJob(t.Context(), "", id)
		return err
	}
	row := openflow.JobRecord{ID: "1", Scheduler: "10000", Status: openflow.JobCanceled}
	n := &network{}
	got, err := service(n, rows{list: []openflow.JobRecord{row}}).StopJob(t.Context(), "", "1")
	require.NoError(t, err)
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled}, got)
	require.Equal(t, openflow.PartyID("10000"), n.asked)
	require.Equal(t, openflow.PartyID("9999"), n.caller)
	require.Equal(t, []openflow.JobID{"1"}, n.stops)

	n.away = openflow.Errorf(openflow.CodeUnavailable, "down")
	err = stop(n, rows{list: []openflow.JobRecord{row}}, "1")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "10000")
	err = stop(n, rows{err: openflow.Errorf(openflow.CodeInternal, "disk")}, "1")
	require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
}

// A job that the user names with its scheduler is looked up nowhere; one without is the only one, or it is refused.
func TestJobOfANamedScheduler(t *testing.T) {
	several := rows{err: openflow.Errorf(openflow.CodeConflict, "job 1 is here more than once, from schedulers 10000, 10001")}
	n := &network{}
	_, err := service(n, several).StopJob(t.Context(), "", "1")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, "10000, 10001")
	require.Empty(t, n.asked)
	n.err = openflow.Errorf(openflow.CodeNotFound, "not scheduled here")
	for _, s := range []openflow.PartyID{"10000", "10001"} {
		_, err = service(n, several).StopJob(t.Context(), s, "1")
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
		require.Equal(t, s, n.asked)
	}
}

// ends is the participant at this site: it notes what it is told to end.
type ends map[openflow.JobKey]openflow.JobEnd

func (e ends) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	e[k] = end
	return nil
}

func (e ends) EndHere(_ context.Context, k openflow.JobKey, reason string) error {
	return e.StopJob(context.Background(), k, openflow.JobEnd{Status: openflow.JobCanceled, Reason: reason})
}

// The news of an end may never have come here: whoever asks for a stop then ends what this site still runs.
func TestStopTakesOverAnEndThatHasNotComeHere(t *testing.T) {
	row := openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobRunning}
	n, told := &network{}, ends{}
	s := service(n, rows{list: []openflow.JobRecord{row}})
	s.Ends = told
	got, err := s.StopJob(t.Context(), "", "1")
	require.NoError(t, err)
	require.Equal(t, ends{row.Key(): {Status: openflow.JobCanceled}}, told)
	require.Equal(t, []openflow.Party{guest}, got.Stopping, "its containers may take a moment")
	require.False(t, got.Over())

	clear(told)
	row.Status = openflow.JobCanceled
	s.Rows = rows{list: []openflow.JobRecord{row}}
	got, err = s.StopJob(t.Context(), "", "1")
	require.NoError(t, err)
	require.Empty(t, told)
	require.True(t, got.Over())

	n.err, row.Status = openflow.Errorf(openflow.CodeUnavailable, "down"), openflow.JobRunning
	s.Rows = rows{list: []openflow.JobRecord{row}}
	_, err = s.StopJob(t.Context(), "", "1")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
	require.ErrorContains(t, err, "to end this site's part of it now: openflow job stop 1 --here")
	require.Empty(t, told, "nobody has said that it has ended")

	n.err, n.odd = nil, "stopped by user"
	got, err = s.StopJob(t.Context(), "", "1")
	require.NoError(t, err)
	require.Empty(t, got.Status, "a word that is no end has not ended it")
	require.Empty(t, told)
}

// A scheduler that takes a job and gives it no name that could be asked for has not answered.
func TestSchedulerThatNamesNoJob(t *testing.T) {
	for id, says := range map[openflow.JobID]string{"": "without a job ID", "../x": `with the job ID "../x", which is none`, "a_b": `"a_b"`} {
		n, known := &network{answer: openflow.Submitted{ID: id}}, map[openflow.JobID]openflow.PartyID{}
		d := dag()
		d.Conf.Scheduler = "10000"
		_, err := service(n, rows{schedulers: known}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), id)
		require.ErrorContains(t, err, "at party 10000: the scheduler has answered ")
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "the job may run all the same")
		require.NotContains(t, known, id)
	}
}

// A scheduler that was restored from a backup does not know the job, and one that has removed this site refuses it: who asks
// for a stop ends what this site still runs.
func TestStopOfAJobWhoseSchedulerDoesNotListen(t *testing.T) {
	unknown, refused := openflow.Errorf(openflow.CodeNotFound, "job 1 is not scheduled here"), openflow.Errorf(openflow.CodeUnauthorized, "party 9999 is not known here")
	for name, tc := range map[string]struct {
		row     openflow.JobRecord
		says    error
		stopped openflow.Stopped
		told    bool
		code    openflow.Code
	}{
		"it runs here": {
			openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobRunning}, unknown,
			openflow.Stopped{Status: openflow.JobCanceled, Reason: openflow.UnknownToScheduler("10000"), Stopping: []openflow.Party{guest}}, true, "",
		},
		"it runs here, and is refused there": {
			openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobRunning}, refused,
			openflow.Stopped{Status: openflow.JobCanceled, Reason: openflow.RefusedByScheduler("10000"), Stopping: []openflow.Party{guest}}, true, "",
		},
		"it runs here, and there is no way to stop it there": {
			openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobRunning}, openflow.Errorf(openflow.CodeUnimplemented, "no route"),
			openflow.Stopped{Status: openflow.JobCanceled, Reason: openflow.UnheardByScheduler("10000"), Stopping: []openflow.Party{guest}}, true, "",
		},
		"it has ended here": {
			openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobSuccess, Reason: "r"}, refused,
			openflow.Stopped{Status: openflow.JobSuccess, Reason: "r"}, false, "",
		},
		"this site schedules it": {
			openflow.JobRecord{ID: "1", Scheduler: "9999", Party: guest, Status: openflow.JobRunning}, unknown, openflow.Stopped{}, false, openflow.CodeNotFound,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, told := &network{err: tc.says}, ends{}
			s := service(n, rows{list: []openflow.JobRecord{tc.row}})
			s.Ends = told
			got, err := s.StopJob(t.Context(), "", "1")
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.Equal(t, tc.stopped, got)
			require.Equal(t, tc.told, len(told) > 0)
		})
	}
}

// A job that has ended stays as it is, also when there is no scheduler any more that could be asked.
func TestStopOfAnEndedJobWhoseSchedulerIsRemoved(t *testing.T) {
	removed := openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeInvalid, "party 10000 is not known here"))
	down := openflow.Errorf(openflow.CodeUnavailable, "down")
	for name, tc := range map[string]struct {
		status openflow.JobStatus
		away   error
		code   openflow.Code
	}{
		"ended, removed":     {openflow.JobFailed, removed, ""},
		"runs, removed":      {openflow.JobRunning, removed, openflow.CodeInvalid},
		"ended, unreachable": {openflow.JobFailed, down, openflow.CodeUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{away: tc.away}
			row := openflow.JobRecord{ID: "1", Scheduler: "10000", Status: tc.status, Reason: "party 10000 was removed"}
			got, err := service(n, rows{list: []openflow.JobRecord{row}}).StopJob(t.Context(), "", "1")
			require.Equal(t, tc.code, openflow.CodeOf(err))
			if tc.code == "" {
				require.Equal(t, openflow.Stopped{Status: openflow.JobFailed, Reason: "party 10000 was removed"}, got)
			}
		})
	}
}

// A node that runs no task of a job has no row of it, and may still have submitted or schedule it. Nobody but its
// scheduler is asked: a peer's answer about a job of another would say nothing.
func TestStopOfAJobWithoutARow(t *testing.T) {
	for name, tc := range map[string]struct {
		scheduler openflow.PartyID // of the job that is submitted; empty: none is
		says      error
		asked     openflow.PartyID
		code      openflow.Code
	}{
		"scheduled here":                {"9999", nil, "9999", ""},
		"scheduled by a peer":           {"10001", nil, "10001", ""},
		"its scheduler does not answer": {"10001", openflow.Errorf(openflow.CodeUnavailable, "down"), "10001", openflow.CodeUnavailable},
		"its scheduler is broken":       {"10001", openflow.Errorf(openflow.CodeInternal, "6000"), "10001", openflow.CodeInternal},
		"never submitted here":          {"", openflow.Errorf(openflow.CodeNotFound, "not scheduled here"), "9999", openflow.CodeNotFound},
	} {
		for whose, answer := range map[string]openflow.JobID{"own ID": "new", "scheduler's ID": "its"} {
			t.Run(name+", "+whose, func(t *testing.T) {
				n := &network{answer: openflow.Submitted{ID: answer}}
				s := service(n, rows{schedulers: map[openflow.JobID]openflow.PartyID{}})
				if tc.scheduler != "" {
					d := dag()
					d.Conf.Scheduler = tc.scheduler
					_, err := s.SubmitJob(t.Context(), openflow.Submission{DAG: d})
					require.NoError(t, err)
				}
				n.knows = func(id openflow.PartyID) error {
					require.Equal(t, tc.asked, id)
					return tc.says
				}
				_, err := s.StopJob(t.Context(), "", answer)
				require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
				require.Equal(t, tc.asked, n.asked)
			})
		}
	}
}

// A scheduler cannot call a job like one that another party schedules here: neither could be named by its ID any more.
func TestIDOfAnotherJobIsNotTaken(t *testing.T) {
	for name, known := range map[string]rows{
		"of another scheduler": {schedulers: map[openflow.JobID]openflow.PartyID{"its": "10002"}},
		"of several":           {err: openflow.Errorf(openflow.CodeConflict, "more than once")},
	} {
		d := dag()
		d.Conf.Scheduler = "10001"
		_, err := service(&network{answer: openflow.Submitted{ID: "its"}}, known).SubmitJob(t.Context(), openflow.Submission{DAG: d})
		require.ErrorContains(t, err, "a job of another scheduler has here", name)
	}
	d := dag()
	d.Conf.Scheduler = "10001"
	again := rows{schedulers: map[openflow.JobID]openflow.PartyID{"its": "10001"}}
	got, err := service(&network{answer: openflow.Submitted{ID: "its"}}, again).SubmitJob(t.Context(), openflow.Submission{DAG: d})
	require.NoError(t, err, "a repeat is the first job")
	require.Equal(t, openflow.JobID("its"), got.ID)
}

// A job whose scheduler could not be remembered could not be stopped.
func TestSubmissionThatCannotBeRemembered(t *testing.T) {
	n, d := &network{}, dag()
	d.Conf.Scheduler = "10001"
	_, err := service(n, rows{forgetful: openflow.Errorf(openflow.CodeInternal, "disk full")}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
	require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
	require.Empty(t, n.subs)
}

// What is legal and probably not meant is in the answer, and on the job under the ID that its scheduler gave it.
func TestWarnings(t *testing.T) {
	d := dag()
	d.Parties = []openflow.Party{guest, host, arbiter}
	r := rows{warnings: map[openflow.JobID][]string{}}
	n := &network{answer: openflow.Submitted{ID: "its", Warnings: []string{"host 10000 does not say which protocols its programs speak"}}}
	got, err := service(n, r).SubmitJob(t.Context(), openflow.Submission{DAG: d, Warnings: []string{"dag.conf.engine: no effect"}})
	require.NoError(t, err)
	require.Len(t, got.Warnings, 3)
	require.Equal(t, "host 10000 does not say which protocols its programs speak", got.Warnings[2], "what the scheduler has found")
	require.Equal(t, "dag.conf.engine: no effect", got.Warnings[0])
	require.Contains(t, got.Warnings[1], "party 10000 is both host and arbiter")
	require.Equal(t, map[openflow.JobID][]string{"its": got.Warnings}, r.warnings)

	n.err = openflow.Errorf(openflow.CodeRejected, "no")
	_, err = service(n, rows{warnings: map[openflow.JobID][]string{}}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
	require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err))
}

// A wrong document is refused before any other node is called.
func TestMistakesAreFoundBeforeAnybodyIsCalled(t *testing.T) {
	n, d := &network{}, dag()
	d.Tasks[0].Component = "wrong"
	_, err := service(n, rows{}).SubmitJob(t.Context(), openflow.Submission{DAG: d})
	require.Len(t, openflow.MistakesOf(err), 2)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.Empty(t, n.subs)
}

// fate-flow-api §4.8: the form, and uniqueness also when the clock stands still or goes back.
func TestIDs(t *testing.T) {
	now := time.Date(2025, 1, 2, 11, 4, 5, 60708999, time.FixedZone("", 8*3600))
	g := initiator.NewIDs(func() time.Time { return now })
	first := string(g.Next())
	salt := first[20:]
	require.Regexp(t, "^[0-9]{5}$", salt)
	require.Equal(t, "20250102030405060708"+salt, first, "UTC")
	require.Equal(t, openflow.JobID("20250102030405060709"+salt), g.Next())
	now = now.Add(-time.Hour)
	require.Equal(t, openflow.JobID("20250102030405060710"+salt), g.Next(), "after the clock was set back")
	now = now.Add(2 * time.Hour)
	require.Equal(t, openflow.JobID("20250102040405060708"+salt), g.Next())
}

// The replicas of a site are processes of their own, and submit in the same microsecond.
func TestIDsOfProcessesDiffer(t *testing.T) {
	now := time.Now()
	made := map[openflow.JobID]bool{}
	for range 20 {
		made[initiator.NewIDs(func() time.Time { return now }).Next()] = true
	}
	require.Greater(t, len(made), 15, "of 100,000 possible ones")
}

func TestIDsAreUniqueAndLegal(t *testing.T) {
	g := initiator.NewIDs(time.Now)
	var mu sync.Mutex
	var ids []openflow.JobID
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				id := g.Next()
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(ids)
	require.Len(t, slices.Compact(ids), 4000)
	for _, id := range ids {
		require.NoError(t, openflow.CheckJobID(id))
		require.LessOrEqual(t, len(id), 25, "§4.8: a genuine node's column")
	}
}

// lr is a site that finds two mistakes in one component.
type lr struct{}

func (lr) Check(_ context.Context, d *openflow.DAG, _ []openflow.Party, _ map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string, error) {
	if d.Tasks[0].Component != "wrong" {
		return nil, nil, nil
	}
	m := openflow.Mistake{Code: openflow.CodeInvalid, Path: "dag.tasks.a", Message: "wrong"}
	return []openflow.Mistake{m, m}, nil, nil
}

// What reading, the graph and the components find wrong is one refusal, and nobody is called.
func TestAllMistakesAreOneRefusal(t *testing.T) {
	d, n := dag(), &network{}
	d.Conf.AutoRetries = -1
	d.Tasks[0].Component = "wrong"
	_, err := service(n, rows{}).SubmitJob(t.Context(), openflow.Submission{DAG: d, Mistakes: []openflow.Mistake{
		{Code: openflow.CodeInvalid, Path: "dag.conf.cores", Message: "expected an integer"},
	}})
	var places []string
	for _, m := range openflow.MistakesOf(err) {
		places = append(places, m.Path)
	}
	require.Equal(t, []string{"dag.conf.cores", "dag.conf.auto_retries", "dag.tasks.a", "dag.tasks.a"}, places)
	require.Empty(t, n.asked)
}
