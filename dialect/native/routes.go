package native

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow/dialect"
	"openflow/dialect/native/envelope"
	"openflow/dialect/verbs"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// service serves other nodes of ours.
type service struct{ dialect.Node }

// Interconnection implements dialect.Dialect.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	write := envelope.Writer{Log: n.Log, Told: n.Told}
	handlers := verbs.Handlers(n)
	handlers[pathSite] = service{n}.site
	r := write.Router()
	r.Group(func(r chi.Router) {
		r.Use(n.Verified(write.Refuse), n.Signed)
		for path, h := range handlers {
			r.Post(path, write.JSON(h))
		}
	})
	return []dialect.Mount{{Prefix: prefix, Router: r}}
}

// site tells a verified peer whom it has reached, so that it can check an address before it trusts it. It calls back when
// asked, so that an operator sees from one side whether both directions work.
func (s service) site(r *http.Request) (any, error) {
	var b probe
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	answer := probed{Caller: string(dialect.Caller(r)), Version: s.Version}
	if b.CallBack {
		if err := s.Prober.Probe(r.Context(), dialect.Caller(r)); err != nil {
			answer.CallBack = wire.Failure(s.Told(r, err)).Error
		}
	}
	return answer, nil
}
