package reply

import (
	"context"
	"net/http"
	"sync"
)

// Connection is what a server remembers of one connection, for as long as it lasts.
type Connection struct {
	keep  func(who string) bool
	facts sync.Map
}

type connectionKey struct{}

// OnConnection is the context of all requests of a connection. keep is told that somebody known calls on it, and tells
// whether it may stay open between calls.
func OnConnection(ctx context.Context, keep func(who string) bool) context.Context {
	return context.WithValue(ctx, connectionKey{}, &Connection{keep: keep})
}

func connection(r *http.Request) *Connection {
	c, _ := r.Context().Value(connectionKey{}).(*Connection)
	return c
}

// Known says that the caller of r has proven to be who. Then its connection is not closed behind the answer, and not to make
// room for others. A handler calls it as soon as it knows the caller, before it reads the body.
func Known(w http.ResponseWriter, r *http.Request, who string) {
	if c := connection(r); c != nil && c.keep(who) {
		w.Header().Del("Connection")
	}
}

// Remembered finds something out about the connection of a request, and remembers it for the next requests on it.
func Remembered[T any](r *http.Request, key any, find func() T) T {
	c := connection(r)
	if c == nil {
		return find()
	}
	if known, ok := c.facts.Load(key); ok {
		return known.(T)
	}
	found := find()
	c.facts.Store(key, found)
	return found
}
