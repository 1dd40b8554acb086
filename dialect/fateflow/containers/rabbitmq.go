package containers

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/fateflow/rabbitmq"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/server/reply"
)

// relayProtocol is what a container asks a connection to be upgraded to.
const relayProtocol = "amqp"

// brokerRoutes mounts the way to the broker that the site's policy names for a run's provider. Nothing of a request chooses where it
// leads.
func (a *api) brokerRoutes(r chi.Router) {
	manage := func(w http.ResponseWriter, r *http.Request) {
		if err := a.manage(w, r); err != nil {
			a.write.Refuse(w, r, err)
		}
	}
	r.Get("/worker/rabbitmq/manage/*", manage)
	r.Put("/worker/rabbitmq/manage/*", manage)
	r.Delete("/worker/rabbitmq/manage/*", manage)
	r.Get("/worker/rabbitmq/connect", func(w http.ResponseWriter, r *http.Request) {
		if err := a.connect(w, r); err != nil {
			a.write.Refuse(w, r, err)
		}
	})
}

// broker is that of a run, and the run's part in its task there. What FATE calls things at a broker leaves the scheduler out. So of
// several jobs of one ID, the first that came here has the broker, and no other. CodePermission: it is not that job's run, or the
// policy names no broker for its provider.
func (a *api) broker(ctx context.Context, t openflow.TaskRecord) (rabbitmq.Task, error) {
	provider, _, _ := strings.Cut(t.Provider, ":")
	var b openflow.Broker
	ok, err := false, error(nil)
	if a.Broker != nil {
		b, ok, err = a.Broker(provider)
	}
	if err == nil && !ok {
		err = openflow.Errorf(openflow.CodePermission, "the policy of this site names no broker for provider %q", provider).
			WithHint("add one to engines.rabbitmq; see docs/fate-federation.md")
	}
	if err != nil {
		return rabbitmq.Task{}, err
	}
	anybodys := t.Key
	anybodys.Scheduler = ""
	runs, err := a.Store.TasksOfSession(ctx, t.Key.Party.ID, anybodys.SessionID())
	if err != nil {
		return rabbitmq.Task{}, err
	}
	for _, other := range runs {
		if other.Key.Scheduler != t.Key.Scheduler && other.CreateTime.Before(t.CreateTime) {
			return rabbitmq.Task{}, openflow.Errorf(openflow.CodePermission, "another scheduler's job %s came here before, and has the broker", t.Key.Job)
		}
	}
	return rabbitmq.Task{Session: wire.FederationID(t.Key), Own: t.Key.Party, Parties: t.Spec.Parties, Broker: b}, nil
}

// manage asks the broker's management what a component of the run may ask of it.
func (a *api) manage(w http.ResponseWriter, r *http.Request) error {
	run := base.Run(r)
	task, err := a.broker(r.Context(), run)
	if err != nil {
		return err
	}
	asked, err := task.Manage(r.Method, "/"+chi.URLParam(r, "*"))
	if err != nil {
		return err
	}
	if err := a.noteBroker(r.Context(), run, task); err != nil {
		return err
	}
	answer, err := a.gate.Ask(r.Context(), task.Broker, asked)
	if err != nil {
		return err
	}
	if answer.Type != "" {
		w.Header().Set("Content-Type", answer.Type)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // a container that has gone needs no answer
	return nil
}

// connect makes the connection of the request one to the broker.
func (a *api) connect(w http.ResponseWriter, r *http.Request) error {
	run := base.Run(r)
	task, err := a.broker(r.Context(), run)
	if err != nil {
		return err
	}
	if r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), relayProtocol) || !strings.Contains(strings.ToLower(r.Header.Get("Connection")), "upgrade") {
		return openflow.Errorf(openflow.CodeInvalid, "a connection to the broker begins as an upgrade to %s", relayProtocol)
	}
	if err := a.noteBroker(r.Context(), run, task); err != nil {
		return err
	}
	broker, leave, err := a.gate.Connect(r.Context(), run.Key.RunID(), task.Broker)
	if err != nil {
		return err
	}
	defer leave()
	defer broker.Close() //nolint:errcheck // of no more use
	component, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "the connection cannot be upgraded: %w", err)
	}
	defer component.Close()                //nolint:errcheck // likewise
	_ = component.SetDeadline(time.Time{}) // those of requests
	const switched = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + relayProtocol + "\r\n\r\n"
	if _, err = component.Write([]byte(switched)); err == nil {
		ctx := context.WithoutCancel(r.Context()) // a connection that is taken over has no request any more
		err = a.gate.Pass(ctx, task, component, broker, buffered.Reader, func(ctx context.Context) error { return a.goesOn(ctx, run) })
	}
	if err != nil {
		reply.Note(r, err)
		a.Log.InfoContext(r.Context(), "a connection to a broker has ended", "run", run.Key.RunID(), "err", err)
		if code := openflow.CodeOf(err); code == openflow.CodePermission || code == openflow.CodeInvalid {
			err = a.Warn(context.WithoutCancel(r.Context()), run, "the broker of the site: "+err.Error())
			if err != nil {
				a.Log.WarnContext(r.Context(), "a warning could not be kept", "run", run.Key.RunID(), "err", err)
			}
		}
	}
	return nil
}

// goesOn ends the connections of a run that has ended, or whose provider the policy gives no broker to any more.
func (a *api) goesOn(ctx context.Context, run openflow.TaskRecord) error {
	now, err := a.Store.TaskByRunID(ctx, run.Key.RunID())
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return openflow.Errorf(openflow.CodeCanceled, "%s is gone", run.Key)
	case err != nil:
		return err
	case now.PartyStatus.Terminal():
		return openflow.Errorf(openflow.CodeCanceled, "%s has ended", run.Key)
	}
	_, err = a.broker(ctx, now)
	return err
}

// noteBroker records, once for each run, that it has been let through to a broker.
func (a *api) noteBroker(ctx context.Context, run openflow.TaskRecord, task rabbitmq.Task) error {
	return a.Store.AppendAudit(ctx, openflow.AuditEvent{
		ID: "broker of " + string(run.Key.RunID()), Actor: "provider " + run.Provider, Action: "broker.use", Subject: "run " + string(run.Key.RunID()),
		Detail: "broker " + task.Broker.Address + ", by engines.rabbitmq of the policy",
	})
}
