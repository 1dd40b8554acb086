package users

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
	"openflow/store/catalogue"
	"openflow/store/events"
)

const (
	// heartbeat is how often a silent stream says that it lives, so that nothing between takes it for dead.
	heartbeat = 15 * time.Second
	// settled is how long a stream that was resumed may be silent before it looks whether its job has ended: the end may
	// be what its client has seen last.
	settled = 200 * time.Millisecond
)

// jobEvents streams what changes at this site as Server-Sent Events: of one job, until it has ended, or of all. The stream
// of one job begins with how it stands; one that names the last event that it has seen (Last-Event-ID) goes on after it.
//
// Ours, see docs/divergences.md.
func (a *api) jobEvents(w http.ResponseWriter, r *http.Request) {
	s := &stream{
		api: a, ctx: r.Context(), out: w, flush: http.NewResponseController(w).Flush,
		job: job{id: openflow.JobID(r.URL.Query().Get("job_id"))}, user: r.Header.Get(wire.UserHeader), known: map[job]bool{},
	}
	after := r.Header.Get("Last-Event-ID")
	err := a.OneScheduler(r, s.job.id, &s.job.scheduler)
	if err == nil {
		err = s.open(r, after)
	}
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // proxies would keep events back
	if err := s.run(after != ""); err != nil && r.Context().Err() == nil {
		a.Log.DebugContext(r.Context(), "events not sent on", "job", s.job.id, "err", err)
	}
}

// job is a job whoever's parties it has.
type job struct {
	scheduler openflow.PartyID
	id        openflow.JobID
}

// stream is one answer of jobEvents.
type stream struct {
	api   *api
	ctx   context.Context //nolint:containedctx // lives as long as one request
	out   http.ResponseWriter
	flush func() error
	sub   *events.Subscription
	job   job    // empty: all
	user  string // whose jobs are shown; empty: everybody's
	known map[job]bool
}

// open subscribes before it looks at the job, so that no change falls between.
func (s *stream) open(r *http.Request, after string) error {
	if err := reply.Identifiers(r, "job_id"); err != nil {
		return err
	}
	var err error
	if s.sub, err = s.api.Events.Subscribe(s.ctx, after); err != nil || s.job.id == "" {
		return err
	}
	rows, err := s.rows(s.job)
	if err == nil && len(rows) == 0 {
		err = application.NoJob(string(s.job.id))
	}
	return err
}

func (s *stream) rows(j job) ([]openflow.JobRecord, error) {
	rows, _, err := s.api.Catalogue.JobsWhere(s.ctx, catalogue.JobFilter{ID: j.id, Scheduler: j.scheduler, User: s.user, Limit: application.PageLimit})
	return rows, err
}

// run sends until the job has ended or the client has gone.
func (s *stream) run(resumed bool) error {
	wait := settled
	if !resumed {
		wait = heartbeat
		if done, err := s.snapshot(); done || err != nil {
			return err
		}
	}
	for {
		done, err := s.step(wait)
		if done || err != nil {
			return err
		}
		wait = heartbeat
	}
}

// step sends the next event, or a sign of life when none comes for that long. done: the job has ended.
func (s *stream) step(wait time.Duration) (done bool, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, wait)
	defer cancel()
	e, err := s.sub.Next(ctx)
	switch {
	case errors.Is(err, events.ErrMissed):
		if err := s.tell("", wire.EventMissed, "{}"); err != nil {
			return false, err
		}
		return s.snapshot()
	case s.ctx.Err() == nil && ctx.Err() != nil:
		if err := s.beat(); err != nil {
			return false, err
		}
		return s.ended()
	case err != nil:
		return false, err
	}
	if e.Component != "" {
		if s.job.id != "" {
			return false, nil
		}
		return false, s.send(e)
	}
	if shown, err := s.shows(job{e.Scheduler, e.Job}); err != nil || !shown {
		return false, err
	}
	if err := s.send(e); err != nil || e.Task != "" || !openflow.JobStatus(e.Status).Terminal() {
		return false, err
	}
	return s.ended()
}

// shows reports whether a job's events belong to this stream.
func (s *stream) shows(j job) (bool, error) {
	if s.job.id != "" || s.user == "" {
		return s.job.id == "" || j == s.job, nil
	}
	if shown, ok := s.known[j]; ok {
		return shown, nil
	}
	rows, err := s.rows(j)
	s.known[j] = len(rows) > 0
	return s.known[j], err
}

// snapshot sends how the job stands, as events without a place of their own.
func (s *stream) snapshot() (done bool, err error) {
	if s.job.id == "" {
		return false, s.beat()
	}
	rows, err := s.rows(s.job)
	if err != nil {
		return false, err
	}
	running := false
	for _, j := range rows {
		e := openflow.Event{
			At: j.UpdateTime, Scheduler: j.Scheduler, Job: j.ID, Party: j.Party, Status: string(j.Status), Reason: j.Reason, Progress: &j.Progress,
		}
		if err := s.send(e); err != nil {
			return false, err
		}
		running = running || !j.Status.Terminal()
	}
	if running { // what has ended since is an event that is still to come
		return false, nil
	}
	return true, s.tell("", wire.EventEnd, "{}")
}

// ended tells whether the job has ended in every role of this site, and says so to the client if it has.
func (s *stream) ended() (bool, error) {
	if s.job.id == "" {
		return false, nil
	}
	rows, err := s.rows(s.job)
	if err != nil {
		return false, err
	}
	for _, j := range rows {
		if !j.Status.Terminal() {
			return false, nil
		}
	}
	return true, s.tell("", wire.EventEnd, "{}")
}

func (s *stream) send(e openflow.Event) error {
	kind := wire.EventJob
	switch {
	case e.Component != "":
		kind = wire.EventComponent
	case e.Task != "":
		kind = wire.EventTask
	}
	data, err := json.Marshal(encodeEvent(e))
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "event of job %s cannot be encoded: %w", e.Job, err)
	}
	return s.tell(e.ID, kind, string(data))
}

// tell sends one event; without an ID it has no place of its own in the order of events.
func (s *stream) tell(id, kind, data string) error {
	m := &sse.Message{Type: sse.Type(kind)}
	if id != "" {
		named, err := sse.NewID(id)
		if err != nil {
			return err
		}
		m.ID = named
	}
	m.AppendData(data)
	return s.write(m)
}

// beat is a sign of life, which clients do not see.
func (s *stream) beat() error {
	m := &sse.Message{}
	m.AppendComment("alive")
	return s.write(m)
}

func (s *stream) write(m *sse.Message) error {
	if _, err := m.WriteTo(s.out); err != nil {
		return err
	}
	return s.flush()
}

// encodeEvent renders e, with a job's status as in EncodeJob.
func encodeEvent(e openflow.Event) wire.EventRow {
	row := wire.EventRow{
		Scheduler: string(e.Scheduler), JobID: string(e.Job), Role: string(e.Party.Role), PartyID: string(e.Party.ID), TaskName: string(e.Task), TaskVersion: e.Version,
		Status: e.Status, Reason: e.Reason, Progress: e.Progress, Time: wire.Millis(e.At),
		Component: e.Component, Provider: e.Provider,
	}
	if e.Task == "" && e.Component == "" && e.Status != "" {
		row.Status = wire.ClientStatus(openflow.JobStatus(e.Status))
	}
	return row
}
