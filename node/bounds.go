package node

import (
	"net/http"
	"strings"

	"openflow/server"
	"openflow/server/reply"
	"openflow/site/peers"
	"openflow/site/trust"
)

// mostUnknown is how many connections one address may hold on which nobody known has called yet. Behind a gateway are many
// peers, and each proves itself with its first request. On a busy machine a hundred programs of one user connect before the
// first of them is heard.
const mostUnknown = 256

// unknown leaves half of a listener's connections to other addresses.
func unknown() int { return min(mostUnknown, server.Connections()/2) }

// Connections that stay open for one caller between its calls; our own client keeps as many to one node.
const kept = 64

// forPeers bounds what other institutions hold, and whoever else finds the address.
func (n *Node) forPeers() server.Bounds {
	b := forPlainPeers()
	b.TLS = trust.Accepting(n.lines.Own, peers.Keys{Records: n.rows}, n.lines.Also)
	return b
}

func forPlainPeers() server.Bounds {
	return server.Bounds{Connections: server.Connections(), Unknown: unknown(), Known: kept, Closes: true}
}

// forPackets bounds what the bridges of other institutions hold. Who calls is known when a packet has been read.
func (n *Node) forPackets() server.Bounds {
	b := n.forPeers()
	b.GRPC = true
	b.TLS.NextProtos = []string{"h2"}
	if n.config.PlainPackets {
		b.TLS = nil
	}
	return b
}

// mostRunCalls is how many calls of one run may be under way. A program waits for a message of each party and topic at once.
const mostRunCalls = 128

// runCalls leaves three quarters of what the containers' listener may hold to other runs.
func runCalls() int { return min(mostRunCalls, server.Connections()/4) }

// forContainers bounds what each run holds.
func forContainers() server.Bounds {
	return server.Bounds{Connections: server.Connections(), Unknown: unknown(), Known: kept, Closes: true, GRPC: true}
}

// forWorkers bounds what the workers of the pool hold. Many of their containers come from one address.
func (n *Node) forWorkers() server.Bounds {
	b := server.Bounds{Connections: server.Connections(), Unknown: unknown(), Closes: true, GRPC: true}
	if !n.config.PlainWorkers {
		b.TLS = trust.Serving(n.own)
	}
	return b
}

// forForwarding bounds what the containers of a worker's machine hold. The node knows them; the worker passes on.
func forForwarding() server.Bounds {
	return server.Bounds{Connections: server.Connections(), GRPC: true}
}

// admitted lets callers with the worker token through. gRPC alone would read what others send before it looks at that.
func (n *Node) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if err := n.workerToken.Check(token); err != nil {
			reply.Plain(w, r, err)
			return
		}
		reply.Known(w, r, "worker")
		next.ServeHTTP(w, r)
	})
}
