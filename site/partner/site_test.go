package partner_test

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
	"openflow/store/catalogue"
)

// engine records what the service asks of it.
type engine struct {
	openflow.Engine
	started []openflow.TaskOrder
	stopped []stop
	lost    []openflow.TaskOrder
	err     error
	none    error // what StopTask says when no workflow runs
}

type stop struct {
	key    openflow.TaskKey
	status openflow.TaskStatus
	reason string
}

func (e *engine) StartTask(_ context.Context, o openflow.TaskOrder) error {
	e.started = append(e.started, o)
	return e.err
}

func (e *engine) EndTask(_ context.Context, o openflow.TaskOrder) error {
	e.lost = append(e.lost, o)
	return e.err
}

func (e *engine) StopTask(_ context.Context, k openflow.TaskKey, st openflow.TaskStatus, reason string) error {
	e.stopped = append(e.stopped, stop{k, st, reason})
	return cmp.Or(e.none, e.err)
}

type sessions struct{ closed []string }

func (s *sessions) CloseSession(_ context.Context, session string, quarantine time.Duration) error {
	if quarantine < time.Minute {
		return openflow.Errorf(openflow.CodeInternal, "messages on their way would open the session anew")
	}
	s.closed = append(s.closed, session)
	return nil
}

type components struct{}

// mandates believes every scheduler but those that it is told of.
type mandates map[openflow.PartyID]openflow.Code

func (m mandates) OfOrder(_ context.Context, o openflow.JobOrder) (openflow.Authority, error) {
	a := openflow.Authority{Initiator: cmp.Or(o.DAG.Conf.Initiator, o.Key.Scheduler), Scheduler: o.Key.Scheduler, Signed: o.Mandate != nil, Purpose: o.DAG.Conf.Purpose}
	if code := m[o.Key.Scheduler]; code != "" {
		return a, openflow.Errorf(code, "nobody has signed").WithHint("sign it")
	}
	return a, nil
}

// site is party 10000, the host and arbiter of jobs that party 9999 schedules.
type site struct {
	*partner.Service
	t         *testing.T
	catalogue *catalogue.Catalogue
	engine    *engine
	sessions  *sessions
	file      string // of the catalogue
}

func newSite(t *testing.T) *site {
	t.Helper()
	file := filepath.Join(t.TempDir(), "catalogue.db")
	c, err := catalogue.Open(t.Context(), catalogue.Options{File: file})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s := &site{t: t, file: file, catalogue: c, engine: &engine{}, sessions: &sessions{}}
	limits := partner.DefaultLimits()
	limits.Cores = 8
	limits.Quota = openflow.Quota{Cores: 1 << 20, Memory: 1 << 60, GPUs: 1 << 20, Priority: 1 << 30} // leases_test.go is about it
	s.Service = &partner.Service{
		Self: "10000", Store: c, Engine: s.engine, Sessions: s.sessions, Components: components{}, Mandates: mandates{}, Limits: limits,
		Log: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, c.SaveTable(t.Context(), openflow.TableRecord{
		Name: openflow.TableName{Namespace: "experiment", Name: "breast"}, Count: 1, DataType: "table",
	}))
	s.grants(
		openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "9999"}, openflow.Grant{Kind: openflow.GrantSchedule, Scheduler: "9999"},
		openflow.Grant{
			Kind: openflow.GrantUse, Initiator: "9999", Components: []openflow.GrantedComponent{{Name: "*"}},
			Tables: []openflow.GrantedTable{{Name: openflow.TableName{Namespace: "experiment", Name: "breast"}}},
		})
	return s
}

// grants makes grants, and returns their IDs.
func (s *site) grants(list ...openflow.Grant) (ids []openflow.GrantID) {
	s.t.Helper()
	for _, g := range list {
		made, err := s.catalogue.AddGrant(s.t.Context(), g)
		require.NoError(s.t, err)
		ids = append(ids, made.ID)
	}
	return ids
}

