// Package packets carries FATE-Flow's calls between sites in packets of gRPC, as FATE's bridges osx and rollsite pass them on.
//
// A packet is one request of HTTP, or one answer, in the fields of a form that is older than FATE-Flow. [Way] sends requests so, and
// [Bridge] serves them by the handlers that serve HTTP. Neither knows what a call is about, and identity is proven as over HTTP.
//
// Spec: fate-flow-api §0.8.2.
package packets

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"openflow"
)

// Service is the path below which the bridge serves, and Call the method of it that FATE-Flow calls. It serves no other.
const (
	Service = "/com.webank.ai.eggroll.api.networking.proxy.DataTransferService"
	Call    = "/unaryCall"
)

// Packet is what a packet says that means something. The rest of it is filled in, and passed over.
type Packet struct {
	Job      string      // that the call is about; may be empty
	Header   http.Header // of the request; nil in an answer
	From, To string      // parties, for who routes it; nothing is proven by them
	Method   string
	Path     string
	Body     []byte // JSON
	Timeout  int64  // as the sender writes it, in seconds or milliseconds
}

// Bounds of what is read. A body has its own bound.
const (
	maxHead    = 128 << 10 // all of a packet but its body, in bytes
	maxText    = 1 << 10   // a name in it
	maxHeaders = 64
	maxValue   = 8 << 10
	maxFields  = 256 // of one message
)

// The numbers of fields.
const (
	packetHeader, packetBody = 1, 2
	dataKey, dataValue       = 1, 2

	metaTask, metaSource, metaTarget, metaCommand, metaOperator, metaConf = 1, 2, 3, 4, 5, 8

	taskID, taskModel       = 1, 2
	modelName, modelKey     = 1, 2
	topicName, topicParty   = 1, 2
	topicRole               = 3
	commandName             = 1
	confTimeout             = 1
	modelHeaders, topicOurs = "headers", "fateflow"
)

// Append adds the packet to a buffer, with all fields as FATE-Flow fills them but the address of the sender, which nobody reads.
func (p Packet) Append(to []byte) ([]byte, error) {
	said := []byte("null")
	if p.Header != nil {
		text := map[string]string{}
		for name, values := range p.Header {
			text[name] = strings.Join(values, ", ")
		}
		var err error
		if said, err = json.Marshal(text); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the headers of a call cannot be written: %w", err)
		}
	}
	model := put(put(nil, modelName, modelHeaders), modelKey, string(said))
	topic := func(party string) []byte {
		return put(put(put(nil, topicName, p.Job), topicParty, party), topicRole, topicOurs)
	}
	meta := within(nil, metaTask, within(put(nil, taskID, p.Job), taskModel, model))
	meta = within(within(meta, metaSource, topic(p.From)), metaTarget, topic(p.To))
	meta = put(within(meta, metaCommand, put(nil, commandName, p.Path)), metaOperator, p.Method)
	meta = within(meta, metaConf, protowire.AppendVarint(protowire.AppendTag(nil, confTimeout, protowire.VarintType), uint64(max(p.Timeout, 0)))) //nolint:gosec // not negative
	if len(meta) > maxHead {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the headers of a call have %d bytes, and a packet holds %d", len(meta), maxHead)
	}
	to = within(to, packetHeader, meta)
	return within(to, packetBody, within(put(nil, dataKey, p.Path), dataValue, p.Body)), nil
}

// put adds a text; an empty one is left out.
func put(to []byte, number protowire.Number, text string) []byte {
	if text == "" {
		return to
	}
	return protowire.AppendString(protowire.AppendTag(to, number, protowire.BytesType), text)
}

func within(to []byte, number protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, number, protowire.BytesType), message)
}

// Read reads a packet whose body has at most so many bytes. What it does not know it passes over. The body is not copied. Errors:
// CodeInvalid, which names the field.
func Read(b []byte, most int64) (p Packet, err error) {
	err = message(b, map[protowire.Number]field{
		packetHeader: part(map[protowire.Number]field{
			metaTask: part(map[protowire.Number]field{
				taskID: text("header.task.taskId", &p.Job),
				taskModel: part(map[protowire.Number]field{
					modelKey: func(v []byte, _ uint64) (err error) { p.Header, err = readHeaders(v); return err },
				}),
			}),
			metaSource:   part(map[protowire.Number]field{topicParty: text("header.src.partyId", &p.From)}),
			metaTarget:   part(map[protowire.Number]field{topicParty: text("header.dst.partyId", &p.To)}),
			metaOperator: text("header.operator", &p.Method),
			metaConf: part(map[protowire.Number]field{confTimeout: func(_ []byte, n uint64) error {
				p.Timeout = int64(min(n, math.MaxInt64)) //nolint:gosec // bounded
				return nil
			}}),
		}),
		packetBody: part(map[protowire.Number]field{
			dataKey: text("body.key", &p.Path),
			dataValue: func(v []byte, _ uint64) error {
				if int64(len(v)) > most {
					return wrong("body.value", "it is larger than %s", openflow.FormatBytes(most))
				}
				p.Body = v
				return nil
			},
		}),
	})
	if err == nil && len(b)-len(p.Body) > maxHead {
		err = wrong("header", "all of it but its body is larger than %s", openflow.FormatBytes(maxHead))
	}
	return p, err
}

