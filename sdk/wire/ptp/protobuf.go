package ptp

import (
	"maps"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields receives what a protobuf message of this layer holds; its numbers are those of the standard. All fields are
// strings, bytes and string maps, and one int32.
//
// Spec: interop-transport §4.
type fields struct {
	texts  map[protowire.Number]*string
	bytes  map[protowire.Number]*[]byte
	maps   map[protowire.Number]*map[string]string
	int32s map[protowire.Number]*int32
	strict bool // refuse unknown fields, which is how a guess avoids to be wrong
}

// decode reads one message. It shares b's memory. A known field of another wire type is an error: it is a sign of
// another message.
func (f fields) decode(b []byte) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return truncated(size)
		}
		b = b[size:]
		size, err := f.field(n, typ, b)
		if err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func (f fields) field(n protowire.Number, typ protowire.Type, b []byte) (size int, err error) {
	if target, ok := f.int32s[n]; ok {
		v, size := protowire.ConsumeVarint(b)
		if typ != protowire.VarintType || size < 0 {
			return 0, failure(ResultCodec, "protobuf field %d is not a varint", n)
		}
		*target = int32(v) // negative ones are sign-extended on the wire
		return size, nil
	}
	text, isText := f.texts[n]
	data, isData := f.bytes[n]
	entries, isMap := f.maps[n]
	if !isText && !isData && !isMap {
		size := protowire.ConsumeFieldValue(n, typ, b)
		if size < 0 {
			return 0, truncated(size)
		}
		if f.strict {
			return 0, failure(ResultCodec, "protobuf field %d is unknown", n)
		}
		return size, nil
	}
	v, size := protowire.ConsumeBytes(b)
	if typ != protowire.BytesType || size < 0 {
		return 0, failure(ResultCodec, "protobuf field %d is not length-delimited", n)
	}
	switch {
	case isData:
		*data = v[:len(v):len(v)]
	case isMap:
		return size, entry(v, entries)
	case !utf8.Valid(v):
		return 0, failure(ResultCodec, "protobuf field %d is not UTF-8", n)
	default:
		*text = string(v)
	}
	return size, nil
}

func truncated(size int) error {
	return failure(ResultCodec, "body is not protobuf: %w", protowire.ParseError(size))
}

// entry reads one entry of a map field into m.
func entry(b []byte, m *map[string]string) error {
	var key, value string
	err := fields{texts: map[protowire.Number]*string{1: &key, 2: &value}}.decode(b)
	if err != nil {
		return err
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
	return nil
}

func appendText(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, n, protowire.BytesType), s)
}

// appendBytes writes also an empty value, as long as it is not nil: readers that care can tell it from an absent one.
func appendBytes(b []byte, n protowire.Number, v []byte) []byte {
	if v == nil {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), v)
}

func appendMap(b []byte, n protowire.Number, m map[string]string) []byte {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		e := appendText(appendText(nil, 1, key), 2, m[key])
		b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), e)
	}
	return b
}

func (p PushInbound) marshalProtobuf() []byte {
	b := make([]byte, 0, len(p.Payload)+len(p.Topic)+64)
	return appendMap(appendBytes(appendText(b, 1, p.Topic), 2, p.Payload), 3, p.Metadata)
}

func (p *PushInbound) fields(strict bool) fields {
	return fields{
		texts: map[protowire.Number]*string{1: &p.Topic}, bytes: map[protowire.Number]*[]byte{2: &p.Payload},
		maps: map[protowire.Number]*map[string]string{3: &p.Metadata}, strict: strict,
	}
}

func (p PopInbound) marshalProtobuf() []byte {
	b := appendText(nil, 1, p.Topic)
	if p.Timeout == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), uint64(int64(p.Timeout)))
}

func (p *PopInbound) fields() fields {
	return fields{
		texts:  map[protowire.Number]*string{1: &p.Topic},
		int32s: map[protowire.Number]*int32{2: &p.Timeout},
	}
}

func (in Inbound) marshalProtobuf() []byte {
	b := make([]byte, 0, len(in.Payload)+64)
	return appendBytes(appendMap(b, 1, in.Metadata), 2, in.Payload)
}

func (in *Inbound) fields(strict bool) fields {
	return fields{
		maps:  map[protowire.Number]*map[string]string{1: &in.Metadata},
		bytes: map[protowire.Number]*[]byte{2: &in.Payload}, strict: strict,
	}
}

func (o TransportOutbound) marshalProtobuf() []byte {
	b := make([]byte, 0, len(o.Payload)+64)
	b = appendBytes(appendMap(b, 1, o.Metadata), 2, o.Payload)
	return appendText(appendText(b, 3, string(o.Code)), 4, o.Message)
}

func (o *TransportOutbound) fields() fields {
	return fields{
		maps:  map[protowire.Number]*map[string]string{1: &o.Metadata},
		bytes: map[protowire.Number]*[]byte{2: &o.Payload},
		texts: map[protowire.Number]*string{3: (*string)(&o.Code), 4: &o.Message},
	}
}

// marshalLegacy writes the numbering of the raw form, which has no metadata.
func (o TransportOutbound) marshalLegacy() []byte {
	b := make([]byte, 0, len(o.Payload)+64)
	return appendText(appendText(appendBytes(b, 1, o.Payload), 2, string(o.Code)), 3, o.Message)
}

func (o *TransportOutbound) legacyFields() fields {
	return fields{
		bytes: map[protowire.Number]*[]byte{1: &o.Payload},
		texts: map[protowire.Number]*string{2: (*string)(&o.Code), 3: &o.Message},
	}
}
