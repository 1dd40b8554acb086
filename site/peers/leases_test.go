package peers

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/store/catalogue"
)

// answering is a scheduler elsewhere: how its jobs have ended, and which it was asked for.
type answering struct {
	openflow.Directory
	openflow.SchedulerService
	ended map[openflow.JobID]openflow.EndedJob
	asked map[openflow.PartyID][]openflow.JobID
	err   error
}

func (s *answering) Scheduler(_ context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	if id == "10001" {
		return unspoken{}, nil
	}
	return asked{answering: s, of: id}, nil
}

// unspoken is a scheduler whose dialect has no call for the question.
type unspoken struct{ openflow.SchedulerService }

func (unspoken) EndedJobs(context.Context, openflow.PartyID, []openflow.JobID) ([]openflow.EndedJob, error) {
	return nil, openflow.Errorf(openflow.CodeUnimplemented, "its dialect has no call for this")
}

// asked is one scheduler of those.
type asked struct {
	*answering
	of openflow.PartyID
}

func (s asked) EndedJobs(_ context.Context, caller openflow.PartyID, ids []openflow.JobID) (list []openflow.EndedJob, err error) {
	if caller != "9999" {
		return nil, openflow.Errorf(openflow.CodePermission, "asked in the name of %s", caller)
	}
	s.asked[s.of] = ids
	for _, id := range ids {
		if e, ok := s.ended[id]; ok {
			list = append(list, e)
		}
	}
	return list, s.err
}

// leasesOf is party 9999 with what it has under way, and who schedules it.
func leasesOf(t *testing.T) (*Leases, *answering, *others, *catalogue.Catalogue) {
	t.Helper()
	f, o, rows := leaving(t)
	for id, dialect := range map[openflow.PartyID]openflow.Dialect{"10000": native.Name, "10001": fateflow.Name} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: id, URL: "http://x", Dialect: dialect, AddedAt: time.Now()}))
	}
	s := &answering{ended: map[openflow.JobID]openflow.EndedJob{}, asked: map[openflow.PartyID][]openflow.JobID{}}
	return &Leases{
		Self: "9999", Rows: rows, Directory: s, Partner: f.Partner, Log: slog.New(slog.DiscardHandler), Now: inAMinute,
		Every: AskEndsEvery, For: 30 * time.Minute, Unrenewed: 7 * 24 * time.Hour, Idle: time.Hour, Freed: func() {},
	}, s, o, rows
}

// inAMinute is when nothing has been heard of a job for long.
func inAMinute() time.Time { return time.Now().Add(time.Minute) }

// An end that was told twice is taken over as it was; a job that nobody knows has failed.
func TestLostEndsAreTakenOver(t *testing.T) {
	u, s, o, rows := leasesOf(t)
	round := func() []string {
		require.NoError(t, u.Take(t.Context()))
		return o.all()
	}
	require.Empty(t, round())
	require.Equal(t, map[openflow.PartyID][]openflow.JobID{"10000": {"of-10000"}}, s.asked, "neither about its own, nor a node of FATE-Flow, nor what has ended")

	for name, tc := range map[string]struct {
		end  openflow.EndedJob
		want string
	}{
		"with a reason":    {openflow.EndedJob{Status: openflow.JobTimeout, Reason: "too long"}, "timeout: too long"},
		"without a reason": {openflow.EndedJob{Status: openflow.JobCanceled}, "canceled: it is canceled at its scheduler, party 10000"},
		"success":          {openflow.EndedJob{Status: openflow.JobSuccess}, "success: "},
		"forgotten":        {openflow.EndedJob{}, "failed: " + openflow.UnknownToScheduler("10000")},
	} {
		t.Run(name, func(t *testing.T) {
			tc.end.ID = "of-10000"
			s.ended["of-10000"] = tc.end
			require.Empty(t, round(), "the scheduler's own word may be on its way")
			require.Equal(t, []string{"row of-10000 guest " + tc.want}, round())
			delete(s.ended, "of-10000")
			require.Empty(t, round())
		})
	}

	s.ended["of-10000"] = openflow.EndedJob{ID: "of-10000", Status: openflow.JobFailed}
	require.Empty(t, round())
	delete(s.ended, "of-10000")
	require.Empty(t, round())
	s.ended["of-10000"] = openflow.EndedJob{ID: "of-10000", Status: openflow.JobFailed}
	require.Empty(t, round(), "it was told once, and once again")

	u.Now, s.asked = time.Now, map[openflow.PartyID][]openflow.JobID{}
	require.Empty(t, round())
	require.Empty(t, s.asked, "it is young")
	u.Now = inAMinute
	require.NoError(t, rows.DeleteSite(t.Context(), "10000"))
	require.Empty(t, round())
	require.Empty(t, s.asked, "it is no peer any more")
}

