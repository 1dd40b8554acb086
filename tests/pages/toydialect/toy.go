// Package toydialect is the dialect of docs/add-a-dialect.md.
package toydialect

import (
	"context"
	"encoding/json"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
)

// Dialect is the toy.
type Dialect struct{ dialect.Plain }

// Name is what records of peers and providers say.
func (Dialect) Name() openflow.Dialect { return "toy" }

// envelope is every answer between nodes, and prefix begins the paths.
type envelope struct {
	Said json.RawMessage `json:"said,omitempty"`
	No   *wire.Problem   `json:"no,omitempty"`
}

const prefix = "/toy"

// Client calls a peer: each call is one signed POST.
func (Dialect) Client(l peer.Link) dialect.Client {
	return verbs.NewClient(l, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		got, err := l.Do(ctx, prefix+call, "application/json", body, nil)
		if err != nil {
			return verbs.Answer{}, err
		}
		var e envelope
		if err := json.Unmarshal(got.Body, &e); err != nil {
			return verbs.Answer{}, l.Unreachable("answered %s with something that is not JSON", call)
		}
		return verbs.Answer{Header: got.Header, Data: e.Said, Refusal: e.No}, nil
	})
}

// Interconnection serves the calls of peers.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	return []dialect.Mount{verbs.Mount(n, prefix, func(a verbs.Answer) any { return envelope{a.Data, a.Refusal} })}
}
