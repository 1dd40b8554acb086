// Package toydialect is the dialect of docs/add-a-dialect.md.
package toydialect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/server/reply"
)

// Dialect is the toy.
type Dialect struct{ dialect.Plain }

// Name is what records of peers and providers say.
func (Dialect) Name() openflow.Dialect { return "toy" }

// answer is every answer. Its version tells it from what something else at the address answers.
type answer struct {
	Toy  int             `json:"toy"`
	Said json.RawMessage `json:"said,omitempty"`
	No   *wire.Problem   `json:"no,omitempty"`
}

func envelope(said json.RawMessage, no *wire.Problem) any { return answer{1, said, no} }

// Client calls a peer: each call is one signed POST.
func (Dialect) Client(l peer.Link) dialect.Client {
	return verbs.NewClient(l, func(ctx context.Context, call string, body []byte) (verbs.Answer, error) {
		got, err := l.Do(ctx, "/toy"+call, "application/json", body, nil)
		if err != nil {
			return verbs.Answer{}, err
		}
		var a answer
		if err := json.Unmarshal(got.Body, &a); err != nil || a.Toy == 0 {
			return verbs.Answer{Header: got.Header}, l.Unreachable("answered %s with something that is no answer of the toy", call)
		}
		return verbs.Answer{Header: got.Header, Data: a.Said, Refusal: a.No}, nil
	})
}

// Interconnection serves the calls of peers.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	return []dialect.Mount{verbs.Mount(n, "/toy", envelope)}
}

// work is what a container is told, in its variable TOY.
type work struct {
	Job        openflow.JobID      `json:"job"`
	Party      string              `json:"party"`
	Version    int                 `json:"version"`
	Component  string              `json:"component"`
	Parameters openflow.Parameters `json:"parameters"`
	Report     string              `json:"report"`     // where it tells its end
	Credential string              `json:"credential"` // the bearer token with which it does
}

// Container tells a container its work.
func (Dialect) Container() dialect.Container {
	return func(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error) {
		told, err := json.Marshal(work{
			Job: r.Key.Job, Party: r.Key.Party.String(), Version: r.Key.Version, Component: r.Component, Parameters: r.Spec.Parameters,
			Report: fmt.Sprintf("http://%s:%d/toy-container/end", at.Host, at.Port), Credential: g.Credential,
		})
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%s: its parameters cannot be told: %w", r.Key, err)
		}
		return []string{"TOY=" + string(told)}, nil
	}
}

// Base serves the one call of containers: {"word": "done"}, or what went wrong.
func (Dialect) Base(s *base.Site) []dialect.Mount {
	write := reply.Writer{Log: s.Log, Envelope: envelope}
	router := write.Router()
	router.With(s.KnownAtEnd(write.Refuse)).Post("/end", write.JSON(func(r *http.Request) (any, error) {
		var said struct {
			Word string `json:"word" check:"required"`
		}
		if err := reply.Decode(r, &said); err != nil {
			return nil, err
		}
		if said.Word == "done" {
			return nil, s.Report(r.Context(), base.Run(r), openflow.TaskSuccess, "", openflow.Cause{})
		}
		return nil, s.Report(r.Context(), base.Run(r), openflow.TaskFailed, said.Word, openflow.Cause{})
	}))
	return []dialect.Mount{{Prefix: "/toy-container", Router: router}}
}
