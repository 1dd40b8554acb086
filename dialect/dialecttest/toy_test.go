package dialecttest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/dialecttest"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// toy is a dialect with names of its own. What it says of tasks is opaque: nobody reads a task's name in it. Its sessions are a
// job's. The toy of docs/add-a-dialect.md is one with our names.
type toy struct{ dialect.Plain }

var _ dialect.Dialect = toy{}

func TestToy(t *testing.T) { dialecttest.Run(t, toy{}) }

func (toy) Name() openflow.Dialect                { return "toy" }
func (toy) Speaks() (versions, profiles []string) { return []string{"0"}, []string{"toy"} }
func (toy) Client(l peer.Link) dialect.Client     { return toyClient{l} }

// Documents are jobs as Go writes them.
func (toy) Documents() dialect.Documents { return toyDocuments{} }

type toyDocuments struct{}

// Read refuses unknown keys, so that none is without effect.
func (toyDocuments) Read(document []byte) (openflow.Submission, error) {
	if len(document) > 1<<20 {
		return openflow.Submission{}, openflow.Errorf(openflow.CodeInvalid, "too large")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	var d *openflow.DAG
	err := dec.Decode(&d)
	if err == nil && d == nil {
		err = errors.New("null")
	}
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one document")
		}
	}
	if err != nil {
		return openflow.Submission{}, openflow.Errorf(openflow.CodeInvalid, "no job: %w", err)
	}
	return openflow.Submission{DAG: d}, nil
}

func (toyDocuments) Write(job *openflow.DAG) ([]byte, error) { return toyJSON(job) }

// Container puts everything into one variable.
func (toy) Container() dialect.Container {
	return func(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error) {
		b, err := toyJSON(map[string]any{"run": r, "supply": g, "at": at})
		return []string{"TOY=" + string(b)}, err
	}
}

func toyJSON(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "no JSON: %w", err)
	}
	return b, nil
}

// Channel writes the task version into the topic.
func (toy) Channel(own openflow.SessionID, topic string) (dialect.Channel, error) {
	k, err := openflow.ParseSessionID(own)
	return dialect.Channel{
		Session: string(k.Job) + "@" + string(k.Scheduler), Topic: string(k.Task) + "." + strconv.Itoa(k.Version) + "/" + topic,
	}, err
}

// Own takes it out again.
func (toy) Own(c dialect.Channel) (session, topic string, err error) {
	job, scheduler, ok := strings.Cut(c.Session, "@")
	run, topic, named := strings.Cut(c.Topic, "/")
	task, number, versioned := strings.Cut(run, ".")
	version, err := strconv.Atoi(number)
	if !ok || !named || !versioned || err != nil {
		return "", "", openflow.Errorf(openflow.CodeInvalid, "no channel of the toy")
	}
	k := openflow.TaskKey{Scheduler: openflow.PartyID(scheduler), Job: openflow.JobID(job), Task: openflow.TaskName(task), Version: version}
	return string(k.SessionID()), topic, nil
}

// opaque is what the toy calls a task.
func opaque(job openflow.JobID, task openflow.TaskName) openflow.TaskName {
	sum := sha256.Sum256([]byte(string(job) + " " + string(task)))
	return openflow.TaskName(hex.EncodeToString(sum[:8]))
}

func hide(k openflow.TaskKey) openflow.TaskKey {
	k.Task = opaque(k.Job, k.Task)
	return k
}

func hideAll(list []openflow.TaskUpdate) []openflow.TaskUpdate {
	out := make([]openflow.TaskUpdate, len(list))
	for i, u := range list {
		u.Key = hide(u.Key)
		out[i] = u
	}
	return out
}

// call is the body of every call.
type call struct {
	Job    openflow.JobKey
	Order  openflow.JobOrder
	Start  openflow.TaskStart
	News   openflow.News
	End    openflow.JobEnd
	Task   openflow.TaskKey
	Report openflow.Report
	Sub    openflow.Submission
	Status openflow.JobStatus
	Jobs   []openflow.JobID
}

// answer is every answer.
type answer struct {
	Data  json.RawMessage
	Error *wire.Problem
}

type held struct {
	Held  bool
	Short *wire.Problem
}

type toyClient struct{ peer.Link }

func (c toyClient) Partner() openflow.PartnerService     { return c }
func (c toyClient) Scheduler() openflow.SchedulerService { return toyScheduler{c} }
func (c toyClient) Probe(ctx context.Context) error      { return c.call(ctx, "hello", call{}, nil) }
func (c toyClient) Examine(ctx context.Context, _ bool) (dialect.Seen, error) {
	return dialect.Seen{Answered: true}, c.Probe(ctx)
}

