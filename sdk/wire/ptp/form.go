package ptp

import (
	"bytes"
	"strings"
)

// Form is the codec of a request, in which its reply is written too.
type Form int

// The forms.
//
// Spec: interop-transport §5.1, §5.4.
const (
	FormJSON     Form = iota + 1
	FormJSONBoth      // FormJSON whose replies carry the payload under both names (interop-transport §4); for configured callers
	FormProtobuf      // numbering of the standard; also what gRPC carries
	FormRaw           // pushes are bare payloads, replies have the legacy numbering
)

// String names d for logs.
func (d Form) String() string {
	switch d {
	case FormJSON:
		return "json"
	case FormJSONBoth:
		return "json (both names)"
	case FormProtobuf:
		return "protobuf"
	case FormRaw:
		return "raw"
	}
	return "unknown"
}

// foreignCodecs are the optional codecs of the standard, which this node does not speak. A body in one of them is
// known to be neither JSON nor protobuf.
//
// Spec: interop-transport §5.1.
var foreignCodecs = map[string]bool{
	"application/xml": true, "text/xml": true, "application/x-msgpack": true, "msgpack": true,
	"application/x-yaml": true, "application/toml": true, "application/form-data": true,
}

// mediaType is a content type without parameters, gRPC's being that of its messages.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind == "application/grpc" || kind == "application/grpc+proto" {
		return TypeProtobuf
	}
	return kind
}

// formOf is the form that a content type names, or that its absence beside a header topic means.
func formOf(kind, headerTopic string) Form {
	switch {
	case kind == TypeJSON:
		return FormJSON
	case kind == TypeProtobuf:
		return FormProtobuf
	case headerTopic != "":
		return FormRaw
	}
	return FormJSON
}

// DecodePush reads the body of a push, or of an invoke or transport that pushes. path is the request's own path, or
// gRPC's full method; version and headerTopic are HeaderVersion and HeaderTopic. The form is that of the reply, also
// of one that reports the error.
//
// Errors: ResultCodec for what is in no form, ResultIllegal for a raw push without bytes; both CodeInvalid.
//
// Spec: interop-transport §5.4, first match of its table.
func DecodePush(contentType, version, headerTopic, path string, body []byte) (PushInbound, Form, error) {
	op, grpc := ParsePath(path)
	r := pushReader{body: body}
	if op == OperationInvoke || op == OperationTransport {
		r.wrapped = grpc || version != VersionPassThrough
	}
	kind := mediaType(contentType)
	if grpc {
		kind = TypeProtobuf
	}
	form := formOf(kind, headerTopic)
	p, err := r.read(kind)
	switch {
	case err == nil || grpc:
	case headerTopic != "":
		form = FormRaw
		p, err = rawPush(headerTopic, body)
	case !foreignCodecs[kind]:
		if guessed, d, ok := r.guess(); ok {
			p, form, err = guessed, d, nil
		}
	}
	if err != nil {
		return PushInbound{}, form, err
	}
	if headerTopic != "" {
		p.Topic = headerTopic
	}
	return p, form, nil
}

func rawPush(topic string, body []byte) (PushInbound, error) {
	if len(body) == 0 {
		return PushInbound{}, failure(ResultIllegal, "push on topic %q has no payload", topic)
	}
	return PushInbound{Topic: topic, Payload: body}, nil
}

// pushReader reads one body in several ways.
type pushReader struct {
	body    []byte
	wrapped bool // an Inbound is around the PushInbound
}

func (r pushReader) read(kind string) (PushInbound, error) {
	switch kind {
	case TypeJSON:
		return r.json()
	case TypeProtobuf:
		return r.protobuf(false)
	}
	return PushInbound{}, failure(ResultCodec, "content type %q is not supported", kind)
}

// guess is for a body that nothing is known about. An empty one, or one with unknown fields, is no evidence.
func (r pushReader) guess() (PushInbound, Form, bool) {
	if len(r.body) == 0 {
		return PushInbound{}, 0, false
	}
	if p, err := r.json(); err == nil {
		return p, FormJSON, true
	}
	p, err := r.protobuf(true)
	return p, FormProtobuf, err == nil
}

func (r pushReader) json() (PushInbound, error) {
	var j jsonPush
	if err := decodeJSON(r.body, &j); err != nil {
		return PushInbound{}, err
	}
	if !r.wrapped || j.Topic != nil || j.Payload == nil {
		return j.push(), nil
	}
	var inner jsonPush
	if err := decodeJSON(*j.Payload, &inner); err != nil {
		return PushInbound{}, err
	}
	return inner.push(), nil
}

func (r pushReader) protobuf(strict bool) (p PushInbound, err error) {
	body := r.body
	if r.wrapped {
		var in Inbound
		if err := in.fields(strict).decode(body); err != nil {
			return p, err
		}
		body = in.Payload
	}
	err = p.fields(strict).decode(body)
	return p, err
}

// DecodePop reads the body of a pop, peek or release, whose fields are all optional. contentType, headerTopic and the
// form are as for DecodePush.
//
// Errors: ResultCodec, ResultIllegal for a timeout that is no number; both CodeInvalid.
//
// Spec: interop-transport §5.4, note.
func DecodePop(contentType, headerTopic string, body []byte) (PopInbound, Form, error) {
	kind := mediaType(contentType)
	form := formOf(kind, headerTopic)
	if kind != TypeProtobuf {
		body = bytes.TrimSpace(body)
	}
	var p PopInbound
	var err error
	switch {
	case len(body) == 0:
	case kind == TypeJSON:
		err = p.unmarshalJSON(body)
	case form == FormProtobuf:
		err = p.fields().decode(body)
	case form == FormRaw: // the topic is in the header, and a raw body has no fields
	case foreignCodecs[kind] || p.unmarshalJSON(body) != nil:
		err = failure(ResultCodec, "content type %q is not supported", kind)
	}
	if err != nil {
		return PopInbound{}, form, err
	}
	if headerTopic != "" {
		p.Topic = headerTopic
	}
	return p, form, nil
}

// EncodeReply writes a reply in the form of its request.
func EncodeReply(d Form, o TransportOutbound) (contentType string, body []byte) {
	switch d {
	case FormProtobuf:
		return TypeProtobuf, o.marshalProtobuf()
	case FormRaw:
		return TypeRaw, o.marshalLegacy()
	case FormJSON, FormJSONBoth:
	}
	return TypeJSON, o.marshalJSON(d == FormJSONBoth)
}
