// Package interconnection serves other nodes: each dialect below prefixes of its own, and the transport of messages
// between containers.
//
// Every request is verified before anything is read of its body, and the caller's identity is the key's, never the body's.
// Start reading at [API.Routes].
package interconnection

import (
	"context"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
)

// API serves the interconnection layer.
type API struct {
	Dialects  dialect.All
	Node      dialect.Node
	Transport *Transport // nil: messages are not taken
	// Pace is that of messages; the one of Node is of calls.
	Pace func(ctx context.Context, caller openflow.PartyID, bytes int64) error
}

// Routes mounts the layer: what each dialect serves, and the transport of interop-transport §7.
func (a *API) Routes(r chi.Router) {
	a.Dialects.Interconnection(a.Node).Routes(r)
	if a.Transport == nil {
		return
	}
	senders := a.Node
	senders.Intake, senders.Pace = a.Transport.Intake, a.Pace
	r.Group(func(r chi.Router) {
		r.Use(senders.Verified(a.Transport.MaxBody, a.Transport.refuse))
		r.Post("/v1/interconn/chan/invoke", a.Transport.invoke)
		r.Post("/v1/interconn/chan/transport", a.Transport.invoke)
	})
}
