package ptp

import "regexp"

// typeBytes is the content type of a bare payload.
const typeBytes = "application/octet-stream"

// EncodePush writes the body of a push, and of an invoke in pass-through mode. In the raw form topic and metadata
// are not in the body: the topic goes into HeaderTopic.
//
// Spec: interop-transport §5.2, §6.1.
func EncodePush(d Form, p PushInbound) (contentType string, body []byte) {
	switch d {
	case FormProtobuf:
		return TypeProtobuf, p.marshalProtobuf()
	case FormRaw:
		return typeBytes, p.Payload
	case FormJSON, FormJSONBoth:
	}
	return TypeJSON, p.marshalJSON()
}

// EncodeInvoke writes the body of an invoke in encapsulation mode, with metadata for the layer between. The raw form
// wraps nothing.
//
// Spec: interop-transport §5.3, §7.5.
func EncodeInvoke(d Form, metadata map[string]string, p PushInbound) (contentType string, body []byte) {
	contentType, body = EncodePush(d, p)
	in := Inbound{Metadata: metadata, Payload: body}
	switch d {
	case FormProtobuf:
		return contentType, in.marshalProtobuf()
	case FormRaw:
		return contentType, body
	case FormJSON, FormJSONBoth:
	}
	return contentType, in.marshalJSON()
}

// EncodePop writes the body of a pop, peek or release. In the raw form it is empty, and topic and timeout go into
// HeaderTopic and the URL parameter "timeout", in seconds.
//
// Spec: interop-transport §6.2.
func EncodePop(d Form, p PopInbound) (contentType string, body []byte) {
	switch d {
	case FormProtobuf:
		return TypeProtobuf, p.marshalProtobuf()
	case FormRaw:
		return typeBytes, nil
	case FormJSON, FormJSONBoth:
	}
	return TypeJSON, p.marshalJSON()
}

// DecodeInbound reads the request of an invoke that is not a push, in encapsulation mode. JSON is what TypeJSON says,
// everything else is protobuf.
//
// Errors: ResultCodec (CodeInvalid).
//
// Spec: interop-transport §5.3, §7.1.
func DecodeInbound(contentType string, body []byte) (in Inbound, err error) {
	if mediaType(contentType) != TypeJSON {
		err = in.fields(false).decode(body)
		return in, err
	}
	var j jsonPush
	if err := decodeJSON(body, &j); err != nil {
		return in, err
	}
	p := j.push()
	return Inbound{Metadata: p.Metadata, Payload: p.Payload}, nil
}

var resultPattern = regexp.MustCompile(`^E\d{10}$`)

func (r Result) wellFormed() bool { return resultPattern.MatchString(string(r)) }

// DecodeReply reads any reply, also one in the legacy numbering: where content types do not tell the numberings apart,
// the place of the result does.
//
// Errors: ResultCodec (CodeInvalid).
//
// Spec: interop-transport §4, §7.5.
func DecodeReply(contentType string, body []byte) (TransportOutbound, error) {
	kind := mediaType(contentType)
	if kind == TypeJSON {
		var o TransportOutbound
		err := o.unmarshalJSON(body)
		return o, err
	}
	var standard, legacy TransportOutbound
	err := standard.fields().decode(body)
	isStandard := err == nil && standard.Code.wellFormed()
	legacyErr := legacy.legacyFields().decode(body)
	isLegacy := legacyErr == nil && legacy.Code.wellFormed()
	if isStandard && isLegacy { // a payload or a message that looks like a result
		isLegacy = standard.Message == "" && kind == TypeRaw
		isStandard = !isLegacy
	}
	switch {
	case isStandard:
		return standard, nil
	case isLegacy, kind == TypeRaw && legacyErr == nil:
		return legacy, nil
	case err == nil:
		return standard, nil
	}
	var o TransportOutbound
	if o.unmarshalJSON(body) == nil && o.Code.wellFormed() {
		return o, nil // of a server that forgot to say so
	}
	return TransportOutbound{}, err
}
