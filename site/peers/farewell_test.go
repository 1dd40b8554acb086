package peers

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// others is everything that a farewell tells: workflows, this party's own part, and schedulers elsewhere.
type others struct {
	mu   sync.Mutex
	told []string
	err  error // of everybody elsewhere
}

func (o *others) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, what)
}

func (o *others) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := o.told
	o.told = nil
	slices.Sort(list)
	return list
}

type workflowsOf struct {
	openflow.Engine
	*others
}

func (w workflowsOf) StopJob(_ context.Context, id openflow.JobID, status openflow.JobStatus, reason string) (openflow.Stopped, error) {
	w.note("workflow " + string(id) + " " + string(status) + ": " + reason)
	return openflow.Stopped{}, openflow.Errorf(openflow.CodeNotFound, "it has just ended")
}

type ownPart struct {
	openflow.PartnerService
	*others
}

func (p ownPart) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	p.note("row " + string(k.Job) + " " + string(k.Party.Role) + " " + string(end.Status) + ": " + end.Reason)
	return nil
}

type elsewhere struct {
	openflow.SchedulerService
	*others
	id openflow.PartyID
}

func (e elsewhere) StopJob(_ context.Context, caller openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	e.note("scheduler " + string(e.id) + " of " + string(id) + " by " + string(caller) + " " + string(status))
	return openflow.Stopped{}, e.err
}

type schedulersOf struct {
	openflow.Directory
	*others
}

func (s schedulersOf) Scheduler(_ context.Context, id openflow.PartyID) (openflow.SchedulerService, error) {
	return elsewhere{others: s.others, id: id}, nil
}

// leaving is party 9999 with jobs of its own and of others, all under way but one of each kind.
func leaving(t *testing.T) (Farewell, *others, *catalogue.Catalogue) {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "catalogue.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	party := func(role openflow.Role, id openflow.PartyID) openflow.Party {
		return openflow.Party{Role: role, ID: id}
	}
	guest, host, third := party(openflow.RoleGuest, "9999"), party(openflow.RoleHost, "10000"), party(openflow.RoleArbiter, "10001")
	for id, parties := range map[openflow.JobID][]openflow.Party{"own-with-10000": {guest, host}, "own-with-10001": {guest, third}, "own-done": {guest, host}} {
		_, err := rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: id, Initiator: "9999", DAG: &openflow.DAG{Parties: parties, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}}})
		require.NoError(t, err)
	}
	_, err = rows.UpdateScheduledJob(t.Context(), "own-done", openflow.JobFailed, "")
	require.NoError(t, err)
	for id, j := range map[openflow.JobID]struct {
		scheduler openflow.PartyID
		parties   []openflow.Party
	}{
		"own-with-10000": {"9999", []openflow.Party{guest, host}}, "of-10000": {"10000", []openflow.Party{guest, host}},
		"of-10001-with-10000": {"10001", []openflow.Party{guest, host, third}}, "of-10001": {"10001", []openflow.Party{guest, third}},
		"of-10000-done": {"10000", []openflow.Party{guest, host}},
	} {
		job := openflow.JobRecord{
			ID: id, Party: guest, Scheduler: j.scheduler, Initiator: j.scheduler, Status: openflow.JobReady, DAG: &openflow.DAG{Parties: j.parties},
		}
		if j.scheduler != "9999" {
			job.Peer, job.Lease = j.scheduler, time.Now().Add(30*time.Minute)
		}
		require.NoError(t, rows.CreateJob(t.Context(), job, nil))
	}
	_, err = rows.UpdateJobStatus(t.Context(), openflow.JobKey{Scheduler: "10000", Job: "of-10000-done", Party: guest}, openflow.JobFailed, "")
	require.NoError(t, err)
	o := &others{}
	return Farewell{
		Self: "9999", Rows: rows, Engine: workflowsOf{others: o}, Partner: ownPart{others: o}, Directory: schedulersOf{others: o},
		Log: slog.New(slog.DiscardHandler),
	}, o, rows
}

