// Package fateflow is the dialect of FATE-Flow v2: its paths for users, containers and nodes, its envelope, its own sequence
// of calls, and what its containers are told.
package fateflow

import (
	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/containers"
	"openflow/dialect/fateflow/packets"
	"openflow/dialect/fateflow/users"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/reply"
)

// Name is that of the dialect in records of peers.
const Name openflow.Dialect = "fate-flow"

// Dialect is FATE-Flow's.
type Dialect struct{ dialect.Plain }

var _ dialect.Dialect = Dialect{}

// Name implements dialect.Dialect.
func (Dialect) Name() openflow.Dialect { return Name }

// Speaks implements dialect.Dialect. FATE-Flow's answers carry no signature: what is at the peer's address is believed. Where
// one is there all the same, as of a node of ours, it is checked.
func (Dialect) Speaks() (versions, profiles []string) {
	return []string{"2"}, []string{dialect.Unsigned, dialect.SiteSigned}
}

// Ways implements dialect.Dialect.
//
// Spec: fate-flow-api §0.8.
func (Dialect) Ways() []openflow.PeerWay {
	return []openflow.PeerWay{openflow.WayDirect, openflow.WayRouter, openflow.WayPackets}
}

// Channel implements dialect.Dialect: FATE-Flow's name of a session names no scheduler. Whose
// job it is, the node finds out on the way back.
func (Dialect) Channel(own openflow.SessionID, topic string) (dialect.Channel, error) {
	k, err := openflow.ParseSessionID(own)
	return dialect.Channel{Session: wire.FederationID(k), Topic: topic}, err
}

// Application implements dialect.Dialect.
func (Dialect) Application(s *application.Site) []dialect.Mount {
	return []dialect.Mount{users.Mount(s, documents{}.Read)}
}

// Base implements dialect.Dialect.
func (Dialect) Base(s *base.Site) []dialect.Mount {
	return []dialect.Mount{containers.Mount(s)}
}

// Container implements dialect.Dialect.
func (Dialect) Container() dialect.Container { return environment }

// Documents implements dialect.Dialect.
func (Dialect) Documents() dialect.Documents { return documents{} }

// Client implements dialect.Dialect.
func (Dialect) Client(l peer.Link) dialect.Client {
	if l.Profile == dialect.SiteSigned {
		l.Signer = asSite{l.App}
	}
	if l.Way == openflow.WayPackets && l.HTTP != nil {
		through := *l.HTTP
		through.Transport = packets.Way{Through: l.HTTP.Transport, Peer: l.Peer, Most: reply.MaxBody}
		l.HTTP = &through
	}
	return &Client{l}
}
