// Package envelope is every answer of our own dialect: data or an error, and the dialect's version.
package envelope

import (
	"encoding/json"
	"log/slog"

	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// Version is that of the paths and the envelope.
const Version = 1

// Envelope is every answer. Version tells it from what something else at the address answers.
type Envelope struct {
	Version int             `json:"openflow"`
	Data    json.RawMessage `json:"data,omitempty"`
	Error   *wire.Problem   `json:"error,omitempty"`
}

// Of puts an answer into the envelope.
func Of(data json.RawMessage, refusal *wire.Problem) any {
	return Envelope{Version: Version, Data: data, Error: refusal}
}

// Writer writes envelopes.
func Writer(log *slog.Logger) reply.Writer { return reply.Writer{Log: log, Envelope: Of} }

// Err is the refusal in a received envelope, with what is taken of a peer's words; nil for none.
func (e Envelope) Err() error { return forms.Refusal(e.Error) }
