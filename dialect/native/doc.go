// Package native is our own dialect between nodes: one call for each verb of the partner interface, below /openflow/v1.
// Requests and answers are signed. Documents and containers speak FATE-Flow's words, which are sdk/wire's.
package native

import (
	"openflow"
	"openflow/dialect"
	"openflow/dialect/peer"
)

// Name is that of the dialect in records of peers.
const Name openflow.Dialect = "native"

// version is that of the paths and the envelope.
const version = 1

// prefix begins all paths.
const prefix = "/openflow/v1"

// Paths below the prefix, one for each verb.
const (
	pathSite      = "/site"
	pathOpen      = "/job/open"
	pathReserve   = "/job/reserve"
	pathRelease   = "/job/release"
	pathTell      = "/job/tell"
	pathStop      = "/job/stop"
	pathStart     = "/task/start"
	pathAsk       = "/task/ask"
	pathScheduled = "/scheduled" // begins those of a scheduler, which passes on what others have said
	pathSchedule  = pathScheduled + "/create"
	pathEnd       = pathScheduled + "/stop"
	pathRerun     = pathScheduled + "/rerun"
	pathWake      = pathScheduled + "/wake"
	pathEnded     = pathScheduled + "/ended"
	pathReport    = pathScheduled + "/report"
)

// Dialect is our own.
type Dialect struct{}

var _ dialect.Dialect = Dialect{}

// Name implements dialect.Dialect.
func (Dialect) Name() openflow.Dialect { return Name }

// Speaks implements dialect.Dialect. Both sides sign.
func (Dialect) Speaks() (versions, profiles []string) { return []string{"1"}, []string{"signed"} }

// Session implements dialect.Dialect: both sides have the same name.
func (Dialect) Session(own openflow.SessionID) (string, error) { return string(own), nil }

// Client implements dialect.Dialect.
func (Dialect) Client(l peer.Link) dialect.Client { return &Client{l} }
