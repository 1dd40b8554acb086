package initiator_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// closing is this node as a participant that notes what it ends for good.
type closing struct {
	ends
	ended map[openflow.JobKey]string
	err   error
}

func (c closing) EndHere(_ context.Context, k openflow.JobKey, reason string) error {
	c.ended[k] = reason
	return c.err
}

// refusing is a scheduler that wants no job to stop. It tells that it was asked.
type refusing struct {
	network
	asked chan openflow.JobID
}

func (r *refusing) Scheduler(context.Context, openflow.PartyID) (openflow.SchedulerService, error) {
	return r, nil
}

func (r *refusing) StopJob(_ context.Context, _ openflow.PartyID, id openflow.JobID, _ openflow.JobStatus) (openflow.Stopped, error) {
	r.asked <- id
	return openflow.Stopped{}, openflow.Errorf(openflow.CodePermission, "it goes on")
}

// A site ends its own part without asking anybody, in each of its roles, and the scheduler is told afterwards.
func TestStopHere(t *testing.T) {
	row := openflow.JobRecord{ID: "1", Scheduler: "10000", Party: guest, Status: openflow.JobRunning}
	other := row
	other.Party = openflow.Party{Role: openflow.RoleArbiter, ID: "9999"}
	c, r := closing{ended: map[openflow.JobKey]string{}}, &refusing{asked: make(chan openflow.JobID, 1)}
	s := service(&r.network, rows{list: []openflow.JobRecord{row, other}})
	s.Directory, s.Ends, s.Log = r, c, slog.New(slog.DiscardHandler)
	got, err := s.StopHere(t.Context(), "", "1")
	require.NoError(t, err)
	why := "stopped at party 9999 by its operator"
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: why, Stopping: []openflow.Party{guest, other.Party}}, got)
	require.Equal(t, map[openflow.JobKey]string{row.Key(): why, other.Key(): why}, c.ended)
	require.Equal(t, openflow.JobID("1"), <-r.asked)

	row.Status, row.Reason = openflow.JobFailed, "why"
	s.Rows = rows{list: []openflow.JobRecord{row}}
	got, err = s.StopHere(t.Context(), "10000", "1")
	require.NoError(t, err)
	require.Equal(t, openflow.Stopped{Status: openflow.JobFailed, Reason: "why"}, got, "what has ended stays so, and is not opened again")

	s.Rows = rows{}
	_, err = s.StopHere(t.Context(), "10000", "1")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	c.err = openflow.Errorf(openflow.CodeUnavailable, "the database is away")
	s.Ends, s.Rows = c, rows{list: []openflow.JobRecord{other}}
	_, err = s.StopHere(t.Context(), "10000", "1")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}
