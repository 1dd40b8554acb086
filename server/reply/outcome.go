package reply

import (
	"context"
	"net/http"

	"openflow"
)

// Outcome is how a request was answered, for those that measure: HTTP statuses of this dialect do not tell.
type Outcome struct{ Code openflow.Code } // empty: success

type outcomeKey struct{}

// Watch returns r with an outcome that its handler's error will be noted in. A request that is watched already keeps its
// outcome.
func Watch(r *http.Request) (*http.Request, *Outcome) {
	if o, ok := r.Context().Value(outcomeKey{}).(*Outcome); ok {
		return r, o
	}
	o := &Outcome{}
	return r.WithContext(context.WithValue(r.Context(), outcomeKey{}, o)), o
}

// Note records that r is answered with err. [Failed] does it; handlers that render errors themselves call it.
func Note(r *http.Request, err error) {
	if o, ok := r.Context().Value(outcomeKey{}).(*Outcome); ok && err != nil {
		o.Code = openflow.CodeOf(err)
	}
}