// A scheduler that does not answer has said nothing.
func TestSilenceOfASchedulerIsNoEnd(t *testing.T) {
	u, s, o, _ := leasesOf(t)
	var log bytes.Buffer
	u.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	for range 3 {
		require.NoError(t, u.Take(t.Context()))
	}
	require.Empty(t, o.all())
	require.Contains(t, log.String(), "away")
	require.True(t, slices.Contains(s.asked["10000"], "of-10000"))
}

// lease is when a job ends unless it is renewed.
func lease(t *testing.T, rows *catalogue.Catalogue, id openflow.JobID) time.Time {
	t.Helper()
	jobs, err := rows.LeasedJobs(t.Context())
	require.NoError(t, err)
	for _, j := range jobs {
		if j.Job.Job == id {
			return j.Until
		}
	}
	return time.Time{}
}

// A job goes on as long as its scheduler answers, and ends when that has been silent for the time of its lease.
func TestLeaseOfAJob(t *testing.T) {
	l, s, o, rows := leasesOf(t)
	begin := time.Now()
	now := begin.Add(time.Minute)
	l.Now = func() time.Time { return now }
	round := func() []string {
		require.NoError(t, l.Take(t.Context()))
		return o.all()
	}
	first := lease(t, rows, "of-10000")
	require.Empty(t, round())
	require.Equal(t, first, lease(t, rows, "of-10000"), "it is not written in every round")
	for range 10 {
		now = now.Add(20 * time.Minute)
		require.Empty(t, round())
		require.True(t, lease(t, rows, "of-10000").After(now.Add(14*time.Minute)))
	}
	s.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	now = now.Add(10 * time.Minute)
	require.Empty(t, round(), "it may come back")
	now = now.Add(20 * time.Minute)
	require.Equal(t, []string{"row of-10000 guest failed: party 10000, which schedules the job, has not answered for 30m0s whether the job goes on"}, round())

	l.began = time.Time{} // another process, which was down for long
	require.Empty(t, round(), "it has not asked before")
	now = now.Add(time.Minute)
	require.NotEmpty(t, round())
	s.err = nil
	require.Empty(t, round())
}

// Who cannot be asked has a longer time, from its last reservation on.
func TestLeaseOfAJobWhoseSchedulerCannotBeAsked(t *testing.T) {
	l, _, o, rows := leasesOf(t)
	now := time.Now().Add(time.Minute)
	l.Now = func() time.Time { return now }
	round := func() []string {
		require.NoError(t, l.Take(t.Context()))
		return slices.DeleteFunc(o.all(), func(line string) bool { return !bytes.Contains([]byte(line), []byte("of-10001 ")) })
	}
	require.Empty(t, round())
	require.True(t, lease(t, rows, "of-10001").After(now.Add(6*24*time.Hour)))
	now = now.Add(6 * 24 * time.Hour)
	require.Empty(t, round())
	now = now.Add(2 * 24 * time.Hour)
	require.Equal(t, []string{"row of-10001 guest failed: party 10001, which schedules the job, reserved for it more than 168h0m0s ago, and cannot be asked whether it goes on"}, round())
}

// stuck is this site's own part, which cannot end one job now.
type stuck struct {
	openflow.PartnerService
	job openflow.JobID
}

func (s stuck) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	if k.Job == s.job {
		return openflow.Errorf(openflow.CodeUnavailable, "not now")
	}
	return s.PartnerService.StopJob(ctx, k, end)
}

// A job that cannot be ended keeps no other from ending, whichever comes first.
func TestLeaseThatCannotBeEnded(t *testing.T) {
	for _, job := range []openflow.JobID{"of-10000", "another-of-10000"} {
		t.Run(string(job), func(t *testing.T) {
			l, s, o, rows := leasesOf(t)
			guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
			require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{
				ID: "another-of-10000", Party: guest, Scheduler: "10000", Initiator: "10000", Status: openflow.JobReady,
				DAG: &openflow.DAG{Parties: []openflow.Party{guest}}, Peer: "10000", Lease: time.Now().Add(30 * time.Minute),
			}, nil))
			l.Partner = stuck{l.Partner, job}
			for _, id := range []openflow.JobID{"of-10000", "another-of-10000"} {
				s.ended[id] = openflow.EndedJob{ID: id, Status: openflow.JobFailed}
			}
			require.NoError(t, l.Take(t.Context()))
			require.ErrorContains(t, l.Take(t.Context()), "not now")
			require.Len(t, o.all(), 1)
		})
	}
}
