package fateflow

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/envelope"
	"openflow/dialect/fateflow/words"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// service serves schedulers and participants that speak FATE-Flow.
type service struct {
	dialect.Node
	shown *shown
	under *submissions
}

// Interconnection implements dialect.Dialect: the partner and scheduler pages of fate-flow-api §2.2–2.3. FATE-Flow signs no
// answers and passes over our signature on them. Its requests carry none either.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	s := service{Node: n, shown: newShown(), under: newSubmissions()}
	if n.Unsigned != nil {
		s.Verifier = n.Unsigned
	}
	s.Verifier = bySite{n.Self, s.Verifier, n.Apps}
	return []dialect.Mount{
		s.mount("/v2/partner", map[string]reply.Handler{
			"/job/create":           s.createJob,
			"/job/start":            s.startJob,
			"/job/status/update":    s.updateJob,
			"/job/update":           s.updateJob,
			"/job/resource/apply":   s.applyJobResources,
			"/job/resource/return":  s.returnJobResources,
			"/job/stop":             s.stopJob,
			"/task/resource/apply":  s.applyTaskResources,
			"/task/resource/return": s.returnTaskResources,
			"/task/start":           s.startTask,
			"/task/collect":         s.collectTask,
			"/task/status/update":   s.updateTask,
			"/task/stop":            s.stopTask,
			"/task/rerun":           s.rerunTask,
		}),
		s.mount("/v2/scheduler", map[string]reply.Handler{
			"/job/create":  s.scheduleJob,
			"/job/stop":    s.stopScheduled,
			"/job/rerun":   s.rerunScheduled,
			"/task/report": s.reportTask,
		}),
	}
}

func (s service) mount(prefix string, routes map[string]reply.Handler) dialect.Mount {
	write := envelope.Writer{Log: s.Log}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { write.Refuse(w, r, s.Told(r, err)) }
	r := write.Router()
	for path, h := range routes {
		most := int64(dialect.CallBytes)
		if path == "/job/create" { // it brings a document
			most = reply.MaxBody
		}
		r.With(s.Verified(most, refuse), s.Signed).Post(path, write.JSON(func(r *http.Request) (any, error) {
			data, err := h(r)
			return data, s.Told(r, err)
		}))
	}
	return dialect.Mount{Prefix: prefix, Router: r}
}

// createJob only records the job: its resources are asked for by a call of their own.
func (s service) createJob(r *http.Request) (any, error) {
	var b forms.PartnerCreateJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	order, err := b.Order(key)
	if err != nil {
		return nil, err
	}
	order.Later = true
	return held(s.Partner.OpenJob(r.Context(), order))
}

func (s service) onJob(r *http.Request, do func(context.Context, openflow.JobKey) error) (any, error) {
	var b wire.JobRef
	key, err := dialect.JobOf(r, &b, &b)
	if err != nil {
		return nil, err
	}
	return nil, do(r.Context(), key)
}

// held answers with why a job does not hold its resources, as with an error.
func held(r openflow.Reservation, err error) (any, error) {
	if err == nil {
		err = r.Err()
	}
	return nil, err
}

func (s service) startJob(r *http.Request) (any, error) {
	return s.onJob(r, func(ctx context.Context, k openflow.JobKey) error {
		return s.Partner.Tell(ctx, k, openflow.News{Status: openflow.JobRunning, Inherit: true})
	})
}

func (s service) applyJobResources(r *http.Request) (any, error) {
	return s.onJob(r, func(ctx context.Context, k openflow.JobKey) error {
		_, err := held(s.Partner.Reserve(ctx, k))
		return err
	})
}

func (s service) returnJobResources(r *http.Request) (any, error) {
	return s.onJob(r, s.Partner.Release)
}

func (s service) updateJob(r *http.Request) (any, error) {
	var b forms.PartnerUpdateJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	progress := 0
	if b.Progress != nil {
		progress = int(*b.Progress)
	}
	status, err := words.Job(string(b.Status))
	if err != nil {
		return nil, err
	}
	return nil, s.Partner.Tell(r.Context(), key, openflow.News{Status: status, Reason: b.Reason, Progress: progress})
}

// stopJob takes the status to end with from the body; a peer that sends none means failed (fate-flow-api §2.3).
func (s service) stopJob(r *http.Request) (any, error) {
	var b forms.PartnerUpdateJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	status, err := words.Job(string(b.Status))
	if err != nil {
		return nil, err
	}
	if status == "" {
		status = openflow.JobFailed
	}
	return s.end(r, key, openflow.JobEnd{Status: status, Reason: b.Reason})
}

func (s service) end(r *http.Request, k openflow.JobKey, end openflow.JobEnd) (any, error) {
	if !end.Status.Terminal() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a job cannot be stopped as %q", end.Status)
	}
	if err := s.Partner.StopJob(r.Context(), k, end); err != nil || s.Settled == nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), killing)
	defer cancel()
	s.Settled(ctx, k)
	return nil, nil
}

// killing is how long a stop waits for programs to end. FATE-Flow kills before it answers, and counts a run that has not reported its
// end by then as running. It waits for ten seconds itself.
const killing = 7 * time.Second

