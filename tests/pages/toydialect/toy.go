// Package toydialect is the dialect of docs/add-a-dialect.md.
package toydialect

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/reply"
)

// All paths of the toy begin with prefix; hello is a call of its own.
const (
	prefix = "/toy"
	hello  = "/hello"
)

// Dialect is the toy.
type Dialect struct{}

// Name is what records of peers say.
func (Dialect) Name() openflow.Dialect { return "toy" }

// Speaks tells the versions and the profiles, the usual one first.
func (Dialect) Speaks() (versions, profiles []string) { return []string{"1"}, []string{"plain"} }

// Channel leaves sessions and topics as they are.
func (Dialect) Channel(own openflow.SessionID, topic string) (dialect.Channel, error) {
	return dialect.Channel{Session: string(own), Topic: topic}, nil
}

// Own is the way back.
func (Dialect) Own(c dialect.Channel) (session, topic string, err error) {
	return c.Session, c.Topic, nil
}

// Application serves no users: the toy is spoken between nodes only.
func (Dialect) Application(*application.Site) []dialect.Mount { return nil }

// Base serves no containers.
func (Dialect) Base(*base.Site) []dialect.Mount { return nil }

// Container tells containers nothing.
func (Dialect) Container() dialect.Container { return nil }

// envelope is every answer.
type envelope struct {
	Said json.RawMessage `json:"said,omitempty"`
	No   *wire.Problem   `json:"no,omitempty"`
}

type client struct{ *verbs.Client }

// Client calls a peer: each call is one signed POST.
func (Dialect) Client(l peer.Link) dialect.Client {
	return client{verbs.NewClient(l, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		got, err := l.Do(ctx, prefix+call, "application/json", body, nil)
		if err != nil {
			return verbs.Answer{}, err
		}
		var e envelope
		if err := json.Unmarshal(got.Body, &e); err != nil || e.Said == nil && e.No == nil {
			return verbs.Answer{}, l.Unreachable("answered %s with something that is no answer of the toy", call)
		}
		return verbs.Answer{Data: e.Said, Refusal: e.No}, nil
	})}
}

// Examine asks the peer whom it takes this node for.
func (c client) Examine(ctx context.Context, _ bool) (dialect.Seen, error) {
	var caller string
	err := c.Call(ctx, hello, struct{}{}, &caller)
	return dialect.Seen{Answered: err == nil, Caller: openflow.Heard(caller)}, err
}

// Probe tells whether the peer speaks the toy.
func (c client) Probe(ctx context.Context) error {
	_, err := c.Examine(ctx, false)
	return err
}

// Interconnection serves the calls of peers, each in the envelope.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	write := func(w http.ResponseWriter, r *http.Request, data any, err error) {
		var e envelope
		if err == nil {
			e.Said, err = json.Marshal(data)
		}
		if err != nil {
			reply.Failed(n.Log, r, err)
			e.No = wire.Failure(err).Error
		}
		reply.JSON(n.Log, w, r, e)
	}
	refuse := func(w http.ResponseWriter, r *http.Request, err error) { write(w, r, nil, err) }
	unknown := func(w http.ResponseWriter, r *http.Request) { refuse(w, r, reply.NoRoute(r)) }
	handlers := verbs.Handlers(n)
	handlers[hello] = func(r *http.Request) (any, error) { return dialect.Caller(r), nil }
	router := chi.NewRouter()
	router.Use(reply.Recovered(n.Log, refuse))
	router.NotFound(unknown)
	router.MethodNotAllowed(unknown)
	known := router.With(n.Verified(refuse))
	for path, handle := range handlers {
		known.Post(path, func(w http.ResponseWriter, r *http.Request) {
			data, err := handle(r)
			write(w, r, data, n.Told(r, err))
		})
	}
	return []dialect.Mount{{Prefix: prefix, Router: router}}
}
