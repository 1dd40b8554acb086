// Package interconnection serves other nodes: schedulers that address this node as a participant, and participants
// that address it as a scheduler.
//
// Every request is verified before anything is read from it, and the caller's identity is the key's, never the body's.
// Handlers decode, call a service of the domain and return. Start reading at [Routes].
package interconnection

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
	"openflow/sdk/wire/ptp"
	"openflow/server/reply"
)

// Verifier proves who sent a request. Errors: CodeUnauthorized.
type Verifier interface {
	Verify(ctx context.Context, r *http.Request, body []byte) (openflow.PartyID, error)
}

// Signer proves whose answer a caller gets.
type Signer interface {
	SignAnswer(answer, request http.Header, status int, body []byte)
}

// API serves the interconnection layer.
type API struct {
	Verifier  Verifier
	Signer    Signer // of the answers by which jobs are made, and those about this node
	Partner   openflow.PartnerService
	Scheduler openflow.SchedulerService
	Prober    Prober
	Version   string // of this node, for peers that ask
	Transport *Transport
	MaxBody   int64 // bytes of the largest request: a message with its wrapping
	// Traced wraps the handlers of verified requests, so that what an unproven caller says about traces is not even
	// read; nil: nothing does.
	Traced func(http.Handler) http.Handler
	Log    *slog.Logger
}

// Routes mounts the layer: the partner and scheduler pages of fate-flow-api §2.2–2.3, and the transport of
// interop-transport §7.
func (a *API) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(a.verify)
		if a.Traced != nil {
			r.Use(a.Traced)
		}
		for path, h := range map[string]reply.Handler{
			"/v2/partner/job/create":           a.createJob,
			"/v2/partner/job/start":            a.startJob,
			"/v2/partner/job/status/update":    a.updateJob,
			"/v2/partner/job/update":           a.updateJob,
			"/v2/partner/job/resource/apply":   a.applyJobResources,
			"/v2/partner/job/resource/return":  a.returnJobResources,
			"/v2/partner/job/stop":             a.stopJob,
			"/v2/partner/task/resource/apply":  a.acceptTask,
			"/v2/partner/task/resource/return": a.acceptTask,
			"/v2/partner/task/start":           a.startTask,
			"/v2/partner/task/collect":         a.collectTask,
			"/v2/partner/task/status/update":   a.updateTask,
			"/v2/partner/task/stop":            a.stopTask,
			"/v2/partner/task/rerun":           a.rerunTask,
			"/v2/scheduler/job/create":         a.scheduleJob,
			"/v2/scheduler/job/stop":           a.stopScheduled,
			"/v2/scheduler/job/rerun":          a.rerunScheduled,
			"/v2/scheduler/job/wake":           a.wakeScheduled,
			"/v2/scheduler/job/ended":          a.endedJobs,
			"/v2/scheduler/task/report":        a.reportTask,
			"/v2/partner/site/info":            a.siteInfo,
			"/v2/partner/fold/job/create":      a.openJob,
			"/v2/partner/fold/job/news":        a.jobNews,
			"/v2/partner/fold/job/stop":        a.endJob,
			"/v2/partner/fold/task/start":      a.openTask,
		} {
			answer := reply.JSON(a.Log, a.told(h))
			if signed[path] {
				answer = a.sign(answer).ServeHTTP
			}
			r.Post(path, answer)
		}
		if a.Transport != nil {
			r.Post("/v1/interconn/chan/invoke", a.Transport.invoke)
			r.Post("/v1/interconn/chan/transport", a.Transport.invoke)
		}
	})
}

// signed are the routes whose answers carry this node's signature: those by which a job is made, so that a wrong key in a
// peer's record of this node shows before anything runs, that by which a party ends its part of one, and those about this
// node.
var signed = map[string]bool{
	"/v2/partner/job/create": true, "/v2/partner/fold/job/create": true, "/v2/scheduler/job/create": true, "/v2/partner/site/info": true,
	"/v2/scheduler/job/ended": true,
}

// sign keeps the answer back until it is whole, and signs it.
func (a *API) sign(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k := &kept{header: w.Header(), status: http.StatusOK}
		next.ServeHTTP(k, r)
		a.Signer.SignAnswer(w.Header(), r.Header, k.status, k.body.Bytes())
		w.WriteHeader(k.status)
		if _, err := w.Write(k.body.Bytes()); err != nil {
			a.Log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
		}
	})
}