// applyTaskResources answers the call with which a peer takes the cores of a task: starting a task takes them here, and ending it
// returns them. They are granted when the run exists, and refused once it has been accepted. A scheduler that has not heard yet
// that the run has begun asks again, and would start it again (docs/divergences.md §2.3).
//
// Spec: fate-flow-api §2.5.7.
func (s service) applyTaskResources(r *http.Request) (any, error) {
	at, err := s.standing(r)
	if err == nil && at.Accepted {
		err = openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeExhausted, "%s has been started: it holds its cores, or has given them back", at.Key))
	}
	return nil, err
}

// returnTaskResources answers the call that undoes the other one: nothing was taken.
func (s service) returnTaskResources(r *http.Request) (any, error) {
	_, err := s.standing(r)
	return nil, err
}

func (s service) standing(r *http.Request) (openflow.TaskStanding, error) {
	var b forms.TaskRef
	key, err := dialect.RunOf(r, &b, &b)
	if err != nil {
		return openflow.TaskStanding{}, err
	}
	return s.Partner.AskTask(r.Context(), key)
}

// startTask starts a run, and has the scheduler told that it has begun: to FATE-Flow only such a run can fail.
func (s service) startTask(r *http.Request) (any, error) {
	var b forms.TaskRef
	key, err := dialect.RunOf(r, &b, &b)
	if err != nil {
		return nil, err
	}
	return nil, s.Partner.StartTask(r.Context(), openflow.TaskStart{TaskKey: key, Begun: true})
}

func (s service) collectTask(r *http.Request) (any, error) {
	at, err := s.standing(r)
	if err != nil {
		return nil, err
	}
	at.PartyStatus = s.shown.status(at)
	return forms.EncodeTaskState(at), nil
}

func (s service) updateTask(r *http.Request) (any, error) { return s.moveTask(r, "") }

func (s service) stopTask(r *http.Request) (any, error) { return s.moveTask(r, openflow.TaskFailed) }

func (s service) moveTask(r *http.Request, unsaid openflow.TaskStatus) (any, error) {
	var b forms.PartnerUpdateTask
	key, err := dialect.RunOf(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	status, err := words.Task(cmp.Or(string(b.Status), words.OfTask(unsaid)))
	if err != nil {
		return nil, err
	}
	return s.tellTask(r, openflow.TaskUpdate{Key: key, Status: status, Reason: b.Reason, Progress: int(b.Progress)})
}

func (s service) rerunTask(r *http.Request) (any, error) {
	var b forms.PartnerRerunTask
	key, err := dialect.RunOf(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	version := int(*b.NewVersion)
	if version != key.Version+1 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "new_version %d does not follow task_version %d", version, key.Version)
	}
	key.Version = version
	return s.tellTask(r, openflow.TaskUpdate{Key: key, Status: openflow.TaskWaiting})
}

func (s service) tellTask(r *http.Request, u openflow.TaskUpdate) (any, error) {
	k := openflow.JobKey{Scheduler: dialect.Caller(r), Job: u.Key.Job, Party: u.Key.Party}
	return nil, s.Partner.Tell(r.Context(), k, openflow.News{Tasks: []openflow.TaskUpdate{u}})
}

func (s service) scheduleJob(r *http.Request) (any, error) {
	text, err := reply.Body(r, reply.MaxBody)
	if err != nil {
		return nil, err
	}
	var b forms.SchedulerCreateJob
	if err := reply.ReadBody(r, text, &b); err != nil {
		return nil, err
	}
	sub, err := b.Submission(dialect.Caller(r))
	if err != nil {
		return nil, err
	}
	create := func(ctx context.Context) (openflow.Submitted, error) {
		return s.Scheduler.CreateJob(ctx, sub.Initiator, sub)
	}
	var answer openflow.Submitted
	if sub.IdempotencyKey == "" && sub.ID == "" {
		answer, err = s.under.do(r.Context(), dialect.Caller(r), text, create)
	} else {
		answer, err = create(r.Context())
	}
	if err != nil {
		return nil, err
	}
	return envelope.Answer{
		JobID: answer.ID, Data: wire.CreatedModel{ModelID: answer.ModelID, ModelVersion: answer.ModelVersion},
	}, nil
}

func (s service) stopScheduled(r *http.Request) (any, error) {
	var b forms.SchedulerStopJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	if err := openflow.CheckJobID(openflow.JobID(b.JobID)); err != nil {
		return nil, err
	}
	status, err := words.Job(string(b.StopStatus))
	if err != nil {
		return nil, err
	}
	stopped, err := s.Scheduler.StopJob(r.Context(), dialect.Caller(r), openflow.JobID(b.JobID), status)
	if err != nil {
		return nil, err
	}
	return wire.EncodeStopped(stopped), nil
}

func (s service) rerunScheduled(r *http.Request) (any, error) {
	var b forms.SchedulerStopJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	if err := openflow.CheckJobID(openflow.JobID(b.JobID)); err != nil {
		return nil, err
	}
	return nil, s.Scheduler.RerunJob(r.Context(), dialect.Caller(r), openflow.JobID(b.JobID))
}

func (s service) reportTask(r *http.Request) (any, error) {
	var b forms.SchedulerReportTask
	key, err := dialect.RunOf(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	status, err := words.Task(string(b.Status))
	if err != nil {
		return nil, err
	}
	return nil, s.Scheduler.ReportTask(r.Context(), dialect.Caller(r), openflow.Report{
		Key: key, Status: status, Cause: b.FailureCause.Decode(),
	})
}
