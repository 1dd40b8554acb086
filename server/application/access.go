package application

import (
	"net/http"
	"strings"

	"openflow"
	"openflow/server/origin"
	"openflow/server/reply"
)

// Access decides who may call the application layer and the UI.
type Access struct {
	// Token is set: every request must carry it. It is empty: the node's own user and root may call, over loopback.
	Token string
	Same  func(expected, given string) bool
	// Owner tells which user of this machine has sent a request; nil: origin.Owner.
	Owner func(r *http.Request) (uid int, known bool)
}

// cookie carries the session of a browser. The page at SignIn gives it to the browser. Over TLS its name begins so that a browser
// takes it over TLS only: cookies know no ports, and something else on this host could set one without TLS.
const cookie, cookieOverTLS = "openflow_session", "__Host-openflow_session"

func cookieOf(r *http.Request) string {
	if origin.Secret(r) {
		return cookieOverTLS
	}
	return cookie
}

// Known refuses, as refuse writes it, requests that lack the token, come from somebody else without one, or were sent by
// a page of another origin. The last matters on loopback too: any page in the user's browser can reach it.
func (a Access) Known(refuse func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return a.known(next, refuse, origin.Page) }
}

// Plain is Known for what is of no dialect: metrics and the UI. Their clients, such as Prometheus and browsers,
// look at the HTTP status. Links of other sites may lead to its pages.
func (a Access) Plain(next http.Handler) http.Handler {
	return a.known(next, reply.Plain, func(r *http.Request) error {
		if r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document" {
			return nil
		}
		return origin.Page(r)
	})
}

func (a Access) known(next http.Handler, refuse func(http.ResponseWriter, *http.Request, error), page func(*http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := page(r)
		if err == nil {
			err = a.check(r)
		}
		if err != nil {
			refuse(w, r, err)
			return
		}
		reply.Known(w, r, "user")
		next.ServeHTTP(w, r)
	})
}

// Operator is Plain for what an operator does with a program of his own, as taking a profile. It needs the token in the header
// Authorization, which no page of another site can send, also where other requests need none.
func (a Access) Operator(next http.Handler) http.Handler {
	return a.Plain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case a.Token == "":
			reply.Plain(w, r, openflow.Errorf(openflow.CodeUnauthorized, "profiles need the token, and this node has none").
				WithHint("start the node with --token"))
		case !a.Same(a.Token, token):
			reply.Plain(w, r, openflow.Errorf(openflow.CodeUnauthorized, "profiles need the token in the header Authorization").
				WithHint("curl -X POST -H \"Authorization: Bearer TOKEN\" …/debug/pprof/heap"))
		default:
			next.ServeHTTP(w, r)
		}
	}))
}

func (a Access) check(r *http.Request) error {
	if r.URL.Query().Has("token") {
		return openflow.Errorf(openflow.CodeUnauthorized, "a token in an address is not taken: proxies, logs and histories of browsers keep addresses").
			WithHint("send it as \"Authorization: Bearer …\", or open %s in a browser; make a new token if this was the real one", SignIn)
	}
	if a.Token == "" {
		return a.local(r)
	}
	if a.Same(a.Token, given(r)) || a.signedIn(r) {
		return nil
	}
	return openflow.Errorf(openflow.CodeUnauthorized, "this node needs a token").
		WithHint("send it as \"Authorization: Bearer …\", or open %s in a browser; the operator finds it in the node's home, or give --token to the CLI", SignIn)
}

func given(r *http.Request) string {
	t, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return t
}
