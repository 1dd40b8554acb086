package partner_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
	"openflow/store/catalogue"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10000"}
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func (components) Providers(_ context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error) {
	served := make([]openflow.Served, len(specs))
	for i, spec := range specs {
		name, provider := spec.Component, spec.Conf.Provider
		if name == "unknown" || provider == "fate:9.9.9@docker" {
			return nil, openflow.Errorf(openflow.CodeNotFound, "no provider of %s", name)
		}
		served[i] = openflow.Served{Provider: "openflow:1@docker", Digest: digest, Defaults: openflow.Parameters{"epochs": 10}}
		if name == "hungry" {
			served[i].Least = openflow.Resources{Cores: 6, Memory: 2 << 30}
		}
	}
	return served, nil
}

func (components) Spoken(context.Context, []openflow.TaskRecord) ([]openflow.Spoken, error) {
	return nil, nil
}

func (components) Check(context.Context, *openflow.DAG, []openflow.Party, map[openflow.TableName]openflow.TableRecord) ([]openflow.Mistake, []string, error) {
	return nil, nil, nil
}

func TestOpenJob(t *testing.T) {
	s := newSite(t)
	order := openflow.JobOrder{Key: jobKey("1", host), DAG: dag(), UserName: "u"}
	require.NoError(t, s.creates(t.Context(), order))
	require.NoError(t, s.creates(t.Context(), order), "a repeat is answered as the first time")

	j := s.job("1")
	require.Equal(t, openflow.JobReady, j.Status)
	require.Equal(t, "u", j.UserName)
	require.Equal(t, openflow.PartyID("9999"), j.Initiator)
	tasks, err := s.catalogue.TasksOfJob(t.Context(), order.Key)
	require.NoError(t, err)
	require.Len(t, tasks, 2)
	for _, task := range tasks {
		require.Equal(t, openflow.TaskWaiting, task.Status)
		require.Equal(t, openflow.TaskWaiting, task.PartyStatus)
		require.Equal(t, "openflow:1@docker", task.Provider)
		require.Equal(t, partner.DefaultLimits().TaskTimeout, task.Spec.Conf.Timeout)
		require.Equal(t, partner.DefaultLimits().TaskMemory, task.MemoryBytes)
	}
	require.Empty(t, s.engine.started, "nothing runs")

	other := order
	other.DAG = dag()
	other.DAG.Tasks[1].Component = "boost"
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.creates(t.Context(), other)))
	own := order
	own.Key = jobKey("1", arbiter)
	require.NoError(t, s.creates(t.Context(), own), "one site may play several roles")
}

// speaks is a site whose programs speak two protocols.
type speaks struct{ components }

var usual, other = openflow.Protocol{Name: "openflow/lr", Version: "2"}, openflow.Protocol{Name: "openflow/lr", Version: "1"}

func (s speaks) Providers(ctx context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error) {
	served, err := s.components.Providers(ctx, specs)
	for i := range served {
		served[i].Protocols = []openflow.Protocol{usual, other}
	}
	return served, err
}

func (speaks) Spoken(_ context.Context, tasks []openflow.TaskRecord) (list []openflow.Spoken, err error) {
	for _, t := range tasks {
		ref, err := openflow.ParseProvider(t.Provider)
		if err != nil {
			return nil, err
		}
		list = append(list, openflow.Spoken{Task: t.Key.Task, Provider: openflow.ProviderRef{Name: ref.Name, Version: ref.Version}, Protocols: []openflow.Protocol{usual, other}})
	}
	return list, nil
}