// kept is an answer that has not been sent.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (k *kept) Header() http.Header { return k.header }

// WriteHeader implements http.ResponseWriter.
func (k *kept) WriteHeader(status int) { k.status = status }

// Write implements http.ResponseWriter.
func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }

type callerKey struct{}

// Caller is the verified party of a request.
func Caller(r *http.Request) openflow.PartyID {
	id, _ := r.Context().Value(callerKey{}).(openflow.PartyID)
	return id
}

// verify reads the body, proves its sender, and hands both on. A caller that is not proven learns nothing else.
func (a *API) verify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := reply.Body(r, a.MaxBody)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		caller, err := a.Verifier.Verify(r.Context(), r, body)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, caller)))
	})
}

// refuse answers a request that goes no further, in the form that its sender reads.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, ptp.PathPrefix) {
		a.Transport.refuse(w, r, err)
		return
	}
	reply.Error(a.Log, w, r, a.tell(r, err))
}

// told answers with what another party may read of an error; see openflow.ForPartners.
func (a *API) told(h reply.Handler) reply.Handler {
	return func(r *http.Request) (any, error) {
		data, err := h(r)
		return data, a.tell(r, err)
	}
}

// tell is err in words for the caller. This node's log has the rest.
func (a *API) tell(r *http.Request, err error) error {
	var missing wire.MissingFields
	if err == nil || errors.As(err, &missing) {
		return err
	}
	told := openflow.ForPartners(err)
	if full := err.Error(); told.Error() != full && told.Code != openflow.CodeInternal { // reply logs what is internal
		a.Log.WarnContext(r.Context(), "a caller is not told why", "caller", Caller(r), "path", r.URL.Path, "told", told.Error(), "err", full)
	}
	told.Err = err
	return told
}

// Prober calls another node to see whether it answers and knows this one.
type Prober interface {
	Probe(ctx context.Context, id openflow.PartyID) error
}

// siteInfo tells a verified peer whom it has reached, so that it can check an address before it trusts it. It calls
// back when asked, so that an operator sees from one side whether both directions work.
func (a *API) siteInfo(r *http.Request) (any, error) {
	var b wire.SiteProbe
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	answer := wire.SiteProbed{Caller: string(Caller(r)), Folds: true, Version: a.Version}
	if b.CallBack {
		if err := a.Prober.Probe(r.Context(), Caller(r)); err != nil {
			answer.CallBack = wire.Failure(a.tell(r, err)).Error
		}
	}
	return answer, nil
}

func (a *API) createJob(r *http.Request) (any, error) { return a.newJob(r, true) }

func (a *API) openJob(r *http.Request) (any, error) { return a.newJob(r, false) }

func (a *API) newJob(r *http.Request, later bool) (any, error) {
	var b wire.PartnerCreateJob
	key, err := a.jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	if err := wire.CheckName("user_name", b.UserName); err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	dag, err := b.Decode()
	if err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	return held(a.Partner.OpenJob(r.Context(), openflow.JobOrder{Key: key, DAG: dag, UserName: b.UserName, Later: later}))
}

// jobBody decodes a body that begins with a job reference and resolves it for the caller.
func (a *API) jobBody(r *http.Request, into any, ref *wire.JobRef) (openflow.JobKey, error) {
	if err := reply.Decode(r, into); err != nil {
		return openflow.JobKey{}, err
	}
	return ref.Key(Caller(r))
}

