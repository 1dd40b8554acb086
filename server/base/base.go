// Package base is what a site does for its own containers, in the words of the domain. They read inputs, write outputs,
// metrics and models, tell their status, and exchange messages with the same task at other parties.
//
// Every request carries the credential of one task and reaches only what belongs to that task. Which routes there are, and
// what their bodies look like, each dialect says on a [Site]. The routes of messages are the standard's, in transport.go.
package base

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"openflow"
	"openflow/server/reply"
	"openflow/store/objects"
)

// Store is the part of the catalogue that containers read and write.
type Store interface {
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
	TasksOfSession(ctx context.Context, self openflow.PartyID, id openflow.SessionID) ([]openflow.TaskRecord, error)
	RecordTaskReport(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, report string, cause openflow.Cause) error
	AddTaskWarning(ctx context.Context, k openflow.TaskKey, text string) error
	Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error)
	LatestOutputs(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.OutputRecord, error)
	RecordUpload(ctx context.Context, k openflow.TaskKey, object string) error
	HasUploaded(ctx context.Context, k openflow.TaskKey, object string) (bool, error)
	SaveOutput(ctx context.Context, o openflow.OutputRecord, t *openflow.TableRecord) error
	// TableOf is a table as a job has it: pinned at the job's creation, or as it is now.
	TableOf(ctx context.Context, k openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error)
	Pins(ctx context.Context, k openflow.JobKey) ([]openflow.Pin, error)
	SaveModel(ctx context.Context, m openflow.ModelRecord) error
	Model(ctx context.Context, scheduler openflow.PartyID, ref openflow.ModelRef, p openflow.Party, task openflow.TaskName, outputKey string) (openflow.ModelRecord, error)
	ModelOwners(ctx context.Context, ref openflow.ModelRef, p openflow.PartyID) ([]openflow.ModelOwner, error)
	GrantsOfJob(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) (grants []openflow.Grant, were int, err error)
	AppendMetrics(ctx context.Context, k openflow.TaskKey, metrics []openflow.MetricRecord) error
	// TakeObjects counts bytes of objects for a run, or gives them back when they are negative.
	TakeObjects(ctx context.Context, k openflow.TaskKey, bytes int64) error
	// AppendAudit records what a run was let through to; an event whose ID is there already is none.
	AppendAudit(ctx context.Context, e openflow.AuditEvent) error
	SpendScores(ctx context.Context, s openflow.ScoreSpend, memory time.Duration) error
}

// Credentials checks what a container proves itself with.
type Credentials interface {
	Check(token string) (openflow.RunID, error)
}

// Site is this site as its containers reach it, in any dialect.
type Site struct {
	Store       Store
	Objects     objects.Store
	Credentials Credentials
	Pool        *Pool           // nil: the listener serves containers only
	Policy      openflow.Policy // of this site
	Files       Files           // of this machine
	Space       func() error    // nil, or what it answers: there is room for new data
	// Broker is the broker that the runs of a provider may use; ok is false where the policy names none; nil: there is none.
	Broker func(provider string) (b openflow.Broker, ok bool, err error)
	// Hindered is told how it went each time that a run stores something or sends a message; nil: nobody is.
	Hindered func(session openflow.SessionID, what openflow.Passage, err error)
	Traced   func(http.Handler) http.Handler // wraps what is not a message, once the credential has been checked; nil: nothing
	Intake   *reply.Intake                   // of what containers send and read whole; nil: it is not bounded
	Log      *slog.Logger
}

type taskKey struct{}

// Run is the run whose container sent the request.
func Run(r *http.Request) openflow.TaskRecord {
	t, _ := r.Context().Value(taskKey{}).(openflow.TaskRecord)
	return t
}

// Known finds the run that the credential belongs to, and answers as refuse does where there is none. So it does where the run
// has ended: its container should be gone.
func (s *Site) Known(refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return s.traced(s.known(refuse, false))
}

// KnownAtEnd is Known for what a run may repeat once it has ended: its status.
func (s *Site) KnownAtEnd(refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return s.traced(s.known(refuse, true))
}

func (s *Site) traced(known func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if s.Traced != nil {
			next = s.Traced(next)
		}
		return known(next)
	}
}

func (s *Site) known(refuse func(http.ResponseWriter, *http.Request, error), mayEnd bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, err := s.identify(r)
			if err == nil && t.PartyStatus.Terminal() && !mayEnd {
				err = openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodePermission, "%s has ended", t.Key))
			}
			if err != nil {
				refuse(w, r, err)
				return
			}
			who := "run " + string(t.Key.RunID())
			reply.Known(w, r, who)
			ctx, end, err := s.Intake.Hold(context.WithValue(r.Context(), taskKey{}, t), who)
			if err != nil {
				refuse(w, r, err)
				return
			}
			defer end()
			ctx = reply.Listening(ctx, s.Log, "run", t.Key.RunID())
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func (s *Site) identify(r *http.Request) (openflow.TaskRecord, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return openflow.TaskRecord{}, openflow.Errorf(openflow.CodeUnauthorized, "no task credential").
			WithHint("send the credential that the environment of the container has as a bearer token")
	}
	id, err := s.Credentials.Check(token)
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	t, err := s.Store.TaskByRunID(r.Context(), id)
	return t, openflow.About(openflow.AboutTask, err)
}

// Stream copies an object to the answer. Once the answer has begun, it breaks off rather than to look whole.
func (s *Site) Stream(w http.ResponseWriter, r *http.Request, digest, contentType string) error {
	body, _, err := s.Objects.Get(r.Context(), digest, 0)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read to the end, or of no more use
	w.Header().Set("Content-Type", contentType)
	if _, err := io.Copy(w, body); err != nil {
		s.Log.DebugContext(r.Context(), "object not sent whole", "path", r.URL.Path, "err", err)
		panic(http.ErrAbortHandler) // so that the reader sees a broken body and not a short one
	}
	return nil
}
