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
	of    openflow.PartyID
	ended map[openflow.JobID]openflow.EndedJob
	asked map[openflow.PartyID][]openflow.JobID
	err   error
}

func (s *answering) Scheduler(_ context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	s.of = id
	return s, nil
}

func (s *answering) EndedJobs(_ context.Context, caller openflow.PartyID, ids []openflow.JobID) (list []openflow.EndedJob, err error) {
	if caller != "9999" {
		return nil, openflow.Errorf(openflow.CodePermission, "asked in the name of %s", caller)
	}
	if s.of == "10001" {
		return nil, openflow.Errorf(openflow.CodeUnimplemented, "its dialect has no call for this")
	}
	s.asked[s.of] = ids
	for _, id := range ids {
		if e, ok := s.ended[id]; ok {
			list = append(list, e)
		}
	}
	return list, s.err
}

// unheardOf is party 9999 with what it has under way, and who schedules it.
func unheardOf(t *testing.T) (*Unheard, *answering, *others, *catalogue.Catalogue) {
	t.Helper()
	f, o, rows := leaving(t)
	for id, dialect := range map[openflow.PartyID]openflow.Dialect{"10000": native.Name, "10001": fateflow.Name} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: id, URL: "http://x", Dialect: dialect, AddedAt: time.Now()}))
	}
	s := &answering{ended: map[openflow.JobID]openflow.EndedJob{}, asked: map[openflow.PartyID][]openflow.JobID{}}
	return &Unheard{
		Self: "9999", Rows: rows, Directory: s, Partner: f.Partner, Log: slog.New(slog.DiscardHandler), Now: inAMinute,
	}, s, o, rows
}

// inAMinute is when nothing has been heard of a job for long.
func inAMinute() time.Time { return time.Now().Add(time.Minute) }

// An end that was told twice is taken over as it was; a job that nobody knows has failed.
func TestUnheardEndsAreTakenOver(t *testing.T) {
	u, s, o, rows := unheardOf(t)
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
func TestUnheardOfASilentScheduler(t *testing.T) {
	u, s, o, _ := unheardOf(t)
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