func (c toyClient) refusal(p *wire.Problem) error {
	if p == nil {
		return nil
	}
	return openflow.AtParty(c.Peer, peer.OfItself(c.Peer, wire.Envelope{Error: p}.Err()))
}

func (c toyClient) call(ctx context.Context, verb string, body call, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	got, err := c.Do(ctx, "/toy/"+verb, "application/json", b, nil)
	if err != nil {
		return err
	}
	var a answer
	if err := json.Unmarshal(got.Body, &a); err != nil || a.Data == nil && a.Error == nil {
		return c.Unreachable("answered %s strangely", verb)
	}
	if err := c.refusal(a.Error); err != nil || into == nil {
		return err
	}
	return json.Unmarshal(a.Data, into)
}

func (c toyClient) held(ctx context.Context, verb string, body call) (openflow.Reservation, error) {
	var h held
	if err := c.call(ctx, verb, body, &h); err != nil {
		return openflow.Reservation{}, err
	}
	if h.Short != nil {
		return openflow.Reserved(openflow.About(openflow.AboutResource, c.refusal(h.Short)))
	}
	return openflow.Reservation{Held: h.Held}, nil
}

func (c toyClient) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	return c.held(ctx, "open", call{Job: o.Key, Order: o})
}

func (c toyClient) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return c.held(ctx, "reserve", call{Job: k})
}

func (c toyClient) Release(ctx context.Context, k openflow.JobKey) error {
	return c.call(ctx, "release", call{Job: k}, nil)
}

func (c toyClient) StartTask(ctx context.Context, o openflow.TaskStart) error {
	o.TaskKey, o.Ended = hide(o.TaskKey), hideAll(o.Ended)
	return c.call(ctx, "start", call{Job: o.TaskKey.JobKey(), Start: o}, nil)
}

func (c toyClient) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	n.Tasks = hideAll(n.Tasks)
	return c.call(ctx, "tell", call{Job: k, News: n}, nil)
}

func (c toyClient) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	end.Tasks = hideAll(end.Tasks)
	return c.call(ctx, "stop", call{Job: k, End: end}, nil)
}

func (c toyClient) AskTask(ctx context.Context, k openflow.TaskKey) (at openflow.TaskStanding, err error) {
	err = c.call(ctx, "ask", call{Job: k.JobKey(), Task: hide(k)}, &at)
	at.Key = k
	return at, err
}

type toyScheduler struct{ toyClient }

func (c toyScheduler) CreateJob(ctx context.Context, _ openflow.PartyID, s openflow.Submission) (out openflow.Submitted, err error) {
	return out, c.call(ctx, "create", call{Sub: s}, &out)
}

func (c toyScheduler) StopJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID, s openflow.JobStatus) (out openflow.Stopped, err error) {
	return out, c.call(ctx, "end", call{Jobs: []openflow.JobID{id}, Status: s}, &out)
}

func (c toyScheduler) RerunJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return c.call(ctx, "rerun", call{Jobs: []openflow.JobID{id}}, nil)
}

func (c toyScheduler) WakeJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return c.call(ctx, "wake", call{Jobs: []openflow.JobID{id}}, nil)
}

func (c toyScheduler) EndedJobs(ctx context.Context, _ openflow.PartyID, ids []openflow.JobID) (out []openflow.EndedJob, err error) {
	return out, c.call(ctx, "ended", call{Jobs: ids}, &out)
}

func (c toyScheduler) ReportTask(ctx context.Context, _ openflow.PartyID, r openflow.Report) error {
	r.Key = hide(r.Key)
	return c.call(ctx, "report", call{Report: r}, nil)
}

// toyServer serves the calls.
type toyServer struct{ dialect.Node }

func (toy) Interconnection(n dialect.Node) []dialect.Mount {
	s := toyServer{n}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { s.write(w, r, nil, err) }
	unknown := func(w http.ResponseWriter, r *http.Request) { refuse(w, r, reply.NoRoute(r)) }
	r := chi.NewRouter()
	r.Use(reply.Recovered(n.Log, refuse))
	r.NotFound(unknown)
	r.MethodNotAllowed(unknown)
	r.Group(func(r chi.Router) {
		r.Use(n.Verified(reply.MaxBody, refuse))
		for verb, do := range s.verbs() {
			r.Post("/"+verb, func(w http.ResponseWriter, r *http.Request) {
				var c call
				err := toyRead(r, &c)
				var data any
				if err == nil {
					c.Job.Scheduler = dialect.Caller(r) // never what a body says
					data, err = do(r, c)
				}
				s.write(w, r, data, s.Told(r, err))
			})
		}
	})
	return []dialect.Mount{{Prefix: "/toy", Router: r}}
}

