// Package fateflow is the dialect of FATE-Flow v2: what its containers are told, its paths between nodes, its envelope, and
// its own sequence of calls.
package fateflow

import (
	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// Name is that of the dialect in records of peers.
const Name openflow.Dialect = "fate-flow"

// Dialect is FATE-Flow's.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name implements dialect.Dialect.
func (Dialect) Name() openflow.Dialect { return Name }

// Speaks implements dialect.Dialect. FATE-Flow's answers carry no signature: what is at the peer's address is believed.
func (Dialect) Speaks() (versions, profiles []string) { return []string{"2"}, []string{"unsigned"} }

// Session implements dialect.Dialect: FATE-Flow's name of a session names no scheduler.
func (Dialect) Session(own openflow.SessionID) (string, error) {
	k, err := openflow.ParseSessionID(own)
	if err != nil {
		return "", err
	}
	return wire.FederationID(k), nil
}

// Client implements dialect.Dialect.
func (Dialect) Client(l peer.Link) dialect.Client { return &Client{l} }