func (a *API) onJob(r *http.Request, do func(context.Context, openflow.JobKey) error) (any, error) {
	var b wire.JobRef
	key, err := a.jobBody(r, &b, &b)
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

func (a *API) startJob(r *http.Request) (any, error) {
	return a.onJob(r, func(ctx context.Context, k openflow.JobKey) error {
		return a.Partner.Tell(ctx, k, openflow.News{Status: openflow.JobRunning})
	})
}

func (a *API) applyJobResources(r *http.Request) (any, error) {
	return a.onJob(r, func(ctx context.Context, k openflow.JobKey) error {
		_, err := held(a.Partner.Reserve(ctx, k))
		return err
	})
}

func (a *API) returnJobResources(r *http.Request) (any, error) {
	return a.onJob(r, a.Partner.Release)
}

func (a *API) updateJob(r *http.Request) (any, error) {
	var b wire.PartnerUpdateJob
	key, err := a.jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	progress := 0
	if b.Progress != nil {
		progress = int(*b.Progress)
	}
	return a.news(r, key, openflow.News{Status: openflow.JobStatus(b.Status), Reason: openflow.Heard(b.Reason), Progress: progress})
}

func (a *API) news(r *http.Request, k openflow.JobKey, n openflow.News) (any, error) {
	if n.Status != "" && !n.Status.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown job status %q", n.Status)
	}
	return nil, a.Partner.Tell(r.Context(), k, n)
}

// jobNews is updateJob with news of the job's tasks.
func (a *API) jobNews(r *http.Request) (any, error) {
	var b wire.PartnerNews
	key, err := a.jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := wire.DecodeTaskUpdates(b.Tasks, b.JobRef)
	if err != nil {
		return nil, err
	}
	return a.news(r, key, openflow.News{Status: openflow.JobStatus(b.Status), Reason: openflow.Heard(b.Reason), Progress: b.Progress, Tasks: tasks})
}

// stopJob takes the status to end with from the body; a peer that sends none means failed (fate-flow-api §2.3).
func (a *API) stopJob(r *http.Request) (any, error) {
	var b wire.PartnerUpdateJob
	key, err := a.jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	status := openflow.JobStatus(b.Status)
	if status == "" {
		status = openflow.JobFailed
	}
	return a.end(r, key, openflow.JobEnd{Status: status, Reason: openflow.Heard(b.Reason)})
}

// endJob is stopJob with the ends of the job's tasks.
func (a *API) endJob(r *http.Request) (any, error) {
	var b wire.PartnerStopJob
	key, err := a.jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := wire.DecodeTaskEnds(b.Tasks, b.JobRef)
	if err != nil {
		return nil, err
	}
	return a.end(r, key, openflow.JobEnd{Status: openflow.JobStatus(b.Status), Reason: openflow.Heard(b.Reason), Tasks: tasks})
}

func (a *API) end(r *http.Request, k openflow.JobKey, end openflow.JobEnd) (any, error) {
	if !end.Status.Terminal() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a job cannot be stopped as %q", end.Status)
	}
	return nil, a.Partner.StopJob(r.Context(), k, end)
}

func (a *API) taskBody(r *http.Request, into any, ref *wire.TaskRef) (openflow.TaskKey, error) {
	if err := reply.Decode(r, into); err != nil {
		return openflow.TaskKey{}, err
	}
	return ref.TaskKey()
}

// acceptTask answers the resource calls of a peer that makes them singly: starting a task takes its cores, ending it
// returns them, so both are granted when the task exists (docs/divergences.md §2.3).
func (a *API) acceptTask(r *http.Request) (any, error) {
	var b wire.TaskRef
	key, err := a.taskBody(r, &b, &b)
	if err != nil {
		return nil, err
	}
	_, err = a.Partner.AskTask(r.Context(), Caller(r), key)
	return nil, err
}

func (a *API) startTask(r *http.Request) (any, error) {
	var b wire.TaskRef
	key, err := a.taskBody(r, &b, &b)
	if err != nil {
		return nil, err
	}
	return nil, a.Partner.StartTask(r.Context(), Caller(r), openflow.TaskStart{TaskKey: key})
}

