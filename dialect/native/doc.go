// Package native is our own dialect, below /openflow/v1: between nodes one call for each verb of the partner interface, with
// signed requests and answers; for users, containers and machines what FATE-Flow has no route for. Users' documents and the
// containers of our kit speak FATE-Flow's words.
package native

import (
	"openflow"
	"openflow/dialect"
	"openflow/dialect/native/containers"
	"openflow/dialect/native/envelope"
	"openflow/dialect/native/users"
	"openflow/dialect/peer"
	"openflow/dialect/verbs"
	"openflow/server/application"
	"openflow/server/base"
)

// Name is that of the dialect in records of peers.
const Name openflow.Dialect = "native"

// prefix begins the paths between nodes.
const prefix = "/openflow/v1/node"

// Dialect is our own.
type Dialect struct{ dialect.Plain }

var _ dialect.Dialect = Dialect{}

// Name implements dialect.Dialect.
func (Dialect) Name() openflow.Dialect { return Name }

// Speaks implements dialect.Dialect. Both sides sign.
func (Dialect) Speaks() (versions, profiles []string) { return []string{"1"}, []string{"signed"} }

// Application implements dialect.Dialect.
func (Dialect) Application(s *application.Site) []dialect.Mount {
	return []dialect.Mount{users.Mount(s)}
}

// Base implements dialect.Dialect.
func (Dialect) Base(s *base.Site) []dialect.Mount {
	mounts := []dialect.Mount{containers.Mount(s)}
	if s.Pool != nil {
		mounts = append(mounts, containers.MountPool(s))
	}
	return mounts
}

// Client implements dialect.Dialect.
func (Dialect) Client(l peer.Link) dialect.Client { return NewClient(l) }

// Interconnection implements dialect.Dialect. Answers to proven callers are signed.
func (Dialect) Interconnection(n dialect.Node) []dialect.Mount {
	return []dialect.Mount{verbs.Mount(n, prefix, envelope.Of, n.Signed)}
}
