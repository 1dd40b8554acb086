// Package base serves the algorithm containers of this node: their inputs, outputs, metrics, models and status, and
// the messages that they exchange with the same task at other parties.
//
// Every request carries the credential of one task and reaches only what belongs to that task. Start reading at
// [API.Routes]; messages are in transport.go.
package base

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/store/objects"
)

// Store is the part of the catalogue that containers read and write.
type Store interface {
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
	RecordTaskReport(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, report string, cause openflow.Cause) error
	AddTaskWarning(ctx context.Context, k openflow.TaskKey, text string) error
	Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error)
	LatestOutputs(ctx context.Context, k openflow.JobKey, task openflow.TaskName) ([]openflow.OutputRecord, error)
	OutputsOfTable(ctx context.Context, n openflow.TableName) ([]openflow.OutputRecord, error)
	SaveOutput(ctx context.Context, o openflow.OutputRecord, t *openflow.TableRecord) error
	// TableOf is a table as a job has it: pinned at the job's creation, or as it is now.
	TableOf(ctx context.Context, k openflow.JobKey, n openflow.TableName) (openflow.TableRecord, error)
	Pins(ctx context.Context, k openflow.JobKey) ([]openflow.Pin, error)
	SaveModel(ctx context.Context, m openflow.ModelRecord) error
	Model(ctx context.Context, scheduler openflow.PartyID, ref openflow.ModelRef, p openflow.Party, task openflow.TaskName, outputKey string) (openflow.ModelRecord, error)
	AppendMetrics(ctx context.Context, k openflow.TaskKey, metrics []openflow.MetricRecord) error
	SpendScores(ctx context.Context, s openflow.ScoreSpend, memory time.Duration) error
}

// Credentials checks what a container proves itself with.
type Credentials interface {
	Check(token string) (openflow.RunID, error)
}

// API serves the base layer.
type API struct {
	Store       Store
	Objects     objects.Store
	Credentials Credentials
	Transport   *Transport
	Policy      openflow.Policy                 // of this site
	Traced      func(http.Handler) http.Handler // wraps what is not a message, once the credential has been checked; nil: nothing
	Log         *slog.Logger
}

// Routes mounts the worker page of fate-flow-api §3.1 and the container side of interop-transport §6.
func (a *API) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(a.authenticate)
		a.worker(r)
		if a.Transport != nil {
			r.Post("/v1/interconn/chan/push", a.Transport.push)
			r.Post("/v1/interconn/chan/pop", a.Transport.pop)
			r.Post("/v1/interconn/chan/peek", a.Transport.peek)
			r.Post("/v1/interconn/chan/release", a.Transport.release)
		}
	})
}

func (a *API) worker(r chi.Router) {
	if a.Traced != nil {
		r = r.With(a.Traced)
	}
	r.Post("/v2/worker/task/status", reply.JSON(a.Log, a.status))
	r.Post("/v2/worker/task/warning", reply.JSON(a.Log, a.warning))
	r.Post("/v2/worker/scores/spend", reply.JSON(a.Log, a.spendScores))
	r.Get("/v2/worker/data/tracking/query", reply.JSON(a.Log, a.trackingQuery))
	r.Post("/v2/worker/data/tracking/save", reply.JSON(a.Log, a.trackingSave))
	r.Get("/v2/worker/data/table", a.table)
	r.Put("/v2/worker/data/object", reply.JSON(a.Log, a.putObject))
	r.Post("/v2/worker/model/save", reply.JSON(a.Log, a.modelSave))
	r.Get("/v2/worker/model/download", a.modelDownload)
	r.Post("/v2/worker/metric/save", reply.JSON(a.Log, a.metricSave))
	r.Post("/v2/worker/metric/save/{execution_id}", reply.JSON(a.Log, a.metricSave))
}

type taskKey struct{}

// task is the run whose container sent the request.
func task(r *http.Request) openflow.TaskRecord {
	t, _ := r.Context().Value(taskKey{}).(openflow.TaskRecord)
	return t
}

// authenticate finds the run that the credential belongs to. A run that has ended may only repeat its status: its
// container should be gone.
func (a *API) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, err := a.identify(r)
		if err != nil {
			reply.Error(a.Log, w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), taskKey{}, t)))
	})
}

func (a *API) identify(r *http.Request) (openflow.TaskRecord, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return openflow.TaskRecord{}, openflow.Errorf(openflow.CodeUnauthorized, "no task credential").
			WithHint("send the value of OPENFLOW_CREDENTIAL as a bearer token")
	}
	id, err := a.Credentials.Check(token)
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	t, err := a.Store.TaskByRunID(r.Context(), id)
	if err != nil {
		return t, openflow.About(openflow.AboutTask, err)
	}
	if t.PartyStatus.Terminal() && !strings.HasSuffix(r.URL.Path, "/task/status") {
		return t, openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodePermission, "%s has ended", t.Key))
	}
	return t, nil
}

// own refuses a body or query that names another run than the credential's. Containers name it in FATE-Flow's form, which is
// that of their configuration: the credential says whose job it is.
func own(t openflow.TaskRecord, executionID string) error {
	if executionID != "" && executionID != wire.PartyTaskID(t.Key) && executionID != string(t.Key.RunID()) {
		return openflow.Errorf(openflow.CodePermission, "the credential belongs to another task than %q", executionID)
	}
	return nil
}

// stream copies an object to the answer.
func (a *API) stream(w http.ResponseWriter, r *http.Request, digest, contentType string) {
	body, _, err := a.Objects.Get(r.Context(), digest, 0)
	if err != nil {
		reply.Error(a.Log, w, r, err)
		return
	}
	defer func() { _ = body.Close() }() // read to the end, or of no more use
	w.Header().Set("Content-Type", contentType)
	if _, err := io.Copy(w, body); err != nil {
		a.Log.DebugContext(r.Context(), "object not sent whole", "path", r.URL.Path, "err", err)
		panic(http.ErrAbortHandler) // so that the reader sees a broken body and not a short one
	}
}