// The answer to the creation tells what would run each task that is run with others, also a repeat. Until the scheduler says what
// they have in common, a run speaks its program's first.
func TestPartyTellsWhatItSpeaks(t *testing.T) {
	s := newSite(t)
	s.Components = speaks{}
	d := dag()
	d.Conf.AutoRetries = 1
	d.Tasks = append(d.Tasks, openflow.Task{Name: "alone", Component: "lr", Parties: []openflow.Party{host}})
	order := openflow.JobOrder{Key: jobKey("1", host), DAG: d}
	for range 2 {
		got, err := s.OpenJob(t.Context(), order)
		require.NoError(t, err)
		require.True(t, got.Held)
		require.Len(t, got.Spoken, 2, "nothing of what it runs alone")
		for _, said := range got.Spoken {
			require.NotEqual(t, openflow.TaskName("alone"), said.Task)
			require.Equal(t, openflow.ProviderRef{Name: "openflow", Version: "1"}, said.Provider)
			require.Equal(t, []openflow.Protocol{usual, other}, said.Protocols)
		}
		s.Components = none{} // a repeat is answered as the first time, as far as is still known
		got, err = s.OpenJob(t.Context(), order)
		require.NoError(t, err)
		require.Empty(t, got.Spoken)
		s.Components = speaks{}
	}
	lr, alone := taskKey("1", "lr_0", host), taskKey("1", "alone", host)
	require.Equal(t, usual, s.task(lr).Protocol)
	require.Zero(t, s.task(alone).Protocol)

	require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Status: openflow.JobRunning}))
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr, Protocol: other}))
	require.Equal(t, other, s.task(lr).Protocol)
	s.ends(lr, openflow.TaskFailed)
	again := lr
	again.Version = 1
	require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Tasks: []openflow.TaskUpdate{{Key: again, Status: openflow.TaskWaiting}}}))
	require.Equal(t, other, s.task(again).Protocol, "a further version speaks what was agreed")
}

// A scheduler chooses among what the party has offered for the task. That is no protocol of before, none for a task that a party
// runs alone, and none of a program that is gone. A run that goes on keeps what it was told.
func TestPartySpeaksOnlyWhatItHasOffered(t *testing.T) {
	s := newSite(t)
	s.Components = speaks{}
	d := dag()
	d.Tasks = append(d.Tasks, openflow.Task{Name: "alone", Component: "lr", Parties: []openflow.Party{host}})
	order := openflow.JobOrder{Key: jobKey("1", host), DAG: d}
	_, err := s.OpenJob(t.Context(), order)
	require.NoError(t, err)
	require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Status: openflow.JobRunning}))
	lr, alone := taskKey("1", "lr_0", host), taskKey("1", "alone", host)
	for name, start := range map[string]openflow.TaskStart{
		"an old version":                   {TaskKey: lr, Protocol: openflow.Protocol{Name: usual.Name, Version: "0"}},
		"another's protocol":               {TaskKey: lr, Protocol: openflow.Protocol{Name: "acme/lr", Version: usual.Version}},
		"that of a task of several, alone": {TaskKey: alone, Protocol: usual},
	} {
		err := s.StartTask(t.Context(), start)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "has not offered", name)
	}
	s.Components = none{}
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr, Protocol: other})), "its program is gone")
	s.Components = speaks{}
	require.Equal(t, usual, s.task(lr).Protocol)
	require.Zero(t, s.task(alone).Protocol)
	require.Equal(t, openflow.TaskWaiting, s.task(lr).PartyStatus)

	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr, Protocol: other}))
	_, err = s.catalogue.StartTask(t.Context(), lr, openflow.Launch{})
	require.NoError(t, err)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr, Protocol: usual}), "a repeat")
	require.Equal(t, other, s.task(lr).Protocol)
}

// shares is a site whose components are resident.
type shares struct{ components }

func (s shares) Providers(ctx context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error) {
	served, err := s.components.Providers(ctx, specs)
	for i := range served {
		served[i].Resident = 4
	}
	return served, err
}

// A run knows how many share a container. One that follows a run whose container may have ended gets its own.
func TestResidentRuns(t *testing.T) {
	for code, want := range map[openflow.Code]int{openflow.CodeRejected: 4, openflow.CodeUnavailable: 0} {
		s := newSite(t)
		s.Components = shares{}
		d := dag()
		d.Conf.AutoRetries = 1
		order := openflow.JobOrder{Key: jobKey("1", host), DAG: d}
		_, err := s.OpenJob(t.Context(), order)
		require.NoError(t, err)
		lr := taskKey("1", "lr_0", host)
		require.Equal(t, 4, s.task(lr).Spec.Resident)
		require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Status: openflow.JobRunning}))
		require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: lr}))
		_, err = s.catalogue.FinishTask(t.Context(), lr, openflow.TaskEnd{Status: openflow.TaskFailed, Cause: openflow.Cause{Code: code}})
		require.NoError(t, err)
		again := lr
		again.Version = 1
		require.NoError(t, s.Tell(t.Context(), order.Key, openflow.News{Tasks: []openflow.TaskUpdate{{Key: again, Status: openflow.TaskWaiting}}}))
		require.Equal(t, want, s.task(again).Spec.Resident, code)
	}
}

func TestOpenJobRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*openflow.JobOrder)
		code   openflow.Code
		text   string
	}{
		"for another site": {func(o *openflow.JobOrder) { o.Key.Party = guest }, openflow.CodeInvalid, "this is party 10000, not 9999"},
		"not a party":      {func(o *openflow.JobOrder) { o.Key.Party.Role = openflow.RoleGuest }, openflow.CodeInvalid, "guest 10000 takes part in no task"},
		"session of another job": {
			func(o *openflow.JobOrder) { o.Key.Job = "1_reader" }, openflow.CodeInvalid, `job_id "1_reader"`,
		},
		"broken DAG":        {func(o *openflow.JobOrder) { o.DAG.Tasks[1].DependsOn = []openflow.TaskName{"x"} }, openflow.CodeInvalid, "dag.tasks.lr_0.dependent_tasks"},
		"unknown component": {func(o *openflow.JobOrder) { o.DAG.Tasks[1].Component = "unknown" }, openflow.CodeNotFound, "no provider of unknown"},
		"unknown provider":  {func(o *openflow.JobOrder) { o.DAG.Conf.Task.Provider = "fate:9.9.9@docker" }, openflow.CodeNotFound, "no provider"},
		"no table": {
			func(o *openflow.JobOrder) {
				o.Key.Scheduler, o.DAG.Conf.Initiator, o.DAG.Tasks[0].Parameters["name"] = "10000", "10000", "missing"
			},
			openflow.CodeNotFound, "no table experiment/missing",
		},
		"table not granted": {
			func(o *openflow.JobOrder) { o.DAG.Tasks[0].Parameters["name"] = "secret" }, openflow.CodePermission, "experiment/secret",
		},
		"label that is none": {
			func(o *openflow.JobOrder) { o.DAG.Tasks[1].Conf.Label = "g pu" }, openflow.CodeInvalid, "engine_run.label",
		},
		"stranger": {func(o *openflow.JobOrder) { o.Key.Scheduler = "666" }, openflow.CodePermission, "666"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			order := openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}
			tc.change(&order)
			err := s.creates(t.Context(), order)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.text)
			n, err := s.catalogue.CountJobs(t.Context(), catalogue.JobFilter{})
			require.NoError(t, err)
			require.Zero(t, n)
		})
	}
}

// What the initiator has not signed is refused before anything else is looked at. The operator reads why, and what to do.
func TestJobWithoutAuthority(t *testing.T) {
	for _, code := range []openflow.Code{openflow.CodePermission, openflow.CodeUnauthorized} {
		s := newSite(t)
		var log bytes.Buffer
		s.Log, s.Mandates, s.GrantAll = slog.New(slog.NewTextHandler(&log, nil)), mandates{"9999": code}, true
		broken := dag()
		broken.Tasks = nil
		for _, d := range []*openflow.DAG{dag(), broken} {
			err := s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: d})
			require.Equal(t, code, openflow.CodeOf(err))
		}
		n, err := s.catalogue.CountJobs(t.Context(), catalogue.JobFilter{})
		require.NoError(t, err)
		require.Zero(t, n)
		for _, said := range []string{"a job is refused", "scheduler=9999", "nobody has signed (sign it)"} {
			require.Contains(t, log.String(), said)
		}
	}
}

// The row of a job tells on whose authority it runs.
func TestAuthorityOfAJob(t *testing.T) {
	s, d := newSite(t), dag()
	d.Conf.Initiator, d.Conf.Purpose = "10001", "credit scoring"
	use := whole()
	use.Initiator = "10001"
	s.grants(openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "10001"}, use)
	require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: d, Mandate: &openflow.Mandate{}}))
	require.Equal(t, openflow.Authority{Initiator: "10001", Scheduler: "9999", Purpose: "credit scoring", Signed: true}, s.job("1").Authority())
	d = dag()
	d.Conf.Initiator = ""
	require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: jobKey("2", host), DAG: d}))
	require.Equal(t, openflow.Authority{Initiator: "9999", Scheduler: "9999"}, s.job("2").Authority())
}