// toyRead keeps numbers as they are written: what was signed has a hash.
func toyRead(r *http.Request, into *call) error {
	dec := json.NewDecoder(r.Body)
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "no call of the toy: %w", err)
	}
	return nil
}

func (s toyServer) write(w http.ResponseWriter, r *http.Request, data any, err error) {
	a := answer{}
	if err == nil {
		a.Data, err = json.Marshal(data)
	}
	if err != nil {
		reply.Failed(s.Log, r, err)
		a.Error = wire.Failure(err).Error
	}
	reply.JSON(s.Log, w, r, a)
}

// task finds the task of a job of that scheduler that an opaque name means.
func (s toyServer) task(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) (openflow.TaskKey, error) {
	id, err := k.Task, error(nil)
	k.Scheduler = scheduler
	k.Task, err = s.TaskOf(ctx, scheduler, k.Job, func(n openflow.TaskName) bool { return opaque(k.Job, n) == id })
	return k, err
}

func (s toyServer) tasks(r *http.Request, list []openflow.TaskUpdate) (err error) {
	for i := range list {
		if list[i].Key, err = s.task(r.Context(), dialect.Caller(r), list[i].Key); err != nil {
			return err
		}
	}
	return nil
}

func (s toyServer) held(r *http.Request, got openflow.Reservation, err error) (any, error) {
	h := held{Held: got.Held}
	if err == nil && got.Short != nil {
		h.Short = wire.Failure(s.Told(r, got.Short)).Error
	}
	return h, err
}

func (s toyServer) verbs() map[string]func(*http.Request, call) (any, error) {
	return map[string]func(*http.Request, call) (any, error){
		"hello": func(*http.Request, call) (any, error) { return nil, nil },
		"open": func(r *http.Request, c call) (any, error) {
			c.Order.Key = c.Job
			got, err := s.Partner.OpenJob(r.Context(), c.Order)
			return s.held(r, got, err)
		},
		"reserve": func(r *http.Request, c call) (any, error) {
			got, err := s.Partner.Reserve(r.Context(), c.Job)
			return s.held(r, got, err)
		},
		"release": func(r *http.Request, c call) (any, error) { return nil, s.Partner.Release(r.Context(), c.Job) },
		"start": func(r *http.Request, c call) (any, error) {
			k, err := s.task(r.Context(), dialect.Caller(r), c.Start.TaskKey)
			if err == nil {
				err = s.tasks(r, c.Start.Ended)
			}
			if err != nil {
				return nil, err
			}
			c.Start.TaskKey = k
			return nil, s.Partner.StartTask(r.Context(), c.Start)
		},
		"tell": func(r *http.Request, c call) (any, error) {
			if err := s.tasks(r, c.News.Tasks); err != nil {
				return nil, err
			}
			return nil, s.Partner.Tell(r.Context(), c.Job, c.News)
		},
		"stop": func(r *http.Request, c call) (any, error) {
			if err := s.tasks(r, c.End.Tasks); err != nil {
				return nil, err
			}
			return nil, s.Partner.StopJob(r.Context(), c.Job, c.End)
		},
		"ask": func(r *http.Request, c call) (any, error) {
			k, err := s.task(r.Context(), dialect.Caller(r), c.Task)
			if err != nil {
				return nil, err
			}
			return s.Partner.AskTask(r.Context(), k)
		},
		"create": func(r *http.Request, c call) (any, error) {
			c.Sub.Initiator = dialect.Caller(r)
			return s.Scheduler.CreateJob(r.Context(), dialect.Caller(r), c.Sub)
		},
		"end": func(r *http.Request, c call) (any, error) {
			return s.Scheduler.StopJob(r.Context(), dialect.Caller(r), c.Jobs[0], c.Status)
		},
		"rerun": func(r *http.Request, c call) (any, error) {
			return nil, s.Scheduler.RerunJob(r.Context(), dialect.Caller(r), c.Jobs[0])
		},
		"wake": func(r *http.Request, c call) (any, error) {
			return nil, s.Scheduler.WakeJob(r.Context(), dialect.Caller(r), c.Jobs[0])
		},
		"ended": func(r *http.Request, c call) (any, error) {
			return s.Scheduler.EndedJobs(r.Context(), dialect.Caller(r), c.Jobs)
		},
		"report": func(r *http.Request, c call) (any, error) {
			k, err := s.task(r.Context(), s.Self, c.Report.Key)
			if err != nil {
				return nil, err
			}
			k.Scheduler = dialect.Caller(r)
			c.Report.Key = k
			return nil, s.Scheduler.ReportTask(r.Context(), dialect.Caller(r), c.Report)
		},
	}
}
