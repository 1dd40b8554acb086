package application

import (
	"net/http"
	"os"

	"openflow"
	"openflow/server/origin"
	"openflow/server/reply"
)

// local refuses requests without a token, unless the node's own user or root sends them from this machine. An address of
// loopback alone is no identity: a proxy on this machine and all of its other users have it too.
func (a Access) local(r *http.Request) error {
	if !origin.Loopback(r.RemoteAddr) || !origin.Loopback(r.Host) {
		return openflow.Errorf(openflow.CodeUnauthorized, "without a token, the application layer answers on loopback only").
			WithHint("start the node with --token, or call http://127.0.0.1")
	}
	if origin.PassedOn(r.Header) {
		return openflow.Errorf(openflow.CodeUnauthorized, "a proxy has passed the request on, so it needs a token").
			WithHint("start the node with --token where a proxy stands before it")
	}
	o := a.owner(r)
	switch {
	case !o.known:
		return openflow.Errorf(openflow.CodeUnauthorized, "the node cannot tell which user of this machine calls, so the request needs a token").
			WithHint("start the node with --token")
	case o.uid != 0 && o.uid != os.Geteuid():
		return openflow.Errorf(openflow.CodeUnauthorized, "without a token, the application layer answers the node's own user and root only").
			WithHint("start the node with --token and give the token to this user, or call as the user that the node runs as")
	}
	return nil
}

// owner finds the user of this machine who has sent a request.
func (a Access) owner(r *http.Request) owner {
	find := a.Owner
	if find == nil {
		find = origin.Owner
	}
	return reply.Remembered(r, owner{}, func() (o owner) {
		o.uid, o.known = find(r)
		return o
	})
}

// owner is the user whose socket is at the other end of a connection of this machine.
type owner struct {
	uid   int
	known bool
}