func TestOwnJobsAndTrialsNeedNoGrants(t *testing.T) {
	s := newSite(t)
	own := openflow.JobOrder{Key: openflow.JobKey{Scheduler: "10000", Job: "1", Party: host}, DAG: dag()}
	own.DAG.Conf.Initiator = "10000"
	require.NoError(t, s.creates(t.Context(), own))
	s.GrantAll = true
	require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: openflow.JobKey{Scheduler: "666", Job: "2", Party: host}, DAG: dag()}))
}

func TestTellOfAJob(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	ctx, k := t.Context(), jobKey("1", host)
	require.NoError(t, s.Tell(ctx, k, openflow.News{Reason: "waits for party 9999", Progress: 50}))
	require.Equal(t, "waits for party 9999", s.job("1").Reason)
	require.Equal(t, 50, s.job("1").Progress)
	require.NoError(t, s.Tell(ctx, k, openflow.News{Progress: 20}))
	require.Equal(t, 50, s.job("1").Progress, "it only grows")
	require.NoError(t, s.Tell(ctx, k, openflow.News{Status: openflow.JobFailed, Reason: "why"}))
	require.Equal(t, openflow.JobFailed, s.job("1").Status)
	require.Equal(t, "why", s.job("1").Reason)
	require.NoError(t, s.Tell(ctx, k, openflow.News{Status: openflow.JobFailed, Reason: "again"}), "a repeat is success")
	require.Equal(t, "why", s.job("1").Reason)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.Tell(ctx, jobKey("9", host), openflow.News{Status: openflow.JobFailed, Reason: ""})))
}

// A scheduler that was restored from a backup may have ended a job otherwise that has succeeded here.
func TestJobThatSucceededTakesNoReason(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	ctx, k := t.Context(), jobKey("1", host)
	require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobSuccess}))
	require.Equal(t, openflow.JobSuccess, s.job("1").Status)
	require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed, Reason: "the machine lost the program"}))
	require.NoError(t, s.Tell(ctx, k, openflow.News{Reason: "the machine lost the program"}))
	require.Equal(t, openflow.JobSuccess, s.job("1").Status)
	require.Empty(t, s.job("1").Reason)
}

func TestStartTask(t *testing.T) {
	s := newSite(t)
	ctx, k := t.Context(), taskKey("1", "lr_0", host)
	d := dag()
	require.NoError(t, s.creates(ctx, openflow.JobOrder{Key: jobKey("1", host), DAG: d}))
	err := s.StartTask(ctx, openflow.TaskStart{TaskKey: k})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "its job does not run")
	require.NoError(t, s.reserves(ctx, jobKey("1", host)))
	require.NoError(t, s.Tell(ctx, jobKey("1", host), openflow.News{Status: openflow.JobRunning}))

	for range 2 {
		require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: k}))
	}
	want := openflow.TaskOrder{Key: k, Report: true, Timeout: 72 * time.Hour, Component: "lr", Cores: 4}
	require.Equal(t, []openflow.TaskOrder{want, want}, s.engine.started, "the engine knows a repeat")
	require.Zero(t, s.job("1").RemainingCores)

	err = s.StartTask(ctx, openflow.TaskStart{TaskKey: taskKey("1", "reader_0", host)})
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "the job has four cores")
	require.NotEmpty(t, s.task(taskKey("1", "reader_0", host)).Reason)

	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.StartTask(ctx, openflow.TaskStart{TaskKey: of("666", k)})), "a stranger finds nothing")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.StartTask(ctx, openflow.TaskStart{TaskKey: taskKey("1", "x", host)})))

	s.ends(k, openflow.TaskSuccess)
	require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: k}))
	require.Len(t, s.engine.started, 2, "what has run does not run again")
	require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: taskKey("1", "reader_0", host)}), "its cores are back")
}

// endsMeanwhile ends a run just before it takes its resources.
type endsMeanwhile struct {
	partner.Store
	end func()
}

func (s endsMeanwhile) ApplyTaskResources(ctx context.Context, k openflow.TaskKey, gpus int, rule openflow.Quota) error {
	s.end()
	return s.Store.ApplyTaskResources(ctx, k, gpus, rule)
}

