package metrics

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow/server/reply"
)

// Requests is the middleware that counts the requests of one layer. Requests that fit no route share one label, so that
// strangers cannot make labels.
func (m *Metrics) Requests(layer string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin := time.Now()
			r, answer := reply.Watch(r)
			defer func() { // also when the handler breaks its answer off
				m.requests.WithLabelValues(layer, route(r), outcome(answer.Code)).Inc()
				m.requestTime.WithLabelValues(layer).Observe(time.Since(begin).Seconds())
			}()
			next.ServeHTTP(w, r)
		})
	}
}

func route(r *http.Request) string {
	if c := chi.RouteContext(r.Context()); c != nil && c.RoutePattern() != "" {
		return c.RoutePattern()
	}
	return "none"
}
