package native

import "openflow/sdk/wire"

// probe is the body of /site: the peer is to call back when CallBack is set.
type probe struct {
	CallBack bool `json:"call_back,omitempty"`
}

// probed answers it: whom the peer takes the caller for, and what came of calling back.
type probed struct {
	Caller   string        `json:"caller"`
	CallBack *wire.Problem `json:"call_back,omitempty"` // why the peer does not reach the caller; absent when it does
	Version  string        `json:"version,omitempty"`   // what the peer's node runs
}
