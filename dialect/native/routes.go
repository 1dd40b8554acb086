package native

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/forms"
	"openflow/dialect/native/envelope"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// service serves other nodes of ours.
type service struct{ dialect.Node }

// Interconnection implements dialect.Dialect.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	s := service{n}
	write := envelope.Writer{Log: n.Log, Told: n.Told}
	r := write.Router()
	r.Group(func(r chi.Router) {
		r.Use(n.Verified(write.Refuse), n.Signed)
		for path, h := range map[string]reply.Handler{
			pathSite: s.site, pathOpen: s.open, pathReserve: s.reserve, pathRelease: s.release, pathTell: s.tell, pathStop: s.stop,
			pathStart: s.start, pathAsk: s.ask, pathSchedule: s.schedule, pathEnd: s.end, pathRerun: s.rerun, pathWake: s.wake,
			pathEnded: s.ended, pathReport: s.report,
		} {
			r.Post(path, write.JSON(h))
		}
	})
	return []dialect.Mount{{Prefix: prefix, Router: r}}
}

// site tells a verified peer whom it has reached, so that it can check an address before it trusts it. It calls back when
// asked, so that an operator sees from one side whether both directions work.
func (s service) site(r *http.Request) (any, error) {
	var b probe
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	answer := probed{Caller: string(dialect.Caller(r)), Version: s.Version}
	if b.CallBack {
		if err := s.Prober.Probe(r.Context(), dialect.Caller(r)); err != nil {
			answer.CallBack = wire.Failure(s.Told(r, err)).Error
		}
	}
	return answer, nil
}

func (s service) open(r *http.Request) (any, error) {
	var b openJob
	key, err := jobBody(r, &b, &b.JobRef)
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
	got, err := s.Partner.OpenJob(r.Context(), openflow.JobOrder{Key: key, DAG: dag, UserName: b.UserName, Later: b.Later})
	return s.held(r, got, err)
}

func (s service) reserve(r *http.Request) (any, error) {
	var b wire.JobRef
	key, err := jobBody(r, &b, &b)
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
	answer := reservation{Held: got.Held}
	if got.Short != nil {
		reply.Note(r, got.Short)
		answer.Short = wire.Failure(s.Told(r, got.Short)).Error
	}
	return answer, nil
}

func (s service) release(r *http.Request) (any, error) {
	var b wire.JobRef
	key, err := jobBody(r, &b, &b)
	if err != nil {
		return nil, err
	}
	return nil, s.Partner.Release(r.Context(), key)
}

func (s service) tell(r *http.Request) (any, error) {
	var b tell
	key, err := jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := forms.DecodeTaskUpdates(b.Tasks, key)
	if err != nil {
		return nil, err
	}
	n := openflow.News{Status: openflow.JobStatus(b.Status), Reason: openflow.Heard(b.Reason), Progress: b.Progress, Tasks: tasks}
	if n.Status != "" && !n.Status.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "unknown job status %q", n.Status)
	}
	return nil, s.Partner.Tell(r.Context(), key, n)
}

func (s service) stop(r *http.Request) (any, error) {
	var b stop
	key, err := jobBody(r, &b, &b.JobRef)
	if err != nil {
		return nil, err
	}
	tasks, err := forms.DecodeTaskEnds(b.Tasks, key)
	if err != nil {
		return nil, err
	}
	end := openflow.JobEnd{Status: openflow.JobStatus(b.Status), Reason: openflow.Heard(b.Reason), Tasks: tasks}
	if !end.Status.Terminal() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "a job cannot be stopped as %q", end.Status)
	}
	return nil, s.Partner.StopJob(r.Context(), key, end)
}

func (s service) start(r *http.Request) (any, error) {
	var b start
	key, err := taskBody(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	ended, err := forms.DecodeTaskEnds(b.Ended, key.JobKey())
	if err != nil {
		return nil, err
	}
	return nil, s.Partner.StartTask(r.Context(), openflow.TaskStart{TaskKey: key, StartsJob: b.StartsJob, Ended: ended})
}

func (s service) ask(r *http.Request) (any, error) {
	var b forms.TaskRef
	key, err := taskBody(r, &b, &b)
	if err != nil {
		return nil, err
	}
	at, err := s.Partner.AskTask(r.Context(), key)
	if err != nil {
		return nil, err
	}
	return forms.EncodeTaskState(at), nil
}

// jobBody decodes a body that begins with a job reference and resolves it for the caller.
func jobBody(r *http.Request, into any, ref *wire.JobRef) (openflow.JobKey, error) {
	if err := reply.Decode(r, into); err != nil {
		return openflow.JobKey{}, err
	}
	return ref.Key(dialect.Caller(r))
}

func taskBody(r *http.Request, into any, ref *forms.TaskRef) (openflow.TaskKey, error) {
	if err := reply.Decode(r, into); err != nil {
		return openflow.TaskKey{}, err
	}
	return ref.TaskKey(dialect.Caller(r))
}