// openTask is startTask with what the party has to hear before.
func (a *API) openTask(r *http.Request) (any, error) {
	var b wire.PartnerStartTask
	key, err := a.taskBody(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	ended, err := wire.DecodeTaskEnds(b.Ended, b.JobRef)
	if err != nil {
		return nil, err
	}
	return nil, a.Partner.StartTask(r.Context(), Caller(r), openflow.TaskStart{TaskKey: key, StartsJob: b.StartsJob, Ended: ended})
}

func (a *API) collectTask(r *http.Request) (any, error) {
	var b wire.TaskRef
	key, err := a.taskBody(r, &b, &b)
	if err != nil {
		return nil, err
	}
	at, err := a.Partner.AskTask(r.Context(), Caller(r), key)
	if err != nil {
		return nil, err
	}
	return wire.EncodeTaskState(at), nil
}

func (a *API) updateTask(r *http.Request) (any, error) { return a.moveTask(r, "") }

func (a *API) stopTask(r *http.Request) (any, error) { return a.moveTask(r, openflow.TaskFailed) }

func (a *API) moveTask(r *http.Request, unsaid openflow.TaskStatus) (any, error) {
	var b wire.PartnerUpdateTask
	key, err := a.taskBody(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	u := openflow.TaskUpdate{Key: key, Status: openflow.TaskStatus(b.Status), Reason: openflow.Heard(b.Reason), Progress: int(b.Progress)}
	if u.Status == "" {
		u.Status = unsaid
	}
	if !u.Status.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown task status %q", u.Status)
	}
	return a.tellTask(r, u)
}

func (a *API) rerunTask(r *http.Request) (any, error) {
	var b wire.PartnerRerunTask
	key, err := a.taskBody(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	if *b.NewVersion != key.Version+1 {
		return nil, openflow.Errorf(openflow.CodeInvalid, "new_version %d does not follow task_version %d", *b.NewVersion, key.Version)
	}
	key.Version = *b.NewVersion
	return a.tellTask(r, openflow.TaskUpdate{Key: key, Status: openflow.TaskWaiting})
}

func (a *API) tellTask(r *http.Request, u openflow.TaskUpdate) (any, error) {
	k := openflow.JobKey{Scheduler: Caller(r), Job: u.Key.Job, Party: u.Key.Party}
	return nil, a.Partner.Tell(r.Context(), k, openflow.News{Tasks: []openflow.TaskUpdate{u}})
}

func (a *API) scheduleJob(r *http.Request) (any, error) {
	var b wire.SchedulerCreateJob
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	for kind, name := range map[string]string{"user_name": b.UserName, "idempotency_key": b.IdempotencyKey} {
		if err := wire.CheckName(kind, name); err != nil {
			return nil, openflow.About(openflow.AboutJob, err)
		}
	}
	dag, err := b.Decode()
	if err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	caller := Caller(r)
	answer, err := a.Scheduler.CreateJob(r.Context(), caller, openflow.Submission{
		DAG: dag, Initiator: caller, ID: openflow.JobID(b.JobID), IdempotencyKey: b.IdempotencyKey, UserName: b.UserName,
	})
	if err != nil {
		return nil, err
	}
	return reply.Answer{
		JobID: answer.ID, Data: wire.CreatedModel{ModelID: answer.ModelID, ModelVersion: answer.ModelVersion},
	}, nil
}

func (a *API) stopScheduled(r *http.Request) (any, error) {
	var b wire.SchedulerStopJob
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	stopped, err := a.Scheduler.StopJob(r.Context(), Caller(r), openflow.JobID(b.JobID), openflow.JobStatus(b.StopStatus))
	if err != nil {
		return nil, err
	}
	return wire.EncodeStopped(stopped), nil
}

func (a *API) rerunScheduled(r *http.Request) (any, error) {
	var b wire.SchedulerStopJob
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	return nil, a.Scheduler.RerunJob(r.Context(), Caller(r), openflow.JobID(b.JobID))
}

func (a *API) wakeScheduled(r *http.Request) (any, error) {
	var b wire.SchedulerStopJob
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	return nil, a.Scheduler.WakeJob(r.Context(), Caller(r), openflow.JobID(b.JobID))
}

func (a *API) endedJobs(r *http.Request) (any, error) {
	var b wire.SchedulerEndedJobs
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	ended, err := a.Scheduler.EndedJobs(r.Context(), Caller(r), b.Decode())
	if err != nil {
		return nil, err
	}
	return wire.EncodeEndedJobs(ended), nil
}

func (a *API) reportTask(r *http.Request) (any, error) {
	var b wire.SchedulerReportTask
	key, err := a.taskBody(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	return nil, a.Scheduler.ReportTask(r.Context(), Caller(r), openflow.Report{
		Key: key, Status: openflow.TaskStatus(b.Status), Cause: b.FailureCause.Decode(),
	})
}
