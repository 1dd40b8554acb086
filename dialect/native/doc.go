// Package native is our own dialect, below /openflow/v1: between nodes one call for each verb of the partner interface, with
// signed requests and answers; for users, containers and machines what FATE-Flow has no route for. Documents and containers
// speak FATE-Flow's words, which are sdk/wire's.
package native

import (
	"openflow"
	"openflow/dialect"
	"openflow/dialect/native/containers"
	"openflow/dialect/native/users"
	"openflow/dialect/peer"
	"openflow/server/application"
	"openflow/server/base"
)

// Name is that of the dialect in records of peers.
const Name openflow.Dialect = "native"

// prefix begins the paths between nodes.
const prefix = "/openflow/v1/node"

// pathSite is what our dialect says besides the verbs: who is there?
const pathSite = "/site"

// Dialect is our own.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name implements dialect.Dialect.
func (Dialect) Name() openflow.Dialect { return Name }

// Speaks implements dialect.Dialect. Both sides sign.
func (Dialect) Speaks() (versions, profiles []string) { return []string{"1"}, []string{"signed"} }

// Channel implements dialect.Dialect: both sides have the same names.
func (Dialect) Channel(own openflow.SessionID, topic string) (dialect.Channel, error) {
	return dialect.Channel{Session: string(own), Topic: topic}, nil
}

// Own implements dialect.Dialect.
func (Dialect) Own(c dialect.Channel) (session, topic string, err error) {
	return c.Session, c.Topic, nil
}

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

// Container implements dialect.Dialect: the containers of our own kit are told in FATE-Flow's words.
func (Dialect) Container() dialect.Container { return nil }

// Client implements dialect.Dialect.
func (Dialect) Client(l peer.Link) dialect.Client { return NewClient(l) }