func wrong(field, format string, args ...any) error {
	return openflow.Errorf(openflow.CodeInvalid, "the packet cannot be read: "+field+": "+format, args...)
}

// field reads the value of a field: its bytes, or its number.
type field func(bytes []byte, number uint64) error

var errWire = errors.New("it is no message")

// message goes through the fields of a message. Depth is that of the form: what is nested in an unknown field is not looked at.
func message(b []byte, fields map[protowire.Number]field) error {
	for n := 0; len(b) > 0; n++ {
		if n >= maxFields {
			return openflow.Errorf(openflow.CodeInvalid, "the packet cannot be read: a message in it has more than %d fields", maxFields)
		}
		number, kind, head := protowire.ConsumeTag(b)
		if head < 0 {
			return openflow.Errorf(openflow.CodeInvalid, "the packet cannot be read: %w", errWire)
		}
		b = b[head:]
		var value []byte
		var num uint64
		var size int
		switch kind {
		case protowire.BytesType:
			value, size = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			num, size = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			_, size = protowire.ConsumeFixed32(b)
		case protowire.Fixed64Type:
			_, size = protowire.ConsumeFixed64(b)
		case protowire.StartGroupType, protowire.EndGroupType: // FATE's form has none
			size = -1
		}
		if size < 0 {
			return openflow.Errorf(openflow.CodeInvalid, "the packet cannot be read: %w", errWire)
		}
		b = b[size:]
		if read := fields[number]; read != nil && (kind == protowire.BytesType || kind == protowire.VarintType) {
			if err := read(value, num); err != nil {
				return err
			}
		}
	}
	return nil
}

func part(fields map[protowire.Number]field) field {
	return func(v []byte, _ uint64) error { return message(v, fields) }
}

func text(name string, into *string) field {
	return func(v []byte, _ uint64) error {
		if len(v) > maxText || !utf8.Valid(v) || bytes.ContainsFunc(v, openflow.Hidden) {
			return wrong(name, "it is longer than %d bytes, or holds what cannot be seen", maxText)
		}
		*into = string(v)
		return nil
	}
}

// readHeaders reads the JSON text of the headers: an object of texts, no name twice, however it is spelt. null, an empty text and an
// empty object are none.
func readHeaders(said []byte) (http.Header, error) {
	const name = "header.task.model.dataKey"
	if len(said) == 0 || string(said) == "null" {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(said))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, wrong(name, "it is no JSON object of headers")
	}
	h := http.Header{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, wrong(name, "it is no JSON object of headers")
		}
		value, err := d.Token()
		text, isText := value.(string)
		if err != nil || !isText && value != nil {
			return nil, wrong(name, "a header is no text")
		}
		header, ok := canonical(key.(string))
		switch {
		case !ok || len(text) > maxValue || !utf8.ValidString(text) || strings.ContainsFunc(text, openflow.Hidden):
			return nil, wrong(name, "the name or value of a header is none of HTTP")
		case h[header] != nil:
			return nil, wrong(name, "header %s is there twice", header)
		case len(h) >= maxHeaders:
			return nil, wrong(name, "it has more than %d headers", maxHeaders)
		}
		h[header] = []string{text}
	}
	if _, err := d.Token(); err != nil {
		return nil, wrong(name, "it is no JSON object of headers")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, wrong(name, "something follows the headers")
	}
	return h, nil
}

// ofConnection are headers that are of a connection, and of no request that a packet holds.
var ofConnection = []string{"Connection", "Content-Length", "Host", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// canonical is the name of a header as the callee reads it: FATE-Flow takes "_" for "-".
func canonical(name string) (string, bool) {
	if name == "" || len(name) > maxText/4 {
		return "", false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return "", false
		}
	}
	name = textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-"))
	return name, !slices.Contains(ofConnection, name)
}

// routing are the metadata by which a bridge finds the party.
//
// Spec: fate-flow-api §0.8.2.
func routing(from, to string) map[string]string {
	return map[string]string{"service": topicOurs, "src-party-id": from, "src-role": "guest", "dest-party-id": to, "dest-role": "host"}
}