func TestFarewellEndsWhatIsShared(t *testing.T) {
	f, o, rows := leaving(t)
	want := []string{
		"row of-10000 guest canceled: party 10000 was removed at party 9999",
		"scheduler 10000 of of-10000 by 9999 canceled",
		"scheduler 10001 of of-10001-with-10000 by 9999 canceled",
		"workflow own-with-10000 canceled: party 10000 was removed at party 9999",
	}
	ended, err := f.To(t.Context(), "10000")
	require.NoError(t, err)
	require.Equal(t, want, o.all())
	of := openflow.JobKey{Scheduler: "10000", Job: "of-10000", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	require.Equal(t, []openflow.JobKey{of}, ended)
	require.NoError(t, rows.SetJobReason(t.Context(), of, "stopped by party 9999")) // the scheduler's word, while it is a peer
	require.NoError(t, f.restate(t.Context(), ended))
	row, err := rows.Job(t.Context(), of)
	require.NoError(t, err)
	require.Equal(t, "party 10000 was removed at party 9999", row.Reason)

	var log bytes.Buffer
	f.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.err = openflow.Errorf(openflow.CodeUnavailable, "away")
	_, err = f.To(t.Context(), "10000")
	require.NoError(t, err, "that the others do not answer does not keep a peer here")
	require.Equal(t, want, o.all())
	require.Contains(t, log.String(), "of-10000")
}

// What a removal has missed is ended by upkeep: of parties that are no peers, and of no others.
func TestFarewellToStrangers(t *testing.T) {
	f, o, rows := leaving(t)
	for _, id := range []openflow.PartyID{"10000", "10001"} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: id, URL: "http://x", AddedAt: time.Now()}))
	}
	require.NoError(t, f.ToStrangers(t.Context()))
	require.Empty(t, o.all())
	guest := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	_, err := rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{
		ID: "for-10001", Initiator: "10001", DAG: &openflow.DAG{Parties: []openflow.Party{guest}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}}},
	})
	require.NoError(t, err)
	require.NoError(t, f.ToStrangers(t.Context()))
	require.Empty(t, o.all())
	_, err = f.To(t.Context(), "10001")
	require.NoError(t, err)
	require.Contains(t, o.all(), "workflow for-10001 canceled: party 10001 was removed at party 9999")
	require.NoError(t, rows.DeleteSite(t.Context(), "10001"))
	require.NoError(t, f.ToStrangers(t.Context()))
	require.Equal(t, []string{
		"row of-10001 guest canceled: party 10001 was removed at party 9999",
		"row of-10001-with-10000 guest canceled: party 10001 was removed at party 9999",
		"workflow for-10001 canceled: party 10001 was removed at party 9999",
		"workflow own-with-10001 canceled: party 10001 was removed at party 9999",
	}, o.all())
}

// A job that names a stranger ends. Jobs between peers do not, whoever has submitted the one with the stranger.
func TestStrangerInAJobOfAPeer(t *testing.T) {
	f, o, rows := leaving(t)
	for _, id := range []openflow.PartyID{"10000", "10001"} {
		require.NoError(t, rows.SaveSite(t.Context(), openflow.SiteRecord{Party: id, URL: "http://x", AddedAt: time.Now()}))
	}
	guest, peer, stranger := openflow.Party{Role: openflow.RoleGuest, ID: "9999"}, openflow.Party{Role: openflow.RoleArbiter, ID: "10001"},
		openflow.Party{Role: openflow.RoleHost, ID: "7777"}
	require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{
		ID: "of-10001-with-7777", Party: guest, Scheduler: "10001", Initiator: "10001", Status: openflow.JobReady,
		DAG: &openflow.DAG{Parties: []openflow.Party{guest, stranger, peer}},
	}, nil))
	_, err := rows.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{
		ID: "named", Initiator: "10000", DAG: &openflow.DAG{
			Parties: []openflow.Party{{Role: openflow.RoleGuest, ID: "10000"}, stranger}, Tasks: []openflow.Task{{Name: "a", Component: "noop"}},
		},
	})
	require.NoError(t, err)
	require.NoError(t, f.ToStrangers(t.Context()))
	require.Equal(t, []string{"workflow named canceled: party 7777 was removed at party 9999"}, o.all())
}

// A job that cannot be ended here keeps no other from ending: neither when a peer is removed, nor afterwards.
func TestFarewellToAJobThatCannotBeEnded(t *testing.T) {
	rows := func(o *others) (list []string) {
		for _, line := range o.all() {
			if strings.HasPrefix(line, "row ") {
				list = append(list, strings.Fields(line)[1])
			}
		}
		return list
	}
	f, o, _ := leaving(t)
	f.Partner = stuck{f.Partner, "of-10001"}
	require.ErrorContains(t, f.ToStrangers(t.Context()), "not now")
	require.Equal(t, []string{"of-10000", "of-10001-with-10000"}, rows(o))
	ended, err := f.To(t.Context(), "10001")
	require.ErrorContains(t, err, "not now")
	require.Len(t, ended, 1)
	require.Equal(t, []string{"of-10001-with-10000"}, rows(o))
}
