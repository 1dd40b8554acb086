package verbs

import (
	"encoding/json"
	"net/http"
	"slices"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// service serves other nodes.
type service struct{ dialect.Node }

// Mount serves the calls of peers below a prefix. envelope puts data, or a refusal, into what is sent; around wraps the
// handlers of proven callers.
func Mount(
	n dialect.Node, prefix string, envelope func(data json.RawMessage, refusal *wire.Problem) any,
	around ...func(http.Handler) http.Handler,
) dialect.Mount {
	write := reply.Writer{Log: n.Log, Envelope: envelope, Told: n.Told}
	router := write.Router()
	for path, handle := range handlers(n) {
		most := int64(dialect.CallBytes)
		if slices.Contains(wide, path) {
			most = reply.MaxBody
		}
		router.With(n.Verified(most, write.Refuse)).With(around...).Post(path, write.JSON(handle))
	}
	return dialect.Mount{Prefix: prefix, Router: router}
}

// wide are the calls that bring a document, or tell of all tasks of a job.
var wide = []string{open, schedule, tell, stop, start, ended}

// handlers serve the calls, by the ends of their paths. Their errors are for this node.
func handlers(n dialect.Node) map[string]reply.Handler {
	s := service{n}
	return map[string]reply.Handler{
		site: s.site, open: s.open, reserve: s.reserve, release: s.release, tell: s.tell, stop: s.stop, start: s.start, ask: s.ask,
		schedule: s.schedule, end: s.end, rerun: s.rerun, wake: s.wake, ended: s.ended, report: s.report,
	}
}

func (s service) open(r *http.Request) (any, error) {
	var b openJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	order, err := b.Order(key)
	if err != nil {
		return nil, err
	}
	order.Later = b.Later
	got, err := s.Partner.OpenJob(r.Context(), order)
	return s.held(r, got, err)
}

func (s service) reserve(r *http.Request) (any, error) {
	var b wire.JobRef
	key, err := dialect.JobOf(r, &b, &b)
	if err != nil {
		return nil, err
	}
	got, err := s.Partner.Reserve(r.Context(), key)
	return s.held(r, got, err)
}

func (s service) held(r *http.Request, got openflow.Reservation, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	answer := reservation{Held: got.Held, Spoken: forms.EncodeSpoken(got.Spoken)}
	if got.Short != nil {
		reply.Note(r, got.Short)
		answer.Short = wire.Failure(s.Told(r, got.Short)).Error
	}
	return answer, nil
}

func (s service) release(r *http.Request) (any, error) {
	var b wire.JobRef
	key, err := dialect.JobOf(r, &b, &b)
	if err != nil {
		return nil, err
	}
	return nil, s.Partner.Release(r.Context(), key)
}

func (s service) tell(r *http.Request) (any, error) {
	var b tellJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := forms.DecodeTaskUpdates(b.Tasks, key)
	if err != nil {
		return nil, err
	}
	n := openflow.News{Status: openflow.JobStatus(b.Status), Reason: b.Reason, Progress: int(b.Progress), Tasks: tasks}
	if n.Status != "" && !n.Status.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown job status %q", n.Status)
	}
	return nil, s.Partner.Tell(r.Context(), key, n)
}

func (s service) stop(r *http.Request) (any, error) {
	var b stopJob
	key, err := dialect.JobOf(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := forms.DecodeTaskEnds(b.Tasks, key)
	if err != nil {
		return nil, err
	}
	e := openflow.JobEnd{Status: openflow.JobStatus(b.Status), Reason: b.Reason, Tasks: tasks}
	if !e.Status.Terminal() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a job cannot be stopped as %q", e.Status)
	}
	return nil, s.Partner.StopJob(r.Context(), key, e)
}

func (s service) start(r *http.Request) (any, error) {
	var b startTask
	key, err := dialect.RunOf(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	list, err := forms.DecodeTaskEnds(b.Ended, key.JobKey())
	if err != nil {
		return nil, err
	}
	agreed := openflow.Protocol(b.Protocol)
	if agreed != (openflow.Protocol{}) {
		if err := agreed.Check(); err != nil {
			return nil, err
		}
	}
	return nil, s.Partner.StartTask(r.Context(), openflow.TaskStart{TaskKey: key, StartsJob: b.StartsJob, Protocol: agreed, Ended: list})
}

func (s service) ask(r *http.Request) (any, error) {
	var b forms.TaskRef
	key, err := dialect.RunOf(r, &b, &b)
	if err != nil {
		return nil, err
	}
	at, err := s.Partner.AskTask(r.Context(), key)
	if err != nil {
		return nil, err
	}
	return forms.EncodeTaskState(at), nil
}