// A slow answer makes the scheduler ask again, and the run may end at that very moment.
func TestRepeatedStartMeetsTheEnd(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	k := taskKey("1", "lr_0", host)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}))
	s.Store = endsMeanwhile{s.Store, func() { s.ends(k, openflow.TaskSuccess) }}
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k}), "answered as the first time")
	require.Len(t, s.engine.started, 1)
	require.Equal(t, openflow.TaskSuccess, s.task(k).PartyStatus)
}

// poolOf is a pool that every run with that label is for.
type poolOf struct{ label string }

func (p poolOf) Pooling(_ context.Context, label string) (*openflow.Pooling, error) {
	switch label {
	case "broken":
		return nil, openflow.Errorf(openflow.CodeUnavailable, "the catalogue does not answer")
	case p.label:
		return &openflow.Pooling{Wait: time.Minute, Gone: time.Second}, nil
	}
	return nil, nil
}

func TestTaskOfAPollJobDoesNotReport(t *testing.T) {
	s := newSite(t)
	d := dag()
	d.Conf.SyncType, d.Tasks[1].Conf.Timeout = openflow.Poll, time.Minute
	s.running("1", d)
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host)}))
	require.False(t, s.engine.started[0].Report)
	require.Equal(t, time.Minute, s.engine.started[0].Timeout)
}

func TestTellOfATask(t *testing.T) {
	type status = openflow.TaskStatus
	for name, tc := range map[string]struct {
		prepare func(*site, openflow.TaskKey)
		status  status
		stopped []status
		party   status // the party's own status is the run's affair
	}{
		"end of a run":      {func(s *site, k openflow.TaskKey) { s.runs(k) }, openflow.TaskFailed, []status{openflow.TaskFailed}, openflow.TaskRunning},
		"canceled":          {func(s *site, k openflow.TaskKey) { s.runs(k) }, openflow.TaskCanceled, []status{openflow.TaskCanceled}, openflow.TaskRunning},
		"success elsewhere": {func(s *site, k openflow.TaskKey) { s.runs(k) }, openflow.TaskSuccess, []status{openflow.TaskCanceled}, openflow.TaskRunning},
		"running":           {func(s *site, k openflow.TaskKey) { s.runs(k) }, openflow.TaskRunning, nil, openflow.TaskRunning},
		"accepted, not yet running": {func(s *site, k openflow.TaskKey) {
			require.NoError(s.t, s.StartTask(s.t.Context(), openflow.TaskStart{TaskKey: k}))
		}, openflow.TaskFailed, []status{openflow.TaskFailed}, openflow.TaskWaiting},
		"never started": {func(*site, openflow.TaskKey) {}, openflow.TaskFailed, nil, openflow.TaskWaiting},
		"ended": {
			func(s *site, k openflow.TaskKey) { s.runs(k); s.ends(k, openflow.TaskSuccess) },
			openflow.TaskSuccess, nil, openflow.TaskSuccess,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.running("1", dag())
			k := taskKey("1", "lr_0", host)
			tc.prepare(s, k)
			u := openflow.TaskUpdate{Key: k, Status: tc.status, Reason: "why", Progress: 50}
			require.NoError(t, s.tellsOf(t.Context(), "9999", u))
			var got []status
			for _, st := range s.engine.stopped {
				require.Equal(t, k, st.key)
				got = append(got, st.status)
			}
			require.Equal(t, tc.stopped, got)
			rec := s.task(k)
			require.Equal(t, tc.status, rec.Status)
			require.Equal(t, tc.party, rec.PartyStatus)
			require.Equal(t, len(tc.stopped) > 0, rec.Killed)
			require.Equal(t, 50, s.job("1").Progress)
			require.NoError(t, s.tellsOf(t.Context(), "9999", u), "a repeat is success")
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.tellsOf(t.Context(), "666", u)))
		})
	}
}

func TestAskTask(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	k := taskKey("1", "lr_0", host)
	s.runs(k)
	rec, err := s.AskTask(t.Context(), k)
	require.NoError(t, err)
	require.Equal(t, openflow.TaskRunning, rec.PartyStatus)
	_, err = s.AskTask(t.Context(), of("666", k))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}