func dag() *openflow.DAG {
	return &openflow.DAG{
		SchemaVersion: "2.2.0", Parties: []openflow.Party{guest, host, arbiter},
		Conf: openflow.JobConf{Scheduler: "9999", Initiator: "9999", SyncType: openflow.Callback, ModelID: "m", ModelVersion: "0"},
		Tasks: []openflow.Task{
			{
				Name: "reader_0", Component: "reader", Parties: []openflow.Party{guest, host},
				Parameters: openflow.Parameters{"namespace": "experiment", "name": "breast"},
			},
			{Name: "lr_0", Component: "lr", DependsOn: []openflow.TaskName{"reader_0"}},
		},
	}
}

func jobKey(job openflow.JobID, p openflow.Party) openflow.JobKey {
	return openflow.JobKey{Scheduler: "9999", Job: job, Party: p}
}

// of is the run of another scheduler's job of the same ID.
func of(scheduler openflow.PartyID, k openflow.TaskKey) openflow.TaskKey {
	k.Scheduler = scheduler
	return k
}

func taskKey(job openflow.JobID, name openflow.TaskName, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: "9999", Job: job, Task: name, Party: p}
}

// creates records a job without its resources.
func (s *site) creates(ctx context.Context, o openflow.JobOrder) error {
	o.Later = true
	r, err := s.OpenJob(ctx, o)
	require.Equal(s.t, openflow.Reservation{}, r)
	return err
}

// opens is OpenJob where the job gets its resources or an error says why not.
func (s *site) opens(ctx context.Context, o openflow.JobOrder) error {
	return held(s.OpenJob(ctx, o))
}

// reserves is Reserve likewise.
func (s *site) reserves(ctx context.Context, k openflow.JobKey) error { return held(s.Reserve(ctx, k)) }

func held(r openflow.Reservation, err error) error {
	if err == nil && !r.Held {
		err = r.Err()
	}
	return err
}

// tellsOf is news of one task from that scheduler.
func (s *site) tellsOf(ctx context.Context, scheduler openflow.PartyID, u openflow.TaskUpdate) error {
	u.Key.Scheduler = scheduler
	return s.Tell(ctx, u.Key.JobKey(), openflow.News{Tasks: []openflow.TaskUpdate{u}})
}

// create records a job and moves it to running, as a scheduler would.
func (s *site) running(job openflow.JobID, d *openflow.DAG) {
	s.t.Helper()
	k := jobKey(job, host)
	require.NoError(s.t, s.creates(s.t.Context(), openflow.JobOrder{Key: k, DAG: d}))
	require.NoError(s.t, s.reserves(s.t.Context(), k))
	require.NoError(s.t, s.Tell(s.t.Context(), k, openflow.News{Status: openflow.JobRunning}))
}

func (s *site) job(job openflow.JobID) openflow.JobRecord {
	s.t.Helper()
	r, err := s.catalogue.Job(s.t.Context(), jobKey(job, host))
	require.NoError(s.t, err)
	return r
}

func (s *site) task(k openflow.TaskKey) openflow.TaskRecord {
	s.t.Helper()
	r, err := s.catalogue.Task(s.t.Context(), k)
	require.NoError(s.t, err)
	return r
}

// runs lets a started task run, as its workflow would.
func (s *site) runs(k openflow.TaskKey) {
	s.t.Helper()
	require.NoError(s.t, s.StartTask(s.t.Context(), openflow.TaskStart{TaskKey: k}))
	_, err := s.catalogue.StartTask(s.t.Context(), k, openflow.Launch{Runtime: "fake", Container: "c"})
	require.NoError(s.t, err)
}

func (s *site) ends(k openflow.TaskKey, st openflow.TaskStatus) {
	s.t.Helper()
	_, err := s.catalogue.FinishTask(s.t.Context(), k, openflow.TaskEnd{Status: st})
	require.NoError(s.t, err)
}
