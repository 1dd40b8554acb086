package ptp

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// The JSON forms. Bytes are standard base64 with padding, null is absent, unknown members are ignored.
//
// Spec: interop-transport §4, §12 #1, #2.
type (
	jsonPush struct {
		Topic    *string           `json:"topic,omitempty"`
		Payload  *[]byte           `json:"payload,omitempty"`
		Metadata map[string]string `json:"metadata,omitempty"`
	}
	jsonPop struct {
		Topic   string      `json:"topic,omitempty"`
		Timeout json.Number `json:"timeout,omitempty"`
	}
	jsonReply struct {
		Metadata map[string]string `json:"metadata,omitempty"`
		Code     looseString       `json:"code"`
		Message  string            `json:"message"`
		Msg      string            `json:"msg,omitempty"`     // OSX
		Content  *[]byte           `json:"content,omitempty"` // the standard's name
		Payload  *[]byte           `json:"payload,omitempty"` // mesh, OSX
	}
)

// looseString also reads a number.
type looseString string

// UnmarshalJSON implements json.Unmarshaler.
func (s *looseString) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] != '"' && b[0] != '{' && b[0] != '[' {
		*s = looseString(bytes.TrimSpace(b))
		return nil
	}
	return json.Unmarshal(b, (*string)(s))
}

func decodeJSON(b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return failure(ResultCodec, "body is not JSON of this message: %w", err)
	}
	return nil
}

// encodeJSON serves the types above, which always marshal.
func encodeJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("{}") // unreachable: no channels, functions, cycles or NaN in there
	}
	return b
}

func (j jsonPush) push() PushInbound {
	p := PushInbound{Metadata: j.Metadata}
	if j.Topic != nil {
		p.Topic = *j.Topic
	}
	if j.Payload != nil {
		p.Payload = *j.Payload
	}
	return p
}

func (p PushInbound) marshalJSON() []byte {
	j := jsonPush{Metadata: p.Metadata, Topic: &p.Topic}
	if p.Payload != nil {
		j.Payload = &p.Payload
	}
	return encodeJSON(j)
}

// marshalJSON writes an Inbound with its metadata even if empty, as the standard's example does.
func (in Inbound) marshalJSON() []byte {
	if in.Metadata == nil {
		in.Metadata = map[string]string{}
	}
	return encodeJSON(struct {
		Metadata map[string]string `json:"metadata"`
		Payload  []byte            `json:"payload"`
	}{in.Metadata, in.Payload})
}

func (p PopInbound) marshalJSON() []byte {
	j := jsonPop{Topic: p.Topic}
	if p.Timeout != 0 {
		j.Timeout = json.Number(strconv.Itoa(int(p.Timeout)))
	}
	return encodeJSON(j)
}

func (p *PopInbound) unmarshalJSON(b []byte) error {
	var j jsonPop
	if err := decodeJSON(b, &j); err != nil {
		return err
	}
	*p = PopInbound{Topic: j.Topic}
	if j.Timeout == "" {
		return nil
	}
	n, err := j.Timeout.Float64() // an integer in any notation
	if err != nil {
		return failure(ResultIllegal, "timeout %q is not a number of milliseconds", j.Timeout)
	}
	p.Timeout = int32(min(max(n, math.MinInt32), math.MaxInt32))
	return nil
}

// marshalJSON writes the payload as content, and with both as payload as well.
func (o TransportOutbound) marshalJSON(both bool) []byte {
	j := jsonReply{Metadata: o.Metadata, Code: looseString(o.Code), Message: o.Message}
	if o.Payload != nil {
		j.Content = &o.Payload
		if both {
			j.Payload = &o.Payload
		}
	}
	return encodeJSON(j)
}

func (o *TransportOutbound) unmarshalJSON(b []byte) error {
	var j jsonReply
	if err := decodeJSON(b, &j); err != nil {
		return err
	}
	*o = TransportOutbound{Metadata: j.Metadata, Code: Result(j.Code), Message: j.Message}
	if o.Message == "" {
		o.Message = j.Msg
	}
	if j.Content == nil {
		j.Content = j.Payload
	}
	if j.Content != nil {
		o.Payload = *j.Content
	}
	return nil
}
