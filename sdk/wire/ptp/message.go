package ptp

import (
	"errors"

	"openflow"
)

// PushInbound is the request of push.
//
// Spec: interop-transport §4, §6.1.
type PushInbound struct {
	Topic    string
	Payload  []byte
	Metadata map[string]string
}

// PopInbound is the request of pop.
//
// Spec: interop-transport §4, §6.2.
type PopInbound struct {
	Topic   string
	Timeout int32 // milliseconds; see Wait
}

// ReleaseInbound is the request of release, with the fields of a pop.
//
// Spec: interop-transport §4, §6.5.
type ReleaseInbound = PopInbound

// Inbound is the request of invoke and transport in encapsulation mode: Payload is another request in the same codec.
//
// Spec: interop-transport §4, §5.3.
type Inbound struct {
	Metadata map[string]string
	Payload  []byte
}

// TransportOutbound is every reply. A Payload of nil is no message, one without bytes an empty message; the raw form
// cannot tell these apart.
//
// Spec: interop-transport §4.
type TransportOutbound struct {
	Metadata map[string]string
	Payload  []byte
	Code     Result
	Message  string
}

// Reply is the reply to a request that came to err: success for nil. A peer reads the message of an error of ours, and
// nothing of others: they may speak of this machine.
func Reply(err error) TransportOutbound {
	if err == nil {
		return TransportOutbound{Code: ResultOK, Message: "OK"}
	}
	var ours *openflow.Error
	if !errors.As(err, &ours) {
		return TransportOutbound{Code: ResultOf(err), Message: "internal error"}
	}
	return TransportOutbound{Code: ResultOf(err), Message: ours.Error()}
}

// EmptyPop is the reply to a pop that found nothing in time, for a caller with that HeaderProvider.
//
// Spec: interop-transport §6.2 (FATE takes an empty success for data).
func EmptyPop(provider string) TransportOutbound {
	if provider == ProviderFATE {
		return TransportOutbound{Code: ResultTimeout, Message: "no message yet"}
	}
	return Reply(nil)
}

// Err is nil for a success, otherwise an error with the result's code and a Failure as its cause.
func (o TransportOutbound) Err() error {
	if o.Code == ResultOK {
		return nil
	}
	f := &Failure{Result: o.Code, Message: o.Message}
	if f.Result == "" {
		f.Result = ResultUnknown
	}
	return openflow.Errorf(f.Result.Code(), "transport replied %w", f)
}
